//! The file moved, replaced or deleted while it is served: nothing more is written where nobody would find it.

use super::{AGAIN, REFUSED, assert_unavailable, bytes, counting, create, ready, survived, told};
use crate::ledger;
use crate::support::{Folder, Server, eventually, log_rows, run};
use rusqlite::Connection;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const MOVED: &str = "the database file, or one beside it, was moved, replaced or deleted while in use";

/// A server that has answered one write.
fn serving() -> Server {
    let server = Server::with(ledger::MODELS, &[]);
    assert_eq!(server.send(&create("before")).status, 200);
    server
}

/// Nothing is written from the first request on, nothing read a moment later, and it is said once.
#[track_caller]
fn assert_over(server: &Server) {
    for _ in 0..3 {
        assert_unavailable(&server.send(&create("after")), MOVED);
    }
    eventually("it is not ready", || ready(server) == 503);
    assert_unavailable(&server.send(&counting()), MOVED);
    eventually("it says so", || told(server, REFUSED) == 1 && told(server, MOVED) == 1);
}

#[test]
fn a_server_whose_file_is_deleted_says_so_and_takes_nothing_more() {
    let server = serving();
    std::fs::remove_file(server.folder.database()).unwrap();
    assert_over(&server);
    let began = Instant::now();
    let (code, folder) = server.stop();
    assert_eq!((code, folder.database().exists()), (Some(0), false));
    assert!(began.elapsed() < Duration::from_secs(10), "it waits for no file that is not to come back");
    survived("the file deleted while it is served");
}

#[test]
fn a_server_that_nobody_asks_notices_too_that_its_file_is_gone() {
    let server = serving();
    eventually("there is nothing to be written", || server.log_rows() == 1);
    std::fs::remove_file(server.folder.database()).unwrap();
    eventually("it says so", || told(&server, MOVED) == 1);
    assert_eq!(ready(&server), 503);
}

#[test]
fn a_server_whose_file_is_replaced_touches_neither() {
    let server = serving();
    let other = Folder::new();
    run(&other, &["bootstrap"]);
    let put = server.folder.database().to_owned();
    std::fs::copy(other.database(), server.folder.path("other.db")).unwrap();
    std::fs::rename(server.folder.path("other.db"), &put).unwrap();
    let before = std::fs::read(&put).unwrap();
    assert_over(&server);
    let (code, folder) = server.stop();
    assert_eq!(code, Some(0));
    assert!(std::fs::read(folder.database()).unwrap() == before, "the new file is as it was put there");
    survived("the file replaced while it is served");
}

/// What was answered is in the log alone, which only the server still has.
#[test]
fn a_server_whose_log_is_deleted_brings_all_into_the_file_at_its_end() {
    for end in ["-wal", "-shm"] {
        let server = serving();
        std::fs::remove_file(server.folder.path(&format!("test.db{end}"))).unwrap();
        assert_over(&server);
        let (code, folder) = server.stop();
        assert_eq!(code, Some(0));
        run(&folder, &["check"]);
        let count = r#"SELECT count(*) FROM "crash.Item""#;
        let connection = Connection::open(folder.database()).unwrap();
        assert_eq!(connection.query_one(count, [], |row| row.get::<_, i64>(0)).unwrap(), 1);
    }
    survived("the write-ahead log, or its index, deleted while it is served");
}

#[test]
fn a_server_whose_file_comes_back_goes_on() {
    let server = serving();
    let (here, there) = (server.folder.database().to_owned(), server.folder.path("elsewhere.db"));
    std::fs::rename(&here, &there).unwrap();
    assert_over(&server);
    std::fs::rename(&there, &here).unwrap();
    eventually("it is ready again", || ready(&server) == 200);
    assert_eq!(server.send(&create("again")).status, 200);
    eventually("it says so", || told(&server, AGAIN) == 1);
    assert_eq!(server.count("crash.Item"), 2, "what was answered, and no more");
    // Two writes, three refused and one read that was; the count just now.
    let (code, folder) = server.stop();
    assert_eq!((code, log_rows(&folder)), (Some(0), 7));
    survived("the file moved away while it is served, and back");
}

/// No session is ever opened on another file than the first: what lies in its place is not even read.
#[test]
fn a_file_that_was_put_in_place_is_not_served_in_part() {
    let server = serving();
    let beside: PathBuf = server.folder.path("beside.db");
    std::fs::write(&beside, b"SQLite format 3\0 and nothing else").unwrap();
    std::fs::rename(&beside, server.folder.database()).unwrap();
    let before = bytes(server.folder.database());
    // More at once than there are sessions.
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let asked: Vec<_> = (0..30).map(|_| scope.spawn(|| server.send(&counting()).status)).collect();
        asked.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert!(statuses.iter().all(|status| [200, 503].contains(status)), "{statuses:?}");
    assert!(bytes(server.folder.database())[0] == before[0]);
}
