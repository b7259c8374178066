//! A disk without room, and a file that may not grow.

use super::{
    AGAIN, CREATE, READS, REFUSED, SERVE, ask, assert_reads, assert_unavailable, create, ready, refused, survived, told,
};
use crate::crash::assert_sound;
use crate::dice::{Dice, seed};
use crate::disk::{Disk, with_disks};
use crate::ledger::{self, Ledger};
use crate::report::{counted, scale};
use crate::support::{Client, Folder, Server, eventually, fails, key_to_all, log_rows, run, skip};
use rusqlite::Connection;
use serde_json::json;
use std::process::Command;

const FULL: &str = "the disk is full; nothing was changed";

/// The key of a new database with the models.
fn prepared(folder: &Folder) -> String {
    let models = folder.file("models.json", ledger::MODELS);
    run(folder, &["models", "apply", models.to_str().unwrap()]);
    key_to_all(folder)
}

/// Clients that write records of some kilobytes.
fn writers(server: &Server, seed: u64) -> Vec<Ledger> {
    let client = |number: usize| {
        Ledger::new(&server.address, &server.key, &format!("client {number}"), Dice::new(seed, number), 20_000)
    };
    (0..4).map(client).collect()
}

/// All write until each was refused so often, for this reason.
fn write_until_refused(server: &Server, ledgers: &mut [Ledger], times: u64, why: &str) {
    std::thread::scope(|scope| {
        for ledger in ledgers {
            scope.spawn(move || {
                let mut client = Client::connect(&server.address);
                let most = ledger.refused + times;
                while ledger.refused < most {
                    let reply = ledger.write(&mut client, &server.key).expect("an answer");
                    if reply.status != 200 {
                        assert_unavailable(&reply, why);
                    }
                }
            });
        }
    });
}

/// A server whose clients have written until the disk under it was full.
fn filled(of: &str) -> (Disk, Server, Vec<Ledger>) {
    let (disk, folder) = Disk::with_folder("2m");
    let key = prepared(&folder);
    let server = Server::again(folder, key, &[]);
    let mut ledgers = writers(&server, seed(of));
    write_until_refused(&server, &mut ledgers, 3, FULL);
    (disk, server, ledgers)
}

/// All write on, and nothing is refused.
fn write_on(server: &Server, ledgers: &mut [Ledger]) {
    for ledger in ledgers {
        let mut client = Client::connect(&server.address);
        for _ in 0..10 {
            let reply = ledger.write(&mut client, &server.key).expect("an answer");
            assert_eq!(reply.status, 200, "{}", reply.body);
        }
    }
}

/// Has a server write until the file cannot grow, and again when it can: nothing is lost of what was answered, and the
/// usage log has all.
fn fill_up(server: Server, why: &str, make_room: impl FnOnce(&Server)) {
    let mut ledgers = writers(&server, seed("full"));
    write_until_refused(&server, &mut ledgers, scale(5, 200), why);
    assert_reads(&server);
    assert_eq!(ready(&server), 200);
    eventually("it says so", || told(&server, REFUSED) > 0);
    ledger::differences(&Connection::open(server.folder.database()).unwrap(), &ledgers).assert_none();
    make_room(&server);
    let mut client = Client::connect(&server.address);
    eventually("it goes on", || ledgers[0].write(&mut client, &server.key).unwrap().status == 200);
    write_on(&server, &mut ledgers);
    eventually("it says so", || told(&server, AGAIN) == told(&server, REFUSED));
    let requests: u64 = ledgers.iter().map(|ledger| ledger.answered + ledger.refused + 1).sum();
    let (code, folder) = server.stop();
    assert_eq!((code, log_rows(&folder) as u64), (Some(0), requests + READS));
    let connection = Connection::open(folder.database()).unwrap();
    assert_sound(&connection);
    ledger::differences(&connection, &ledgers).assert_none();
    let refused: u64 = ledgers.iter().map(|ledger| ledger.refused).sum();
    counted("faults", "writes refused for want of room, with nothing of them done", refused);
}

#[test]
fn a_full_disk_refuses_writes_and_loses_nothing() {
    with_disks("faults::full::a_full_disk_refuses_writes_and_loses_nothing", || {
        let (disk, folder) = Disk::with_folder("3m");
        let key = prepared(&folder);
        fill_up(Server::again(folder, key, &[]), FULL, |_| disk.remount("size=64m"));
        survived("a full disk while it is served");
    });
}

