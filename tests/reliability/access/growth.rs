//! Keys that may make and change keys, and try by chance whatever that lets them do: no key that they get hold of, and
//! none that they change, ever may more than the one they began with.

use super::matrix::{allows, described, get};
use super::new_key;
use crate::dice::{Dice, seed};
use crate::hostile::judge::assert_proper;
use crate::report::{counted, scale};
use crate::support::{Client, Server, request, run};
use rusqlite::Connection;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

const KEYS: &str = "system.ApiKey";

/// What permissions may be about: what there is, and what there may be one day.
const MODELS: [&str; 9] = [
    "tickets.Ticket",
    "tickets.Tag",
    "tickets.Later",
    "profile.Customer",
    "later.Model",
    "system.ApiKey",
    "system.UsageLog",
    "system.Model",
    "system.Later",
];
const ACTIONS: [&str; 4] = ["create", "read", "update", "delete"];

/// What the keys begin with that the walks begin with.
const BEGINNINGS: [&str; 5] = [
    "tickets.Ticket:*,system.ApiKey:*",
    "tickets.*:read,system.ApiKey:create,system.ApiKey:update",
    "*.*:read,system.ApiKey:create,system.ApiKey:read",
    "tickets.Ticket:create,tickets.Ticket:read,tickets.Ticket:update,tickets.Ticket:delete,system.ApiKey:update",
    "tickets.Tag:read,system.*:*",
];
const GIVEN: [&str; 16] = [
    "tickets.Ticket:read",
    "tickets.Ticket:*",
    "tickets.*:read",
    "tickets.*:*",
    "*.*:read",
    "*.*:*",
    "system.ApiKey:*",
    "system.ApiKey:create",
    "system.ApiKey:update",
    "system.*:*",
    "system.*:read",
    "tickets.Tag:create",
    "profile.Customer:read",
    "tickets.Later:read",
    "system.Model:update",
    "system.UsageLog:read",
];

/// The bounds of that key.
const ENDS: &str = "2999-01-01T00:00:00.000000Z";
const RATE: u32 = 900_000;
const NETWORKS: &str = "127.0.0.0/8";

/// What a key may, and how long, how often and from where.
#[derive(Clone, Debug, PartialEq)]
struct Power {
    permissions: Vec<String>,
    expires: Option<String>,
    rate: Option<i64>,
    networks: Option<Vec<(u32, u32)>>,
}

impl Power {
    fn of(row: &rusqlite::Row<'_>) -> Power {
        let text = |column: usize| row.get::<_, Option<String>>(column).unwrap();
        let permissions = text(1).unwrap().split(',').filter(|one| !one.is_empty()).map(str::to_owned).collect();
        let networks = text(4).map(|all| all.split(',').map(network).collect());
        Power { permissions, expires: text(2), rate: row.get(3).unwrap(), networks }
    }

    fn may(&self, namespace: &str, action: &str) -> bool {
        self.permissions.iter().any(|permission| allows(permission, namespace, action))
    }

    /// Whether it is no more than the other in anything.
    fn is_within(&self, other: &Power) -> bool {
        let mut all = MODELS.iter().flat_map(|model| ACTIONS.map(|action| (*model, action)));
        let permitted = all.all(|(model, action)| !self.may(model, action) || other.may(model, action));
        let ends =
            other.expires.is_none() || self.expires.as_ref().is_some_and(|end| Some(end) <= other.expires.as_ref());
        let bounded = other.rate.is_none_or(|most| self.rate.is_some_and(|rate| rate <= most));
        let inside = other.networks.as_ref().is_none_or(|outer| {
            let holds = |one: &(u32, u32)| outer.iter().any(|other| other.0 <= one.0 && one.1 <= other.1);
            self.networks.as_ref().is_some_and(|inner| inner.iter().all(holds))
        });
        permitted && ends && bounded && inside
    }
}

/// The first and the last address of a network; of one that is not of IPv4, all that there are.
fn network(text: &str) -> (u32, u32) {
    let whole = text.parse::<IpAddr>().map(|address| address.to_canonical().to_string() + "/32");
    let text = whole.as_deref().unwrap_or(text);
    let (address, length) = text.split_once('/').unwrap();
    match address.parse::<Ipv4Addr>() {
        Ok(address) => {
            let mask = u32::MAX.checked_shr(length.parse().unwrap()).unwrap_or(0);
            (address.to_bits() & !mask, address.to_bits() | mask)
        }
        Err(_) => (0, u32::MAX),
    }
}

