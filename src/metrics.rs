//! What the server counts of its own work, and the page of it for Prometheus.
//!
//! Counting is adding to a few atomic numbers: every label is known beforehand (the names of intents and the statuses,
//! never anything that a client sent), so that nothing is looked up in a locked map and nothing is allocated. The text
//! is written here, because it is no more than a page of code: of the crates, `prometheus-client` writes another format
//! (OpenMetrics), and both it and `prometheus` keep what has labels in locked maps.

use crate::error::Code;
use crate::intent::INTENTS;
use crate::usage::Entry;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime};

/// The type of the page: the text format, version 0.0.4.
pub const MEDIA: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The counters of a running server.
pub struct Metrics {
    /// Seconds of Unix time.
    started_at: f64,
    started: Instant,
    statuses: Vec<u16>,
    /// For each intent, and for none, a counter for each status.
    requests: Vec<Vec<Number>>,
    /// In microseconds.
    duration: Histogram,
    request_bytes: Number,
    response_bytes: Number,
    /// Writes that wait for the writer.
    pub queue: Number,
    /// Writes in one commit.
    pub group: Histogram,
    /// Entries of the usage log that the writer holds, because no commit has taken them yet.
    pub log_held: Number,
    /// Entries of the usage log that were lost.
    pub log_lost: Number,
    pub cache_hits: Number,
    pub cache_misses: Number,
}

/// What is not counted but looked up at this moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Now {
    pub connections: u64,
    pub readers: u64,
    pub most_readers: u64,
    pub log_backlog: u64,
    pub cache_answers: u64,
    pub cache_bytes: u64,
    pub database_bytes: u64,
    pub wal_bytes: u64,
}

/// A number that any thread may change.
#[derive(Default)]
pub struct Number(AtomicU64);

impl Number {
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub fn take(&self, less: u64) {
        self.0.fetch_sub(less, Ordering::Relaxed);
    }

    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How often a value was within each bound and above the one before it, and their sum.
pub struct Histogram {
    bounds: &'static [u64],
    /// One for each bound, and one for what is above the last.
    counts: Vec<Number>,
    sum: Number,
    /// Units of the value that make one of what is shown.
    unit: f64,
}

/// Half a millisecond to ten seconds, when a statement is stopped.
const DURATIONS: [u64; 10] = [500, 1_000, 5_000, 10_000, 50_000, 100_000, 500_000, 1_000_000, 5_000_000, 10_000_000];
/// One write to as many as the writer commits at once.
const GROUPS: [u64; 8] = [1, 2, 4, 8, 16, 32, 64, 256];

impl Histogram {
    fn new(bounds: &'static [u64], unit: f64) -> Histogram {
        let counts = bounds.iter().map(|_| Number::default()).chain([Number::default()]).collect();
        Histogram { bounds, counts, sum: Number::default(), unit }
    }

    pub fn observe(&self, value: u64) {
        self.counts[self.bounds.partition_point(|bound| *bound < value)].add(1);
        self.sum.add(value);
    }
}

impl Default for Metrics {
    fn default() -> Metrics {
        let mut statuses: Vec<u16> = Code::ALL.iter().flat_map(|code| code.statuses()).copied().chain([200]).collect();
        statuses.sort_unstable();
        let row = || statuses.iter().map(|_| Number::default()).collect();
        let requests = (0..=INTENTS.len()).map(|_| row()).collect();
        let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Metrics {
            started_at: unix.as_secs_f64(),
            started: Instant::now(),
            requests,
            statuses,
            duration: Histogram::new(&DURATIONS, 1e6),
            request_bytes: Number::default(),
            response_bytes: Number::default(),
            queue: Number::default(),
            group: Histogram::new(&GROUPS, 1.0),
            log_held: Number::default(),
            log_lost: Number::default(),
            cache_hits: Number::default(),
            cache_misses: Number::default(),
        }
    }
}

/// The intent of a request that was refused before it was known, or that has none.
const NO_INTENT: &str = "none";

impl Metrics {
    /// Counts a request that was answered.
    pub fn request(&self, entry: &Entry) {
        let intent = INTENTS.iter().position(|rule| Some(rule.name) == entry.intent).unwrap_or(INTENTS.len());
        if let Ok(status) = self.statuses.binary_search(&entry.status) {
            self.requests[intent][status].add(1);
        }
        self.duration.observe(entry.duration_us);
        self.request_bytes.add(entry.request_bytes);
        self.response_bytes.add(entry.response_bytes);
    }

