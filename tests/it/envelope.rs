//! The envelope of every success and of every error code, to the letter.

use crate::support::{Client, MODELS, Reply, Server, request};
use serde_json::{Value, json};

/// The whole body of a success.
pub fn success(data: &str, extras: &str, intent: &str, message: &str) -> String {
    format!(
        r#"{{"status":"OK","data":{data},"errors":null,"il8n":"en-gb","extras":{{{extras}}},"system_info":null,"intent":{intent},"message":"{message}"}}"#
    )
}

/// The whole body of a refusal: the members of its one error behind the code, which start with the message.
pub fn refusal(code: &str, error: &str, intent: &str, message: &str) -> String {
    format!(
        r#"{{"status":"ERROR","data":null,"errors":[{{"code":"JQL:{code}","errorMessage":{error}}}],"il8n":"en-gb","extras":{{"filtered":0,"display":0,"queries":0}},"system_info":null,"intent":{intent},"message":{message}}}"#
    )
}

#[track_caller]
pub fn assert_reply(reply: &Reply, status: u16, body: &str) {
    assert_eq!(without_cursor(&reply.body), body);
    assert_eq!(reply.status, status);
    assert_eq!(reply.header("content-type"), Some("application/json; charset=utf-8"));
    assert!(reply.header("x-request-id").is_some_and(|id| !id.is_empty()), "{:?}", reply.headers);
    let challenge = (status == 401).then_some("Bearer");
    assert_eq!(reply.header("www-authenticate"), challenge);
}

/// An answer with its cursor, which no other database makes, cut out.
fn without_cursor(body: &str) -> String {
    let Some((before, rest)) = body.split_once("\"next\":\"") else { return body.to_owned() };
    let (cursor, rest) = rest.split_once('"').unwrap();
    assert!(cursor.len() > 20 && cursor.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)), "{cursor}");
    format!("{before}\"next\":\"…\"{rest}")
}

/// A server with a category, a tag and three tickets.
fn filled(words: &[&str]) -> Server {
    let server = Server::with(MODELS, words);
    server.create("tickets.Category", &json!({"name": "Billing"}));
    server.create("tickets.Tag", &json!({"name": "red"}));
    server.create("tickets.Tag", &json!({"name": "blue"}));
    for (title, tags) in [("one", json!([1, 2])), ("two", json!([])), ("three", json!([2]))] {
        server.create("tickets.Ticket", &json!({"title": title, "category": 1, "tags": tags}));
    }
    server
}

#[test]
fn a_page_has_all_eight_keys_in_their_order() {
    let server = Server::start();
    server.create("tickets.Category", &json!({"name": "Billing"}));
    let reply = server
        .send(&json!({"__meta__": {"intent": "retrieve", "namespace": "tickets.Category"}, "id": null, "name": null}));
    assert_eq!(
        reply.body,
        r#"{"status":"OK","data":[{"id":1,"name":"Billing"}],"errors":null,"il8n":"en-gb","extras":{"filtered":1,"display":1,"queries":2},"system_info":null,"intent":"retrieve","message":"1 of 1 tickets.Category records."}"#
    );
    assert_eq!(reply.header("content-type"), Some("application/json; charset=utf-8"));
}

