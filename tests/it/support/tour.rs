//! Runs the commands of a text of ours, in order, in one shell, and holds what they print against what it says.

use super::Folder;
use super::markdown::fences;
use std::net::TcpListener;
use std::process::Command;

/// Between the outputs of two blocks.
const MARK: &str = "--- next block ---";

/// A shell block, and the output that follows it, if the text shows one.
pub struct Block {
    pub commands: String,
    pub output: Option<String>,
}

/// The blocks of a text that are to be run: those of the kind `sh`. What a block of the kind `console` holds wants a
/// machine of its own.
pub fn blocks(text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    for fence in fences(text) {
        match fence.kind.as_str() {
            "sh" => blocks.push(Block { commands: fence.text, output: None }),
            "json" | "text" => blocks.last_mut().expect("an output follows its commands").output = Some(fence.text),
            _ => {}
        }
    }
    blocks
}

/// A tour needs a shell and curl. The gate has both; a machine without them is told so.
pub fn can_run() -> bool {
    let missing: Vec<&str> =
        ["bash", "curl"].into_iter().filter(|tool| Command::new(tool).arg("--version").output().is_err()).collect();
    assert!(missing.is_empty() || std::env::var_os("CI").is_none(), "{missing:?} must be there");
    if !missing.is_empty() {
        eprintln!("skipped: there is no {}", missing.join(" and no "));
    }
    missing.is_empty()
}

/// Runs blocks in an empty folder, holds their output against what is said of it, and gives the folder.
#[track_caller]
pub fn take(blocks: &[Block]) -> Folder {
    let folder = Folder::new();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut script = String::from("set -e\ntrap 'kill %1 2> /dev/null || true; wait' EXIT\n");
    for block in blocks {
        // The tour's port may be taken where the tests run.
        let commands = block.commands.replace("jqlite serve", &format!("jqlite serve --listen 127.0.0.1:{free}"));
        let commands = commands.replace("jqlite healthcheck", "jqlite healthcheck --url http://127.0.0.1:5750");
        let commands = commands.replace(" examples/", concat!(" ", env!("CARGO_MANIFEST_DIR"), "/examples/"));
        script.push_str(&commands.replace("127.0.0.1:5750", &format!("127.0.0.1:{free}")));
        script.push_str(&format!("\necho; echo '{MARK}'\n"));
    }
    let binary = std::path::Path::new(env!("CARGO_BIN_EXE_jqlite")).parent().unwrap().to_owned();
    let path = format!("{}:{}", binary.display(), std::env::var("PATH").unwrap());
    let output = Command::new("bash")
        .args(["-c", &script])
        .current_dir(folder.path(""))
        .env("PATH", path)
        .envs([("HOME", folder.path("")), ("NO_PROXY", "*".into())])
        .output()
        .unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{stdout}\n{}", String::from_utf8_lossy(&output.stderr));

    let outputs: Vec<&str> = stdout.split(MARK).map(str::trim).collect();
    assert_eq!(outputs.len(), blocks.len() + 1, "{stdout}");
    for (block, printed) in blocks.iter().zip(outputs) {
        if let Some(expected) = &block.output {
            let printed = printed.replace(&free.to_string(), "5750");
            assert_eq!(&printed, expected, "\n{}", block.commands);
        }
    }
    folder
}
