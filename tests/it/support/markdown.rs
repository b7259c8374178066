//! Reading our own Markdown: the blocks of code in it, and what stands before them.

/// A fenced block.
pub struct Fence {
    /// What stands behind the opening fence, such as `json`.
    pub kind: String,
    pub text: String,
    /// The line that it begins on.
    pub line: usize,
    /// The paragraph before it, as one line; empty where another block or a heading stands there.
    pub before: String,
}

/// All blocks that say of what kind they are, in their order.
pub fn fences(text: &str) -> Vec<Fence> {
    let mut fences = Vec::new();
    let mut lines = text.lines().enumerate();
    let mut before: Vec<&str> = Vec::new();
    let mut ended = true;
    while let Some((index, line)) = lines.next() {
        match line.strip_prefix("```") {
            Some(kind) if !kind.is_empty() => {
                let content: Vec<&str> =
                    lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```").collect();
                let (kind, text) = (kind.to_owned(), content.join("\n"));
                fences.push(Fence { kind, text, line: index + 1, before: before.join(" ") });
                before.clear();
            }
            _ if line.is_empty() => ended = true,
            _ => {
                if ended || line.starts_with('#') {
                    before.clear();
                }
                ended = line.starts_with('#');
                before.extend((!ended).then_some(line));
            }
        }
    }
    fences
}