#[test]
fn every_reading_intent_has_its_envelope() {
    let server = filled(&[]);
    let title = json!({"title": null});
    let one = r#"[{"title":"one"}]"#;
    let page = r#""filtered":3,"display":1,"queries":2,"next":"…""#;
    let said = "1 of 3 tickets.Ticket records.";
    for (intent, meta, beside, data, extras, echoed, message) in [
        ("retrieve", json!({"limit": 1}), &title, one, page, "retrieve", said),
        ("read", json!({"limit": 1}), &title, one, page, "retrieve", said),
        ("retrieve", json!({"limit": 1, "count": true}), &title, one, page, "retrieve", said),
        (
            "retrieve",
            json!({"limit": 1, "count": false}),
            &title,
            one,
            r#""filtered":null,"display":1,"queries":1,"next":"…""#,
            "retrieve",
            "1 tickets.Ticket records.",
        ),
        (
            "retrieve",
            json!({"limit": 1, "count": {"upTo": 2}}),
            &title,
            one,
            r#""filtered":2,"filteredAtLeast":true,"display":1,"queries":2,"next":"…""#,
            "retrieve",
            "1 of at least 2 tickets.Ticket records.",
        ),
        ("retrieve", json!({"limit": 1, "count": {"upTo": 4}}), &title, one, page, "retrieve", said),
        (
            "retrieve",
            json!({"uniqueObject": {"id": 2}}),
            &title,
            r#"[{"title":"two"}]"#,
            r#""filtered":1,"display":1,"queries":2"#,
            "retrieve",
            "1 of 1 tickets.Ticket records.",
        ),
        (
            "retrieve",
            json!({"filter": {"title": "none"}}),
            &title,
            "[]",
            r#""filtered":0,"display":0,"queries":2"#,
            "retrieve",
            "0 of 0 tickets.Ticket records.",
        ),
        (
            "retrieve",
            json!({"offset": 3, "draw": 7}),
            &title,
            "[]",
            r#""filtered":3,"display":0,"queries":2,"draw":7"#,
            "retrieve",
            "0 of 3 tickets.Ticket records.",
        ),
        (
            "retrieveOne",
            json!({"uniqueObject": {"id": 2}, "draw": "a\"b"}),
            &title,
            r#"{"title":"two"}"#,
            r#""filtered":1,"display":1,"queries":1,"draw":"a\"b""#,
            "retrieveOne",
            "Ticket retrieved successfully.",
        ),
        (
            "count",
            json!({"filter": {"title__startswith": "t"}}),
            &json!({}),
            r#"{"count":2}"#,
            r#""filtered":2,"display":0,"queries":1"#,
            "count",
            "2 tickets.Ticket records.",
        ),
    ] {
        let reply = server.send(&request(intent, "tickets.Ticket", &meta, beside));
        assert_reply(&reply, 200, &success(data, extras, &format!("\"{echoed}\""), message));
    }
}

#[test]
fn fields_come_in_the_order_in_which_they_were_asked() {
    let server = filled(&[]);
    let text = r#"{"title": null, "__meta__": {"namespace": "tickets.Ticket", "limit": 1, "intent": "retrieve"},
        "tags": {"name": null, "id": null}, "id": null, "category": {"name": null, "id": null}, "status": null}"#;
    let reply = Client::connect(&server.address).jql(&server.key, text);
    assert_reply(
        &reply,
        200,
        &success(
            r#"[{"title":"one","tags":[{"name":"red","id":1},{"name":"blue","id":2}],"id":1,"category":{"name":"Billing","id":1},"status":"open"}]"#,
            r#""filtered":3,"display":1,"queries":3,"next":"…""#,
            "\"retrieve\"",
            "1 of 3 tickets.Ticket records.",
        ),
    );
}

