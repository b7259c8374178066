//! The server killed, and asked to stop, in the midst of work: what it answered is there, once, and what it did not
//! answer is there wholly or not at all.

mod keys;
mod rebuild;
mod stop;

use crate::dice::{Dice, seed};
use crate::ledger::{self, Difference, Found, Ledger};
use crate::report::{counted, scale};
use crate::support::{Client, Folder, Server, eventually, jqlite, run};
use keys::Keeper;
use rusqlite::Connection;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Clients that write, beside one that changes keys.
const CLIENTS: usize = 6;

/// A server, those that write to it, and what is left of it after it was killed.
struct Scene {
    dice: Dice,
    key: String,
    ledgers: Vec<Ledger>,
    keeper: Keeper,
}

impl Scene {
    fn new(seed: u64, server: &Server) -> Scene {
        let client = |number: usize| {
            let name = format!("client {number}");
            Ledger::new(&server.address, &server.key, &name, Dice::new(seed, number), 3000)
        };
        let ledgers = (1..=CLIENTS).map(client).collect();
        let keeper = Keeper::new(Dice::new(seed, CLIENTS + 1));
        Scene { dice: Dice::new(seed, 0), key: server.key.clone(), ledgers, keeper }
    }

    /// Has all write until the server is killed, some time after each was answered.
    fn kill(&mut self, server: Server) -> Folder {
        let (address, key, begun) = (server.address.clone(), &self.key, AtomicUsize::new(0));
        let pause = Duration::from_millis(self.dice.between(1, 300) as u64);
        std::thread::scope(|scope| {
            for ledger in &mut self.ledgers {
                let (address, begun) = (&address, &begun);
                scope.spawn(move || {
                    let mut client = Client::connect(address);
                    let mut is_first = 1;
                    while let Some(reply) = ledger.write(&mut client, key) {
                        assert_eq!(reply.status, 200, "{}", reply.body);
                        begun.fetch_add(std::mem::take(&mut is_first), Ordering::Relaxed);
                    }
                    begun.fetch_add(is_first, Ordering::Relaxed);
                });
            }
            let (address, keeper) = (&address, &mut self.keeper);
            scope.spawn(move || keeper.work(&mut Client::connect(address), key));
            eventually("each is answered", || begun.load(Ordering::Relaxed) == CLIENTS);
            std::thread::sleep(pause);
            server.kill()
        })
    }

    /// Starts and kills the server on what it left, now and then, before it is ready.
    fn kill_while_it_starts(&mut self, folder: &Folder) {
        while self.dice.one_in(3) {
            let mut command = jqlite(folder, &["serve", "--listen", "127.0.0.1:0"]);
            let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            std::thread::sleep(Duration::from_micros(self.dice.below(60_000) as u64));
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Sends again what was not answered; how much of it there was.
    fn settle(&mut self, server: &Server, found: &Found) -> usize {
        let mut client = Client::connect(&server.address);
        self.ledgers.iter_mut().filter_map(|ledger| ledger.settle(&mut client, &self.key, found).then_some(())).count()
    }
}

/// A copy of what a killed server left: the file and its write-ahead log, as they lie on the disk.
fn copied(folder: &Folder) -> Connection {
    let copy = folder.path("copy.db");
    for end in ["", "-wal"] {
        let name = |of: &std::path::Path| format!("{}{end}", of.display());
        let _ = std::fs::remove_file(name(&copy));
        let _ = std::fs::copy(name(folder.database()), name(&copy)); // there may be no log
    }
    Connection::open(copy).unwrap()
}

/// What SQLite itself says of a database.
#[track_caller]
pub fn assert_sound(connection: &Connection) {
    let said: String = connection.query_one("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(said, "ok");
    let broken = "SELECT count(*) FROM pragma_foreign_key_check";
    assert_eq!(connection.query_one(broken, [], |row| row.get::<_, i64>(0)).unwrap(), 0);
}

#[test]
fn a_killed_server_has_every_write_that_it_answered() {
    let seed = seed("killed");
    let mut server = Server::with(ledger::MODELS, &[]);
    let mut scene = Scene::new(seed, &server);
    let rounds = scale(4, 100);
    let (mut all, mut sent_again) = (Difference::default(), 0);
    for round in 0..rounds {
        let folder = scene.kill(server);
        let left = copied(&folder);
        assert_sound(&left);
        let found = Found::read(&left);
        let difference = ledger::differences(&left, &scene.ledgers);
        all.lost.extend(difference.lost);
        all.twice.extend(difference.twice);
        all.strange.extend(difference.strange);
        drop(left);
        scene.kill_while_it_starts(&folder);
        // Every second one has much to prune besides, in commits that do not wait for the disk.
        let words: &[&str] = if round % 2 == 0 { &["--log-rows", "100"] } else { &[] };
        server = Server::again(folder, scene.key.clone(), words);
        run(&server.folder, &["check"]);
        sent_again += scene.settle(&server, &found);
        scene.keeper.assert_kept(&server);
    }
    let end = ledger::differences(&Connection::open(server.folder.database()).unwrap(), &scene.ledgers);
    counted("crash", "times killed", rounds);
    counted("crash", "writes answered before", scene.ledgers.iter().map(|ledger| ledger.answered).sum::<u64>());
    counted("crash", "changes of keys answered before", scene.keeper.answered);
    counted("crash", "writes not answered, and sent again", sent_again);
    counted("crash", "writes lost", all.lost.len() + end.lost.len());
    counted("crash", "writes done twice", all.twice.len() + end.twice.len());
    all.assert_none();
    end.assert_none();
}