/// All keys by their ids.
fn powers(file: &Connection) -> BTreeMap<i64, Power> {
    let statement = r#"SELECT "id", "permissions", "expires", "rate", "allowed_ips" FROM "system.ApiKey""#;
    let mut statement = file.prepare_cached(statement).unwrap();
    statement.query_map([], |row| Ok((row.get(0)?, Power::of(row)))).unwrap().map(Result::unwrap).collect()
}

/// One thing that might be tried.
struct Try<'d> {
    dice: &'d mut Dice,
    /// The highest id of a key.
    last: i64,
}

impl Try<'_> {
    fn any(&mut self) -> Value {
        let id = if self.dice.one_in(3) { json!(self.last) } else { json!(self.dice.between(1, self.last as usize)) };
        self.about(id)
    }

    fn about(&mut self, id: Value) -> Value {
        let one = json!({"uniqueObject": {"id": id}});
        let controller = json!({"schema": "controller", "uniqueObject": {"id": id}});
        match self.dice.below(20) {
            0..7 => request("create", KEYS, &json!({}), &self.values(true)),
            7..12 => request("update", KEYS, &one, &self.values(false)),
            12..16 => {
                let overlap = *self.dice.pick(&["0s", "1h", "30d", "9999d", "-1h"]);
                let arguments = if self.dice.one_in(2) { json!({"overlap": overlap}) } else { json!({}) };
                request("rotate", KEYS, &controller, &arguments)
            }
            16 => request("rotate", KEYS, &controller, &json!({"endOverlap": true})),
            17 => request("enable", KEYS, &controller, &json!({})),
            18 => request("disable", KEYS, &controller, &json!({})),
            _ => request("upsert", KEYS, &one, &self.values(false)),
        }
    }

    /// What a key is to have, some of it left out.
    fn values(&mut self, is_new: bool) -> Value {
        let dice = &mut *self.dice;
        let count = dice.between(0, 4);
        let permissions: Vec<&str> = (0..count).map(|_| *dice.pick(&GIVEN)).collect();
        let permissions = if dice.one_in(2) { json!(permissions) } else { json!(permissions.join(" , ")) };
        let expires = [
            json!(null),
            json!("2998-01-01"),
            json!("2999-01-01"),
            json!("2999-01-02"),
            json!("2999-01-01T00:00:00-14:00"),
            json!("2999-01-01T00:00:00+14:00"),
            json!("9999-12-31T23:59:59.999999Z"),
            json!("soon"),
        ];
        let rates = [json!(null), json!(1000), json!(900_000), json!(900_001), json!("900000"), json!(0), json!(-1)];
        let networks = [
            json!(null),
            json!([]),
            json!(["127.0.0.1"]),
            json!(["127.0.0.0/8"]),
            json!(["127.0.0.0/7"]),
            json!(["0.0.0.0/0"]),
            json!("127.0.0.1,127.0.0.2"),
            json!("127.0.0.1,10.0.0.0/8"),
            json!(["::/0"]),
            json!(["::ffff:127.0.0.1"]),
            json!(["::ffff:0.0.0.0/96"]),
        ];
        let mut values = json!({});
        if is_new || dice.one_in(4) {
            values["name"] = json!("x");
        }
        // Most of what is tried would be refused, were each of them chosen for itself.
        let modest = dice.one_in(2);
        for (name, value, plain) in [
            ("permissions", permissions, json!("tickets.Ticket:read")),
            ("expires", dice.pick(&expires).clone(), json!("2998-06-01")),
            ("rate", dice.pick(&rates).clone(), json!(800_000)),
            ("allowed_ips", dice.pick(&networks).clone(), json!(["127.0.0.1"])),
        ] {
            if modest && dice.one_in(2) {
                values[name] = plain;
            } else if dice.one_in(2) {
                values[name] = value;
            }
        }
        values
    }

    /// Several things in one transaction, the later ones about what the first made.
    fn batch(&mut self) -> Value {
        let first =
            if self.dice.one_in(2) { request("create", KEYS, &json!({}), &self.values(true)) } else { self.any() };
        let made = json!({"__result__": "/0/data/id"});
        let more = (0..self.dice.between(1, 2)).map(|_| self.about(made.clone()));
        let requests: Vec<Value> = std::iter::once(first).chain(more).collect();
        let beside = json!({"requests": requests, "atomic": self.dice.one_in(2)});
        request("execute", "system.Batch", &json!({"schema": "controller"}), &beside)
    }
}

