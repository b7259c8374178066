//! Copies of a database that is in use, and a copy put in its place.

use crate::support::{Client, Folder, Server, fails, request, run};
use rusqlite::Connection;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

fn tag(name: &str) -> Value {
    request("create", "tickets.Tag", &json!({}), &json!({ "name": name }))
}

/// Makes two tags in one transaction.
fn pair(number: u64) -> Value {
    let requests = [tag(&format!("left {number}")), tag(&format!("right {number}"))];
    request("execute", "system.Batch", &json!({"schema": "controller"}), &json!({"requests": requests, "atomic": true}))
}

fn names(path: &Path) -> Vec<String> {
    let connection = Connection::open(path).unwrap();
    let mut statement = connection.prepare(r#"SELECT "name" FROM "tickets.Tag" ORDER BY "id""#).unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

/// The files of a folder that begin with the name of its database.
fn databases(folder: &Folder) -> Vec<String> {
    let files = std::fs::read_dir(folder.path("")).unwrap();
    let mut names: Vec<String> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name.starts_with("test.db"));
    names.sort();
    names
}

/// A stopped server's folder with one tag in its database, and a backup of that.
fn backed_up() -> (Folder, PathBuf) {
    let server = Server::start();
    server.create("tickets.Tag", &json!({"name": "kept"}));
    let (_, folder) = server.stop();
    let copy = folder.path("copy.db");
    run(&folder, &["backup", copy.to_str().unwrap()]);
    (folder, copy)
}

#[test]
fn a_backup_under_load_has_all_that_was_answered_and_nothing_by_halves() {
    let server = Server::start();
    let (answered, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
    let copies = std::thread::scope(|scope| {
        for writer in 0..4 {
            let (server, answered, is_over) = (&server, &answered, &is_over);
            scope.spawn(move || {
                let mut client = Client::connect(&server.address);
                for number in (writer..).step_by(4).take_while(|_| !is_over.load(Ordering::SeqCst)) {
                    let reply = client.jql(&server.key, &pair(number).to_string());
                    assert_eq!(reply.status, 200, "{}", reply.body);
                    answered.fetch_add(2, Ordering::SeqCst);
                }
            });
        }
        let copies: Vec<(u64, PathBuf)> = (0..5)
            .map(|number| {
                let copy = server.folder.path(&format!("copy-{number}.db"));
                let before = answered.load(Ordering::SeqCst);
                run(&server.folder, &["backup", copy.to_str().unwrap()]);
                (before, copy)
            })
            .collect();
        is_over.store(true, Ordering::SeqCst);
        copies
    });
    let all = names(&server.folder.path("test.db"));
    for (before, copy) in copies {
        let copied = names(&copy);
        assert!(copied.len() as u64 >= before, "{before} were answered, {} copied", copied.len());
        assert_eq!(copied, all[..copied.len()], "it is of one moment");
        let lefts = copied.iter().filter(|name| name.starts_with("left")).count();
        assert_eq!(lefts * 2, copied.len(), "each pair is whole");
        run(&server.folder, &["--db", copy.to_str().unwrap(), "check"]);
    }
}

#[cfg(unix)]
#[test]
fn a_backup_is_one_file_of_its_owner_alone() {
    use std::os::unix::fs::MetadataExt;
    let server = Server::start();
    server.create("tickets.Tag", &json!({"name": "kept"}));
    let copy = server.folder.path("copies/copy.db");
    std::fs::create_dir(copy.parent().unwrap()).unwrap();
    let told = run(&server.folder, &["backup", copy.to_str().unwrap(), "--json"]);
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!((&told["models"], &told["records"], &told["keys"]), (&json!(5), &json!(1), &json!(1)));
    let all: Vec<_> =
        std::fs::read_dir(copy.parent().unwrap()).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(all, ["copy.db"]);
    assert_eq!(std::fs::metadata(&copy).unwrap().mode() & 0o777, 0o600);
    assert_eq!(names(&copy), ["kept"]);
}

#[test]
fn a_file_that_is_there_is_replaced_only_where_that_is_wanted() {
    let (folder, copy) = backed_up();
    std::fs::write(&copy, "mine").unwrap();
    let words = ["backup", copy.to_str().unwrap()];
    assert!(fails(&folder, &words, 1).contains("is there already; name another file, or --replace it"));
    assert_eq!(std::fs::read(&copy).unwrap(), b"mine");
    run(&folder, &[words[0], words[1], "--replace"]);
    assert_eq!(names(&copy), ["kept"]);
    let itself = folder.path("test.db");
    for ending in ["", "-wal", "-shm"] {
        let own = format!("{}{ending}", itself.display());
        std::fs::OpenOptions::new().create(true).append(true).open(&own).unwrap();
        assert!(fails(&folder, &["backup", &own, "--replace"], 1).contains("is the database itself, or belongs to it"));
    }
    assert_eq!(names(&itself), ["kept"]);
}

#[test]
fn what_is_restored_takes_the_place_of_the_database_which_is_kept() {
    let (folder, copy) = backed_up();
    let server = Server::on(folder, &[]);
    server.create("tickets.Tag", &json!({"name": "later"}));
    let used = fails(&server.folder, &["restore", copy.to_str().unwrap()], 1);
    assert!(used.contains("is in use; stop its server first"), "{used}");
    assert_eq!(server.count("tickets.Tag"), 2);
    let (_, folder) = server.stop();
    let told: Value = serde_json::from_str(&run(&folder, &["restore", copy.to_str().unwrap(), "--json"])).unwrap();
    assert_eq!((&told["records"], &told["keys"]), (&json!(1), &json!(1)));
    assert_eq!(names(&folder.path("test.db")), ["kept"]);
    assert_eq!(names(Path::new(told["kept"].as_str().unwrap())), ["kept", "later"]);
    assert_eq!(Server::on(folder, &[]).count("tickets.Tag"), 1);
}

#[test]
fn keys_that_ended_since_the_backup_are_named_as_they_work_again() {
    let server = Server::start();
    let key = server.key_for("tickets.Tag:read");
    let (_, folder) = server.stop();
    let copy = folder.path("copy.db");
    run(&folder, &["backup", copy.to_str().unwrap()]);
    run(&folder, &["keys", "revoke", "tickets.Tag:read"]);
    let output = crate::support::jqlite(&folder, &["restore", copy.to_str().unwrap()]).output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(told, format!("the key {} (\"tickets.Tag:read\") works again; it had ended since\n", &key[4..16]));
}

#[test]
fn a_database_that_is_gone_is_restored_too() {
    let (folder, copy) = backed_up();
    std::fs::remove_file(folder.path("test.db")).unwrap();
    run(&folder, &["restore", copy.to_str().unwrap()]);
    assert_eq!(names(&folder.path("test.db")), ["kept"]);
}

/// Only root may give files away: elsewhere there is nothing to try.
#[cfg(unix)]
#[test]
fn what_root_restores_belongs_to_whoever_owned_the_database() {
    use std::os::unix::fs::{MetadataExt, chown};
    let (folder, copy) = backed_up();
    let path = folder.path("test.db");
    if chown(&path, Some(65532), Some(65533)).is_err() {
        return eprintln!("skipped: this is not root");
    }
    run(&folder, &["restore", copy.to_str().unwrap()]);
    let restored = std::fs::metadata(&path).unwrap();
    assert_eq!((restored.uid(), restored.gid(), restored.mode() & 0o777), (65532, 65533, 0o600));
}

#[test]
fn a_damaged_database_is_set_aside_as_it_is() {
    let (folder, copy) = backed_up();
    std::fs::write(folder.path("test.db"), "not a database any more").unwrap();
    run(&folder, &["restore", copy.to_str().unwrap()]);
    assert_eq!(names(&folder.path("test.db")), ["kept"]);
    let [_, aside] = databases(&folder).try_into().unwrap();
    assert_eq!(std::fs::read(folder.path(&aside)).unwrap(), b"not a database any more");
}

/// Has a restore of this file refused with these words, and nothing changed.
#[track_caller]
fn assert_not_restored(folder: &Folder, file: &Path, why: &str) {
    let (before, source) = (std::fs::read(folder.path("test.db")).unwrap(), std::fs::read(file).ok());
    let told = fails(folder, &["restore", file.to_str().unwrap()], 1);
    assert!(told.contains(why), "{told}");
    assert_eq!(databases(folder), ["test.db"]);
    assert!(std::fs::read(folder.path("test.db")).unwrap() == before, "the database is as it was");
    assert!(std::fs::read(file).ok() == source, "the file is as it was");
}

#[test]
fn what_is_no_sound_backup_is_refused_and_nothing_changes() {
    let (folder, copy) = backed_up();
    assert_not_restored(&folder, &folder.path("nowhere"), "there is no such file");
    assert_not_restored(&folder, &folder.file("text", "some text"), "is not a database");
    assert_not_restored(&folder, &folder.path("test.db"), "is the database itself");

    let foreign = folder.path("foreign.db");
    Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE t (a)").unwrap();
    assert_not_restored(&folder, &foreign, "is not a database of jqlite's");

    let changed = |statement: &str| {
        let path = folder.path("changed.db");
        std::fs::copy(&copy, &path).unwrap();
        Connection::open(&path).unwrap().execute_batch(statement).unwrap();
        path
    };
    assert_not_restored(&folder, &changed("PRAGMA user_version = 1000"), "was written by a later version");
    assert_not_restored(&folder, &changed(r#"DROP TABLE "tickets.Tag""#), "tickets.Tag is missing");
    let adrift = r#"PRAGMA foreign_keys = OFF; INSERT INTO "tickets.Ticket.tags" ("source", "target") VALUES (7, 8)"#;
    assert_not_restored(&folder, &changed(adrift), "that is not there");

    let cut = folder.path("cut.db");
    let bytes = std::fs::read(&copy).unwrap();
    std::fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
    assert_not_restored(&folder, &cut, "");
}

#[cfg(unix)]
#[test]
fn a_backup_takes_the_place_of_files_only() {
    let (folder, copy) = backed_up();
    let link = folder.path("link.db");
    std::os::unix::fs::symlink(&copy, &link).unwrap();
    for place in [link, folder.path("folder")] {
        let _ = std::fs::create_dir(&place);
        let told = fails(&folder, &["backup", place.to_str().unwrap(), "--replace"], 1);
        assert!(told.contains("is no plain file"), "{told}");
    }
    let nowhere = folder.path("nowhere/copy.db");
    assert!(fails(&folder, &["backup", nowhere.to_str().unwrap()], 1).contains("cannot make"));
    assert!(!nowhere.parent().unwrap().exists());
}

#[test]
fn a_backup_that_was_cut_off_stands_in_the_way_of_none() {
    let (folder, copy) = backed_up();
    for ending in [".part", ".part-wal", ".part-shm"] {
        std::fs::write(format!("{}{ending}", copy.display()), "left behind").unwrap();
    }
    run(&folder, &["backup", copy.to_str().unwrap(), "--replace"]);
    assert_eq!(names(&copy), ["kept"]);
    let busy = std::fs::File::create(format!("{}.part", copy.display())).unwrap();
    busy.lock().unwrap();
    let told = fails(&folder, &["backup", copy.to_str().unwrap(), "--replace"], 1);
    assert!(told.contains("another command is at work on"), "{told}");
}
