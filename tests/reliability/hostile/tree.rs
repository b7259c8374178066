//! JSON as a sender may write it and no reader would keep it: keys that stand twice, numbers and texts that are none.

use serde_json::Value;

#[derive(Clone, Debug)]
pub enum Tree {
    /// What stands there: a number, a word, a string with its quotes, or what is no JSON at all.
    Raw(String),
    List(Vec<Tree>),
    /// Names with their quotes.
    Object(Vec<(String, Tree)>),
}

impl Tree {
    pub fn of(value: &Value) -> Tree {
        match value {
            Value::Array(items) => Tree::List(items.iter().map(Tree::of).collect()),
            Value::Object(members) => {
                Tree::Object(members.iter().map(|(name, value)| (quoted(name), Tree::of(value))).collect())
            }
            other => Tree::Raw(other.to_string()),
        }
    }

    pub fn text(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) {
        match self {
            Tree::Raw(text) => out.push_str(text),
            Tree::List(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    out.push_str(if index > 0 { "," } else { "" });
                    item.write(out);
                }
                out.push(']');
            }
            Tree::Object(members) => {
                out.push('{');
                for (index, (name, value)) in members.iter().enumerate() {
                    out.push_str(if index > 0 { "," } else { "" });
                    out.push_str(name);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }

    /// How many values there are in it, itself among them.
    pub fn size(&self) -> usize {
        1 + match self {
            Tree::Raw(_) => 0,
            Tree::List(items) => items.iter().map(Tree::size).sum(),
            Tree::Object(members) => members.iter().map(|(_, value)| value.size()).sum(),
        }
    }

    /// The value of that number, counted from the outside in; there must be so many.
    pub fn nth(&mut self, number: usize) -> &mut Tree {
        let mut left = number;
        self.find(&mut left).expect("there are so many values")
    }

    fn find(&mut self, left: &mut usize) -> Option<&mut Tree> {
        if *left == 0 {
            return Some(self);
        }
        *left -= 1;
        match self {
            Tree::Raw(_) => None,
            Tree::List(items) => items.iter_mut().find_map(|item| item.find(left)),
            Tree::Object(members) => members.iter_mut().find_map(|(_, value)| value.find(left)),
        }
    }

    /// The member of that name of an object.
    pub fn member(&mut self, name: &str) -> Option<&mut Tree> {
        let Tree::Object(members) = self else { return None };
        let name = quoted(name);
        members.iter_mut().find(|(key, _)| *key == name).map(|(_, value)| value)
    }
}

/// A text as JSON has it.
pub fn quoted(text: impl AsRef<str>) -> String {
    Value::from(text.as_ref()).to_string()
}
