//! Hostile texts, each where one kind of text is read: cursors, values of each type, headers.

use super::judge::{Good, assert_proper, assert_unharmed, holdings, keeps, told};
use super::keys::{count, send};
use super::mutate;
use crate::dice::{Dice, seed};
use crate::report::{counted, scale};
use crate::support::{Client, Server, request};
use serde_json::{Value, json};
use std::collections::BTreeSet;

// -- Cursors ------------------------------------------------------------------------------------

#[test]
fn a_changed_cursor_leads_nowhere_and_a_real_one_never_beyond_the_filter() {
    let mut server = Server::start();
    let mut dice = Dice::new(seed("cursors"), 0);
    let descriptors = holdings(&server).1;
    for n in 0..12 {
        server.create("tickets.Ticket", &json!({"title": format!("t{}", n % 4), "priority": n % 3}));
    }
    let page = |meta: Value| {
        let mut all = json!({"limit": 3});
        all.as_object_mut().unwrap().extend(meta.as_object().unwrap().clone());
        request("retrieve", "tickets.Ticket", &all, &json!({"id": null, "priority": null}))
    };
    let orders = [json!(["title"]), json!(["-priority", "title"]), json!("created"), json!([])];
    let cursor = |order: &Value| {
        server.send(&page(json!({"ordering": order}))).json()["extras"]["next"].as_str().unwrap().to_owned()
    };
    let cursors: Vec<(Value, String)> = orders.iter().map(|order| (order.clone(), cursor(order))).collect();
    let mut client = Client::connect(&server.address);
    let rounds = scale(200, 20_000);
    for _ in 0..rounds {
        let (order, cursor) = dice.pick(&cursors).clone();
        let mut text = cursor.clone().into_bytes();
        match dice.below(4) {
            0 => text = dice.pick(&cursors).1.clone().into_bytes(),
            1 => {
                let place = dice.below(text.len());
                text[place] = *dice.pick(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=+/");
            }
            2 => text.extend_from_slice(dice.pick(&cursors).1.as_bytes()),
            _ => (0..dice.between(1, 3)).for_each(|_| mutate::bytes(&mut dice, &mut text)),
        }
        let text = String::from_utf8_lossy(&text).into_owned();
        let body = page(json!({"ordering": order, "after": text})).to_string();
        let reply = client.jql(&server.key, &body);
        assert_proper(&reply, body.as_bytes());
        if text == cursor {
            assert_eq!(reply.status, 200, "{}", told(&reply));
        } else {
            assert_eq!(reply.status, 400, "{body}\n{}", reply.body);
            assert!(reply.errors()[0].starts_with("/__meta__/after: "), "{}", told(&reply));
        }
    }
    // Whoever has a cursor sees behind it what the filter of now lets through, and nothing else.
    for (order, cursor) in &cursors {
        for priority in 0..3 {
            let body =
                page(json!({"ordering": order, "after": cursor, "filter": {"priority": priority}, "limit": 100}));
            let found = server.data(&body);
            assert!(found.as_array().unwrap().iter().all(|record| record["priority"] == priority), "{body}: {found}");
        }
        let other = server.key_for("tickets.Tag:read");
        assert_eq!(server.send_as(&other, &page(json!({"ordering": order, "after": cursor}))).status, 403);
    }
    counted("cursors", "changed cursors refused", rounds);
    assert_unharmed(&mut server, descriptors);
}

// -- Values -------------------------------------------------------------------------------------

/// A model with a field of each type.
const TYPES: &str = r#"{"t.All": {"fields": {
    "text": {"type": "text", "null": true}, "integer": {"type": "integer", "null": true},
    "float": {"type": "float", "null": true}, "boolean": {"type": "boolean", "null": true},
    "decimal": {"type": "decimal", "max_digits": 12, "decimal_places": 3, "null": true},
    "date": {"type": "date", "null": true}, "datetime": {"type": "datetime", "null": true},
    "time": {"type": "time", "null": true}, "uuid": {"type": "uuid", "null": true}, "json": {"type": "json", "null": true}}}}"#;

