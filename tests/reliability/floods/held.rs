//! What a server holds, as Linux tells it.

use crate::support::Server;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// At one moment, or the most of each in a while.
#[derive(Clone, Copy, Debug, Default)]
pub struct Held {
    pub threads: usize,
    pub descriptors: usize,
    pub mebibytes: usize,
}

impl Held {
    pub fn now(server: &Server) -> Held {
        Held { mebibytes: server.process("VmRSS").unwrap() / 1024, ..Held::countable(server) }
    }

    /// Looks again and again until it is `done`: the most of each.
    pub fn watched(server: &Server, done: &AtomicBool) -> Held {
        // From here on Linux keeps the peak of the memory.
        std::fs::write(format!("/proc/{}/clear_refs", server.pid()), "5").unwrap();
        let mut most = Held::default();
        while !done.load(Ordering::Relaxed) {
            let now = Held::countable(server);
            most.threads = most.threads.max(now.threads);
            most.descriptors = most.descriptors.max(now.descriptors);
            std::thread::sleep(Duration::from_millis(20));
        }
        Held { mebibytes: server.process("VmHWM").unwrap() / 1024, ..most }
    }

    fn countable(server: &Server) -> Held {
        let descriptors = server.descriptors().unwrap();
        Held { threads: server.process("Threads").unwrap(), descriptors, mebibytes: 0 }
    }

    pub fn is_within(&self, most: &Held) -> bool {
        self.threads <= most.threads && self.descriptors <= most.descriptors && self.mebibytes <= most.mebibytes
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} threads, {} descriptors, {} MiB", self.threads, self.descriptors, self.mebibytes)
    }
}
