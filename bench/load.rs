//! How long requests take, measured over HTTP against the release binary: `cargo bench`, or a part of it: `cargo bench -- pages`,
//! `log`, `requests`.
//!
//! The load generator shares the machine with the server, so the figures are lower bounds; compare them
//! within one run. 100,000 tickets, and for pages far into a list 1,000,000 rows; keys checked and usage log on,
//! `synchronous=FULL`.

#[path = "../tests/it/support/mod.rs"]
mod support;

use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use support::{Client, Server, run};

const TICKETS: usize = 100_000;
/// Where the deepest page begins; some rows lie behind it.
const DEPTH: usize = 1_000_000;
/// Entries of the usage log that totals are made of.
const LOGGED: usize = 2_000_000;

fn main() {
    let parts: [(&str, fn()); 3] = [("requests", requests), ("log", log), ("pages", pages)];
    let asked: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    for (name, part) in parts {
        if asked.is_empty() || asked.iter().any(|asked| asked == name) {
            part();
        }
    }
}

/// A request for one record.
fn one() -> Value {
    json!({"__meta__": {"intent": "retrieveOne", "namespace": "tickets.Ticket", "uniqueObject": {"id": 5000}},
        "id": null, "title": null, "status": null, "priority": null})
}

/// Requests of each kind.
fn requests() {
    let server = Server::start();
    seed(&server);
    println!("{TICKETS} tickets");

    println!("\none connection                                     median       p99");
    let page = |count| {
        let meta = json!({"intent": "retrieve", "namespace": "tickets.Ticket", "filter": {"status": "open"}, "limit": 10, "count": count});
        json!({"__meta__": meta, "id": null, "title": null, "status": null, "priority": null}).to_string()
    };
    let one = one();
    let nested = json!({"__meta__": {"intent": "retrieve", "namespace": "tickets.Ticket", "filter": {"status": "open"}, "limit": 10, "count": false},
        "id": null, "title": null, "category": {"name": null}, "tags": {"name": null}});
    latency(&server, "page of 10 by an indexed filter, no total", &page(false), 5000);
    latency(&server, "page of 10 by an indexed filter, with its total", &page(true), 500);
    latency(&server, "page of 10 with a reference and a list nested", &nested.to_string(), 5000);
    latency(&server, "record by id", &one.to_string(), 5000);

    println!("\ncreates, each acknowledged after its commit     a second");
    let alone = creates(&server, 1);
    let together = creates(&server, 64);
    println!("64 clients make {:.1} times the creates of one", together / alone);
}

/// The usage log, and serving beside what is done with it.
fn log() {
    let server = Server::start();
    seed(&server);
    let one = one();
    println!("\n{} entries in the usage log, all of the last 24 h", LOGGED);
    fill_log(&server);
    totals(&server);
    println!("\na second, of 64 clients                      creates   records by id");
    answered(&server, "alone", &one);
    beside_totals(&server, &one);
    answered(&server, "alone", &one);
    let (_, folder) = server.stop();
    let server = Server::on(folder, &["--log-rows", "1000"]);
    while_pruning(&server, &one);
    let (_, folder) = server.stop();
    answered(&Server::on(folder, &[]), "alone", &one);
}

/// Pages far into a list.
fn pages() {
    println!("\npages by cursor, no total                        first page   behind row {DEPTH}    ratio");
    let rows = rows();
    for (what, ordering) in
        [("by id", "id"), ("by -created, indexed", "-created"), ("by state, indexed, 5 values", "state")]
    {
        depth(&rows, what, ordering, 10, 3000);
        depth(&rows, what, ordering, 100, 1000);
    }
}

/// Tickets, as any SQLite tool could write them.
fn seed(server: &Server) {
    for name in ["Billing", "Technical", "Sales", "Other"] {
        server.create("tickets.Category", &json!({"name": name}));
    }
    server.create("tickets.Tag", &json!({"name": "urgent"}));
    let connection = rusqlite::Connection::open(server.folder.path("test.db")).unwrap();
    connection
        .execute_batch(&format!(
            r#"BEGIN;
            WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {TICKETS})
            INSERT INTO "tickets.Ticket" ("title", "description", "status", "priority", "category", "created", "updated")
            SELECT 'Ticket number ' || i, 'Something about ' || i || ' that goes on for a while.',
                   CASE i % 3 WHEN 0 THEN 'open' WHEN 1 THEN 'pending' ELSE 'closed' END, i % 6, i % 4 + 1,
                   strftime('%Y-%m-%dT%H:%M:%S.000000Z', 1700000000 + i * 60, 'unixepoch'),
                   strftime('%Y-%m-%dT%H:%M:%S.000000Z', 1700000000 + i * 60, 'unixepoch') FROM n;
            INSERT INTO "tickets.Ticket.tags" ("source", "target") SELECT "id", 1 FROM "tickets.Ticket" WHERE "id" % 2 = 0;
            COMMIT; ANALYZE;"#
        ))
        .unwrap();
}

