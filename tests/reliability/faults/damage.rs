//! Pages of the file that are damaged: whoever meets one is told that something is wrong and no more, all others are served.

use super::{SERVE, create, refused, survived, told, with_items};
use crate::dice::{Dice, seed};
use crate::report::{counted, scale};
use crate::support::{Client, Folder, Server, fails, jqlite, key_to_all};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

const PAGE: usize = 4096;

/// A database with records on many pages, and a key.
fn database() -> (Folder, String) {
    let folder = with_items("record %0300d");
    let key = key_to_all(&folder);
    (folder, key)
}

/// Overwrites the beginning of a page of a file where it lies.
fn damage(path: &Path, page: usize) {
    let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &[0xa5; 16], (page * PAGE) as u64).unwrap();
}

fn one(id: usize) -> Value {
    json!({"__meta__": {"intent": "retrieveOne", "namespace": "crash.Item", "uniqueObject": {"id": id}}, "text": null})
}

/// Words that tell more of a fault than a client should know.
const SECRETS: [&str; 6] = ["malformed", "sqlite", "corrupt", "SELECT", "test.db", "page"];

#[test]
fn a_damaged_page_is_a_fault_of_those_who_meet_it_alone() {
    let (folder, key) = database();
    // Pages that hold records tell so by their text; the one in the middle has neither the first nor the last.
    let all = std::fs::read(folder.database()).unwrap();
    let holds = |page: &[u8]| page.windows(10).any(|text| text == b"record 000");
    let pages: Vec<usize> = all.chunks(PAGE).enumerate().filter(|(_, page)| holds(page)).map(|(at, _)| at).collect();
    let server = Server::again(folder, key, &[]);
    damage(server.folder.database(), pages[pages.len() / 2]);
    let statuses: Vec<u16> = (1..=500).map(|id| server.send(&one(id)).status).collect();
    let (well, met): (Vec<u16>, Vec<u16>) = statuses.into_iter().partition(|status| *status == 200);
    assert!(well.len() > 450 && !met.is_empty() && met.iter().all(|status| *status == 500), "{met:?}");
    let page = json!({"__meta__": {"intent": "retrieve", "namespace": "crash.Item", "limit": 1000}, "text": null});
    let reply = server.send(&page);
    assert_eq!(reply.status, 500);
    assert!(SECRETS.iter().all(|secret| !reply.body.contains(secret)), "{}", reply.body);
    assert!(told(&server, "the file is damaged: ") > 0, "{}", server.stderr());
    assert_eq!(server.send(&create("more")).status, 200);
    assert!(!fails(&server.folder, &["check"], 1).is_empty());
    assert_eq!(server.stop().0, Some(0));
    survived("a page damaged while it is served");
}

/// Requests of all kinds.
fn requests() -> Vec<Value> {
    let item = |intent: &str, meta: Value, beside: &Value| crate::support::request(intent, "crash.Item", &meta, beside);
    let none = json!({});
    let of_system =
        |intent: &str, model: &str| json!({"__meta__": {"intent": intent, "namespace": format!("system.{model}")}});
    vec![
        item("retrieve", json!({"limit": 1000}), &json!({"code": null, "text": null})),
        item("retrieve", json!({"filter": {"code": "250"}, "ordering": ["-code"]}), &none),
        item("count", json!({"search": {"value": "record"}}), &none),
        item("aggregate", json!({"groupBy": ["count"]}), &json!({"sum": {"function": "Sum", "onField": "count"}})),
        create("new"),
        item("update", json!({"uniqueObject": {"id": 250}}), &json!({"code": "changed"})),
        item("updateMany", json!({"filter": {"code__startswith": "4"}}), &json!({"count": 5})),
        item("deleteMany", json!({"filter": {"code__startswith": "3"}}), &none),
        of_system("retrieve", "ApiKey"),
        of_system("retrieve", "UsageLog"),
        of_system("retrieve", "Model"),
        item("count", json!({}), &none),
    ]
}

#[test]
fn a_file_with_damaged_pages_is_refused_or_served_as_far_as_it_goes() {
    let mut dice = Dice::new(seed("damaged"), 0);
    let (mut folder, key) = database();
    let whole = std::fs::read(folder.database()).unwrap();
    let pages = whole.len() / PAGE;
    let (rounds, mut closed, mut met) = (scale(5, 100), 0, 0);
    for _ in 0..rounds {
        let mut all = whole.clone();
        for _ in 0..dice.between(1, pages / 8) {
            let from = dice.below(pages) * PAGE + dice.below(PAGE);
            let to = all.len().min(from + dice.between(1, PAGE));
            let is_blank = dice.one_in(3);
            all[from..to].fill_with(|| if is_blank { 0 } else { dice.next() as u8 });
        }
        std::fs::write(folder.database(), &all).unwrap();
        if !jqlite(&folder, &["keys", "list"]).output().unwrap().status.success() {
            let said = refused(&folder, SERVE);
            assert!(said.lines().count() == 1 && std::fs::read(folder.database()).unwrap() == all, "{said}");
            closed += 1;
            continue;
        }
        let mut server = Server::again(folder, key.clone(), &["--query-timeout", "3s"]);
        for request in requests() {
            let mut client = Client::connect(&server.address);
            client.patience(Duration::from_secs(20));
            let reply = client.jql(&server.key, &request.to_string());
            assert!(
                [200, 400, 401, 403, 404, 409, 500, 503].contains(&reply.status),
                "{} {}",
                reply.status,
                reply.body
            );
            let tells = |secret: &&str| reply.status == 500 && reply.body.contains(*secret);
            assert_eq!(SECRETS.iter().find(|secret| tells(secret)), None, "{}", reply.body);
            met += usize::from(reply.status == 500);
        }
        assert!(server.is_running() && told(&server, "panicked") == 0, "{}", server.stderr());
        folder = server.kill();
        for end in ["-wal", "-shm"] {
            let _ = std::fs::remove_file(folder.path(&format!("test.db{end}")));
        }
    }
    println!("{closed} of {rounds} files were refused; of the others {met} requests met damage");
    counted("faults", "files with damaged pages, refused or served as far as they go", rounds);
}

/// What stands in a damaged file is told in a line that moves no cursor and rings no bell.
#[test]
fn what_a_damaged_file_says_is_shown_as_text() {
    let (folder, _) = database();
    let mut all = std::fs::read(folder.database()).unwrap();
    let schema = b"\"revoked\"     TEXT";
    for at in 0..all.len() - schema.len() {
        if all[at..].starts_with(schema) {
            all[at..at + schema.len()].copy_from_slice(b"\"re\x1b[31m\x07\n\x08\0      ");
        }
    }
    std::fs::write(folder.database(), &all).unwrap();
    let said = refused(&folder, SERVE);
    assert!(said.contains("the file is damaged") && said.contains("\\u{1b}[31m"), "{said}");
    assert!(!said.trim_end().contains(char::is_control), "{said:?}");
}
