//! The threads of the server against each other. The real binary serves a mixed load while its threads are held up at random
//! at every lock, queue and wake-up, and its waits end early now and then (`src/trial.rs`): a seed is a schedule. Every lock
//! meanwhile checks that no other one is taken under it, and whatever reads, writes or waits that none is (`src/lock.rs`).
//!
//! `loom` and `shuttle`, which try schedules one by one, know neither waits that end by themselves, nor epoll, nor SQLite; all of
//! our threads wait for each other there, so that what is left to them is a promise and a counter.

mod load;
mod panics;

use crate::report::{counted, scale};
use crate::support::{Client, Folder, Server, eventually, logs};
use load::{KINDS, Load};
use std::collections::HashMap;
use std::thread::scope;
use std::time::{Duration, Instant};

/// A schedule that is made of the seed, with some threads and some places among those that wait not to be had.
fn schedule(seed: u64) -> String {
    format!("pauses/{seed} thread/7 idle/11")
}

/// A server on trial with what the callers want to find: old entries of the log, which are to be pruned meanwhile, and
/// records with which a search takes a while.
fn server(trial: &str, words: &[&str]) -> Server {
    println!("JQLITE_TRIAL={trial:?}");
    let server = Server::on_trial(trial, &[&["--query-timeout", "60s"], words].concat());
    server.change(
        r#"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
           INSERT INTO "system.UsageLog"
             ("at", "request_id", "status", "rows", "queries", "duration_us", "request_bytes", "response_bytes")
           SELECT '2020-01-31T09:30:00.000000Z', 'old', 200, 0, 0, 0, 0, 0 FROM n;
           WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 150)
           INSERT INTO "tickets.Ticket" ("title", "created", "updated")
           SELECT i, '2026-01-31T09:30:00.000000Z', '2026-01-31T09:30:00.000000Z' FROM n;
           INSERT INTO "tickets.Tag" ("name") SELECT "title" FROM "tickets.Ticket" LIMIT 10;
           INSERT INTO "tickets.Ticket.tags" ("source", "target")
           SELECT t."id", g."id" FROM "tickets.Ticket" t, "tickets.Tag" g"#,
    );
    server
}

/// What the log holds of each request.
fn entries(folder: &Folder) -> HashMap<String, Vec<u64>> {
    let mut entries: HashMap<String, Vec<u64>> = HashMap::new();
    for entry in logs(folder, &[]) {
        let id = entry["request_id"].as_str().unwrap().to_owned();
        entries.entry(id).or_default().push(entry["status"].as_u64().unwrap());
    }
    entries
}

/// Every request that was answered has one entry, which tells its status, and every record that was acknowledged is
/// there once.
fn assert_kept(folder: Folder, load: &Load) {
    let entries = entries(&folder);
    for (id, status) in load.answered() {
        assert_eq!(entries.get(&id), Some(&vec![u64::from(status)]), "the entries of request {id}");
    }
    let tags = Server::on(folder, &[]).rows(r#"SELECT "name" FROM "tickets.Tag""#);
    let mut times: HashMap<&str, usize> = HashMap::new();
    tags.lines().for_each(|name| *times.entry(name).or_default() += 1);
    for name in load.made() {
        assert_eq!(times.get(name.as_str()), Some(&1), "the record {name:?}");
    }
}

/// How many threads of a server serve.
fn serving(pid: u32) -> usize {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.trim_end() == "jqlite-server").count()
}

/// Nothing of what was lent out is still out, and as many threads serve as have a turn.
fn assert_settled(server: &Server) {
    let turns = std::thread::available_parallelism().map_or(4, |cores| cores.get() * 2);
    eventually("all threads rest, and nothing is lent out", || {
        let mut client = Client::connect(&server.address);
        let authorization = format!("Authorization: Bearer {}\r\n", server.key);
        client.send(format!("GET /metrics HTTP/1.1\r\nHost: localhost\r\n{authorization}\r\n").as_bytes());
        let page = client.try_reply("GET").map(|reply| reply.body).unwrap_or_default();
        let is = |name: &str, value: usize| page.contains(&format!("\n{name} {value}\n"));
        is("jqlite_readers_in_use", 0)
            && is("jqlite_writer_queue", 0)
            && is("jqlite_log_lost_total", 0)
            && is("jqlite_connections", 1)
            && serving(server.pid()) == turns
    });
}

