//! The README's tour: every block of it is run, in order, in one shell, and prints what the README says.

use crate::support::Folder;
use crate::support::markdown::fences;
use std::net::TcpListener;
use std::process::Command;

const README: &str = include_str!("../../README.md");
/// Between the outputs of two blocks.
const MARK: &str = "--- next block ---";

/// A shell block, and the output that follows it, if the README shows one.
struct Block {
    commands: String,
    output: Option<String>,
}

fn blocks(text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    for fence in fences(text) {
        match fence.kind.as_str() {
            "sh" => blocks.push(Block { commands: fence.text, output: None }),
            _ => blocks.last_mut().expect("an output follows its commands").output = Some(fence.text),
        }
    }
    blocks
}

/// The tour needs a shell and curl. The gate has both; a machine without them is told so.
fn can_run_the_tour() -> bool {
    let missing: Vec<&str> =
        ["bash", "curl"].into_iter().filter(|tool| Command::new(tool).arg("--version").output().is_err()).collect();
    assert!(missing.is_empty() || std::env::var_os("CI").is_none(), "{missing:?} must be there");
    if !missing.is_empty() {
        eprintln!("skipped: there is no {}", missing.join(" and no "));
    }
    missing.is_empty()
}

#[test]
fn the_tour_does_what_it_says() {
    if !can_run_the_tour() {
        return;
    }
    let tour = README.split("## A tour").nth(1).unwrap().split("## More").next().unwrap();
    let blocks = blocks(tour);
    assert!(blocks.len() > 12 && blocks.iter().filter(|block| block.output.is_some()).count() > 9);

    let folder = Folder::new();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut script = String::from("set -e\ntrap 'kill %1; wait' EXIT\n");
    for block in &blocks {
        // The tour's port may be taken where the tests run.
        let commands = block.commands.replace("jqlite serve", &format!("jqlite serve --listen 127.0.0.1:{free}"));
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
            assert_eq!(printed, expected, "\n{}", block.commands);
        }
    }
}

/// The commands that a newcomer is told to run are those that the tests and the quickstart's own test run.
#[test]
fn the_first_two_commands_are_the_ones_promised() {
    let start = README.split("## What it does").next().unwrap();
    let commands: Vec<String> = blocks(start).into_iter().map(|block| block.commands).collect();
    assert_eq!(commands, ["cargo run --release -- quickstart", "cargo test"]);
}
