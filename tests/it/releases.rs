//! Files that releases left: every later version opens them, `tests/files/vVERSION.db` with a key of each beside it. They are made by
//! `packaging/make-file`.

use crate::support::{Folder, Server, jqlite, logs, request, run};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// The databases, the oldest name first.
fn released() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/files");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|kind| kind == "db"));
    files.sort();
    assert!(files.iter().any(|file| file.ends_with("v0.1.0.db")), "{files:?}");
    files
}

/// A folder whose database is a copy of a file.
fn copied(file: &Path) -> Folder {
    let folder = Folder::new();
    std::fs::copy(file, folder.path("test.db")).unwrap();
    folder
}

#[test]
fn the_file_of_each_release_is_sound_and_tells_what_is_in_it() {
    for file in released() {
        let folder = copied(&file);
        run(&folder, &["check"]);
        let keys: Value = serde_json::from_str(&run(&folder, &["keys", "list", "--json"])).unwrap();
        let states: Vec<(&str, &str)> = keys
            .as_array()
            .unwrap()
            .iter()
            .map(|key| (key["name"].as_str().unwrap(), key["state"].as_str().unwrap()))
            .collect();
        assert_eq!(
            states,
            [
                ("all", "active"),
                ("bound", "active"),
                ("rotated", "active"),
                ("disabled", "disabled"),
                ("revoked", "revoked")
            ],
            "{file:?}"
        );
        let statuses: Vec<Value> = logs(&folder, &[]).iter().map(|entry| entry["status"].clone()).collect();
        assert_eq!(statuses, [200, 404, 401], "{file:?}");
        assert_eq!(run(&folder, &["models", "history", "--json"]).matches("applied").count(), 2, "{file:?}");
    }
}

#[test]
fn the_file_of_each_release_is_served_to_its_own_keys() {
    for file in released() {
        let server = Server::on(copied(&file), &[]);
        let key = std::fs::read_to_string(file.with_extension("key")).unwrap();
        let send = |request: &Value| {
            let reply = server.send_as(key.trim(), request);
            assert_eq!(reply.status, 200, "{file:?} {}", reply.body);
            reply.json()["data"].clone()
        };
        let meta = json!({"filter": {"status": "open"}, "ordering": ["id"], "limit": 1});
        let fields = json!({"title": null, "category": {"name": null}, "tags": {"name": null}});
        assert_eq!(
            send(&request("retrieve", "tickets.Ticket", &meta, &fields)),
            json!([{
                "title": "Invoice shows the wrong total",
                "category": {"name": "Billing"},
                "tags": [{"name": "urgent"}, {"name": "refund"}]
            }]),
        );
        send(&request("create", "tickets.Tag", &json!({}), &json!({"name": "new"})));
        assert_eq!(server.count("tickets.Tag"), 4);
        let (code, folder) = server.stop();
        assert_eq!(code, Some(0));
        run(&folder, &["check"]);
    }
}

#[test]
fn the_file_of_each_release_can_be_restored_and_is_left_as_it_is() {
    for file in released() {
        let (folder, before) = (Folder::new(), std::fs::read(&file).unwrap());
        let output = jqlite(&folder, &["restore", file.to_str().unwrap()]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        assert_eq!(run(&folder, &["models", "show"]), run(&copied(&file), &["models", "show"]));
        assert!(std::fs::read(&file).unwrap() == before, "{file:?}");
    }
}