#[test]
fn whatever_comes_first_every_request_gets_its_own_answer() {
    let seeds = scale(2, 30);
    let mut requests = 0;
    for seed in 0..seeds {
        let server = server(&schedule(seed), &[]);
        let load = Load::on(&server);
        scope(|scope| {
            for (name, kind) in KINDS.iter().chain(&KINDS) {
                let mut caller = load.caller(name);
                scope.spawn(move || (0..scale(10, 20)).for_each(|round| kind(&mut caller, round)));
            }
        });
        assert_settled(&server);
        let (code, folder) = server.stop();
        assert_eq!(code, Some(0));
        requests += load.answered().len();
        assert_kept(folder, &load);
    }
    counted("threads", "schedules tried", seeds);
    counted("threads", "requests answered under them", requests);
}

#[test]
fn whoever_waits_is_called_though_nothing_else_comes() {
    let (seeds, mut requests) = (scale(1, 15), 0);
    for seed in 0..seeds {
        let server = server(&schedule(4000 + seed), &[]);
        let load = Load::on(&server);
        let mut callers: Vec<_> = (0..12).map(|_| load.caller("at once")).collect();
        for burst in 0..scale(30, 100) {
            scope(|scope| {
                for (number, caller) in callers.iter_mut().enumerate() {
                    scope.spawn(move || assert!(load::goes_on(caller, (number + burst) % 3 == 0)));
                }
            });
        }
        assert!(load.answered().iter().all(|(_, status)| *status == 200));
        requests += load.answered().len();
    }
    counted("threads", "requests answered in bursts", requests);
}

#[test]
fn a_stop_amid_all_of_it_loses_nothing_that_was_answered() {
    let seeds = scale(2, 30);
    for seed in 0..seeds {
        let server = server(&format!("{} end/1", schedule(1000 + seed)), &[]);
        let load = Load::on(&server);
        let mut stopped = None;
        scope(|scope| {
            for number in 0..12 {
                let mut caller = load.caller("until the end");
                scope.spawn(move || (0..).all(|round| load::goes_on(&mut caller, round % 2 == number % 2)));
            }
            eventually("some requests are answered", || load.answered().len() > 200);
            // Some say nothing until the server ends, which takes its time: after requests for 50 ms without any.
            for number in 0..10 {
                let mut caller = load.caller("late");
                scope.spawn(move || {
                    std::thread::sleep(Duration::from_millis(number * 80));
                    load::goes_on(&mut caller, number % 2 == 0)
                });
            }
            let (code, folder) = server.stop();
            assert_eq!(code, Some(0));
            stopped = Some(folder);
        });
        assert_kept(stopped.unwrap(), &load);
    }
    counted("threads", "stops amid a load", seeds);
}

#[test]
fn who_speaks_just_when_it_is_cut_is_answered_or_cut() {
    let seeds = scale(1, 15);
    let patience = Duration::from_millis(100);
    let mut outcomes = (0, 0);
    for seed in 0..seeds {
        let server = Server::on_trial(&format!("pauses/{}", 2000 + seed), &["--idle-timeout", "100ms"]);
        let speak = |number: u32| {
            let mut seen = (0, 0);
            for round in 0..15 {
                let mut client = Client::connect(&server.address);
                assert_eq!(client.request("GET", "/healthz", "", "").status, 200);
                // About when it is looked for those who are silent: they are after a quarter more of the time.
                std::thread::sleep(patience + Duration::from_micros(u64::from((number * 15 + round) * 7919 % 30_000)));
                client.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
                let began = Instant::now();
                match client.try_reply("GET") {
                    Some(reply) => {
                        assert_eq!(reply.status, 200);
                        seen.0 += 1;
                    }
                    None => seen.1 += 1,
                }
                assert!(began.elapsed() < Duration::from_secs(20), "it was neither answered nor cut");
            }
            seen
        };
        let seen = scope(|scope| {
            let all: Vec<_> = (0..16).map(|number| scope.spawn(move || speak(number))).collect();
            all.into_iter().map(|one| one.join().unwrap()).collect::<Vec<_>>()
        });
        seen.iter().for_each(|seen| outcomes = (outcomes.0 + seen.0, outcomes.1 + seen.1));
        assert_settled(&server);
    }
    assert!(outcomes.0 > 0 && outcomes.1 > 0, "it was no race: {outcomes:?}");
    counted("threads", "connections that spoke when they were about to be cut", outcomes.0 + outcomes.1);
}
