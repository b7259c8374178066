//! Keys: making, listing and ending them, proving who one is, that no secret stays behind, and the log of use.

use crate::support::{
    Client, Folder, MODELS, Reply, Server, eventually, fails, file_holds, jqlite, logs, request, run,
};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// The secret half of a key's text.
fn secret(key: &str) -> &str {
    &key[17..]
}

/// The half of a key's text that may be shown.
fn public_id(key: &str) -> &str {
    &key[4..16]
}

#[track_caller]
fn assert_key_text(key: &str) {
    assert_eq!(key.len(), 66, "{key}");
    assert!(key.starts_with("jql_") && &key[16..17] == "_", "{key}");
    assert!(public_id(key).bytes().chain(secret(key).bytes()).all(|byte| byte.is_ascii_alphanumeric()), "{key}");
    assert_eq!(key, with_checksum(&key[..60]));
}

/// A key's text from all before its checksum: the CRC-32 of that, base 62.
fn with_checksum(body: &str) -> String {
    let mut crc = u32::MAX;
    for byte in body.bytes() {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    let alphabet = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut rest = !crc as usize;
    let mut digits = Vec::new();
    for _ in 0..6 {
        digits.insert(0, char::from(alphabet[rest % 62]));
        rest /= 62;
    }
    body.to_owned() + &digits.into_iter().collect::<String>()
}

/// The same public id with another secret, well formed.
fn forged(key: &str) -> String {
    let other = if &key[20..21] == "x" { "y" } else { "x" };
    with_checksum(&format!("{}{other}{}", &key[..20], &key[21..60]))
}

#[track_caller]
fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn count() -> String {
    request("count", "tickets.Ticket", &json!({}), &json!({})).to_string()
}

/// The names of all keys, in their order.
fn names(folder: &Folder) -> Vec<String> {
    let listed: Value = serde_json::from_str(&run(folder, &["keys", "list", "--json"])).unwrap();
    listed.as_array().unwrap().iter().map(|key| key["name"].as_str().unwrap().to_owned()).collect()
}

// -- The command line -----------------------------------------------------------------------------------

#[test]
fn bootstrap_makes_the_file_and_prints_the_first_key_once() {
    let folder = Folder::new();
    let made = jqlite(&folder, &["bootstrap"]).output().unwrap();
    assert!(made.status.success());
    let key = String::from_utf8(made.stdout).unwrap();
    let key = key.strip_suffix('\n').unwrap();
    assert_key_text(key);
    assert!(!String::from_utf8(made.stderr).unwrap().contains(secret(key)));
    assert_eq!(mode(&folder.path("test.db")), 0o600);

    let said = fails(&folder, &["bootstrap"], 1);
    assert!(said.contains("there is a usable key already: \"bootstrap\""), "{said}");
    let again = jqlite(&folder, &["bootstrap", "--if-needed", "--json"]).output().unwrap();
    assert_eq!((again.status.code(), again.stdout.as_slice()), (Some(0), b"".as_slice()));
    assert!(String::from_utf8(again.stderr).unwrap().contains("there is a usable key already"));
    assert_eq!(names(&folder), ["bootstrap"]);
}

#[test]
fn bootstrap_as_json_gives_the_key_and_what_it_may() {
    let folder = Folder::new();
    let made: Value =
        serde_json::from_str(&run(&folder, &["bootstrap", "--if-needed", "--name", "first", "--json"])).unwrap();
    let key = made["key"].as_str().unwrap();
    assert_key_text(key);
    let id = public_id(key);
    assert_eq!(made, json!({"key": key, "permissions": ["*.*:*", "system.*:*"], "id": id, "name": "first"}));
}

#[test]
fn bootstrap_makes_another_key_where_none_is_usable() {
    let folder = Folder::new();
    run(&folder, &["bootstrap"]);
    run(&folder, &["keys", "revoke", "bootstrap"]);
    assert_key_text(&run(&folder, &["bootstrap", "--name", "second"]));
    assert_eq!(names(&folder), ["bootstrap", "second"]);
}

#[test]
fn the_database_is_its_owners_alone_while_it_is_served() {
    let folder = Folder::new();
    run(&folder, &["bootstrap"]);
    let server = Server::on(folder, &[]);
    server.send(&json!({}));
    for name in ["test.db", "test.db-wal", "test.db-shm"] {
        assert_eq!(mode(&server.folder.path(name)), 0o600, "{name}");
    }
}

#[test]
fn keys_are_made_shown_and_ended() {
    let folder = Folder::new();
    run(&folder, &["bootstrap"]);
    let words = ["keys", "create", "--name", "ci", "--allow", "tickets.Ticket:read,profile.Customer:create"];
    let key = run(&folder, &words);
    assert_key_text(&key);
    let words = ["keys", "create", "--name", "cd", "--allow", "a.B:read", "--allow", "a.*:*", "--json", "--expires"];
    let made: Value = serde_json::from_str(&run(&folder, &[&words[..], &["2999-01-31"]].concat())).unwrap();
    assert_eq!(made["permissions"], json!(["a.B:read", "a.*:*"]));
    let other = made["key"].as_str().unwrap();
    assert_key_text(other);

    let listed = run(&folder, &["keys", "list", "--json"]);
    let all: Value = serde_json::from_str(&listed).unwrap();
    let permissions = "tickets.Ticket:read,profile.Customer:create";
    for (place, id, name, permissions, expires, attention) in [
        (1, public_id(&key), "ci", permissions, json!(null), json!("never expires")),
        (2, public_id(other), "cd", "a.B:read,a.*:*", json!("2999-01-31T00:00:00.000000Z"), json!(null)),
    ] {
        let mut shown = all[place].clone();
        assert!(shown["created"].as_str().unwrap().ends_with('Z'));
        let members = shown.as_object_mut().unwrap();
        let (created, rotated) = (members.remove("created").unwrap(), members.remove("rotated").unwrap());
        assert!(rotated.as_str() >= created.as_str(), "{rotated} {created}");
        assert_eq!(
            shown,
            json!({
                "id": id, "name": name, "state": "active", "permissions": permissions, "created_by": null,
                "expires": expires, "rate": null, "allowed_ips": null, "last_used": null, "last_ip": null,
                "overlap": null, "attention": attention
            })
        );
        for named in [id, name, &format!("jql_{id}")] {
            let one: Value = serde_json::from_str(&run(&folder, &["keys", "show", named, "--json"])).unwrap();
            assert_eq!(one, all[place]);
        }
    }
    let shown = run(&folder, &["keys", "show", "ci"]) + &run(&folder, &["keys", "list"]) + &listed;
    assert!(shown.contains(public_id(&key)) && !shown.contains(secret(&key)) && !shown.contains(secret(other)));

    run(&folder, &["keys", "revoke", "ci"]);
    let state = |name: &str| -> Value {
        serde_json::from_str::<Value>(&run(&folder, &["keys", "show", name, "--json"])).unwrap()["state"].clone()
    };
    assert_eq!((state("ci"), state("cd")), (json!("revoked"), json!("active")));
    run(&folder, &["keys", "delete", public_id(&key)]);
    assert_eq!(names(&folder), ["bootstrap", "cd"]);
}

#[test]
fn a_key_that_is_not_there_is_refused_without_repeating_it() {
    let folder = Folder::new();
    let key = run(&folder, &["bootstrap"]);
    run(&folder, &["keys", "create", "--name", "twice"]);
    run(&folder, &["keys", "create", "--name", "twice"]);
    for command in ["show", "revoke", "delete"] {
        let wrong = format!("jql_{}_{}", "x".repeat(12), secret(&key));
        let said = fails(&folder, &["keys", command, &wrong], 1);
        assert!(said.contains("there is no such key") && !said.contains(secret(&key)), "{said}");
        let said = fails(&folder, &["keys", command, "twice"], 1);
        assert!(said.contains("2 keys have that name"), "{said}");
    }
    assert_eq!(names(&folder), ["bootstrap", "twice", "twice"]);
    // One that was revoked gives its name free.
    let third = run(&folder, &["keys", "create", "--name", "third"]);
    run(&folder, &["keys", "revoke", "third"]);
    let other = run(&folder, &["keys", "create", "--name", "third"]);
    assert!(run(&folder, &["keys", "show", "third"]).contains(public_id(&other)));
    assert!(run(&folder, &["keys", "show", public_id(&third)]).contains("revoked"));
}

#[test]
fn malformed_permissions_are_refused_and_no_key_is_made() {
    let folder = Folder::new();
    run(&folder, &["bootstrap"]);
    for permissions in [
        "*",
        "*:*",
        "tickets",
        "tickets.Ticket",
        "tickets.Ticket:",
        ":read",
        "tickets.ticket:read",
        "Tickets.Ticket:read",
        "*.Ticket:read",
        "tickets.Ticket:READ",
        "tickets.Ticket:write",
        "tickets.Tick*:read",
        "tickets.Ticket:read,",
        ",",
        "tickets.Ticket:read,,tickets.Tag:read",
        "tickets.Ticket:read;tickets.Tag:read",
        "tickets.Ticket:re\u{430}d",
        "[\"tickets.Ticket:read\"",
    ] {
        let said = fails(&folder, &["keys", "create", "--name", "bad", "--allow", permissions], 2);
        assert!(said.contains("is not a permission"), "{permissions}: {said}");
        fails(&folder, &["keys", "create", "--name", "bad", "--allow", "a.B:read", "--allow", permissions], 2);
    }
    assert_eq!(names(&folder), ["bootstrap"]);
}

#[test]
fn an_end_in_the_past_is_refused_and_no_key_is_made() {
    let folder = Folder::new();
    run(&folder, &["bootstrap"]);
    for expires in ["2001-01-01", "2001-01-01T00:00:00Z", "soon", "", "-1d", "0s", "90"] {
        fails(&folder, &["keys", "create", "--name", "bad", &format!("--expires={expires}")], 2);
    }
    assert_eq!(names(&folder), ["bootstrap"]);
}

#[test]
fn a_key_goes_to_a_new_file_of_its_owner_alone() {
    let folder = Folder::new();
    run(&folder, &["bootstrap"]);
    let file = folder.path("secret");
    let create = ["keys", "create", "--allow", "a.B:read", "--key-out", file.to_str().unwrap(), "--name"];
    let made: Value = serde_json::from_str(&run(&folder, &[&create[..], &["one", "--json"]].concat())).unwrap();
    let key = std::fs::read_to_string(&file).unwrap();
    assert_key_text(key.trim_end());
    assert_eq!(made, json!({"permissions": ["a.B:read"], "id": public_id(&key), "name": "one"}));
    assert_eq!(mode(&file), 0o600);

    let said = fails(&folder, &[&create[..], &["two"]].concat(), 1);
    assert!(said.contains("is there already"), "{said}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), key);
    std::fs::remove_file(&file).unwrap();
    assert_eq!(run(&folder, &[&create[..], &["three"]].concat()), "", "a key that goes to a file is not printed");
    assert_eq!(names(&folder), ["bootstrap", "one", "three"]);
}

#[test]
fn no_key_is_made_where_its_file_cannot_be() {
    let folder = Folder::new();
    run(&folder, &["bootstrap"]);
    let dangling = folder.path("dangling");
    std::os::unix::fs::symlink(folder.path("nowhere"), &dangling).unwrap();
    for file in [folder.path("no/such/folder"), dangling] {
        fails(&folder, &["keys", "create", "--name", "lost", "--key-out", file.to_str().unwrap()], 1);
    }
    assert_eq!(names(&folder), ["bootstrap"]);
}

#[test]
fn a_name_cannot_paint_on_the_terminal() {
    let folder = Folder::new();
    for name in ["a\u{1b}[2Jb", "a\nb", "", " "] {
        fails(&folder, &["bootstrap", "--name", name], 2);
    }
    run(&folder, &["bootstrap"]);
    // Another tool may write what it likes into the file.
    let connection = rusqlite::Connection::open(folder.path("test.db")).unwrap();
    connection
        .execute_batch("UPDATE \"system.ApiKey\" SET \"name\" = 'a' || char(27) || '[2J' || char(10) || 'b'")
        .unwrap();
    let shown = run(&folder, &["keys", "list"]) + &fails(&folder, &["bootstrap"], 1);
    assert!(!shown.contains('\u{1b}'), "{shown}");
    assert_eq!(names(&folder), ["a\u{1b}[2J\nb"]);
}

// -- Authentication -------------------------------------------------------------------------------------

/// Sends a count with these headers in place of the key's own.
#[track_caller]
fn send(client: &mut Client, path: &str, headers: &str) -> Reply {
    let body = count();
    let head = format!("{headers}Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
    client.request("POST", path, &head, &body)
}

const FAILED: &str = r#"{"status":"ERROR","data":null,"errors":[{"code":"JQL:AuthenticationException","errorMessage":"Authentication failed"}],"il8n":"en-gb","extras":{"filtered":0,"display":0,"queries":0},"system_info":null,"intent":null,"message":"Authentication failed"}"#;

#[test]
fn whatever_is_no_key_fails_alike() {
    let server = Server::start();
    let key = &server.key;
    let mut client = Client::connect(&server.address);
    let swapped: String = key
        .chars()
        .map(
            |letter| {
                if letter.is_ascii_lowercase() { letter.to_ascii_uppercase() } else { letter.to_ascii_lowercase() }
            },
        )
        .collect();
    let unknown = with_checksum(&format!("jql_{}_{}", "x".repeat(12), &key[17..60]));
    let last = if key.ends_with('0') { "1" } else { "0" };
    let headers = [
        String::new(),
        "Authorization:\r\n".into(),
        "Authorization: \r\n".into(),
        "Authorization: Bearer\r\n".into(),
        "Authorization: Bearer \r\n".into(),
        "Authorization: Bearer null\r\n".into(),
        format!("Authorization: {key}\r\n"),
        format!("Authorization: Bearer{key}\r\n"),
        format!("Authorization: Basic {key}\r\n"),
        format!("Authorization: Token {key}\r\n"),
        format!("Authorization: Bearer \"{key}\"\r\n"),
        format!("Authorization: Bearer {key} {key}\r\n"),
        format!("Authorization: Bearer {key},\r\n"),
        format!("Authorization: Bearer Bearer {key}\r\n"),
        format!("Authorization: Bearer {key}\r\nAuthorization: Bearer {key}\r\n"),
        format!("Authorization: Bearer {key}\r\nauthorization: Bearer {unknown}\r\n"),
        format!("Authorization: Bearer {}\r\n", &key[..65]),
        format!("Authorization: Bearer {}\r\n", &key[..16]),
        format!("Authorization: Bearer {key}0\r\n"),
        format!("Authorization: Bearer {}{last}\r\n", &key[..65]),
        format!("Authorization: Bearer {}\r\n", key.to_lowercase()),
        format!("Authorization: Bearer {}\r\n", key.to_uppercase()),
        format!("Authorization: Bearer {swapped}\r\n"),
        format!("Authorization: Bearer {}\r\n", forged(key)),
        format!("Authorization: Bearer {unknown}\r\n"),
        format!("Authorization: Bearer {}\r\n", "x".repeat(4096)),
        "Authorization: Bearer ' OR 1=1 --\r\n".into(),
        format!("X-Api-Key: {key}\r\n"),
        format!("Cookie: key={key}; Authorization={key}\r\n"),
        format!("Proxy-Authorization: Bearer {key}\r\n"),
    ];
    for headers in &headers {
        let reply = send(&mut client, "/jql", headers);
        assert_eq!((reply.status, reply.body.as_str()), (401, FAILED), "{headers:.200}");
        assert_eq!(reply.header("www-authenticate"), Some("Bearer"), "{headers:.200}");
    }
    let inside = format!(r#"{{"key": "{key}", "__meta__": {{"authenticationClass": "apiKey", "key": "{key}"}}}}"#);
    let reply = client.request("POST", "/jql", &format!("Content-Length: {}\r\n", inside.len()), &inside);
    assert_eq!((reply.status, reply.body.as_str()), (401, FAILED));
    assert_eq!(client.jql(key, &count()).status, 200);
}

#[test]
fn a_key_that_is_not_ascii_fails_alike() {
    let server = Server::start();
    for wrong in [b"Bearer \xff\xfe".as_slice(), "Bearer jql_é".as_bytes(), b"Bearer \x80"] {
        let mut client = Client::connect(&server.address);
        let body = count();
        let head = "POST /jql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: ";
        let rest = format!("\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        client.send(&[head.as_bytes(), wrong, rest.as_bytes()].concat());
        let reply = client.reply("POST");
        assert_eq!((reply.status, reply.body.as_str()), (401, FAILED));
    }
}

#[test]
fn the_scheme_is_taken_in_any_case() {
    let server = Server::start();
    let mut client = Client::connect(&server.address);
    for scheme in ["Bearer", "bearer", "BEARER", "bEaReR", "Bearer  "] {
        let headers = format!("Authorization: {scheme} {}\r\n", server.key);
        assert_eq!(send(&mut client, "/jql", &headers).status, 200, "{scheme}");
    }
    assert_eq!(send(&mut client, "/jql", &format!("aUTHORIZATION: Bearer {}\r\n", server.key)).status, 200);
}

#[test]
fn a_key_in_the_url_is_refused_even_beside_a_good_one() {
    let server = Server::start();
    let key = &server.key;
    for path in [format!("/jql?key={key}"), format!("/jql?{key}"), format!("/jql/{key}"), format!("/healthz?k={key}")] {
        for headers in [String::new(), format!("Authorization: Bearer {key}\r\n")] {
            let reply = send(&mut Client::connect(&server.address), &path, &headers);
            assert_eq!((reply.status, &reply.json()["message"]), (400, &json!("a key was sent in the URL")));
            assert!(!reply.body.contains(secret(key)), "{}", reply.body);
        }
    }
}

#[test]
fn a_class_that_is_not_served_is_a_401_for_any_key() {
    let server = Server::start();
    for class in [json!("session"), json!("apikey"), json!(""), json!(null), json!(5)] {
        let body = request("count", "tickets.Ticket", &json!({"authenticationClass": class}), &json!({}));
        let reply = server.send(&body);
        assert_eq!(reply.status, 401, "{}", reply.body);
        assert!(reply.json()["message"].as_str().unwrap().ends_with("is not served; \"apiKey\" is"));
    }
}

#[test]
fn a_class_that_is_not_served_comes_before_permissions() {
    let server = Server::start();
    let body = request("count", "tickets.Ticket", &json!({"authenticationClass": "session"}), &json!({}));
    assert_eq!(server.send_as(&server.key_for(""), &body).status, 401);
}

#[test]
fn an_ended_key_fails_on_the_next_request_of_the_same_connection() {
    let server = Server::start();
    let expire = "UPDATE \"system.ApiKey\" SET \"expires\" = '2020-01-31T09:30:00.000000Z' WHERE \"name\" = 'expired'";
    let disable = "UPDATE \"system.ApiKey\" SET \"disabled\" = \"created\" WHERE \"name\" = 'disabled'";
    for (name, told) in [
        ("revoked", Some("the key was revoked")),
        ("deleted", None),
        ("expired", Some("the key expired at 2020-01-31T09:30:00.000000Z")),
        ("disabled", Some("the key is disabled")),
    ] {
        let words = ["keys", "create", "--name", name, "--allow", "tickets.Ticket:read", "--expires", "1d"];
        let key = run(&server.folder, &words);
        let mut client = Client::connect(&server.address);
        assert_eq!(client.jql(&key, &count()).status, 200);
        match name {
            "revoked" => drop(run(&server.folder, &["keys", "revoke", name])),
            "deleted" => drop(run(&server.folder, &["keys", "delete", name])),
            "expired" => server.change(expire),
            _ => server.change(disable),
        }
        let reply = client.jql(&key, &count());
        let body = told.map_or(FAILED.to_owned(), |told| FAILED.replace("Authentication failed", told));
        assert_eq!((reply.status, reply.body.as_str()), (401, body.as_str()), "{name}");
        assert_eq!(reply.header("www-authenticate"), Some("Bearer"));
        // Only who holds the genuine key is told.
        let reply = client.jql(&forged(&key), &count());
        assert_eq!((reply.status, reply.body.as_str()), (401, FAILED), "{name}");
        assert_eq!(client.jql(&server.key, &count()).status, 200);
    }
}

#[test]
fn changed_permissions_act_on_the_next_request_of_the_same_connection() {
    let server = Server::start();
    let key = server.key_for("tickets.Ticket:read");
    let mut client = Client::connect(&server.address);
    for (permissions, status) in [("tickets.Ticket:read", 200), ("tickets.Tag:read", 403), ("", 403), ("*.*:read", 200)]
    {
        server.change(&format!(
            "UPDATE \"system.ApiKey\" SET \"permissions\" = '{permissions}' WHERE \"id\" =
             (SELECT \"api_key\" FROM \"system.ApiKeySecret\" WHERE \"public_id\" = '{}')",
            public_id(&key)
        ));
        assert_eq!(client.jql(&key, &count()).status, status, "{permissions}");
    }
}

#[test]
fn an_end_that_comes_ends_the_key() {
    let server = Server::start();
    let words = ["keys", "create", "--name", "brief", "--allow", "tickets.Ticket:read", "--expires", "1s"];
    let key = run(&server.folder, &words);
    let mut client = Client::connect(&server.address);
    eventually("the key expires", || client.jql(&key, &count()).status == 401);
    let message = client.jql(&key, &count()).json()["message"].as_str().unwrap().to_owned();
    assert!(message.starts_with("the key expired at 2"), "{message}");
}

// -- Secrets --------------------------------------------------------------------------------------------

/// Fails where a file of the folder, or what a command prints, holds the secret.
#[track_caller]
fn assert_nowhere(folder: &Folder, secret: &str) {
    for name in ["test.db", "test.db-wal", "test.db-shm", "stderr"] {
        assert!(!file_holds(&folder.path(name), secret), "{name} holds a secret");
    }
    for words in [&["logs"][..], &["logs", "--json"], &["keys", "list"], &["keys", "list", "--json"], &["check"]] {
        assert!(!run(folder, words).contains(secret), "{words:?} shows a secret");
    }
}

#[test]
fn a_secret_that_was_sent_is_nowhere_afterwards() {
    let server = Server::start();
    let key = server.key.clone();
    let mut sent = 0;
    for headers in [
        format!("Authorization: {key}\r\n"),
        format!("Authorization: Basic {key}\r\n"),
        format!("Authorization: Bearer {key}0\r\n"),
        format!("Authorization: Bearer {}\r\n", forged(&key)),
        format!("X-Api-Key: {key}\r\nCookie: {key}\r\nUser-Agent: {key}\r\nReferer: http://{key}/\r\n"),
        format!("Authorization: Bearer {key}\r\nOrigin: http://{key}\r\n"),
        format!("Authorization: Bearer {key}\r\nX-Request-Id: \"{key}\"\r\n"),
        format!("Authorization: Bearer {key}\r\n{key}: {key}\r\n"),
        format!("Authorization: Bearer {key}\r\nContent-Type: {key}\r\n"),
    ] {
        send(&mut Client::connect(&server.address), "/jql", &headers);
        sent += 1;
    }
    let mut client = Client::connect(&server.address);
    client.request(&key, "/jql", "Content-Length: 0\r\n", "");
    for path in [format!("/jql?key={key}"), format!("/jql?{key}={key}")] {
        send(&mut Client::connect(&server.address), &path, &format!("Authorization: Bearer {key}\r\n"));
        sent += 1;
    }
    send(&mut Client::connect(&server.address), &format!("/{key}"), "");
    let key = key.as_str();
    let ticket = |intent: &str, meta: Value, beside: Value| request(intent, "tickets.Ticket", &meta, &beside);
    for request in [
        json!({key: key, "__meta__": key}),
        json!(key),
        request(key, key, &json!({"schema": key, "authenticationClass": key}), &json!({key: key})),
        request("count", &format!("tickets.{key}"), &json!({}), &json!({})),
        request("count", &format!("{key}.Ticket"), &json!({}), &json!({})),
        ticket("retrieve", json!({"draw": key, "search": {"value": key}}), json!({"id": null})),
        ticket("retrieve", json!({"filter": {"title": key}}), json!({"id": null})),
        ticket("retrieve", json!({"filter": {"title__regex": format!("({key}")}}), json!({})),
        ticket("retrieve", json!({"filter": {key: 1}, "ordering": [key], key: 1}), json!({key: null})),
        ticket("retrieve", json!({}), json!({"tags": {"__meta__": {key: key}, key: null}})),
        ticket("retrieveOne", json!({"uniqueObject": {"id": key}}), json!({})),
        ticket("retrieveOne", json!({"uniqueObject": {key: key}}), json!({})),
        request("retrieveOne", "tickets.Tag", &json!({"uniqueObject": {"name": key}}), &json!({})),
        ticket("create", json!({}), json!({"title": key, "status": key, key: key})),
        ticket("create", json!({"return": {key: null}}), json!({"title": key})),
        ticket("create", json!({}), json!({"title": key, "category": 999})),
    ] {
        client.jql(key, &request.to_string());
        sent += 1;
    }
    client.jql(key, &format!("{{\"{key}\": {key}"));
    sent += 1;
    eventually("all is logged", || server.logs(&[]).len() > sent);
    assert_nowhere(&server.folder, secret(key));
    let key = key.to_owned();
    let (code, folder) = server.stop();
    assert_eq!(code, Some(0));
    assert_nowhere(&folder, secret(&key));
}

#[test]
fn a_secret_sent_as_the_id_of_a_request_is_nowhere_afterwards() {
    let server = Server::start();
    let key = server.key.clone();
    let headers = format!("Authorization: Bearer {key}\r\nX-Request-Id: {key}\r\n");
    send(&mut Client::connect(&server.address), "/jql", &headers);
    eventually("it is logged", || !server.logs(&[]).is_empty());
    assert_nowhere(&server.folder, secret(&key));
}

// -- The usage log --------------------------------------------------------------------------------------

#[test]
fn every_request_leaves_its_row() {
    let server = Server::with(MODELS, &["--max-body", "5000"]);
    let reader = server.key_for("tickets.Tag:read");
    let (all, reader_id) = (public_id(&server.key).to_owned(), public_id(&reader).to_owned());
    let tag = |intent: &str, meta: Value, beside: Value| request(intent, "tickets.Tag", &meta, &beside).to_string();
    let one = json!({"uniqueObject": {"id": 1}});
    let ask = json!({"id": null});
    let mut sent: Vec<(Reply, usize)> = Vec::new();
    let mut client = Client::connect(&server.address);
    let mut expected = Vec::new();
    for (key, body, row) in [
        (
            &server.key,
            tag("create", json!({}), json!({"name": "red"})),
            json!([all, "tickets.Tag", "create", "create", 200, null, 1, 1]),
        ),
        (
            &reader,
            tag("read", json!({}), ask.clone()),
            json!([reader_id, "tickets.Tag", "retrieve", "read", 200, null, 1, 2]),
        ),
        (
            &reader,
            tag("count", json!({}), json!({})),
            json!([reader_id, "tickets.Tag", "count", "read", 200, null, 0, 1]),
        ),
        (
            &reader,
            tag("update", one.clone(), json!({"name": "x"})),
            json!([reader_id, "tickets.Tag", "update", "update", 403, "JQL:AuthorizationException", 0, 0]),
        ),
        (
            &reader,
            tag("retrieve", json!({"filter": {"nam": 1}}), json!({})),
            json!([reader_id, "tickets.Tag", "retrieve", "read", 400, "JQL:JqlException", 0, 0]),
        ),
        (&reader, "{".to_owned(), json!([reader_id, null, null, null, 400, "JQL:JqlException", 0, 0])),
        (
            &"jql_unknown".to_owned(),
            tag("count", json!({}), json!({})),
            json!([null, null, null, null, 401, "JQL:AuthenticationException", 0, 0]),
        ),
        (
            &server.key,
            request("count", "tickets.Nothing", &json!({}), &json!({})).to_string(),
            json!([all, "tickets.Nothing", "count", "read", 404, "JQL:NotFoundException", 0, 0]),
        ),
        (&server.key, "x".repeat(5001), json!([null, null, null, null, 413, "JQL:RequestException", 0, 0])),
    ] {
        let mut other = Client::connect(&server.address);
        let client = if body.len() > 5000 { &mut other } else { &mut client };
        sent.push((client.jql(key, &body), if body.len() > 5000 { 0 } else { body.len() }));
        expected.push(row);
    }
    for (method, key, media, row) in [
        ("PUT", &server.key, "application/json", json!([null, null, null, null, 405, "JQL:RequestException", 0, 0])),
        ("POST", &server.key, "text/plain", json!([all, null, null, null, 415, "JQL:RequestException", 0, 0])),
    ] {
        let head = format!("Authorization: Bearer {key}\r\nContent-Type: {media}\r\nContent-Length: 2\r\n");
        sent.push((client.request(method, "/jql", &head, "{}"), 2));
        expected.push(row);
    }

    eventually("all is logged", || server.logs(&[]).len() >= sent.len());
    let logged = server.logs(&[]);
    assert_eq!(logged.len(), sent.len());
    let mut ids = Vec::new();
    for (reply, request_bytes) in &sent {
        let place = ids.len();
        let row = logged
            .iter()
            .find(|row| row["request_id"] == json!(reply.header("x-request-id").unwrap()))
            .unwrap_or_else(|| panic!("no row for {}", reply.body));
        let columns: Vec<&str> = row.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(
            columns,
            [
                "id",
                "at",
                "request_id",
                "key",
                "namespace",
                "intent",
                "action",
                "status",
                "code",
                "rows",
                "queries",
                "duration_us",
                "request_bytes",
                "response_bytes",
                "remote_addr"
            ]
        );
        let told = ["key", "namespace", "intent", "action", "status", "code", "rows", "queries"];
        assert_eq!(json!(told.map(|name| row[name].clone())), expected[place], "{}", reply.body);
        assert_eq!(row["request_bytes"], json!(request_bytes));
        assert_eq!(row["response_bytes"], json!(reply.body.len()));
        assert_eq!(row["remote_addr"], "127.0.0.1");
        assert!(row["duration_us"].as_u64().is_some());
        assert!(row["at"].as_str().is_some_and(|at| at.len() == 27 && at.ends_with('Z')), "{row}");
        ids.push(row["id"].as_u64().unwrap());
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), sent.len());
}

#[test]
fn an_orderly_stop_leaves_every_row_behind() {
    let server = Server::start();
    let key = server.key.clone();
    let mut client = Client::connect(&server.address);
    for _ in 0..300 {
        assert_eq!(client.jql(&key, &count()).status, 200);
    }
    let (code, folder) = server.stop();
    assert_eq!(code, Some(0));
    assert_eq!(logs(&folder, &[]).len(), 300);
}

#[test]
fn the_log_is_narrowed_by_time_key_and_status() {
    let server = Server::start();
    let key = run(&server.folder, &["keys", "create", "--name", "ci", "--allow", "tickets.Tag:read"]);
    let mut client = Client::connect(&server.address);
    for key in [&server.key, &key, &server.key, &"wrong".to_owned()] {
        client.jql(key, &count());
    }
    client.jql(&server.key, "{");
    eventually("all is logged", || server.logs(&[]).len() == 5);
    // Requests are logged after they are answered, so one may overtake another.
    let in_order = |words: &[&str]| {
        let mut rows = server.logs(words);
        rows.sort_by_key(|row| row["at"].as_str().unwrap().to_owned());
        rows
    };
    let all = in_order(&[]);
    let narrowed =
        |words: &[&str]| -> Vec<u64> { in_order(words).iter().map(|row| row["status"].as_u64().unwrap()).collect() };
    let third = all[2]["at"].as_str().unwrap();
    for (words, statuses) in [
        (&[][..], &[200, 403, 200, 401, 400][..]),
        (&["--since", "1h"], &[200, 403, 200, 401, 400]),
        (&["--since", third], &[200, 401, 400]),
        (&["--since", "2999-01-01"], &[]),
        (&["--key", "ci"], &[403]),
        (&["--key", public_id(&key)], &[403]),
        (&["--key", "all"], &[200, 200, 400]),
        (&["--status", "4xx"], &[403, 401, 400]),
        (&["--status", "403"], &[403]),
        (&["--status", "5xx"], &[]),
        (&["--key", "all", "--status", "2xx", "--since", third], &[200]),
    ] {
        assert_eq!(narrowed(words), statuses, "{words:?}");
    }
    assert_eq!(run(&server.folder, &["logs", "--json", "--last", "2"]).lines().count(), 2);
    for words in [["--status", "9xx"], ["--status", "x"], ["--since", "soon"], ["--last", "0"]] {
        fails(&server.folder, &[&["logs"], &words[..]].concat(), 2);
    }
    fails(&server.folder, &["logs", "--key", "nobody"], 1);
    let table = run(&server.folder, &["logs", "--status", "403"]);
    assert!(table.lines().count() == 2 && table.contains("JQL:AuthorizationException"), "{table}");
}

#[test]
fn what_a_deleted_key_did_stays_in_the_log() {
    let server = Server::start();
    let key = server.key_for("tickets.Ticket:read");
    assert_eq!(server.send_as(&key, &serde_json::from_str(&count()).unwrap()).status, 200);
    run(&server.folder, &["keys", "delete", public_id(&key)]);
    eventually("it is logged", || server.logs(&[]).iter().any(|row| row["key"] == public_id(&key)));
}

#[test]
fn the_log_of_a_deleted_key_can_be_asked_for() {
    let server = Server::start();
    let key = server.key_for("tickets.Ticket:read");
    assert_eq!(server.send_as(&key, &serde_json::from_str(&count()).unwrap()).status, 200);
    run(&server.folder, &["keys", "delete", public_id(&key)]);
    eventually("it is logged", || !server.logs(&[]).is_empty());
    assert_eq!(server.logs(&["--key", public_id(&key)]).len(), 1);
}

#[test]
fn the_use_of_a_key_that_was_revoked_is_logged_as_its_own() {
    let server = Server::start();
    let key = server.key_for("tickets.Ticket:read");
    run(&server.folder, &["keys", "revoke", "tickets.Ticket:read"]);
    assert_eq!(Client::connect(&server.address).jql(&key, &count()).status, 401);
    assert_eq!(Client::connect(&server.address).jql(&forged(&key), &count()).status, 401);
    let id = public_id(&key);
    eventually("the use is logged", || server.logs(&["--key", id, "--status", "401"]).len() == 1);
}

#[test]
fn many_first_keys_asked_for_at_once_are_one() {
    let folder = Folder::new();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| run(&folder, &["bootstrap", "--if-needed"]));
        }
    });
    assert_eq!(names(&folder), ["bootstrap"]);
}

#[test]
fn a_permission_for_a_model_that_is_not_there_is_pointed_out() {
    let server = Server::start();
    let allow = "tickets.Tiket:read,tickets.Ticket:read,tickets.*:read,system.ApiKey:read";
    let output = jqlite(&server.folder, &["keys", "create", "--name", "x", "--allow", allow]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said, "there is no model tickets.Tiket yet\nkeep the key: it is shown this once\n");
    assert!(output.status.success());
}
