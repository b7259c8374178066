//! The life of a key: made, used, rotated, narrowed, stopped and ended, over HTTP and on the command line; how often
//! and from where it may be used.

use crate::support::{Client, Folder, MODELS, Reply, Server, eventually, fails, file_holds, request, run};
use serde_json::{Value, json};

const KEYS: &str = "system.ApiKey";

/// A request to a controller of keys.
fn control(intent: &str, id: &Value, arguments: &Value) -> Value {
    request(intent, KEYS, &json!({"schema": "controller", "uniqueObject": {"id": id}}), arguments)
}

fn change(id: &Value, values: &Value) -> Value {
    request("update", KEYS, &json!({"uniqueObject": {"id": id}}), values)
}

fn count(namespace: &str) -> Value {
    request("count", namespace, &json!({}), &json!({}))
}

fn said(reply: &Reply) -> (u16, String) {
    (reply.status, reply.json()["message"].as_str().unwrap().to_owned())
}

/// Makes a key over HTTP and gives its text and its id.
#[track_caller]
fn make(server: &Server, by: &str, values: &Value) -> (String, Value) {
    let reply = server.send_as(by, &request("create", KEYS, &json!({}), values));
    assert_eq!(reply.status, 200, "{}", reply.body);
    let data = reply.json()["data"].clone();
    (data["key"].as_str().unwrap().to_owned(), data["id"].clone())
}

fn public_id(key: &str) -> &str {
    &key[4..16]
}

#[test]
fn the_story_of_a_key_can_be_read_in_the_log() {
    let server = Server::start();
    let maker = server.key_for("tickets.*:read,tickets.Ticket:create,system.ApiKey:*");
    let wanted = json!({"name": "reports", "permissions": ["tickets.Ticket:read", "tickets.Category:read", "system.ApiKey:update"]});
    let (first, id) = make(&server, &maker, &wanted);
    let mut kept = Client::connect(&server.address);
    let mut send = |key: &str, body: &Value| said(&kept.jql(key, &body.to_string()));
    assert_eq!(send(&first, &count("tickets.Ticket")).0, 200);

    let rotated = server.send_as(&maker, &control("rotate", &id, &json!({"overlap": "1h"})));
    let second = rotated.json()["data"]["key"].as_str().unwrap().to_owned();
    assert_ne!(public_id(&first), public_id(&second));
    assert_eq!(send(&first, &count("tickets.Ticket")).0, 200, "the old secret works while the two overlap");
    assert_eq!(send(&second, &count("tickets.Category")).0, 200);

    let narrower = json!({"permissions": "tickets.Ticket:read,system.ApiKey:update"});
    assert_eq!(server.send_as(&maker, &change(&id, &narrower)).status, 200);
    let lacking = "the key lacks the permission tickets.Category:read".to_owned();
    assert_eq!(send(&second, &count("tickets.Category")), (403, lacking));
    let wider = change(&id, &json!({"permissions": "tickets.*:read,system.ApiKey:update"}));
    let refused = "a key cannot give the permission tickets.*:read, which it does not have itself".to_owned();
    assert_eq!(send(&second, &wider), (403, refused));

    assert_eq!(server.send_as(&maker, &control("revoke", &id, &json!({}))).status, 200);
    for key in [&first, &second] {
        assert_eq!(send(key, &count("tickets.Ticket")), (401, "the key was revoked".to_owned()));
    }

    let entries = || {
        let both = json!([public_id(&first), public_id(&second)]);
        let meta = json!({"filter": {"key__in": both}, "ordering": ["id"]});
        let fields = json!({"key": null, "namespace": null, "intent": null, "status": null, "code": null});
        server.data(&request("retrieve", "system.UsageLog", &meta, &fields))
    };
    eventually("all of it is in the log", || entries().as_array().unwrap().len() == 7);
    let (refused, ended) = (json!("JQL:AuthorizationException"), json!("JQL:AuthenticationException"));
    let entry = |key: &str, namespace: Value, intent: Value, status: u16, code: &Value| json!({"key": public_id(key), "namespace": namespace, "intent": intent, "status": status, "code": code});
    let counted = |key: &str, namespace: &str, status: u16, code: &Value| {
        entry(key, json!(namespace), json!("count"), status, code)
    };
    assert_eq!(
        entries(),
        json!([
            counted(&first, "tickets.Ticket", 200, &Value::Null),
            counted(&first, "tickets.Ticket", 200, &Value::Null),
            counted(&second, "tickets.Category", 200, &Value::Null),
            counted(&second, "tickets.Category", 403, &refused),
            entry(&second, json!(KEYS), json!("update"), 403, &refused),
            entry(&first, Value::Null, Value::Null, 401, &ended),
            entry(&second, Value::Null, Value::Null, 401, &ended),
        ])
    );
}