#[test]
fn a_file_that_may_not_grow_is_as_a_full_disk() {
    let limit = |words: &[&str]| Command::new("prlimit").args(words).output().is_ok_and(|out| out.status.success());
    if !limit(&["--fsize"]) {
        return skip("a limit of file sizes", "there is no prlimit");
    }
    let folder = Folder::new();
    let key = prepared(&folder);
    let mut command = Command::new("prlimit");
    command.arg("--fsize=2000000:unlimited");
    let server = Server::through(command, folder, key, &[]);
    fill_up(server, "the database cannot be written; nothing was changed", |server| {
        assert!(limit(&["--pid", &server.pid().to_string(), "--fsize=unlimited"]));
    });
    survived("a file that may not grow any more");
}

/// The metric of that name.
fn metric(server: &Server, name: &str) -> u64 {
    let head = format!("Authorization: Bearer {}\r\n", server.key);
    let page = Client::connect(&server.address).request("GET", "/metrics", &head, "").body;
    let value = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("no {name}: {page}")).parse::<f64>().unwrap() as u64
}

#[test]
fn writes_are_taken_where_there_is_room_for_them_and_not_for_the_log() {
    with_disks("faults::full::writes_are_taken_where_there_is_room_for_them_and_not_for_the_log", || {
        let (disk, server, _) = filled("waiting");
        ask(&server, 4000);
        disk.remount("size=2200k");
        let mut client = Client::connect(&server.address);
        eventually("it takes a write", || client.jql(&server.key, &create("new").to_string()).status == 200);
        for number in 0..5 {
            assert_eq!(client.jql(&server.key, &create(&format!("new {number}")).to_string()).status, 200);
        }
        assert!(metric(&server, "jqlite_log_backlog") >= 4000, "the log still waits");
        disk.remount("size=64m");
        eventually("the log is written", || metric(&server, "jqlite_log_backlog") < 100);
        assert_eq!((metric(&server, "jqlite_log_lost_total"), told(&server, AGAIN)), (0, 1));
    });
}

/// Only in the long form: it takes more requests than the log can hold.
#[test]
fn a_log_that_cannot_be_written_takes_no_more_than_so_much_memory() {
    if scale(true, false) {
        return;
    }
    with_disks("faults::full::a_log_that_cannot_be_written_takes_no_more_than_so_much_memory", || {
        let (disk, server, ledgers) = filled("lost");
        ask(&server, 250_000);
        let held = server.process("VmRSS").unwrap();
        eventually("it says so", || told(&server, "entries of the usage log are lost from here on") == 1);
        ask(&server, 100_000);
        let more = server.process("VmRSS").unwrap().saturating_sub(held);
        assert!(more < 16 << 10, "{more} KiB more for entries that are lost");
        disk.remount("size=256m");
        eventually("it says how many", || told(&server, "the usage log lost") == 1);
        let lost = metric(&server, "jqlite_log_lost_total");
        assert_eq!(told(&server, &format!("the usage log lost {lost} entries")), 1, "{}", server.stderr());
        let requests = 350_001 + ledgers.iter().map(|ledger| ledger.answered + ledger.refused + 1).sum::<u64>();
        let (code, folder) = server.stop();
        let kept = r#"SELECT count(*) FROM "system.UsageLog""#;
        let connection = Connection::open(folder.database()).unwrap();
        let kept: i64 = connection.query_one(kept, [], |row| row.get(0)).unwrap();
        assert_eq!((code, kept as u64 + lost), (Some(0), requests), "each was kept, or counted as lost");
        counted(
            "faults",
            "KiB of memory that the server took with all the entries that it holds for a full disk",
            held,
        );
    });
}

#[test]
fn a_write_that_is_too_large_for_the_disk_does_not_stand_in_the_way_of_others() {
    with_disks("faults::full::a_write_that_is_too_large_for_the_disk_does_not_stand_in_the_way_of_others", || {
        let (_disk, folder) = Disk::with_folder("12m");
        let key = prepared(&folder);
        let server = Server::again(folder, key, &["--max-body", "33554432"]);
        let records: Vec<_> =
            (0..300).map(|n| json!({"code": format!("large-{n}"), "text": "t".repeat(60_000)})).collect();
        let large = json!({"__meta__": {"intent": "createMany", "namespace": "crash.Item", "objects": records}});
        let mut ledgers = writers(&server, seed("beside"));
        std::thread::scope(|scope| {
            let small = scope.spawn(|| write_on(&server, &mut ledgers));
            for _ in 0..2 {
                assert_unavailable(&server.send(&large), FULL);
            }
            small.join().unwrap();
        });
        let connection = Connection::open(server.folder.database()).unwrap();
        assert_sound(&connection);
        ledger::differences(&connection, &ledgers).assert_none();
        survived("a write that is too large for the disk");
    });
}

