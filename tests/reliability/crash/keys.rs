//! Changes of keys that are answered hold whatever happens then.

use crate::dice::Dice;
use crate::support::{Client, Server};
use serde_json::{Value, json};

/// Makes keys and ends them, and remembers which work.
pub struct Keeper {
    dice: Dice,
    made: u64,
    pub answered: u64,
    /// Keys that must work, and keys that must not; what is under way is in neither.
    working: Vec<String>,
    ended: Vec<String>,
}

/// Keys of each kind that are tried after a round: the last ones.
const TRIED: usize = 12;

fn controller(intent: &str, id: &Value, beside: &Value) -> Value {
    let meta =
        json!({"intent": intent, "namespace": "system.ApiKey", "schema": "controller", "uniqueObject": {"id": id}});
    let mut request = json!({"__meta__": meta});
    request.as_object_mut().unwrap().extend(beside.as_object().unwrap().clone());
    request
}

impl Keeper {
    pub fn new(dice: Dice) -> Keeper {
        Keeper { dice, made: 0, answered: 0, working: Vec::new(), ended: Vec::new() }
    }

    /// Works until there is no answer.
    pub fn work(&mut self, client: &mut Client, key: &str) {
        while self.live(client, key).is_some() {}
    }

    /// The life of a key, or its beginning.
    fn live(&mut self, client: &mut Client, key: &str) -> Option<()> {
        self.made += 1;
        let meta = json!({"intent": "create", "namespace": "system.ApiKey"});
        let values = json!({"__meta__": meta, "name": format!("key {}", self.made), "permissions": "crash.*:read"});
        let made = self.ask(client, key, &values)?;
        let (text, id) = (text(&made), &made["id"]);
        match self.dice.below(5) {
            0 => self.working.push(text),
            1 => {
                let new = self.ask(client, key, &controller("rotate", id, &json!({})))?;
                self.ended.push(text);
                self.working.push(self::text(&new));
            }
            2 => {
                let new = self.ask(client, key, &controller("rotate", id, &json!({"overlap": "24h"})))?;
                self.working.extend([text, self::text(&new)]);
            }
            3 => {
                self.ask(client, key, &controller("revoke", id, &json!({})))?;
                self.ended.push(text);
            }
            _ => {
                self.ask(client, key, &controller("disable", id, &json!({})))?;
                self.ended.push(text.clone());
                if self.dice.one_in(2) {
                    self.ended.pop();
                    self.ask(client, key, &controller("enable", id, &json!({})))?;
                    self.working.push(text);
                }
            }
        }
        Some(())
    }

    /// The `data` of the answer.
    fn ask(&mut self, client: &mut Client, key: &str, request: &Value) -> Option<Value> {
        let body = request.to_string();
        let head = format!(
            "POST /jql HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        client.send(format!("{head}{body}").as_bytes());
        let reply = client.try_reply("POST")?;
        assert_eq!(reply.status, 200, "{}", reply.body);
        self.answered += 1;
        Some(reply.json()["data"].clone())
    }

    /// Tries the keys of the last rounds.
    pub fn assert_kept(&self, server: &Server) {
        let mut client = Client::connect(&server.address);
        let count = json!({"__meta__": {"intent": "count", "namespace": "crash.Item"}}).to_string();
        for (keys, status) in [(&self.working, 200), (&self.ended, 401)] {
            for key in keys.iter().rev().take(TRIED) {
                let reply = client.jql(key, &count);
                assert_eq!(reply.status, status, "{}", reply.body);
            }
        }
    }
}

fn text(data: &Value) -> String {
    data["key"].as_str().unwrap().to_owned()
}