    /// The page. It names no model, no key and no address.
    pub fn page(&self, now: &Now) -> String {
        let mut page = Page(String::with_capacity(8 * 1024));
        page.family("jqlite_build_info", GAUGE, "The version of the server.");
        page.sample("jqlite_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1.0);
        page.one("process_start_time_seconds", GAUGE, "When the server was started, in Unix time.", self.started_at);
        page.one(
            "jqlite_uptime_seconds",
            GAUGE,
            "How long the server has been up.",
            self.started.elapsed().as_secs_f64(),
        );

        let name = "jqlite_requests_total";
        page.family(name, COUNTER, "Requests that leave an entry in the usage log, by intent and HTTP status.");
        let intents = INTENTS.iter().map(|rule| rule.name).chain([NO_INTENT]);
        for (intent, counts) in intents.zip(&self.requests) {
            for (status, count) in self.statuses.iter().zip(counts) {
                // Of what never happened only the usual is told, so that its first time is seen as a rise.
                if count.get() > 0 || (*status == 200 && intent != NO_INTENT) {
                    page.sample(name, &[("intent", intent), ("status", &status.to_string())], whole(count.get()));
                }
            }
        }
        let what = "How long requests took, from their first byte to their answer.";
        page.histogram("jqlite_request_duration_seconds", what, &self.duration);
        page.histogram("jqlite_writer_group_size", "Writes in one commit.", &self.group);
        for (name, kind, help, value) in [
            ("jqlite_request_bytes_total", COUNTER, "Bytes of the bodies of requests.", self.request_bytes.get()),
            ("jqlite_response_bytes_total", COUNTER, "Bytes of the bodies of answers.", self.response_bytes.get()),
            ("jqlite_connections", GAUGE, "Open connections.", now.connections),
            ("jqlite_readers_in_use", GAUGE, "Readers of the database in use.", now.readers),
            ("jqlite_readers_limit", GAUGE, "The most readers there may be.", now.most_readers),
            ("jqlite_writer_queue", GAUGE, "Writes that wait for their turn.", self.queue.get()),
            ("jqlite_log_backlog", GAUGE, "Entries of the usage log that are not written yet.", now.log_backlog),
            ("jqlite_log_lost_total", COUNTER, "Entries of the usage log that were lost.", self.log_lost.get()),
            ("jqlite_cache_hits_total", COUNTER, "Answers that came from memory.", self.cache_hits.get()),
            (
                "jqlite_cache_misses_total",
                COUNTER,
                "Answers that might have, but were not there.",
                self.cache_misses.get(),
            ),
            ("jqlite_cache_answers", GAUGE, "Answers in memory.", now.cache_answers),
            ("jqlite_cache_bytes", GAUGE, "About how many bytes the answers in memory take.", now.cache_bytes),
            ("jqlite_database_bytes", GAUGE, "Bytes of the database.", now.database_bytes),
            ("jqlite_wal_bytes", GAUGE, "Bytes of the write-ahead log beside it.", now.wal_bytes),
        ] {
            page.one(name, kind, help, whole(value));
        }
        page.0
    }
}

const COUNTER: &str = "counter";
const GAUGE: &str = "gauge";

/// The format knows floating-point numbers only.
#[allow(clippy::cast_precision_loss)]
fn whole(number: u64) -> f64 {
    number as f64
}

/// Text in the format of Prometheus. No name, label or help text in it has a character that would have to be escaped.
struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}"); // writing to a String cannot fail
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.0.push_str(name);
        for (index, (label, text)) in labels.iter().enumerate() {
            let before = if index == 0 { '{' } else { ',' };
            let _ = write!(self.0, "{before}{label}=\"{text}\"");
        }
        let after = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.0, "{after} {value}");
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: f64) {
        self.family(name, kind, help);
        self.sample(name, &[], value);
    }

    fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) {
        self.family(name, "histogram", help);
        let bounds = histogram.bounds.iter().map(|bound| (whole(*bound) / histogram.unit).to_string());
        let bucket = format!("{name}_bucket");
        let mut count = 0;
        for (bound, own) in bounds.chain(["+Inf".to_owned()]).zip(&histogram.counts) {
            count += own.get();
            self.sample(&bucket, &[("le", &bound)], whole(count));
        }
        self.sample(&format!("{name}_sum"), &[], whole(histogram.sum.get()) / histogram.unit);
        self.sample(&format!("{name}_count"), &[], whole(count));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_counts_a_value_in_its_bucket_and_all_above() {
        let histogram = Histogram::new(&[500, 10_000], 1e6);
        for value in [0, 500, 501, 10_001] {
            histogram.observe(value);
        }
        let mut page = Page(String::new());
        page.histogram("x", "Help.", &histogram);
        let expected = "# HELP x Help.\n# TYPE x histogram\nx_bucket{le=\"0.0005\"} 2\nx_bucket{le=\"0.01\"} 3\n\
                        x_bucket{le=\"+Inf\"} 4\nx_sum 0.011002\nx_count 4\n";
        assert_eq!(page.0, expected);
    }

    #[test]
    fn every_status_has_a_counter_of_its_own() {
        let metrics = Metrics::default();
        assert!(metrics.statuses.windows(2).all(|pair| pair[0] < pair[1]), "{:?}", metrics.statuses);
        for status in &metrics.statuses {
            metrics.request(&Entry { status: *status, intent: Some("count"), ..Entry::default() });
        }
        let page = metrics.page(&Now::default());
        for status in &metrics.statuses {
            let line = format!("jqlite_requests_total{{intent=\"count\",status=\"{status}\"}} 1\n");
            assert!(page.contains(&line), "{line}{page}");
        }
    }
}