/// Commands say that the disk is full, and leave the file as it was.
#[test]
fn a_command_on_a_full_disk_fails_and_changes_nothing() {
    with_disks("faults::full::a_command_on_a_full_disk_fails_and_changes_nothing", || {
        let (disk, folder) = Disk::with_folder("4m");
        let key = prepared(&folder);
        let keys = run(&folder, &["keys", "list", "--json"]);
        disk.fill();
        for command in [SERVE, CREATE, &["keys", "revoke", "all"], &["bootstrap"]] {
            let said = refused(&folder, command);
            assert!(said.contains("the disk is full"), "{command:?}: {said}");
        }
        disk.free();
        assert_eq!(run(&folder, &["keys", "list", "--json"]), keys);
        run(&folder, &["check"]);
        // A new database is not begun where there is no room for it.
        let new = Folder::new().with_database(disk.path().join("new.db"));
        disk.fill();
        let said = fails(&new, &["bootstrap"], 1);
        assert!(said.contains("the disk is full"), "{said}");
        disk.free();
        assert!(run(&new, &["bootstrap"]).starts_with("jql_"), "what was begun is no hindrance");
        let server = Server::again(folder, key, &[]);
        assert_reads(&server);
        survived("a full disk at the start, and for commands");
    });
}

#[test]
fn a_key_that_does_not_fit_into_its_file_is_not_made() {
    with_disks("faults::full::a_key_that_does_not_fit_into_its_file_is_not_made", || {
        let (disk, folder) = Disk::with_folder("1m");
        let folder = folder.with_database(std::env::temp_dir().join(format!("jqlite-{}.db", std::process::id())));
        prepared(&folder);
        let keys = run(&folder, &["keys", "list", "--json"]);
        disk.fill();
        let file = disk.path().join("key");
        let said = fails(&folder, &[CREATE, &["--key-out", file.to_str().unwrap()]].concat(), 1);
        assert!(said.contains("cannot write the key: No space left"), "{said}");
        assert_eq!((run(&folder, &["keys", "list", "--json"]), file.exists()), (keys, false));
        for end in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{end}", folder.database().display()));
        }
    });
}

/// As [`ledger::MODELS`], with a rule more, for which the table is built anew.
fn changed() -> String {
    ledger::MODELS.replace(r#""default": 0"#, r#""default": 0, "min": 0"#)
}

#[test]
fn a_change_of_models_that_the_disk_has_no_room_for_changes_nothing() {
    with_disks("faults::full::a_change_of_models_that_the_disk_has_no_room_for_changes_nothing", || {
        let (disk, folder) = Disk::with_folder("64m");
        let key = prepared(&folder);
        let fill = r#"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
                      INSERT INTO "crash.Item" ("code", "text") SELECT i, printf('%01000d', i) FROM n"#;
        Connection::open(folder.database()).unwrap().execute_batch(fill).unwrap();
        disk.remount("size=6m");
        let file = folder.file("changed.json", &changed());
        let apply = ["models", "apply", file.to_str().unwrap()];
        let said = fails(&folder, &apply, 1);
        assert!(said.contains("the disk is full"), "{said}");
        run(&folder, &["check"]);
        // The same over HTTP, while others write.
        let server = Server::again(folder, key, &[]);
        let models: serde_json::Value = serde_json::from_str(&changed()).unwrap();
        let meta = json!({"intent": "apply", "namespace": "system.Model", "schema": "controller"});
        let request = json!({"__meta__": meta, "models": models});
        let before = server.records();
        assert_unavailable(&server.send(&request), FULL);
        assert_eq!(server.send(&create("beside")).status, 200);
        server.change(r#"DELETE FROM "crash.Item" WHERE "code" = 'beside'"#);
        assert!(server.records() == before, "the records are as they were");
        disk.remount("size=64m");
        assert_eq!(server.send(&request).status, 200);
        assert_eq!(server.count("crash.Item"), 3000);
        let (code, folder) = server.stop();
        run(&folder, &["check"]);
        assert_eq!(code, Some(0));
        survived("a disk that is full while tables are built anew");
    });
}
