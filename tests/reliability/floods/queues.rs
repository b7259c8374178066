//! What has a bound, filled until it is full: connections, writes that wait, readers of the database, bodies, entries of the
//! usage log. Who does not fit is told to come again, and once there is room everything is as before.

use super::{Healthy, Held, PATIENCE, connect, counting, head, may_have, post, rest, resting, status, stocked, within};
use crate::report::{counted, scale};
use crate::support::{Client, Ending, Reply, Server};
use serde_json::json;
use std::io::Write;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Another process's hold on the database of a server.
fn hold(server: &Server) -> rusqlite::Connection {
    let connection = rusqlite::Connection::open(server.folder.path("test.db")).unwrap();
    connection.busy_timeout(Duration::from_secs(20)).unwrap();
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    connection
}

/// A number of `/metrics`.
#[track_caller]
pub fn metric(server: &Server, name: &str) -> usize {
    let head = format!("Authorization: Bearer {}\r\n", server.key);
    let page = Client::connect(&server.address).request("GET", "/metrics", &head, "").body;
    let line = page.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("no {name}: {page}"));
    line.trim().parse().unwrap()
}

#[track_caller]
fn assert_told_to_come_again(reply: &Reply) {
    let told = (reply.status, reply.header("retry-after"));
    assert_eq!(told, (503, Some("1")), "{}", reply.body);
    assert_eq!(reply.json()["errors"][0]["code"], "JQL:UnavailableException");
}

// -- Connections --------------------------------------------------------------------------------

#[test]
fn connections_too_many_are_told_so_and_take_no_more_threads_than_they_may() {
    let server = stocked(&["--max-connections", "20"]);
    let allowed: Vec<TcpStream> = (0..20).map(|_| connect(&server)).collect();
    within(Duration::from_secs(10), "all of them are known", || Held::now(&server).descriptors > 20);
    for _ in 0..3 {
        assert_told_to_come_again(&Client::connect(&server.address).jql(&server.key, "{}"));
    }
    // So many more that not all can be told, and each says nothing: they may not stand in the way for long.
    let _too_many: Vec<TcpStream> = (0..200).map(|_| connect(&server)).collect();
    let one_more = || {
        let mut client = Client::connect(&server.address);
        client.send(counting(&server.key).as_bytes());
        client.try_reply("POST").map(|reply| reply.status)
    };
    assert_eq!(one_more(), None, "it was taken after all others, and not even told");
    let (held, most) = (Held::now(&server).threads, resting(0).threads + 64);
    assert!(held <= most, "{held} threads, and there may be {most}");
    within(Duration::from_secs(10), "others are told again", || one_more() == Some(503));
    drop(allowed);
    within(Duration::from_secs(10), "there is room again", || one_more() == Some(200));
}

// -- Writes -------------------------------------------------------------------------------------

#[test]
fn writes_that_wait_for_another_process_are_all_told_to_come_again_in_time() {
    let count = scale(700, 4700); // 4,096 may wait
    if !may_have(2 * count as u64 + 100, "writes that pile up") {
        return;
    }
    let server = stocked(&["--query-timeout", "2s", "--max-connections", "6000"]);
    let holder = hold(&server);
    let mut waiting: Vec<Client> = (0..count).map(|_| Client::connect(&server.address)).collect();
    let began = Instant::now();
    for (number, client) in waiting.iter_mut().enumerate() {
        let name = format!("waits {number}");
        let request = json!({"__meta__": {"intent": "create", "namespace": "tickets.Tag"}, "name": name});
        client.send(post(&server.key, &request).as_bytes());
    }
    // Who only reads is answered meanwhile.
    let read = json!({"__meta__": {"intent": "count", "namespace": "tickets.Tag"}});
    assert_eq!(server.data(&read)["count"], 0);
    assert!(metric(&server, "jqlite_writer_queue") <= 4096);
    let peak = Held::now(&server);
    for client in &mut waiting {
        assert_told_to_come_again(&client.reply("POST"));
    }
    // They may wait for their turn for 2 s, and whoever has it for the file for 5 s.
    let took = began.elapsed();
    assert!(took < Duration::from_secs(12), "the last was told after {took:?}");
    holder.execute_batch("COMMIT").unwrap();
    let healthy = Healthy::of(&server);
    healthy.send(4);
    healthy.assert_made(); // and what was refused is not carried out later
    counted("floods", "writes that waited for a file held by another process, all told to come again", count);
    counted("floods", "the server held meanwhile", peak);
}

// -- Readers ------------------------------------------------------------------------------------

