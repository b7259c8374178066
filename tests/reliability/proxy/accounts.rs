//! What nginx sent held against what the usage log has: every request once, and nothing that nginx did not send.

use super::nginx::Nginx;
use crate::support::{Server, eventually, logs};
use std::collections::{HashMap, HashSet};

/// How many requests nginx was sent, sent on, and of how many the log has an entry.
#[derive(Debug)]
pub struct Accounts {
    pub came: usize,
    pub sent: usize,
    pub logged: usize,
}

/// Stops the server and compares them. Nobody else may have asked it.
#[track_caller]
pub fn compare(server: Server, nginx: &Nginx) -> Accounts {
    assert_eq!(server.stderr(), "");
    let (code, folder) = server.stop();
    assert_eq!(code, Some(0));
    let mut entries: HashMap<String, usize> = HashMap::new();
    for entry in logs(&folder, &[]) {
        *entries.entry(entry["request_id"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    let logged = entries.values().sum();
    eventually("nginx tells of all that the server was asked", || {
        let told: HashSet<String> = nginx.passed().into_iter().map(|one| one.id).collect();
        entries.keys().all(|id| told.contains(id))
    });
    let passed = nginx.passed();
    for one in &passed {
        let count = entries.remove(&one.id).unwrap_or(0);
        let expected = match one.upstream {
            _ if !one.sent => 0..=0,
            None => 0..=1, // the client left before there was an answer
            // Where the server can read the head, it answers with its id, and one of these paths has an entry.
            Some(_) if one.answered == one.id => {
                let path = one.target.split('?').next().unwrap();
                let has_entry = usize::from(["/jql", "/openapi.json"].contains(&path));
                has_entry..=has_entry
            }
            Some(status) => {
                assert_eq!(status, 400, "the answer to another request: {one:?}");
                0..=0
            }
        };
        assert!(expected.contains(&count), "{count} entries of {one:?}");
    }
    Accounts { came: passed.len(), sent: passed.iter().filter(|one| one.sent).count(), logged }
}
