//! Files that are no database of ours, or not any more: they are refused in one sentence, and left as they are.

use super::{COMMANDS, SERVE, assert_refused, refused, survived, with_items};
use crate::ledger;
use crate::support::{Folder, Server, fails, key_to_all, run};
use rusqlite::Connection;
use serde_json::json;
use std::path::Path;
use std::process::Command;

/// A database with some records.
fn database() -> Folder {
    with_items("%0100d")
}

/// What a server leaves that is killed: a file, and what is not in it yet in the log beside it.
fn killed() -> Folder {
    let server = Server::with(ledger::MODELS, &[]);
    for number in 0..20 {
        server.create("crash.Item", &json!({"code": number.to_string()}));
    }
    let folder = server.kill();
    assert!(std::fs::metadata(folder.path("test.db-wal")).unwrap().len() > 0);
    folder
}

/// Writes bytes over those of a file, from a place on.
fn overwrite(path: &Path, from: usize, with: &[u8]) {
    let mut all = std::fs::read(path).unwrap();
    all[from..from + with.len()].copy_from_slice(with);
    std::fs::write(path, all).unwrap();
}

#[test]
fn a_file_whose_beginning_is_damaged_is_refused() {
    let folder = database();
    overwrite(folder.database(), 0, &[0xa5; 100]);
    assert_refused(&folder, COMMANDS, "file is not a database (26), or its beginning is damaged; a backup");
    survived("a file whose beginning is damaged");
}

#[test]
fn a_file_whose_schema_is_damaged_is_refused() {
    let folder = database();
    overwrite(folder.database(), 100, &[0xa5; 3900]);
    assert_refused(&folder, COMMANDS, "the file is damaged: ");
    survived("a file whose schema is damaged");
}

#[test]
fn a_file_that_was_cut_off_is_refused_or_found_out() {
    let folder = database();
    let whole = std::fs::read(folder.database()).unwrap();
    for length in [99, 511, 4095, 4096] {
        std::fs::write(folder.database(), &whole[..length]).unwrap();
        assert_refused(&folder, &[SERVE, &["check"]], "a backup has what is lost");
    }
    std::fs::write(folder.database(), &whole[..whole.len() / 2 / 4096 * 4096]).unwrap();
    let said = fails(&folder, &["check"], 1);
    assert!(said.contains("damaged") || said.contains("malformed") || said.contains("Tree"), "{said}");
    survived("a file that was cut off");
}

#[test]
fn an_empty_file_is_a_new_database_unless_a_log_lies_beside_it() {
    let folder = Folder::new();
    folder.file("test.db", "");
    run(&folder, &["bootstrap"]);
    let folder = killed();
    std::fs::write(folder.database(), "").unwrap();
    assert_refused(&folder, COMMANDS, "put the file back from a backup");
    survived("an empty file beside its write-ahead log");
}

#[test]
fn a_database_of_a_later_version_is_left_alone_with_what_its_last_server_left() {
    let folder = killed();
    let later = "PRAGMA wal_autocheckpoint = 0; PRAGMA user_version = 1000";
    let connection = Connection::open(folder.database()).unwrap();
    connection.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).unwrap();
    connection.execute_batch(later).unwrap();
    drop(connection);
    assert_refused(&folder, COMMANDS, "later version of jqlite (schema 1000");
    survived("a file of a later version");
}

#[test]
fn a_database_of_another_program_is_left_alone_with_its_log() {
    let folder = Folder::new();
    let connection = Connection::open(folder.database()).unwrap();
    connection.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).unwrap();
    connection.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE letters (text)").unwrap();
    drop(connection);
    assert_refused(&folder, COMMANDS, "is a SQLite database, but not one of jqlite's");
    survived("a file of another program");
}

#[test]
fn what_is_no_file_is_refused() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("test.db")).unwrap();
    assert_refused(&folder, COMMANDS, "it is a folder");
    let device = Folder::new().with_database("/dev/null".into());
    assert_refused(&device, COMMANDS, "it is not a file");
    let pipe = Folder::new();
    assert!(Command::new("mkfifo").arg(pipe.database()).status().unwrap().success());
    for words in COMMANDS {
        let said = refused(&pipe, words);
        assert!(said.contains("it is not a file"), "{words:?}: {said}");
    }
    survived("a folder, a device and a pipe in place of a file");
}

/// Of what was answered, one after the other, only the end may be missing.
#[track_caller]
fn assert_beginning(folder: Folder, least: u64) {
    let key = key_to_all(&folder);
    let server = Server::again(folder, key, &[]);
    run(&server.folder, &["check"]);
    let ids = server.rows(r#"SELECT "code" FROM "crash.Item" ORDER BY "id""#);
    let expected: String = (0..ids.lines().count()).map(|number| format!("{number}\n")).collect();
    assert_eq!(ids, expected);
    assert!(ids.lines().count() as u64 >= least, "{}", ids.lines().count());
}

#[test]
fn the_index_of_the_log_is_made_anew_where_it_is_lost_or_damaged() {
    let folder = killed();
    std::fs::remove_file(folder.path("test.db-shm")).unwrap();
    assert_beginning(folder, 20);
    let folder = killed();
    std::fs::write(folder.path("test.db-shm"), [0xa5; 32768]).unwrap();
    assert_beginning(folder, 20);
    survived("the index of the write-ahead log damaged or lost");
}

#[test]
fn a_log_that_is_damaged_or_lost_takes_only_the_end_with_it() {
    let folder = killed();
    let log = folder.path("test.db-wal");
    let length = std::fs::metadata(&log).unwrap().len() as usize;
    overwrite(&log, length / 2, &[0xa5; 64]);
    assert_beginning(folder, 1);
    let folder = killed();
    std::fs::OpenOptions::new()
        .write(true)
        .open(folder.path("test.db-wal"))
        .unwrap()
        .set_len(length as u64 / 2)
        .unwrap();
    assert_beginning(folder, 1);
    let folder = killed();
    std::fs::remove_file(folder.path("test.db-wal")).unwrap();
    assert_beginning(folder, 0);
    survived("a write-ahead log damaged, cut off or lost");
}
