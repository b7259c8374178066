//! Clients that do nothing wrong, at full speed, and how long they waited.

use crate::support::{Client, Server};
use serde_json::{Value, json};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How many of them there are at one time.
pub const CLIENTS: usize = 64;

/// How long requests took that were all answered, the shortest first.
pub struct Latencies(Vec<Duration>);

impl Latencies {
    pub fn answered(&self) -> usize {
        self.0.len()
    }

    fn at(&self, share: f64) -> f64 {
        let place = (self.0.len() as f64 * share) as usize;
        self.0[place.min(self.0.len() - 1)].as_secs_f64() * 1000.0
    }
}

impl fmt::Display for Latencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} / {:.1} / {:.1} ms", self.at(0.5), self.at(0.99), self.at(1.0))
    }
}

/// Those of one server.
pub struct Healthy<'s> {
    server: &'s Server,
    /// Counts their requests.
    next: AtomicU64,
}

impl Healthy<'_> {
    pub fn of(server: &Server) -> Healthy<'_> {
        Healthy { server, next: AtomicU64::new(0) }
    }

    /// Has all of them send so many requests each, one after the other on a connection of its own. Every request must be
    /// answered with 200, and with what it asked for.
    #[track_caller]
    pub fn send(&self, each: usize) -> Latencies {
        let mut all: Vec<Duration> = std::thread::scope(|scope| {
            let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(|| self.one(each))).collect();
            clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
        });
        all.sort_unstable();
        Latencies(all)
    }

    fn one(&self, each: usize) -> Vec<Duration> {
        let mut client = Client::connect(&self.server.address);
        let mut send = |_| {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let request = request(number).to_string();
            let began = Instant::now();
            let reply = client.jql(&self.server.key, &request);
            let took = began.elapsed();
            assert_eq!((reply.status, &reply.json()["extras"]["draw"]), (200, &json!(number)), "{}", reply.body);
            took
        };
        (0..each).map(&mut send).collect()
    }

    /// All records that they made are there, and no others.
    #[track_caller]
    pub fn assert_made(&self) {
        let made = self.next.load(Ordering::Relaxed).div_ceil(4);
        assert_eq!(self.server.count("tickets.Tag"), made, "what was answered is there, and nothing else");
    }
}

/// One in four makes a record; the others read one, count, or read a page.
fn request(number: u64) -> Value {
    let meta = |intent: &str, namespace: &str| json!({"intent": intent, "namespace": namespace, "draw": number});
    match number % 4 {
        0 => json!({"__meta__": meta("create", "tickets.Tag"), "name": format!("tag {number}")}),
        1 => {
            let mut meta = meta("retrieveOne", "tickets.Ticket");
            meta["uniqueObject"] = json!({"id": number % super::TICKETS + 1});
            json!({"__meta__": meta, "title": null})
        }
        2 => json!({"__meta__": meta("count", "tickets.Tag")}),
        _ => {
            let mut meta = meta("retrieve", "tickets.Ticket");
            meta["limit"] = json!(20);
            json!({"__meta__": meta, "id": null, "title": null, "status": null})
        }
    }
}