#[test]
fn lists_that_were_cut_are_named() {
    let server = filled(&[]);
    let ask = |limits: [u64; 2]| {
        let tags = json!({"__meta__": {"limit": limits[1]}, "name": null});
        let tickets = json!({"__meta__": {"limit": limits[0]}, "tags": tags});
        server.send(&request("retrieve", "tickets.Category", &json!({}), &json!({"tickets": tickets})))
    };
    let page = r#""filtered":1,"display":1,"queries":4"#;
    let (red, blue) = (r#"{"name":"red"}"#, r#"{"name":"blue"}"#);
    for (limits, data, truncated) in [
        ([3, 2], format!(r#"[{{"tickets":[{{"tags":[{red},{blue}]}},{{"tags":[]}},{{"tags":[{blue}]}}]}}]"#), ""),
        (
            [2, 2],
            format!(r#"[{{"tickets":[{{"tags":[{red},{blue}]}},{{"tags":[]}}]}}]"#),
            r#","truncated":["tickets"]"#,
        ),
        ([1, 1], format!(r#"[{{"tickets":[{{"tags":[{red}]}}]}}]"#), r#","truncated":["tickets","tickets__tags"]"#),
    ] {
        let body = success(&data, &format!("{page}{truncated}"), "\"retrieve\"", "1 of 1 tickets.Category records.");
        assert_reply(&ask(limits), 200, &body);
    }
}

#[test]
fn every_writing_intent_has_its_envelope() {
    let server = filled(&[]);
    let one = |queries: u64| format!(r#""filtered":1,"display":1,"queries":{queries}"#);
    for (intent, meta, beside, data, extras, echoed, message) in [
        (
            "create",
            json!({}),
            json!({"title": "four", "category": 1}),
            r#"{"id":4}"#,
            one(1),
            "create",
            "Ticket created successfully.",
        ),
        (
            "create",
            json!({"return": {"title": null, "category": {"name": null}, "id": null}, "draw": 1}),
            json!({"title": "five", "category": 1}),
            r#"{"title":"five","category":{"name":"Billing"},"id":5}"#,
            one(2) + r#","draw":1"#,
            "create",
            "Ticket created successfully.",
        ),
        (
            "update",
            json!({"uniqueObject": {"id": 5}}),
            json!({"title": "5"}),
            r#"{"id":5}"#,
            one(1),
            "update",
            "Ticket updated successfully.",
        ),
        (
            "update",
            json!({"uniqueObject": {"id": 5}, "return": {"status": null, "title": null}}),
            json!({"status": "closed"}),
            r#"{"status":"closed","title":"5"}"#,
            one(2),
            "update",
            "Ticket updated successfully.",
        ),
        (
            "deleteOne",
            json!({"uniqueObject": {"id": 5}}),
            json!({}),
            "null",
            r#""filtered":1,"display":0,"queries":1"#.into(),
            "deleteOne",
            "Ticket deleted successfully.",
        ),
        (
            "delete",
            json!({"uniqueObject": {"id": 4}, "draw": 2}),
            json!({}),
            "null",
            r#""filtered":1,"display":0,"queries":1,"draw":2"#.into(),
            "deleteOne",
            "Ticket deleted successfully.",
        ),
    ] {
        let reply = server.send(&request(intent, "tickets.Ticket", &meta, &beside));
        assert_reply(&reply, 200, &success(data, &extras, &format!("\"{echoed}\""), message));
    }
    assert_eq!(server.count("tickets.Ticket"), 3);
}

#[test]
fn a_request_that_cannot_be_carried_out_is_a_400() {
    let server = Server::start();
    let mut client = Client::connect(&server.address);
    let message = r#""tickets.Ticket has no field \"statuss\"""#;
    let error = format!(r#"{message},"pointer":"/__meta__/filter/statuss","hint":"did you mean \"status\"?""#);
    let body = r#"{"__meta__": {"intent": "retrieve", "namespace": "tickets.Ticket", "filter": {"statuss": "open"}}}"#;
    let reply = client.jql(&server.key, body);
    assert_reply(&reply, 400, &refusal("JqlException", &error, "\"retrieve\"", message));

    let message = r#""the body is not JSON: EOF while parsing an object at line 1 column 1""#;
    assert_reply(&client.jql(&server.key, "{"), 400, &refusal("JqlException", message, "null", message));

    let message = r#""a key was sent in the URL""#;
    let hint = "send it as Authorization: Bearer <key>, and rotate it: URLs are kept in logs";
    let reply = client.request("POST", &format!("/jql?key={}", server.key), "Content-Length: 0\r\n", "");
    assert_reply(&reply, 400, &refusal("JqlException", &format!(r#"{message},"hint":"{hint}""#), "null", message));
}

#[test]
fn all_that_is_wrong_is_in_one_answer_and_the_draw_with_it() {
    let server = Server::start();
    let reply = server.send(&request(
        "create",
        "tickets.Ticket",
        &json!({"draw": 3}),
        &json!({"titel": "a", "status": "shut", "priority": 6}),
    ));
    let code = r#"{"code":"JQL:JqlException","errorMessage""#;
    let body = format!(
        r#"{{"status":"ERROR","data":null,"errors":[{code}:"tickets.Ticket has no field \"titel\"","pointer":"/titel","hint":"did you mean \"title\"?"}},{code}:"\"status\" must be one of \"open\", \"pending\", \"closed\"","pointer":"/status"}},{code}:"\"priority\" must be at most 5","pointer":"/priority"}},{code}:"tickets.Ticket needs the field \"title\"","pointer":"/title"}}],"il8n":"en-gb","extras":{{"filtered":0,"display":0,"queries":0,"draw":3}},"system_info":null,"intent":"create","message":"tickets.Ticket has no field \"titel\""}}"#
    );
    assert_reply(&reply, 400, &body);
}

#[test]
fn a_request_without_a_key_is_a_401() {
    let server = Server::start();
    let message = r#""Authentication failed""#;
    let body = refusal("AuthenticationException", message, "null", message);
    let head = "Content-Type: application/json\r\nContent-Length: 2\r\n";
    assert_reply(&Client::connect(&server.address).request("POST", "/jql", head, "{}"), 401, &body);
    assert_reply(&server.send_as("jql_unknown", &json!({})), 401, &body);
}

#[test]
fn a_class_that_is_not_served_is_a_401_that_names_those_that_are() {
    let server = Server::start();
    let meta = json!({"authenticationClass": "session"});
    let reply = server.send(&request("retrieve", "tickets.Ticket", &meta, &json!({})));
    let message = r#""the authentication class \"session\" is not served; \"apiKey\" is""#;
    let error = format!(r#"{message},"pointer":"/__meta__/authenticationClass","hint":"served: \"apiKey\"""#);
    assert_reply(&reply, 401, &refusal("AuthenticationException", &error, "\"retrieve\"", message));
}

#[test]
fn a_key_that_lacks_a_permission_is_told_which_in_a_403() {
    let server = Server::start();
    let key = server.key_for("tickets.Ticket:read");
    let reply = server.send_as(&key, &request("create", "tickets.Ticket", &json!({}), &json!({"title": "a"})));
    let message = r#""the key lacks the permission tickets.Ticket:create""#;
    let error = format!(r#"{message},"pointer":"/__meta__/namespace""#);
    assert_reply(&reply, 403, &refusal("AuthorizationException", &error, "\"create\"", message));
}

#[test]
fn what_is_not_there_is_a_404() {
    let server = Server::start();
    let mut client = Client::connect(&server.address);
    for (method, path) in [("GET", "/nothing"), ("POST", "/jql/"), ("DELETE", "/admin"), ("GET", "/jql.json")] {
        let message = format!(r#""there is nothing at {path}""#);
        let reply = client.request(method, path, "Content-Length: 0\r\n", "");
        assert_reply(&reply, 404, &refusal("NotFoundException", &message, "null", &message));
    }

    let reply = server.send(&request("retrieve", "tickets.Tickets", &json!({}), &json!({})));
    let message = r#""there is no model tickets.Tickets""#;
    let error = format!(r#"{message},"pointer":"/__meta__/namespace","hint":"did you mean \"tickets.Ticket\"?""#);
    assert_reply(&reply, 404, &refusal("NotFoundException", &error, "\"retrieve\"", message));

    let message = r#""there is no tickets.Ticket with id 5""#;
    let error = format!(r#"{message},"pointer":"/__meta__/uniqueObject""#);
    for (intent, beside) in [("retrieveOne", json!({})), ("update", json!({"title": "a"})), ("deleteOne", json!({}))] {
        let reply = server.send(&request(intent, "tickets.Ticket", &json!({"uniqueObject": {"id": 5}}), &beside));
        assert_reply(&reply, 404, &refusal("NotFoundException", &error, &format!("\"{intent}\""), message));
    }
}

#[test]
fn another_method_is_a_405_that_says_which_is_allowed() {
    let server = Server::start();
    let mut client = Client::connect(&server.address);
    for (path, allowed, methods) in [
        ("/jql", "POST", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"]),
        ("/healthz", "GET, HEAD", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"]),
        ("/readyz", "GET, HEAD", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"]),
    ] {
        let message = format!(r#""this path takes {allowed}""#);
        for method in methods {
            let reply = client.request(method, path, "Content-Length: 0\r\n", "");
            assert_reply(&reply, 405, &refusal("RequestException", &message, "null", &message));
            assert_eq!(reply.header("allow"), Some(allowed), "{method} {path}");
        }
    }
}

#[test]
fn a_body_that_is_too_large_is_a_413_before_it_is_read() {
    let server = Server::with(MODELS, &["--max-body", "2000"]);
    let message = r#""the body is larger than 2000 bytes""#;
    let body = refusal("RequestException", message, "null", message);
    for length in ["2001", "1000000", "100000000"] {
        for expect in ["", "Expect: 100-continue\r\n"] {
            let mut client = Client::connect(&server.address);
            let head = format!(
                "Authorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n{expect}",
                server.key
            );
            assert_reply(&client.request("POST", "/jql", &head, ""), 413, &body);
        }
    }
    let full = format!("{:2000}", request("count", "tickets.Ticket", &json!({}), &json!({})).to_string());
    assert_eq!(Client::connect(&server.address).jql(&server.key, &full).status, 200);
    let mut client = Client::connect(&server.address);
    let head = format!("Authorization: Bearer {}\r\nTransfer-Encoding: chunked\r\n", server.key);
    let chunk = format!("7d1\r\n{:2001}\r\n0\r\n\r\n", " ");
    assert_reply(&client.request("POST", "/jql", &head, &chunk), 413, &body);
}

#[test]
fn a_huge_length_is_a_413_and_the_server_lives_on() {
    let server = Server::start();
    for length in ["1000000000000000", "9223372036854775807", "18446744073709551615"] {
        for expect in ["", "Expect: 100-continue\r\n"] {
            let head = format!("Content-Type: application/json\r\nContent-Length: {length}\r\n{expect}");
            let reply = Client::connect(&server.address).request("POST", "/jql", &head, "");
            assert_eq!(reply.status, 413, "{length}");
            assert_eq!(server.count("tickets.Ticket"), 0);
        }
    }
}

#[test]
fn a_length_beyond_all_numbers_is_a_413_too() {
    let server = Server::start();
    let head = format!("Authorization: Bearer {}\r\nContent-Length: 1{:030}\r\n", server.key, 0);
    assert_eq!(Client::connect(&server.address).request("POST", "/jql", &head, "").status, 413);
}

#[test]
fn another_media_type_is_a_415() {
    let server = Server::start();
    let mut client = Client::connect(&server.address);
    let mut send = |media: &str| {
        let body = request("count", "tickets.Ticket", &json!({}), &json!({})).to_string();
        let head = format!("Authorization: Bearer {}\r\n{media}Content-Length: {}\r\n", server.key, body.len());
        client.request("POST", "/jql", &head, &body)
    };
    let hint = r#","hint":"send Content-Type: application/json""#;
    for (media, message) in [
        ("Content-Type: text/plain\r\n", r#""the body is text/plain, not application/json""#),
        ("Content-Type: application/jsonp\r\n", r#""the body is application/jsonp, not application/json""#),
        (
            "Content-Type: application/x-www-form-urlencoded\r\n",
            r#""the body is application/x-www-form-urlencoded, not application/json""#,
        ),
        ("", r#""the body has no Content-Type""#),
    ] {
        let body = refusal("RequestException", &format!("{message}{hint}"), "null", message);
        assert_reply(&send(media), 415, &body);
    }
    for media in ["application/json; charset=utf-8", "Application/JSON", "application/json;charset=\"UTF-8\""] {
        assert_eq!(send(&format!("Content-Type: {media}\r\n")).status, 200, "{media}");
    }
}

#[test]
fn a_conflict_is_a_409_that_names_the_value_or_who_refers() {
    let server = filled(&[]);
    let reply = server.send(&request("create", "tickets.Category", &json!({}), &json!({"name": "Billing"})));
    let message = r#""another tickets.Category has this name already""#;
    let error = format!(r#"{message},"pointer":"/name""#);
    assert_reply(&reply, 409, &refusal("ConflictException", &error, "\"create\"", message));

    server.create("tickets.Category", &json!({"name": "Other"}));
    let meta = json!({"uniqueObject": {"id": 2}});
    let reply = server.send(&request("update", "tickets.Category", &meta, &json!({"name": "Billing"})));
    assert_reply(&reply, 409, &refusal("ConflictException", &error, "\"update\"", message));

    let meta = json!({"uniqueObject": {"id": 1}});
    let reply = server.send(&request("deleteOne", "tickets.Category", &meta, &json!({})));
    let message = r#""the tickets.Category is still referred to by tickets.Ticket""#;
    let error = format!(r#"{message},"pointer":"/__meta__/uniqueObject""#);
    assert_reply(&reply, 409, &refusal("ConflictException", &error, "\"deleteOne\"", message));
    assert_eq!(server.count("tickets.Category"), 2);
}

#[test]
fn a_conflict_of_several_fields_names_them_all() {
    let models = json!({"a.Seat": {
        "fields": {"row": {"type": "integer"}, "place": {"type": "integer"}},
        "unique_together": [["row", "place"]]
    }});
    let server = Server::with(&models.to_string(), &[]);
    server.create("a.Seat", &json!({"row": 1, "place": 2}));
    let reply = server.send(&request("create", "a.Seat", &json!({}), &json!({"row": 1, "place": 2})));
    let message = r#""another a.Seat has this row and place already""#;
    let error = format!(r#"{message},"pointer":"/row""#);
    assert_reply(&reply, 409, &refusal("ConflictException", &error, "\"create\"", message));
}

#[test]
fn the_server_tells_of_itself_in_the_envelope_too() {
    let server = Server::start();
    let mut client = Client::connect(&server.address);
    for (path, message) in [("/healthz", "up"), ("/readyz", "ready")] {
        let body = success("null", r#""filtered":0,"display":0,"queries":0"#, "null", message);
        assert_reply(&client.request("GET", path, "", ""), 200, &body);
    }
}

#[test]
fn head_is_answered_without_a_body() {
    let server = Server::start();
    let mut client = Client::connect(&server.address);
    for (path, status) in [("/healthz", 200), ("/readyz", 200), ("/jql", 405), ("/nothing", 404)] {
        let length = |reply: &Reply| reply.header("content-length").map(str::to_owned);
        let head = client.request("HEAD", path, "", "");
        let get = client.request("GET", path, "", ""); // it would be garbled, had a body come before it
        assert_eq!((head.status, get.status), (status, status), "{path}");
        assert_eq!(length(&head), length(&get), "{path}");
        assert_eq!(get.body.len().to_string(), length(&get).unwrap());
    }
}

#[test]
fn a_sane_request_id_is_given_back_and_any_other_replaced() {
    let server = Server::start();
    let mut client = Client::connect(&server.address);
    let mut given_back = |headers: &str| {
        let reply = client.request("GET", "/healthz", headers, "");
        reply.header("x-request-id").unwrap().to_owned()
    };
    for id in ["a", "5d1f6e3a-7a2e-4c69-9a56-0c2b7f5f8a11", "A.b:c_d-9", &"x".repeat(128)] {
        assert_eq!(given_back(&format!("X-Request-Id: {id}\r\n")), id);
    }
    let mut seen = Vec::new();
    for headers in [
        String::new(),
        "X-Request-Id:\r\n".into(),
        "X-Request-Id: a b\r\n".into(),
        "X-Request-Id: <script>\r\n".into(),
        "X-Request-Id: a\"b\r\n".into(),
        "X-Request-Id: a/b\r\n".into(),
        "X-Request-Id: a\r\nX-Request-Id: b\r\n".into(),
        format!("X-Request-Id: {}\r\n", "x".repeat(129)),
    ] {
        let id = given_back(&headers);
        assert!((1..=128).contains(&id.len()) && !headers.contains(&id), "{headers} {id}");
        assert!(!seen.contains(&id), "{id} twice");
        seen.push(id);
    }
}

#[test]
fn another_path_answers_where_it_was_asked_for() {
    let server = Server::with(MODELS, &["--jql-path", "/api/v1/query"]);
    let body = request("count", "tickets.Tag", &json!({}), &json!({})).to_string();
    let head = format!(
        "Authorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n",
        server.key,
        body.len()
    );
    let mut client = Client::connect(&server.address);
    let answers: Vec<Value> =
        ["/jql", "/api/v1/query"].map(|path| client.request("POST", path, &head, &body).json()).into();
    assert_eq!(answers[0]["data"], json!({"count": 0}));
    assert_eq!(answers[0], answers[1]);
}
