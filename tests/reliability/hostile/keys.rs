//! Hostile texts in place of keys and of permissions: nothing that is nearly one is taken for one.

use super::judge::{Good, assert_proper, assert_unharmed, holdings, told};
use super::mutate;
use crate::dice::{Dice, seed};
use crate::report::{counted, scale};
use crate::support::{Client, Reply, Server, jqlite, request};
use serde_json::{Value, json};

/// Sends a request with these headers, each with its line end; they are bytes.
#[track_caller]
pub fn send(client: &mut Client, headers: &[u8], body: &str) -> Reply {
    let rest = format!("Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    client.send(&[b"POST /jql HTTP/1.1\r\nHost: a\r\n", headers, rest.as_bytes()].concat());
    client.try_reply("POST").unwrap_or_else(|| panic!("no answer to {:?}", String::from_utf8_lossy(headers)))
}

/// A count of tickets.
pub fn count() -> String {
    request("count", "tickets.Ticket", &json!({}), &json!({})).to_string()
}

/// A key with something changed about it.
fn nearly(dice: &mut Dice, key: &str) -> Vec<u8> {
    let mut text = key.as_bytes().to_vec();
    let place = dice.below(text.len());
    match dice.below(12) {
        0 => text[place] = *dice.pick(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_"),
        1 => text.make_ascii_uppercase(),
        2 => text.make_ascii_lowercase(),
        3 => text[place] ^= 0x20,
        4 => text.truncate(place),
        5 => drop(text.drain(..place)),
        6 => text.extend_from_slice(&text.clone()),
        7 => text.insert(place, *dice.pick(b" \t,;\"'=0")),
        8 => text.swap(place, (place + 1) % key.len()),
        9 => text[place] = dice.between(0x80, 0xff) as u8,
        10 => text.reverse(),
        _ => {
            for _ in 0..dice.between(1, 4) {
                mutate::bytes(dice, &mut text);
            }
        }
    }
    // What HTTP itself refuses never gets as far as a key.
    text.retain(|byte| *byte >= b' ' && *byte != 0x7f);
    text.truncate(4000);
    text
}

#[test]
fn what_is_nearly_a_key_is_refused_alike() {
    let mut server = Server::with(crate::support::MODELS, &["--trusted-proxy", "127.0.0.0/8"]);
    let key = server.key_for("tickets.Ticket:read");
    let good = Good::new(&server, &key, &serde_json::from_str(&count()).unwrap());
    let mut dice = Dice::new(seed("keys"), 0);
    let mut client = Client::connect(&server.address);
    let descriptors = holdings(&server).1;
    let first = send(&mut client, b"", &count());
    assert_eq!((first.status, first.header("www-authenticate")), (401, Some("Bearer")));
    let (rounds, mut refused) = (scale(300, 20_000), 0);
    for round in 0..rounds {
        let text = nearly(&mut dice, &key);
        let schemes: [&[u8]; 6] = [b"Bearer ", b"Basic ", b"Token ", b"Bearer", b"", b"Bearer Bearer "];
        let scheme = if dice.one_in(4) { *dice.pick(&schemes) } else { b"Bearer " };
        if scheme == b"Bearer " && text.trim_ascii() == key.as_bytes() {
            continue;
        }
        // Each from an address of its own: whoever tries many has to wait.
        let from = format!("\r\nX-Forwarded-For: 10.1.{}.{}\r\n", round / 250 % 12, round % 250);
        let reply = send(&mut client, &[b"Authorization: ", scheme, &text, from.as_bytes()].concat(), &count());
        let shown = String::from_utf8_lossy(&text);
        assert_eq!((reply.status, &reply.body), (401, &first.body), "{shown:?}");
        assert_eq!(reply.header("www-authenticate"), Some("Bearer"), "{shown:?}");
        refused += 1;
        if round % 20 == 0 {
            good.check(&mut client);
        }
    }
    counted("keys", "texts that are nearly a key", refused);
    counted("keys", "of them let in", 0);
    assert_unharmed(&mut server, descriptors);
}

// -- Permissions --------------------------------------------------------------------------------

/// Whether a text is a list of permissions, told by other means than the server's.
fn are_permissions(text: &str) -> bool {
    text.trim().is_empty() || text.split(',').all(|one| is_permission(one.trim()))
}

fn is_permission(text: &str) -> bool {
    let small = |text: &str| {
        let mut bytes = text.bytes();
        let first = bytes.next().is_some_and(|byte| byte.is_ascii_lowercase());
        first && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    };
    let large = |text: &str| {
        text.bytes().next().is_some_and(|byte| byte.is_ascii_uppercase())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    let Some((models, action)) = text.split_once(':') else { return false };
    let Some((app, name)) = models.split_once('.') else { return false };
    let fits = match name {
        "*" => app == "*" || (small(app) && app.len() <= 100),
        name => small(app) && large(name) && models.len() <= 120,
    };
    fits && ["create", "read", "update", "delete", "*"].contains(&action)
}

/// A text that is nearly a list of permissions, and now and then is one.
fn nearly_permissions(dice: &mut Dice) -> String {
    const PARTS: [&str; 26] = [
        "tickets",
        "Ticket",
        "*",
        ".",
        ":",
        ",",
        "read",
        "create",
        "update",
        "delete",
        "system",
        "ApiKey",
        " ",
        "tickets.Ticket:read",
        "*.*:*",
        "system.*:*",
        "tickets.*:read",
        "a.B:*",
        "**",
        "_",
        "READ",
        "é",
        "\u{0}",
        "\t",
        "..",
        "re\u{430}d",
    ];
    if dice.one_in(2) {
        let mut text = "tickets.Ticket:read,system.*:update,*.*:delete".as_bytes().to_vec();
        for _ in 0..dice.between(1, 2) {
            mutate::bytes(dice, &mut text);
        }
        return String::from_utf8_lossy(&text).into_owned();
    }
    (0..dice.between(1, 7)).map(|_| *dice.pick(&PARTS)).collect()
}

#[test]
fn only_what_is_a_permission_is_given() {
    let mut server = Server::start();
    let mut dice = Dice::new(seed("permissions"), 0);
    let descriptors = holdings(&server).1;
    let mut client = Client::connect(&server.address);
    let (rounds, mut taken) = (scale(200, 20_000), 0);
    for _ in 0..rounds {
        let text = nearly_permissions(&mut dice);
        let given = if dice.one_in(2) { json!(text) } else { text.split(',').map(Value::from).collect() };
        // A list holds no empty word, and no word that holds a comma; a text does hold NUL nowhere.
        let is_list = given.is_array();
        let is_good = are_permissions(&text) && !(is_list && text.trim().is_empty()) && !text.contains('\0');
        let meta = json!({"dryRun": true, "return": {"permissions": null}});
        let body = request("create", "system.ApiKey", &meta, &json!({"name": "x", "permissions": given})).to_string();
        let reply = client.jql(&server.key, &body);
        assert_proper(&reply, body.as_bytes());
        assert_eq!(reply.status == 200, is_good, "{body}\n{}", reply.body);
        if is_good {
            let kept: Vec<String> = reply.json()["data"]["permissions"]
                .as_array()
                .unwrap()
                .iter()
                .map(|one| one.as_str().unwrap().to_owned())
                .collect();
            let meant: Vec<&str> = text.split(',').map(str::trim).filter(|one| !one.is_empty()).collect();
            assert_eq!(kept, meant, "{body}");
            taken += 1;
        } else {
            assert!(reply.errors().iter().all(|error| error.starts_with("/permissions")), "{}", told(&reply));
        }
    }
    assert!(taken > 0, "nothing was a permission");
    for _ in 0..scale(12, 300) {
        let text = nearly_permissions(&mut dice);
        if text.contains('\0') {
            continue; // no command line can hold it
        }
        let output =
            jqlite(&server.folder, &["keys", "create", "--name", "x", &format!("--allow={text}")]).output().unwrap();
        let code = if are_permissions(&text) { 0 } else { 2 };
        assert_eq!(output.status.code(), Some(code), "{text:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let stored = server.rows(r#"SELECT "permissions" FROM "system.ApiKey""#);
    assert!(stored.lines().all(are_permissions), "{stored}");
    counted("permissions", "texts tried", rounds);
    assert_unharmed(&mut server, descriptors);
}