#[test]
fn nobody_gives_a_key_more_than_they_have() {
    let server = Server::start();
    let words = ["keys", "create", "--name", "bounded", "--allow", "tickets.Ticket:*,system.ApiKey:*"];
    let bounds = ["--expires", "2999-01-01", "--rate", "600", "--allowed-ips", "127.0.0.0/8"];
    let maker = run(&server.folder, &[&words[..], &bounds].concat());
    let within = json!({"name": "a", "permissions": ["tickets.Ticket:read"], "expires": "2998-01-01", "rate": 600, "allowed_ips": ["127.0.0.1"]});
    let (_, id) = make(&server, &maker, &within);
    for (name, value, what) in [
        ("permissions", json!("tickets.Tag:read"), "the permission tickets.Tag:read"),
        ("permissions", json!(["tickets.Ticket:read", "*.*:read"]), "the permission *.*:read"),
        ("expires", json!("2999-01-02"), "an end later than 2999-01-01T00:00:00.000000Z"),
        ("expires", json!(null), "an end later than 2999-01-01T00:00:00.000000Z"),
        ("rate", json!(601), "a rate of more than 600 requests a minute"),
        ("rate", json!(null), "a rate of more than 600 requests a minute"),
        ("allowed_ips", json!(["127.0.0.1", "10.0.0.0/8"]), "networks beyond 127.0.0.0/8"),
        ("allowed_ips", json!(null), "networks beyond 127.0.0.0/8"),
    ] {
        let before = server.rows(r#"SELECT * FROM "system.ApiKey""#);
        let mut values = within.clone();
        values[name] = value.clone();
        let refused = (403, format!("a key cannot give {what}, which it does not have itself"));
        assert_eq!(said(&server.send_as(&maker, &request("create", KEYS, &json!({}), &values))), refused);
        assert_eq!(said(&server.send_as(&maker, &change(&id, &json!({name: value})))), refused);
        assert_eq!(server.rows(r#"SELECT * FROM "system.ApiKey""#), before, "{name} {value}");
    }
    // What is more powerful cannot be taken over: not its secret, and not its name either.
    for taken in [control("rotate", &json!(1), &json!({})), change(&json!(1), &json!({"name": "mine"}))] {
        assert_eq!(server.send_as(&maker, &taken).status, 403);
    }
    // Whoever may change keys may stop any of them.
    assert_eq!(server.send_as(&maker, &control("disable", &json!(1), &json!({}))).status, 200);
    assert_eq!(said(&server.send(&count("tickets.Ticket"))), (401, "the key is disabled".to_owned()));
    assert_eq!(server.send_as(&maker, &control("enable", &json!(1), &json!({}))).status, 403);
}

#[test]
fn a_refusal_tells_nothing_of_a_key_that_may_not_be_read() {
    let server = Server::start();
    let blind = server.key_for("system.ApiKey:update");
    let reply = server.send_as(&blind, &control("rotate", &json!(1), &json!({})));
    assert_eq!(said(&reply), (403, "a key cannot give what that key has, which it does not have itself".to_owned()));
    assert!(!reply.body.contains("*.*"), "{}", reply.body);
    for intent in ["disable", "revoke"] {
        let meta = json!({"schema": "controller", "uniqueObject": {"id": 1}, "dryRun": true});
        let reply = server.send_as(&blind, &request(intent, KEYS, &meta, &json!({})));
        assert_eq!((reply.status, &reply.json()["data"]), (200, &json!({"id": 1})), "{intent}");
    }
}

#[test]
fn a_secret_that_is_to_end_gives_nothing_that_lasts_longer() {
    let server = Server::start();
    let old = server.key_for("tickets.Ticket:read,system.ApiKey:*");
    run(&server.folder, &["keys", "rotate", "tickets.Ticket:read,system.ApiKey:*", "--overlap", "1h"]);
    let lasting = json!({"name": "lasting", "permissions": "tickets.Ticket:read"});
    for request in [request("create", KEYS, &json!({}), &lasting), control("rotate", &json!(2), &json!({}))] {
        let (status, message) = said(&server.send_as(&old, &request));
        assert!(status == 403 && message.starts_with("a key cannot give an end later than "), "{status} {message}");
    }
}

#[test]
fn a_key_is_changed_by_what_it_was_found_by() {
    let server = Server::start();
    let (_, id) = make(&server, &server.key, &json!({"name": "ci"}));
    let meta = json!({"uniqueObject": {"id": id}, "filter": {"name": "ci"}, "return": {"name": null}});
    let renamed = request("update", KEYS, &meta, &json!({"name": "cd"}));
    assert_eq!(server.data(&renamed), json!({"name": "cd"}));
    assert_eq!(server.send(&renamed).status, 404);
}

#[test]
fn a_stranger_with_a_key_is_not_its_last_use() {
    let server = Server::start();
    let key = server.key_for("tickets.Ticket:read");
    run(&server.folder, &["keys", "update", "tickets.Ticket:read", "--allowed-ips", "10.0.0.0/8"]);
    assert_eq!(server.send_as(&key, &count("tickets.Ticket")).status, 403);
    let (_, folder) = server.stop();
    let shown = run(&folder, &["keys", "show", "tickets.Ticket:read", "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&shown).unwrap()["last_used"], Value::Null);
}

#[test]
fn a_secret_is_told_once_and_kept_nowhere() {
    let server = Server::start();
    let (key, id) = make(&server, &server.key, &json!({"name": "once", "permissions": []}));
    let fields = request("retrieve", KEYS, &json!({}), &json!({}));
    assert!(!server.send(&fields).body.contains(&key[17..]));
    for name in ["hash", "key", "secret", "ApiKeySecret", "system_ApiKeySecret_set", "secrets", "text"] {
        let asked = request("retrieve", KEYS, &json!({"filter": {name: "x"}}), &json!({name: null}));
        assert_eq!(server.send(&asked).status, 400, "{name}");
    }
    let retried = |body: &Value| {
        let head = format!(
            "Authorization: Bearer {}\r\nContent-Type: application/json\r\nIdempotency-Key: k\r\nContent-Length: {}\r\n",
            server.key,
            body.to_string().len()
        );
        Client::connect(&server.address).request("POST", "/jql", &head, &body.to_string())
    };
    let create = request("create", KEYS, &json!({}), &json!({"name": "again"}));
    let batch = request("execute", "system.Batch", &json!({"schema": "controller"}), &json!({"requests": [create]}));
    for body in [create, control("rotate", &id, &json!({})), batch] {
        let why = "an answer with a key in it is kept nowhere; send the request without Idempotency-Key".to_owned();
        assert_eq!(said(&retried(&body)), (400, why));
    }
    assert_eq!(server.count(KEYS), 2, "nothing was made");
    let (_, folder) = server.stop();
    for file in std::fs::read_dir(folder.path("")).unwrap() {
        let file = file.unwrap().path();
        assert!(!file_holds(&file, &key[17..]), "{}", file.display());
    }
}

#[test]
fn a_secret_is_neither_hidden_nor_passed_on() {
    let server = Server::start();
    let named = json!({"return": {"key": {"__field__": "name"}}});
    let hidden = request("create", KEYS, &named, &json!({"name": "x"}));
    assert_eq!(
        server.refused(400, &hidden),
        ["/__meta__/return/key: \"key\" is where the text of the key stands; ask for the field under another name"]
    );
    let create = request("create", KEYS, &json!({}), &json!({"name": "x"}));
    let pass_on = request("create", "tickets.Tag", &json!({}), &json!({"name": {"__result__": "/0/data/key"}}));
    let batch = json!({"requests": [create, pass_on]});
    let refused = server.refused(400, &request("execute", "system.Batch", &json!({"schema": "controller"}), &batch));
    assert!(refused[0].starts_with("/requests/1/name: \"__result__\" names no earlier result"), "{refused:?}");
}

#[test]
fn a_permission_for_a_model_that_is_not_there_is_told_in_the_answer() {
    let server = Server::start();
    let message = |reply: Reply| said(&reply).1;
    let allow = json!({"name": "x", "permissions": "tickets.Tiket:read, tickets.Ticket:read,tickets.*:read,system.ApiKey:read"});
    let made = message(server.send(&request("create", KEYS, &json!({}), &allow)));
    assert_eq!(made, "ApiKey created successfully. There is no model tickets.Tiket yet.");
    let changed = message(server.send(&change(&json!(2), &json!({"permissions": ["a.B:*"]}))));
    assert_eq!(changed, "ApiKey updated successfully. There is no model a.B yet.");
    let renamed = message(server.send(&change(&json!(2), &json!({"name": "y"}))));
    assert_eq!(renamed, "ApiKey updated successfully.");
}

#[test]
fn keys_are_rotated_with_an_overlap_that_can_be_cut_short() {
    let server = Server::start();
    let first = server.key_for("tickets.Ticket:read");
    let works = |key: &str| said(&server.send_as(key, &count("tickets.Ticket"))).0 == 200;
    let name = "tickets.Ticket:read";
    let second = run(&server.folder, &["keys", "rotate", name, "--overlap", "1h"]);
    assert!(works(&first) && works(&second));
    let third = run(&server.folder, &["keys", "rotate", name]);
    assert!(!works(&second) && works(&third), "without an overlap the old secret ends at once");
    assert!(!works(&first), "and so does the one of the rotation before");
    let fourth = run(&server.folder, &["keys", "rotate", name, "--overlap", "1h"]);
    run(&server.folder, &["keys", "rotate", name, "--end-overlap"]);
    assert!(!works(&third) && works(&fourth));
    assert!(
        said(&server.send_as(&third, &count("tickets.Ticket")))
            .1
            .starts_with("the key has a new secret; this one ended at ")
    );
    // The same over HTTP, where the old secret may have to end before anyone reaches the machine.
    let rotate = |beside: &Value| server.send(&control("rotate", &json!(2), beside));
    let fifth = rotate(&json!({"overlap": "1h"})).json()["data"]["key"].as_str().unwrap().to_owned();
    assert!(works(&fourth) && works(&fifth));
    let ended = rotate(&json!({"endOverlap": true}));
    assert_eq!((ended.status, &ended.json()["message"]), (200, &json!("ApiKey overlap ended successfully.")));
    assert!(ended.json()["data"].get("key").is_none() && !works(&fourth) && works(&fifth));
    assert_eq!(rotate(&json!({"endOverlap": true})).status, 200, "there may be none to end");
    let both = rotate(&json!({"endOverlap": true, "overlap": "1h"}));
    let why = "/endOverlap: \"endOverlap\" makes no new secret, so there is no overlap to begin";
    assert_eq!((both.status, both.errors()), (400, vec![why.to_owned()]));
    let sixth = rotate(&json!({"endOverlap": false})).json()["data"]["key"].as_str().unwrap().to_owned();
    assert!(!works(&fifth) && works(&sixth));
    let file = server.folder.path("secret");
    run(&server.folder, &["keys", "rotate", name, "--key-out", file.to_str().unwrap()]);
    assert!(works(std::fs::read_to_string(&file).unwrap().trim()) && !works(&sixth));
}

#[test]
fn what_is_changed_of_a_key_is_felt_by_its_next_request() {
    let server = Server::start();
    let key = server.key_for("tickets.Ticket:read");
    let mut kept = Client::connect(&server.address);
    let mut try_it = || said(&kept.jql(&key, &count("tickets.Ticket").to_string()));
    let keys = |words: &[&str]| run(&server.folder, &[&["keys"], words].concat());
    assert_eq!(try_it().0, 200);
    keys(&["disable", "tickets.Ticket:read"]);
    assert_eq!(try_it(), (401, "the key is disabled".to_owned()));
    keys(&["enable", "tickets.Ticket:read"]);
    assert_eq!(try_it().0, 200);
    keys(&["update", "tickets.Ticket:read", "--allow", "tickets.Tag:read", "--name", "tags"]);
    assert_eq!(try_it().0, 403);
    keys(&["update", "tags", "--allow", "tickets.*:read"]);
    assert_eq!(try_it().0, 200);
    keys(&["update", "tags", "--allowed-ips", "10.0.0.0/8,2001:db8::/32"]);
    assert_eq!(try_it(), (403, "the key may not be used from this address".to_owned()));
    keys(&["update", "tags", "--allowed-ips", "::ffff:127.0.0.1"]);
    assert_eq!(try_it().0, 200);
    keys(&["update", "tags", "--allowed-ips", "any", "--rate", "2"]);
    assert_eq!((try_it().0, try_it().0), (200, 200));
    assert_eq!(try_it(), (429, "the key may send 2 requests a minute".to_owned()));
    keys(&["update", "tags", "--rate", "none"]);
    assert_eq!(try_it().0, 200);
    keys(&["revoke", "tags"]);
    assert_eq!(try_it(), (401, "the key was revoked".to_owned()));
    for words in [&["enable", "tags"][..], &["rotate", "tags"], &["update", "tags", "--rate", "5"]] {
        assert!(fails(&server.folder, &[&["keys"], words].concat(), 1).contains("which is for good"), "{words:?}");
    }
}

#[test]
fn too_many_requests_are_told_how_long_to_wait() {
    let server = Server::start();
    let key = server.key_for("tickets.Ticket:read");
    run(&server.folder, &["keys", "update", "tickets.Ticket:read", "--rate", "60"]);
    let mut client = Client::connect(&server.address);
    let replies: Vec<Reply> = (0..70).map(|_| client.jql(&key, &count("tickets.Ticket").to_string())).collect();
    let refused: Vec<&Reply> = replies.iter().filter(|reply| reply.status == 429).collect();
    assert!(replies[..60].iter().all(|reply| reply.status == 200) && !refused.is_empty());
    for reply in refused {
        assert_eq!(reply.json()["errors"][0]["code"], "JQL:RateLimitException");
        assert!(reply.header("retry-after").unwrap().parse::<u64>().unwrap() <= 2);
    }
    assert_eq!(server.send(&count("tickets.Ticket")).status, 200, "other keys are not held up");
}

#[test]
fn whoever_tries_wrong_keys_has_to_wait_and_right_ones_go_on() {
    let server = Server::start();
    let wrong = |number: u32| format!("jql_{number:012}_nonsense");
    let mut client = Client::connect(&server.address);
    let statuses: Vec<u16> = (0..40).map(|number| client.jql(&wrong(number), "{}").status).collect();
    assert!(statuses[..30].iter().all(|status| *status == 401), "{statuses:?}");
    let waiting = client.jql(&wrong(99), "{}");
    assert_eq!(said(&waiting), (429, "too many wrong keys came from this address".to_owned()));
    assert!(waiting.header("retry-after").is_some());
    assert_eq!(client.jql(&server.key, &count("tickets.Ticket").to_string()).status, 200);
}

#[test]
fn a_proxy_is_believed_only_where_it_is_trusted() {
    let forwarded = |server: &Server, from: &str| {
        let body = count("tickets.Ticket").to_string();
        let head = format!(
            "Authorization: Bearer {}\r\nContent-Type: application/json\r\nX-Forwarded-For: {from}\r\nContent-Length: {}\r\n",
            server.key,
            body.len()
        );
        Client::connect(&server.address).request("POST", "/jql", &head, &body).status
    };
    let addresses = |server: &Server| {
        eventually("both are in the log", || server.log_rows() == 2);
        let logs = server.logs(&[]);
        let mut found: Vec<String> =
            logs.iter().map(|entry| entry["remote_addr"].as_str().unwrap().to_owned()).collect();
        found.sort(); // two connections may hand over their entries in any order
        found
    };
    let plain = Server::start();
    assert_eq!((forwarded(&plain, "203.0.113.9"), forwarded(&plain, "nonsense")), (200, 200));
    assert_eq!(addresses(&plain), ["127.0.0.1", "127.0.0.1"]);
    let behind = Server::with(MODELS, &["--trusted-proxy", "127.0.0.0/8,10.0.0.0/8"]);
    assert_eq!(
        (forwarded(&behind, "1.2.3.4, 203.0.113.9, 10.0.0.7"), forwarded(&behind, "::ffff:203.0.113.8")),
        (200, 200)
    );
    assert_eq!(addresses(&behind), ["203.0.113.8", "203.0.113.9"]);
}

#[test]
fn a_server_may_refuse_secrets_that_are_too_old() {
    let server = Server::with(MODELS, &["--max-key-age", "90d"]);
    assert_eq!(server.send(&count("tickets.Ticket")).status, 200);
    server.change(r#"UPDATE "system.ApiKeySecret" SET "created" = '2020-01-01T00:00:00.000000Z'"#);
    let why = "the key's secret is older than this server allows; rotate it".to_owned();
    assert_eq!(said(&server.send(&count("tickets.Ticket"))), (401, why));
    let fresh = run(&server.folder, &["keys", "rotate", "all"]);
    assert_eq!(server.send_as(&fresh, &count("tickets.Ticket")).status, 200);
}

#[test]
fn the_last_use_of_a_key_is_there_when_the_server_stops() {
    let server = Server::start();
    let used = server.key_for("tickets.Ticket:read");
    server.key_for("tickets.Tag:read");
    assert_eq!(server.send_as(&used, &count("tickets.Ticket")).status, 200);
    let (_, folder) = server.stop();
    let show = |name: &str| serde_json::from_str::<Value>(&run(&folder, &["keys", "show", name, "--json"])).unwrap();
    let seen = show("tickets.Ticket:read");
    assert!(seen["last_used"].as_str().unwrap() > seen["created"].as_str().unwrap());
    assert_eq!(seen["last_ip"], json!("127.0.0.1"));
    assert_eq!(show("tickets.Tag:read")["last_used"], Value::Null);
}

#[test]
fn what_a_key_may_do_is_explained() {
    let folder = Folder::new();
    run(&folder, &["bootstrap"]);
    run(&folder, &["keys", "create", "--name", "ci", "--allow", "tickets.*:read,tickets.Ticket:update"]);
    let explain = |intent: &str| run(&folder, &["keys", "explain", "ci", "tickets.Ticket", intent, "--json"]);
    assert_eq!(explain("retrieve"), r#"[{"needs":"tickets.Ticket:read","allowed_by":"tickets.*:read"}]"#);
    assert_eq!(explain("update"), r#"[{"needs":"tickets.Ticket:update","allowed_by":"tickets.Ticket:update"}]"#);
    // Which records it is about cannot be told without reading.
    let both = r#"[{"needs":"tickets.Ticket:update","allowed_by":"tickets.Ticket:update"},{"needs":"tickets.Ticket:read","allowed_by":"tickets.*:read"}]"#;
    assert_eq!(explain("updateMany"), both);
    let lacking = fails(&folder, &["keys", "explain", "ci", "tickets.Ticket", "upsert"], 1);
    assert_eq!(lacking, "jqlite: the key lacks tickets.Ticket:create\n");
    fails(&folder, &["keys", "explain", "ci", "tickets.Ticket", "nonsense"], 2);
    run(&folder, &["keys", "disable", "ci"]);
    assert_eq!(
        fails(&folder, &["keys", "explain", "ci", "tickets.Ticket", "read"], 1),
        "jqlite: the key is disabled\n"
    );
}

#[test]
fn the_list_of_keys_marks_what_needs_attention() {
    let server = Server::start();
    let old = server.key_for("tickets.Ticket:read");
    run(&server.folder, &["keys", "create", "--name", "soon", "--allow", "a.B:read", "--expires", "3d"]);
    run(&server.folder, &["keys", "rotate", "all", "--overlap", "1h"]);
    server.change(&format!(
        r#"UPDATE "system.ApiKeySecret" SET "created" = '2020-01-01T00:00:00.000000Z' WHERE "public_id" = '{0}';
           UPDATE "system.ApiKey" SET "last_used" = '2021-01-01T00:00:00.000000Z' WHERE "public_id" = '{0}';"#,
        public_id(&old)
    ));
    let all: Value = serde_json::from_str(&run(&server.folder, &["keys", "list", "--json"])).unwrap();
    let attention = |place: usize| all[place]["attention"].as_str().unwrap().to_owned();
    assert!(attention(0).starts_with("never expires; old secret works until 20"), "{}", attention(0));
    assert!(attention(1).contains("secret is 2") && attention(1).contains("not used for "), "{}", attention(1));
    assert_eq!(attention(2), "expires in 2 days");
}
