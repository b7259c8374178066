//! Other processes that have the file open: one that keeps it from being written, and one that keeps its log from being emptied.

use super::{AGAIN, REFUSED, ask, assert_reads, assert_unavailable, create, survived, told};
use crate::crash::assert_sound;
use crate::dice::{Dice, seed};
use crate::ledger::{self, Ledger};
use crate::report::{counted, scale};
use crate::support::{Client, Server, eventually, log_rows, signal};
use rusqlite::Connection;
use serde_json::json;

#[test]
fn a_file_that_another_process_holds_for_long_is_written_again_afterwards() {
    let seed = seed("held");
    let server = Server::with(ledger::MODELS, &["--query-timeout", "30s"]); // so long may one wait behind others
    let named = |number: usize| format!("client {number}");
    let client = |number| Ledger::new(&server.address, &server.key, &named(number), Dice::new(seed, number), 1000);
    let mut ledgers: Vec<Ledger> = (0..scale(1, 4)).map(client).collect();
    let holder = Connection::open(server.folder.database()).unwrap();
    holder.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    std::thread::scope(|scope| {
        for ledger in &mut ledgers {
            let server = &server;
            scope.spawn(move || {
                let reply = ledger.write(&mut Client::connect(&server.address), &server.key).unwrap();
                assert_unavailable(&reply, "another process holds the database; try again");
            });
        }
        assert_reads(&server);
    });
    assert_reads(&server);
    assert_eq!(told(&server, REFUSED), 1, "{}", server.stderr());
    holder.execute_batch("COMMIT").unwrap();
    for ledger in &mut ledgers {
        let mut client = Client::connect(&server.address);
        eventually("it goes on", || ledger.write(&mut client, &server.key).unwrap().status == 200);
    }
    eventually("it says so", || told(&server, AGAIN) == 1);
    let requests: u64 = ledgers.iter().map(|ledger| ledger.answered + ledger.refused + 1).sum();
    let (code, folder) = server.stop();
    assert_eq!((code, log_rows(&folder) as u64), (Some(0), requests + 2 * super::READS));
    ledger::differences(&Connection::open(folder.database()).unwrap(), &ledgers).assert_none();
    survived("another process that holds the file for long");
}

/// How many sessions a server has: each has the log open.
fn sessions(server: &Server) -> usize {
    let links = std::fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap();
    let opened = links.filter_map(|link| std::fs::read_link(link.ok()?.path()).ok());
    opened.filter(|path| path == &server.folder.path("test.db-wal")).count()
}

#[test]
fn the_end_of_a_server_writes_all_of_a_long_log() {
    let server = Server::with(ledger::MODELS, &[]);
    let holder = Connection::open(server.folder.database()).unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let requests = scale(8_000, 20_000); // more than go into one commit, or two
    ask(&server, requests);
    signal(server.pid(), "TERM");
    eventually("only its writer is left", || sessions(&server) == 1);
    holder.execute_batch("COMMIT").unwrap();
    drop(holder);
    let (code, folder) = server.stop_by("CONT");
    assert_eq!((code, log_rows(&folder)), (Some(0), requests));
}

#[test]
fn a_log_that_another_process_keeps_from_being_emptied_is_emptied_afterwards() {
    let server = Server::with(ledger::MODELS, &[]);
    let length = |end: &str| std::fs::metadata(format!("{}{end}", server.folder.database().display())).unwrap().len();
    let reader = Connection::open(server.folder.database()).unwrap();
    reader.execute_batch("BEGIN").unwrap();
    let count = || reader.query_one(r#"SELECT count(*) FROM "crash.Item""#, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(count(), 0);
    let mebibytes = scale(12, 160);
    let records: Vec<_> = (0..16).map(|n| json!({"code": n.to_string(), "text": "t".repeat(60_000)})).collect();
    let some = json!({"__meta__": {"intent": "createMany", "namespace": "crash.Item", "objects": records}}).to_string();
    let mut client = Client::connect(&server.address);
    for _ in 0..=mebibytes * (1 << 20) / (16 * 60_000) {
        assert_eq!(client.jql(&server.key, &some).status, 200);
    }
    let written = (mebibytes as u64) << 20;
    assert!(length("-wal") > written && length("") < written / 4, "the log could not be emptied");
    // Far more than that is a warning.
    let warned = || told(&server, "the write-ahead log beside the database has");
    if written > 128 << 20 {
        eventually("it says so", || warned() == 1);
    } else {
        assert_eq!(warned(), 0);
    }
    assert_eq!(count(), 0, "the reader sees the state that it began with");
    reader.execute_batch("COMMIT").unwrap();
    eventually("all is in the file, and of the log no more is left than should be", || {
        server.send(&create("more")).status == 200 && length("") > written && length("-wal") <= (64 << 20)
    });
    assert_sound(&reader);
    counted("faults", "MiB that the write-ahead log grew to while another process read, and was emptied of", mebibytes);
    survived("another process that reads for long");
}