/// A server with rows enough for a page behind row [`DEPTH`].
fn rows() -> Server {
    let models = json!({"bench.Row": {"fields": {
        "title": {"type": "string"}, "state": {"type": "string", "index": true}, "created": {"type": "datetime", "index": true}}}});
    let server = Server::with(&models.to_string(), &[]);
    server.change(&format!(
        r#"BEGIN;
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {DEPTH} + 1000)
        INSERT INTO "bench.Row" ("title", "state", "created")
        SELECT 'Row number ' || i, 'state ' || (i % 5), strftime('%Y-%m-%dT%H:%M:%S.000000Z', 1000000000 + i * 7919 % 1001001 * 60, 'unixepoch')
        FROM n;
        COMMIT; ANALYZE;"#
    ));
    server
}

/// Prints how long the first page of a list takes and one far into it, in turns, and the ratio.
fn depth(server: &Server, what: &str, ordering: &str, limit: usize, rounds: usize) {
    let page = |limit: usize, place: (&str, Value)| {
        let mut request = json!({"__meta__": {"intent": "retrieve", "namespace": "bench.Row", "ordering": [ordering], "limit": limit, "count": false},
            "id": null, "title": null, "state": null, "created": null});
        request["__meta__"][place.0] = place.1;
        request
    };
    let next = server.send(&page(1, ("offset", json!(DEPTH - 1)))).json()["extras"]["next"].clone();
    assert!(next.is_string());
    let requests = [page(limit, ("offset", json!(0))), page(limit, ("after", next))].map(|request| request.to_string());
    let mut client = Client::connect(&server.address);
    let mut times = [Vec::with_capacity(rounds), Vec::with_capacity(rounds)];
    for _ in 0..rounds {
        for (request, times) in requests.iter().zip(&mut times) {
            times.push(time(&mut client, server, request));
        }
    }
    let [first, deep] = times.map(|mut times| {
        times.sort();
        times[rounds / 2].as_secs_f64() * 1e6
    });
    println!("page of {:<40} {first:>7.0} µs {deep:>18.0} µs {:>8.2}", format!("{limit} {what}"), deep / first);
}

/// How long one request takes.
fn time(client: &mut Client, server: &Server, request: &str) -> Duration {
    let started = Instant::now();
    let reply = client.jql(&server.key, request);
    let time = started.elapsed();
    assert_eq!(reply.status, 200, "{}", reply.body);
    time
}

/// Prints how long one request takes on one kept connection.
fn latency(server: &Server, what: &str, request: &str, rounds: usize) {
    let mut client = Client::connect(&server.address);
    let mut times: Vec<Duration> = Vec::with_capacity(rounds);
    for round in 0..rounds + rounds / 10 {
        let time = time(&mut client, server, request);
        if round >= rounds / 10 {
            times.push(time);
        }
    }
    times.sort();
    println!("{what:<48} {:>7} µs {:>6} µs", times[rounds / 2].as_micros(), times[rounds * 99 / 100].as_micros());
}

/// Creates records for three seconds, says and gives how many a second; all of them must be there afterwards.
fn creates(server: &Server, clients: usize) -> f64 {
    let rate = create_rate(server, clients);
    println!("{clients:>2} clients {rate:>44.0}");
    rate
}

fn create_rate(server: &Server, clients: usize) -> f64 {
    static ROUND: AtomicUsize = AtomicUsize::new(0);
    let round = ROUND.fetch_add(1, Ordering::Relaxed);
    let before = server.count("tickets.Tag");
    let name = |number, made| json!(format!("{round}-{number}-{made}"));
    let (rate, made) = rate(server, clients, |number, made| {
        json!({"__meta__": {"intent": "create", "namespace": "tickets.Tag"}, "name": name(number, made)}).to_string()
    });
    assert_eq!(server.count("tickets.Tag"), before + made);
    rate
}

