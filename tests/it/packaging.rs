//! What is handed on with the binary: its manual pages, the image, the unit, the rules for Prometheus, the list of changes.

use crate::support::{Client, Folder, MODELS, Server, jqlite, run};
use std::collections::BTreeSet;
use std::process::Command;

const DOCKERFILE: &str = include_str!("../../Dockerfile");
const UNIT: &str = include_str!("../../packaging/jqlite.service");
const ALERTS: &str = include_str!("../../packaging/alerts.yml");
const CHANGES: &str = include_str!("../../CHANGELOG.md");

/// The words of an instruction that has them as a JSON list.
fn instruction(name: &str) -> Vec<String> {
    let stands = |line: &&str| line.split(" CMD").next().unwrap_or("").starts_with(name);
    let line = DOCKERFILE.lines().find(stands).unwrap_or_else(|| panic!("no {name}"));
    serde_json::from_str(&line[line.find('[').unwrap()..]).unwrap()
}

/// The words of a command of the unit, without that of the binary.
fn unit(name: &str) -> Vec<&'static str> {
    let line = UNIT.lines().find_map(|line| line.strip_prefix(&format!("{name}=/usr/local/bin/jqlite ")));
    line.unwrap_or_else(|| panic!("no {name}")).split(' ').collect()
}

/// Starts a server with the words that an image or a unit starts it with, but on a free port and a database of its own, and has
/// it asked with the words that those ask it with.
fn assert_serves_and_is_asked(serve: &[&str], ask: &[&str]) {
    let listen = serve.iter().position(|word| *word == "--listen").expect("the address is named");
    let (address, port) = serve[listen + 1].rsplit_once(':').unwrap();
    assert_eq!(port, "5750", "the port that the commands and the documents name");
    assert_eq!(serve[0], "serve");
    let mut words: Vec<&str> = serve[1..].to_vec();
    words.drain(listen - 1..=listen);
    let server = Server::with(MODELS, &words);
    assert!(Client::connect(&server.address).request("GET", "/readyz", "", "").status == 200);

    let url = ask.iter().position(|word| *word == "--url").map_or("http://127.0.0.1:5750", |at| ask[at + 1]);
    assert!(["0.0.0.0", "127.0.0.1"].contains(&address) && url == "http://127.0.0.1:5750", "it asks where it listens");
    let mut ask: Vec<&str> = ask.iter().copied().filter(|word| !["--url", url].contains(word)).collect();
    let url = format!("http://{}", server.address);
    ask.extend(["--url", &url]);
    assert_eq!(run(&server.folder, &ask), format!("{url} is ready"));
}

#[test]
fn the_words_of_the_image_serve_and_are_answered() {
    assert_eq!(instruction("ENTRYPOINT"), ["/jqlite"]);
    let (serve, ask) = (instruction("CMD"), instruction("HEALTHCHECK"));
    assert_eq!(ask[0], "/jqlite", "there is no shell");
    let words = |words: &'_ [String]| words.iter().map(|word| word.clone().leak() as &str).collect::<Vec<_>>();
    assert_serves_and_is_asked(&words(&serve), &words(&ask[1..]));
    assert!(DOCKERFILE.contains("\nEXPOSE 5750\n") && DOCKERFILE.contains("\nENV JQLITE_DB=/data/"));
}

#[test]
fn the_words_of_the_unit_serve_and_are_answered() {
    assert_serves_and_is_asked(&unit("ExecStart"), &unit("ExecStartPost"));
}

/// The gate has systemd's own checker; a machine without it is told so.
#[test]
fn the_unit_is_sound_and_exposes_little() {
    let folder = Folder::new();
    let unit = folder.file("jqlite.service", &UNIT.replace("/usr/local/bin/jqlite", env!("CARGO_BIN_EXE_jqlite")));
    let analyze = |words: &[&str]| Command::new("systemd-analyze").args(words).arg(&unit).output();
    let Ok(verified) = analyze(&["verify", "--man=no"]) else {
        assert!(std::env::var_os("CI").is_none(), "systemd-analyze must be there");
        return eprintln!("skipped: there is no systemd-analyze");
    };
    let told = String::from_utf8_lossy(&verified.stderr).into_owned();
    assert!(verified.status.success() && told.is_empty(), "{told}");
    // From 0, nothing, to 10, all; in tenths. It has 0.9 with systemd 252, and others may rate a little differently.
    let rated = analyze(&["security", "--no-pager", "--offline=yes", "--threshold=15"]).unwrap();
    assert!(rated.status.success(), "{}", String::from_utf8_lossy(&rated.stdout));
}

#[test]
fn each_page_of_the_manual_that_another_names_is_there() {
    let folder = Folder::new();
    run(&folder, &["man", "--out", folder.path("man").to_str().unwrap()]);
    let pages: BTreeSet<String> = std::fs::read_dir(folder.path("man"))
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    let mut named = BTreeSet::from(["jqlite.1".to_owned()]);
    for page in &pages {
        let text = std::fs::read_to_string(folder.path("man").join(page)).unwrap().replace('\\', "");
        named.extend(text.split_whitespace().filter_map(|word| {
            Some(format!("{}.1", word.strip_suffix("(1)").filter(|name| name.starts_with("jqlite-"))?))
        }));
    }
    assert_eq!(named, pages);
    assert!(pages.contains("jqlite-keys-rotate.1") && !pages.contains("jqlite-help.1"));
    let serve = std::fs::read_to_string(folder.path("man/jqlite-serve.1")).unwrap().replace('\\', "");
    assert!(serve.contains("--log-retention") && serve.contains("How long the usage log is kept"));
    assert!(run(&folder, &["man"]).contains(".TH jqlite 1"));
}

#[test]
fn the_rules_for_prometheus_name_what_the_server_tells() {
    let server = Server::start();
    let key = format!("Authorization: Bearer {}\r\n", server.key);
    let page = Client::connect(&server.address).request("GET", "/metrics", &key, "").body;
    let mut count = 0;
    for name in ALERTS.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_')) {
        if name.starts_with("jqlite_") || name.starts_with("process_") {
            let name = name.strip_suffix("_bucket").unwrap_or(name);
            assert!(page.contains(&format!("# TYPE {name} ")), "{name}");
            count += 1;
        }
    }
    assert!(count > 5);
}

#[test]
fn the_list_of_changes_begins_with_this_version() {
    let version = jqlite(&Folder::new(), &["--version"]).output().unwrap().stdout;
    let version = String::from_utf8(version).unwrap().trim().replace("jqlite ", "");
    let top = CHANGES.lines().find_map(|line| line.strip_prefix("## [")).unwrap();
    assert!(top.starts_with(&format!("{version}]")) || top.starts_with("Unreleased]"), "{top}");
}
