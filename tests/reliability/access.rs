//! Who gets at what: every intent by every permission, what two states of hidden records let be told, a key that was
//! sent everywhere, and what keys can make of each other.

mod canary;
mod clauses;
mod growth;
mod leaks;
mod matrix;

use crate::support::{Server, request};
use serde_json::{Value, json};

/// Has the key that may do everything make another one, and gives its text.
#[track_caller]
fn new_key(server: &Server, name: &str, permissions: &str) -> String {
    let values = json!({"name": name, "permissions": permissions});
    let made: Value = server.data(&request("create", "system.ApiKey", &json!({}), &values));
    made["key"].as_str().unwrap().to_owned()
}
