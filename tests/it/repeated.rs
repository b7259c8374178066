//! A request that is sent again and again is read and planned once for each state of the database: it must not be seen in
//! what it is answered.

use crate::support::{Client, MODELS, Server, request, run};
use serde_json::{Value, json};

/// More often than it takes until a plan is remembered, by each of the readers that one connection may meet.
const OFTEN: usize = 20;

fn titles() -> String {
    request("retrieve", "tickets.Ticket", &json!({}), &json!({"title": null})).to_string()
}

/// What the request is answered with, the same each time.
#[track_caller]
fn answer(server: &Server, key: &str) -> (u16, Value) {
    let mut client = Client::connect(&server.address);
    let mut replies = (0..OFTEN).map(|_| client.jql(key, &titles())).map(|reply| (reply.status, reply.json()));
    let first = replies.next().unwrap();
    replies.for_each(|reply| assert_eq!(reply, first));
    (first.0, first.1["data"].clone())
}

#[test]
fn what_was_written_is_seen_at_once() {
    let server = Server::start();
    for number in 1..=5 {
        server.create("tickets.Ticket", &json!({"title": format!("number {number}")}));
        let (status, data) = answer(&server, &server.key);
        assert_eq!((status, data.as_array().unwrap().len()), (200, number));
    }
    server.change(r#"UPDATE "tickets.Ticket" SET "title" = 'another' WHERE "id" = 3"#); // as another program does
    assert_eq!(answer(&server, &server.key).1[2], json!({"title": "another"}));
}

#[test]
fn a_key_gets_what_it_may_and_not_what_another_got() {
    let server = Server::start();
    server.create("tickets.Ticket", &json!({"title": "secret"}));
    let (reader, other) = (server.key_for("tickets.Ticket:read"), server.key_for("tickets.Category:read"));
    for _ in 0..3 {
        assert_eq!(answer(&server, &reader), (200, json!([{"title": "secret"}])));
        assert_eq!(answer(&server, &other), (403, Value::Null));
    }
    run(&server.folder, &["keys", "revoke", "tickets.Ticket:read"]);
    assert_eq!(answer(&server, &reader).0, 401);
    assert_eq!(answer(&server, &server.key).0, 200);
}

#[test]
fn changed_models_are_minded_at_once() {
    let server = Server::start();
    for title in ["title", "subject", "title"] {
        let models = MODELS.replace("\"title\"", &format!("\"{title}\""));
        let file = server.folder.file("models.json", &models);
        run(&server.folder, &["models", "apply", "--allow-data-loss", file.to_str().unwrap()]);
        assert_eq!(answer(&server, &server.key).0, if title == "title" { 200 } else { 400 });
    }
}