/// Sends requests for three seconds; how many a second were answered, and how many in all. `request` makes the next one of
/// a client.
fn rate(server: &Server, clients: usize, request: impl Fn(usize, usize) -> String + Sync) -> (f64, u64) {
    let stop = AtomicBool::new(false);
    let started = Instant::now();
    let sent: usize = std::thread::scope(|scope| {
        let work = |number: usize| {
            let (stop, request) = (&stop, &request);
            move || {
                let mut client = Client::connect(&server.address);
                let mut sent = 0;
                while !stop.load(Ordering::Relaxed) {
                    let reply = client.jql(&server.key, &request(number, sent));
                    assert_eq!(reply.status, 200, "{}", reply.body);
                    sent += 1;
                }
                sent
            }
        };
        let threads: Vec<_> = (0..clients).map(|number| scope.spawn(work(number))).collect();
        std::thread::sleep(Duration::from_secs(3));
        stop.store(true, Ordering::Relaxed);
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    (sent as f64 / started.elapsed().as_secs_f64(), sent as u64)
}

/// Puts entries into the log: 60 keys, 200 namespaces, all that may happen, some slow ones.
fn fill_log(server: &Server) {
    server.change(&format!(
        r#"BEGIN;
        WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {LOGGED})
        INSERT INTO "system.UsageLog" ("at", "request_id", "key", "namespace", "intent", "action", "status", "code", "rows", "queries",
          "duration_us", "request_bytes", "response_bytes", "remote_addr")
        SELECT strftime('%Y-%m-%dT%H:%M:%S', unixepoch() - 86000 + i * 85000 / {LOGGED}, 'unixepoch') || printf('.%06dZ', (i * 7919) % 1000000),
          printf('a1b2c3d4-%x', i), CASE WHEN i % 97 THEN printf('key%09d', (i * 31) % 60) END,
          CASE WHEN i % 97 THEN 'app' || ((i * 13) % 5) || '.Model' || ((i * 17) % 200 / 5) END,
          CASE WHEN i % 97 THEN json_extract('["create","update","count","retrieveOne","aggregate","retrieve"]', '$[' || (i * 11 % 6) || ']') END,
          'read', CASE WHEN i % 97 = 0 THEN 401 WHEN i % 53 = 0 THEN 403 WHEN i % 41 = 0 THEN 400 WHEN i % 9973 = 0 THEN 500 ELSE 200 END,
          CASE WHEN i % 97 = 0 THEN 'JQL:AuthenticationException' WHEN i % 53 = 0 THEN 'JQL:AuthorizationException'
            WHEN i % 41 = 0 THEN 'JQL:JqlException' WHEN i % 9973 = 0 THEN 'JQL:ServerException' END,
          i % 100, i % 5, 150 + (i * 7919) % 3000 + CASE WHEN i % 100 THEN 0 ELSE 90000 END, 180, 900, '10.0.' || (i % 4) || '.' || (i % 250)
        FROM n; COMMIT;"#
    ));
}

/// The totals of the whole log.
fn logs_stats(server: &Server) -> Duration {
    let started = Instant::now();
    let told = run(&server.folder, &["logs", "--stats", "--since", "24h", "--json"]);
    let time = started.elapsed();
    let told: Value = serde_json::from_str(&told).unwrap();
    assert!(told["requests"].as_u64().unwrap() > 0, "{told}");
    time
}

fn totals(server: &Server) {
    let mut times: Vec<Duration> = (0..7).map(|_| logs_stats(server)).collect();
    times.sort();
    println!("logs --stats --since 24h, median (lowest) {:>17} ms ({} ms)", times[3].as_millis(), times[0].as_millis());
}

/// How many creates and reads a second are answered.
fn answered(server: &Server, what: &str, one: &Value) {
    let (creates, reads) = (create_rate(server, 64), rate(server, 64, |_, _| one.to_string()).0);
    println!("{what:<42} {creates:>9.0} {reads:>15.0}");
}

/// What is answered while totals are made, one after the other.
fn beside_totals(server: &Server, one: &Value) {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let work = || {
            let until_stopped = || (!stop.load(Ordering::Relaxed)).then(|| logs_stats(server));
            std::iter::from_fn(until_stopped).max()
        };
        let thread = scope.spawn(work);
        answered(server, "while logs --stats runs all the time", one);
        stop.store(true, Ordering::Relaxed);
        let longest = thread.join().unwrap().unwrap_or_default();
        println!("  (which took up to {} ms, with no processor to spare)", longest.as_millis());
    });
}

/// What is answered while old entries are pruned.
fn while_pruning(server: &Server, one: &Value) {
    let oldest = || server.rows(r#"SELECT min("id") FROM "system.UsageLog""#);
    let before = oldest();
    answered(server, "while entries are pruned", one);
    println!("  (the oldest was {} and is {} now)", before.trim(), oldest().trim());
}
