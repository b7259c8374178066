//! The envelope of every success and of every error code, to the letter.

use crate::support::Server;
use serde_json::json;

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
