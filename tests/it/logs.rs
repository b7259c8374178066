//! The server's own log.

use crate::support::{Folder, MODELS, Server, fails, request};
use serde_json::{Value, json};

fn count(model: &str) -> Value {
    request("count", model, &json!({}), &json!({}))
}

// -- The server's own log -----------------------------------------------------------------------

/// A server whose tags are gone, and the id of a request that met that.
fn broken(words: &[&str]) -> (Server, String) {
    let server = Server::with(MODELS, words);
    server.change(r#"DROP TABLE "tickets.Ticket.tags"; DROP TABLE "tickets.Tag";"#);
    let reply = server.send(&count("tickets.Tag"));
    assert_eq!(reply.status, 500, "{}", reply.body);
    (server, reply.header("x-request-id").unwrap().to_owned())
}

#[test]
fn a_fault_is_a_line_with_its_request() {
    let (server, id) = broken(&[]);
    let said = server.stderr();
    let (at, rest) = said.trim_end().split_once(' ').unwrap();
    assert!(at.len() == 27 && at.ends_with('Z'), "{said}");
    assert!(rest.starts_with(&format!("error: request {id}: no such table: tickets.Tag")), "{said}");
    assert_eq!(said.lines().count(), 1);
}

#[test]
fn a_fault_is_an_object_where_json_is_asked_for() {
    let (server, id) = broken(&["--log-format", "json"]);
    let said: Value = serde_json::from_str(&server.stderr()).unwrap();
    assert_eq!((&said["level"], &said["request_id"]), (&json!("error"), &json!(id)));
    assert!(said["message"].as_str().unwrap().starts_with("no such table: tickets.Tag"), "{said}");
    assert!(said["at"].as_str().unwrap().len() == 27 && said.as_object().unwrap().len() == 4, "{said}");
}

#[test]
fn all_that_serving_says_is_json_where_that_is_asked_for() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = Folder::new();
    let models = folder.file("models.json", MODELS);
    let words = ["serve", "--log-format", "json", "--listen", &address, "--models", models.to_str().unwrap()];
    let said = fails(&folder, &words, 1);
    let lines: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let levels: Vec<&str> = lines.iter().map(|line| line["level"].as_str().unwrap()).collect();
    let (failed, before) = levels.split_last().unwrap();
    assert!(*failed == "error" && before.contains(&"info") && before.contains(&"warning"), "{said}");
    assert!(lines.last().unwrap()["message"].as_str().unwrap().starts_with("jqlite: cannot listen on "), "{said}");
}