/// The texts of keys in an answer.
fn handed_out(answer: &Value) -> Vec<String> {
    let each = match &answer["data"] {
        Value::Array(answers) => answers.iter().map(|answer| &answer["data"]["key"]).collect(),
        one => vec![&one["key"]],
    };
    each.into_iter().filter_map(|key| Some(key.as_str()?.to_owned())).collect()
}

/// Gives the key of that id what it began with.
fn revive(file: &Connection, id: i64, permissions: &str) {
    let statement = r#"UPDATE "system.ApiKey" SET "disabled" = NULL, "permissions" = ?2, "expires" = ?3, "rate" = ?4,
        "allowed_ips" = ?5 WHERE "id" = ?1"#;
    file.execute(statement, (id, permissions, ENDS, RATE, NETWORKS)).unwrap();
}

/// One walk from one beginning; how much was tried, and how many keys came of it.
fn walk(dice: &mut Dice, beginning: &str, steps: usize) -> (usize, usize) {
    let server = Server::start();
    let words = ["keys", "create", "--name", "first", "--allow", beginning, "--expires", ENDS];
    let bounds = ["--rate", &RATE.to_string(), "--allowed-ips", NETWORKS];
    for permissions in ["*.*:*", "system.*:*", "tickets.*:*,system.ApiKey:*", ""] {
        new_key(&server, "other", permissions);
    }
    let first = run(&server.folder, &[&words[..], &bounds].concat());
    let file = Connection::open(server.folder.path("test.db")).unwrap();
    let before = powers(&file);
    let (id, own) = before.last_key_value().map(|(id, power)| (*id, power.clone())).unwrap();
    assert_eq!(own.permissions.join(","), beginning);
    let mut client = Client::connect(&server.address);
    let may = described(&get(&mut client, "/openapi.json", &first).1);
    let mut reached = vec![first];
    let mut known = before.clone();
    for step in 0..steps {
        if step % 10 == 9 {
            // It narrows or disables itself sooner or later, and would have nothing more to try.
            revive(&file, id, beginning);
            known = powers(&file);
        }
        let last = *known.last_key_value().unwrap().0;
        let mut tried = Try { dice, last };
        let body = if tried.dice.one_in(4) { tried.batch() } else { tried.any() }.to_string();
        // Now and then it is sent again, by another key under the same name.
        let retries = if dice.one_in(6) { 2 } else { 1 };
        for _ in 0..retries {
            let caller = dice.pick(&reached).clone();
            let retry = if retries > 1 { format!("Idempotency-Key: {step}\r\n") } else { String::new() };
            let head = format!(
                "Authorization: Bearer {caller}\r\nContent-Type: application/json\r\n{retry}Content-Length: {}\r\n",
                body.len()
            );
            let reply = client.request("POST", "/jql", &head, &body);
            assert_proper(&reply, body.as_bytes());
            if reply.status == 200 {
                reached.extend(handed_out(&reply.json()));
            }
            let now = powers(&file);
            for (key, power) in now.iter().filter(|(key, power)| known.get(key) != Some(power)) {
                assert!(power.is_within(&own), "{beginning} made of the key {key} {power:?}: {body}\n{}", reply.body);
            }
            known = now;
        }
    }
    // Each of them is held against the first over the wire as well, and by the key that it is a text of.
    for key in &reached {
        let (status, document) = get(&mut client, "/openapi.json", key);
        assert!(matches!(status, 200 | 401 | 403 | 429), "{document}");
        assert!(status != 200 || described(&document).is_subset(&may), "{beginning}: {document}");
        let of = format!(r#"SELECT "api_key" FROM "system.ApiKeySecret" WHERE "public_id" = '{}'"#, &key[4..16]);
        let of: i64 = file.query_row(&of, [], |row| row.get(0)).unwrap();
        assert!(of == id || known[&of].is_within(&own), "{beginning} holds {:?}", known[&of]);
    }
    (steps, reached.len() - 1)
}

#[test]
fn keys_never_come_to_more_than_the_one_they_began_with() {
    let mut dice = Dice::new(seed("growth"), 0);
    let (mut tried, mut made) = (0, 0);
    for number in 0..scale(2, 50) {
        let beginning = BEGINNINGS[(dice.below(BEGINNINGS.len()) + number) % BEGINNINGS.len()];
        let (steps, keys) = walk(&mut dice, beginning, scale(150, 300));
        tried += steps;
        made += keys;
    }
    assert!(made > 0, "no key was made or rotated, so nothing was tried");
    counted("growth", "steps of keys that make and change keys", tried);
    counted("growth", "keys that came of them", made);
    counted("growth", "of them that may more than the first", 0);
}