/// What texts of each type are made of, and one to begin with.
const SAMPLES: [(&str, &str); 11] = [
    ("text", "a\u{df}\u{1f600}"),
    ("integer", "-9223372036854775808"),
    ("float", "1.7976931348623157e308"),
    ("boolean", "true"),
    ("decimal", "-999999999.999"),
    ("date", "2024-02-29"),
    ("datetime", "2024-02-29T23:59:59.999999+14:00"),
    ("time", "23:59:59.999999"),
    ("uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    ("json", "{\"a\":[1.50,null]}"),
    ("text__regex", "^(?i)[a-z]+\\d{2,3}(?:x|y)*$"),
];

#[test]
fn a_value_is_refused_or_comes_back_as_one_that_is_taken_again() {
    let mut server = Server::with(TYPES, &[]);
    let mut dice = Dice::new(seed("values"), 0);
    let descriptors = holdings(&server).1;
    server.create("t.All", &json!({"text": "abc12", "integer": 1, "date": "2024-02-29", "json": {"a": [1]}}));
    let letters: Vec<char> =
        "0123456789-+:.,TZz eE_/\\()[]{}|*?^$#\u{660}\u{2212}\u{3000}é\u{0}'\"aAtTfF".chars().collect();
    let mut client = Client::connect(&server.address);
    let mut seen = BTreeSet::new();
    let (rounds, mut taken) = (scale(400, 40_000), 0);
    for _ in 0..rounds {
        let (field, sample) = *dice.pick(&SAMPLES);
        let text = if dice.one_in(4) {
            dice.text(&letters, 0, 30)
        } else {
            let mut text: Vec<char> = sample.chars().collect();
            for _ in 0..dice.between(0, 3) {
                let place = dice.below(text.len());
                match dice.below(3) {
                    0 => text[place] = *dice.pick(&letters),
                    1 => text.insert(place, *dice.pick(&letters)),
                    _ if text.len() > 1 => drop(text.remove(place)),
                    _ => {}
                }
            }
            text.into_iter().collect()
        };
        let value = json!(text);
        if field == "text__regex" || dice.one_in(3) {
            let lookup = if field == "text__regex" {
                ""
            } else {
                dice.pick(&["", "__gt", "__isnull", "__year", "__contains", "__in"])
            };
            let body = request("count", "t.All", &json!({"filter": {(format!("{field}{lookup}")): value}}), &json!({}));
            let reply = client.jql(&server.key, &body.to_string());
            assert_proper(&reply, body.to_string().as_bytes());
            assert!(matches!(reply.status, 200 | 400), "{body}\n{}", reply.body);
            continue;
        }
        let write = |value: &Value| {
            let meta = json!({"uniqueObject": {"id": 1}, "return": {(field): null}});
            request("update", "t.All", &meta, &json!({(field): value})).to_string()
        };
        let body = write(&value);
        let reply = client.jql(&server.key, &body);
        assert_proper(&reply, body.as_bytes());
        assert!(matches!(reply.status, 200 | 400), "{body}\n{}", reply.body);
        if reply.status == 200 {
            let back = reply.json()["data"][field].clone();
            let again = client.jql(&server.key, &write(&back));
            assert_eq!((again.status, &again.json()["data"][field]), (200, &back), "{body}");
            let meta = json!({"filter": {(format!("{field}__exact")): back, "id": 1}});
            let found = client.jql(&server.key, &request("count", "t.All", &meta, &json!({})).to_string());
            assert_eq!(found.json()["data"], json!({"count": 1}), "{body}\n{meta}\n{}", found.body);
            seen.insert(field);
            taken += 1;
        }
    }
    assert!(seen.len() >= 8, "only these took any value: {seen:?}");
    counted("values", "hostile values", rounds);
    counted("values", "of them taken, and given back as they went in", taken);
    assert_unharmed(&mut server, descriptors);
}

// -- Headers ------------------------------------------------------------------------------------

#[test]
fn hostile_headers_are_read_strictly_or_not_at_all() {
    let mut server = Server::with(crate::support::MODELS, &["--trusted-proxy", "127.0.0.0/8"]);
    let mut dice = Dice::new(seed("headers"), 0);
    let descriptors = holdings(&server).1;
    let key = server.key.clone();
    let bound = server.key_for("tickets.Tag:*");
    // Only who is not behind a proxy is where this key may be used from.
    server.change(r#"UPDATE "system.ApiKey" SET "allowed_ips" = '127.0.0.1/32' WHERE "name" = 'tickets.Tag:*'"#);
    let good = Good::new(&server, &key, &serde_json::from_str(&count()).unwrap());
    let letters: Vec<char> = "aZ09-_.:,;/=[]\"' %\u{e9}\u{a0}*+?&#@!~{}|^`<>()$".chars().collect();
    let names = [
        "Idempotency-Key",
        "X-Request-Id",
        "X-Forwarded-For",
        "Origin",
        "Content-Type",
        "Accept",
        "Host",
        "Cookie",
        "Forwarded",
        "Range",
        "If-Match",
    ];
    let mut client = Client::connect(&server.address);
    let rounds = scale(250, 25_000);
    for round in 0..rounds {
        let name = *dice.pick(&names);
        let value = match dice.below(6) {
            0 => dice.text(&letters, 250, 260),
            1 => (*dice.pick(&[
                "127.0.0.1",
                "::1",
                "::ffff:127.0.0.1",
                "127.0.0.1:1, 10.0.0.1",
                "http://127.0.0.1",
                "null",
                "application/json;charset=\"",
                "1e9",
                "unknown",
                "_hidden",
            ]))
            .to_owned(),
            _ => dice.text(&letters, 0, 40),
        };
        let create = request("create", "tickets.Tag", &json!({"dryRun": true}), &json!({"name": "new"})).to_string();
        let twice = if dice.one_in(5) { format!("{name}: {value}\r\n") } else { String::new() };
        let head = format!("Authorization: Bearer {key}\r\n{name}: {value}\r\n{twice}");
        let reply = send(&mut client, head.as_bytes(), &create);
        assert_proper(&reply, create.as_bytes());
        let id = reply.header("x-request-id").unwrap();
        assert!(
            id.len() <= 128 && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte)),
            "{id:?}"
        );
        if !keeps(&reply) {
            client = Client::connect(&server.address);
        }
        if name == "X-Forwarded-For" && !value.contains("127.0.0.1") && value.parse::<std::net::IpAddr>().is_ok() {
            let head = format!("Authorization: Bearer {bound}\r\n{name}: {value}\r\n");
            assert_eq!(send(&mut client, head.as_bytes(), &create).status, 403, "{value}");
        }
        if round % 10 == 0 {
            good.check(&mut client);
        }
    }
    counted("headers", "hostile headers", rounds);
    assert_unharmed(&mut server, descriptors);
}
