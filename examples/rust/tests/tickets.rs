//! What a suite looks like that tests against jqlite.

use jqlite_example::{Jqlite, jqlite};
use serde_json::{Value, json};

fn start() -> Jqlite {
    let models = concat!(env!("CARGO_MANIFEST_DIR"), "/../models.json");
    jqlite(&["--models", models, "--now", "2026-01-31T09:30:00Z", "--id-seed", "1"])
}

fn billing(jqlite: &Jqlite) -> Value {
    jqlite.query("create", "tickets.Category", json!({}), json!({"name": "Billing"}))["id"].clone()
}

#[test]
fn a_ticket_is_open_and_of_this_moment() {
    let jqlite = start();
    let made = json!({"return": {"id": null, "status": null, "created": null}});
    let values = json!({"title": "The invoice is wrong", "category": billing(&jqlite)});
    let ticket = jqlite.query("create", "tickets.Ticket", made, values);
    assert_eq!(ticket, json!({"id": 1, "status": "open", "created": "2026-01-31T09:30:00.000000Z"}));
}

#[test]
fn every_test_begins_with_no_ticket() {
    assert_eq!(start().query("count", "tickets.Ticket", json!({}), json!({})), json!({"count": 0}));
}

#[test]
fn tickets_of_before_last_week() {
    let jqlite = start();
    let category = billing(&jqlite);
    jqlite.query("create", "tickets.Ticket", json!({}), json!({"title": "Old", "category": category}));
    jqlite.fixture("clock", json!({"advance": "8d"}));
    jqlite.query("create", "tickets.Ticket", json!({}), json!({"title": "New", "category": category}));
    let old = json!({"filter": {"created__lt": "2026-02-01"}});
    let found = jqlite.query("retrieve", "tickets.Ticket", old, json!({"title": null}));
    assert_eq!(found, json!([{"title": "Old"}]));
}

#[test]
fn a_snapshot_is_gone_back_to() {
    let jqlite = start();
    let category = billing(&jqlite);
    jqlite.fixture("snapshot", json!({"name": "billing"}));
    for title in ["One", "Two"] {
        jqlite.query("create", "tickets.Ticket", json!({}), json!({"title": title, "category": category}));
        jqlite.fixture("restore", json!({"name": "billing"}));
    }
    let count = |namespace| jqlite.query("count", namespace, json!({}), json!({}));
    assert_eq!((count("tickets.Ticket"), count("tickets.Category")), (json!({"count": 0}), json!({"count": 1})));
}

#[test]
fn a_key_that_has_expired_is_refused() {
    let jqlite = start();
    let values = json!({"name": "shop", "permissions": ["tickets.Ticket:read"], "expires": "2026-03-01"});
    let key = jqlite.query("create", "system.ApiKey", json!({}), values)["key"].as_str().unwrap().to_owned();
    let count = || jqlite.query_as(&key, "count", "tickets.Ticket", json!({}), json!({}));
    assert_eq!(count().unwrap(), json!({"count": 0}));
    jqlite.fixture("clock", json!({"advance": "30d"}));
    assert_eq!(count().unwrap_err().status, 401);
}

#[test]
fn a_hundred_more() {
    for number in 0..100 {
        let jqlite = start();
        let name = format!("tag {number}");
        jqlite.query("create", "tickets.Tag", json!({}), json!({"name": name}));
        let tags = jqlite.query("retrieve", "tickets.Tag", json!({}), json!({"id": null, "name": null}));
        assert_eq!(tags, json!([{"id": 1, "name": name}]));
    }
}