#[test]
fn slow_queries_that_find_no_reader_are_told_to_come_again_in_time() {
    let server = stocked(&["--query-timeout", "2s"]);
    server.entangle();
    let keys: Vec<String> =
        (0..3).map(|number| server.key_for(&format!("tickets.*:read{}", ",lib.*:read".repeat(number)))).collect();
    let path = "tags__tickets__tags__tickets__tags__name__icontains";
    let slow = json!({"__meta__": {"intent": "count", "namespace": "tickets.Ticket", "filter": {path: "zzz"}}});
    let mut waiting: Vec<Client> = (0..scale(60, 600)).map(|_| Client::connect(&server.address)).collect();
    let began = Instant::now();
    for (number, client) in waiting.iter_mut().enumerate() {
        client.send(post(&keys[number % keys.len()], &slow).as_bytes());
    }
    // What takes no reader is answered at once.
    assert_eq!(Client::connect(&server.address).request("GET", "/healthz", "", "").status, 200);
    for client in &mut waiting {
        assert_told_to_come_again(&client.reply("POST"));
    }
    let took = began.elapsed();
    assert!(took < Duration::from_secs(12), "the last was told after {took:?}");
    Healthy::of(&server).send(4);
    assert_eq!(metric(&server, "jqlite_readers_in_use"), 0);
    counted("floods", "slow queries at one time, all told to come again", waiting.len());
}

// -- Bodies -------------------------------------------------------------------------------------

/// Sends what the other side takes, or nothing where it has hung up.
fn send_body(server: &Server, bytes: &[u8]) -> TcpStream {
    let mut stream = connect(server);
    let _ = stream.write_all(format!("{}{}\r\n\r\n", head("none"), bytes.len() + 1).as_bytes());
    let _ = stream.write_all(bytes);
    stream.set_nonblocking(true).unwrap();
    stream
}

#[test]
fn bodies_that_never_end_take_no_more_memory_than_they_may_and_keep_small_ones_out_of_nothing() {
    if !may_have(1000, "bodies that never end") {
        return;
    }
    let server = stocked(&[]);
    let body = vec![b' '; (1 << 20) - 1];
    let done = AtomicBool::new(false);
    let held = std::thread::scope(|scope| {
        let _ending = Ending(&done);
        let watch = scope.spawn(|| Held::watched(&server, &done));
        // Each takes 1 MiB but for what is free: there is room for 273, and nobody has a key.
        // One comes behind the other, as of those that come at once more may be told than do not fit.
        let one = |_| {
            let stream = send_body(&server, &body);
            within(PATIENCE, "it is read or told", || server.unread() == Some(0) || stream.peek(&mut [0]).is_ok());
            stream
        };
        let mut endless: Vec<TcpStream> = (0..300).map(one).collect();
        let mut refused = 0;
        within(Duration::from_secs(20), "those that do not fit are told", || {
            for mut stream in endless.extract_if(.., |stream| stream.peek(&mut [0]).is_ok_and(|count| count > 0)) {
                assert_eq!(status(&mut stream), 503);
                assert!(rest(&mut stream).contains("\r\nRetry-After: 1\r\n"));
                refused += 1;
            }
            refused >= 27
        });
        assert_eq!(refused, 27);
        Healthy::of(&server).send(scale(4, 100));
        assert_told_to_come_again(&large_create(&server, "does not fit"));
        done.store(true, Ordering::Relaxed);
        watch.join().unwrap()
    });
    assert!(held.mebibytes < 400, "{held}");
    within(Duration::from_secs(20), "there is room again", || large_create(&server, "fits").status == 200);
    counted("floods", "300 bodies of 1 MiB that never end: the server held", held);
}

/// Makes a ticket with a text of more than is free.
fn large_create(server: &Server, title: &str) -> Reply {
    let text = "x".repeat(500_000);
    server.send(
        &json!({"__meta__": {"intent": "create", "namespace": "tickets.Ticket"}, "title": title, "description": text}),
    )
}

// -- The usage log ------------------------------------------------------------------------------

#[test]
fn a_log_that_cannot_be_written_keeps_what_it_has_room_for_and_counts_the_rest() {
    let (threads, each) = scale((8, 500), (500, 660)); // 100,000 have room in any case
    let count = threads * each;
    if !may_have(2 * threads as u64 + 100, "a log that cannot be written") {
        return;
    }
    let server = stocked(&[]);
    let holder = hold(&server);
    let many = counting("none").repeat(20);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut client = Client::connect(&server.address);
                client.patience(PATIENCE);
                for _ in 0..each / 20 {
                    client.send(many.as_bytes());
                    (0..20).for_each(|_| assert!(matches!(client.reply("POST").status, 401 | 429)));
                }
            });
        }
    });
    let held = Held::now(&server);
    assert!(held.mebibytes < 200, "{held}");
    holder.execute_batch("COMMIT").unwrap();
    let written = || server.rows(r#"SELECT count(*) FROM "system.UsageLog" WHERE "status" IN (401, 429)"#);
    // How many were lost is told once all others are written.
    let lost = || {
        let stderr = server.stderr();
        let told = stderr.lines().filter_map(|line| line.split_once("the usage log lost ")?.1.split_once(' '));
        told.map(|(lost, _)| lost.parse::<usize>().unwrap()).sum::<usize>()
    };
    within(PATIENCE, "all but the lost are written", || written() == format!("Integer({})\n", count - lost()));
    let lost = lost();
    assert_eq!(metric(&server, "jqlite_log_lost_total"), lost);
    assert!(lost <= count.saturating_sub(100_000), "{lost} of {count} were lost");
    let figure = format!("{}; {lost}", count - lost);
    counted("floods", "entries of a log that could not be written for a while: kept; lost, and told of", figure);
    counted("floods", "the server held meanwhile", held);
}
