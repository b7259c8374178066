//! Clients that write and remember what they were told, so that what a file holds can be held against it.

use crate::dice::Dice;
use crate::support::{Client, Reply};
use rusqlite::Connection;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};

/// What the clients write. A code belongs to one record, and nothing but them sees to that.
pub const MODELS: &str = r#"{
    "crash.Item": { "fields": {
        "code": { "type": "string", "max_length": 40, "index": true },
        "count": { "type": "integer", "default": 0 },
        "text": { "type": "text", "default": "" }
    } }
}"#;

/// What a request changes.
#[derive(Clone, Debug, Default)]
pub struct Effect {
    pub made: Vec<String>,
    pub gone: Vec<String>,
    /// What the client's counter is then.
    pub counted: Option<i64>,
}

/// A request that was sent.
#[derive(Clone, Debug)]
pub struct Sent {
    pub body: String,
    /// Its `Idempotency-Key`.
    pub under: Option<String>,
    pub effect: Effect,
}

impl Sent {
    pub fn send(&self, client: &mut Client, key: &str) -> Option<Reply> {
        let mut head = format!("Authorization: Bearer {key}\r\nContent-Type: application/json\r\n");
        if let Some(under) = &self.under {
            head.push_str(&format!("Idempotency-Key: {under}\r\n"));
        }
        let (body, length) = (&self.body, self.body.len());
        let head = format!("POST /jql HTTP/1.1\r\nHost: localhost\r\n{head}Content-Length: {length}\r\n\r\n");
        client.send(format!("{head}{body}").as_bytes());
        client.try_reply("POST")
    }
}

/// What one client knows.
pub struct Ledger {
    name: String,
    dice: Dice,
    /// Bytes of the longest text of a record.
    largest: usize,
    requests: u64,
    /// Of each code, whether there must be a record of it.
    records: BTreeMap<String, bool>,
    /// Records that it may take away: their codes and ids.
    own: Vec<(String, Value)>,
    /// The id of its counter, and what that was when it was last answered.
    counter: (Value, i64),
    /// The last one that was answered and may be sent again.
    last: Option<Sent>,
    /// The one that was sent without an answer.
    open: Option<Sent>,
    pub answered: u64,
    /// Answers other than 200.
    pub refused: u64,
}

fn create(values: &Value) -> Value {
    let mut request = json!({"__meta__": {"intent": "create", "namespace": "crash.Item"}});
    request.as_object_mut().unwrap().extend(values.as_object().unwrap().clone());
    request
}

impl Ledger {
    /// A client of that name, with a counter of its own.
    pub fn new(address: &str, key: &str, name: &str, dice: Dice, largest: usize) -> Ledger {
        let reply = Client::connect(address).jql(key, &create(&json!({"code": format!("{name}-counter")})).to_string());
        assert_eq!(reply.status, 200, "{}", reply.body);
        Ledger {
            name: name.to_owned(),
            dice,
            largest,
            requests: 0,
            records: BTreeMap::new(),
            own: Vec::new(),
            counter: (reply.json()["data"]["id"].clone(), 0),
            last: None,
            open: None,
            answered: 0,
            refused: 0,
        }
    }

    fn code(&self, part: usize) -> String {
        format!("{}-{}-{part}", self.name, self.requests)
    }

    fn values(&mut self, code: &str) -> Value {
        json!({"code": code, "text": "t".repeat(self.dice.below(self.largest))})
    }

    fn count(&self) -> (Value, i64) {
        let next = self.counter.1 + 1;
        let meta = json!({"intent": "update", "namespace": "crash.Item", "uniqueObject": {"id": self.counter.0}});
        (json!({"__meta__": meta, "count": next}), next)
    }

    fn take_away(&mut self) -> Option<(Value, String)> {
        let (code, id) = self.own.pop()?;
        let meta = json!({"intent": "deleteOne", "namespace": "crash.Item", "uniqueObject": {"id": id}});
        Some((json!({"__meta__": meta}), code))
    }

    /// What it sends next.
    fn next(&mut self) -> Sent {
        self.requests += 1;
        let mut effect = Effect::default();
        let body = match self.dice.below(5) {
            0 => {
                let (body, next) = self.count();
                effect.counted = Some(next);
                body
            }
            1 => {
                effect.made = (0..self.dice.between(2, 5)).map(|part| self.code(part)).collect();
                let records: Vec<Value> = effect.made.iter().map(|code| self.values(code)).collect();
                json!({"__meta__": {"intent": "createMany", "namespace": "crash.Item", "objects": records}})
            }
            2 => self.batch(&mut effect),
            3 if !self.own.is_empty() => {
                let (body, code) = self.take_away().unwrap();
                effect.gone.push(code);
                body
            }
            _ => {
                effect.made.push(self.code(0));
                create(&self.values(&effect.made[0]))
            }
        };
        let under = (!self.dice.one_in(3)).then(|| format!("{} {}", self.name, self.requests));
        Sent { body: body.to_string(), under, effect }
    }

    fn batch(&mut self, effect: &mut Effect) -> Value {
        effect.made = (0..2).map(|part| self.code(part)).collect();
        let mut requests: Vec<Value> = effect.made.iter().map(|code| create(&self.values(code))).collect();
        let (count, next) = self.count();
        effect.counted = Some(next);
        requests.insert(1, count);
        if let Some((body, code)) = self.take_away() {
            effect.gone.push(code);
            requests.push(body);
        }
        json!({"__meta__": {"intent": "execute", "namespace": "system.Batch", "schema": "controller"}, "requests": requests})
    }

    /// Sends one request, or now and then the last one again; `None` where it was not answered.
    pub fn write(&mut self, client: &mut Client, key: &str) -> Option<Reply> {
        if let Some(again) = self.last.clone().filter(|_| self.dice.one_in(10)) {
            let reply = again.send(client, key)?;
            assert_eq!(reply.status == 200, is_replayed(&reply), "{}", reply.body);
            *(if reply.status == 200 { &mut self.answered } else { &mut self.refused }) += 1;
            return Some(reply);
        }
        let sent = self.next();
        let Some(reply) = sent.send(client, key) else {
            self.open = Some(sent);
            return None;
        };
        if reply.status == 200 {
            self.learn(sent, &reply);
        } else {
            self.refused += 1; // and so nothing of it is there
        }
        Some(reply)
    }

    fn learn(&mut self, sent: Sent, reply: &Reply) {
        self.answered += 1;
        if let ([code], Value::Number(id)) = (sent.effect.made.as_slice(), &reply.json()["data"]["id"]) {
            self.own.push((code.clone(), id.clone().into()));
        }
        self.assume(&sent.effect);
        self.last = sent.under.is_some().then_some(sent);
    }

    fn assume(&mut self, effect: &Effect) {
        self.records.extend(effect.made.iter().map(|code| (code.clone(), true)));
        self.records.extend(effect.gone.iter().map(|code| (code.clone(), false)));
        self.counter.1 = effect.counted.unwrap_or(self.counter.1);
    }

    /// Whether the request without an answer took effect; it must have wholly, or not at all.
    pub fn is_done(&self, found: &Found) -> Option<bool> {
        let effect = &self.open.as_ref()?.effect;
        let made = effect.made.iter().map(|code| found.times(code) > 0);
        let gone = effect.gone.iter().map(|code| found.times(code) == 0);
        let counted = effect.counted.iter().map(|count| found.count(&self.name) == Some(*count));
        let parts: Vec<bool> = made.chain(gone).chain(counted).collect();
        assert!(parts.iter().all(|part| *part == parts[0]), "a part of a request was done: {effect:?}: {parts:?}");
        Some(parts[0])
    }

    /// Sends the request that was not answered again, which then has taken effect once. One without an
    /// `Idempotency-Key` is left as it was found. Whether there was one to be sent.
    pub fn settle(&mut self, client: &mut Client, key: &str, found: &Found) -> bool {
        let is_done = self.is_done(found).unwrap_or(false);
        let Some(open) = self.open.take() else { return false };
        if open.under.is_some() {
            let reply = open.send(client, key).expect("an answer");
            assert_eq!((reply.status, is_replayed(&reply)), (200, is_done), "{open:?}: {}", reply.body);
            self.learn(open, &reply);
            return true;
        }
        if is_done {
            self.assume(&open.effect);
        }
        false
    }

    /// Holds what was found against what it knows; what of it is accounted for is taken out.
    pub fn compare(&self, found: &mut Found) -> Difference {
        let mut difference = Difference::default();
        let effect = self.open.as_ref().map(|open| open.effect.clone()).unwrap_or_default();
        if !effect.counted.into_iter().chain([self.counter.1]).any(|count| found.count(&self.name) == Some(count)) {
            difference.lost.push(format!("{} counted {}", self.name, self.counter.1));
        }
        let open = effect.made.iter().chain(&effect.gone);
        let open: Vec<&String> = open.collect();
        for code in self.records.keys().chain(open.iter().copied()) {
            let times = found.0.remove(code).map_or(0, |(times, _)| times);
            match self.records.get(code) {
                _ if times > 1 => difference.twice.push(code.clone()),
                _ if open.contains(&code) => {}
                Some(true) if times == 0 => difference.lost.push(code.clone()),
                Some(false) if times == 1 => difference.lost.push(format!("the end of {code}")),
                _ => {}
            }
        }
        if found.0.remove(&format!("{}-counter", self.name)).is_none_or(|(times, _)| times != 1) {
            difference.lost.push(format!("the counter of {}", self.name));
        }
        difference
    }
}

pub fn is_replayed(reply: &Reply) -> bool {
    reply.header("idempotency-replayed") == Some("true")
}

/// Of each code, how often it was found and what it counted.
pub struct Found(HashMap<String, (i64, i64)>);

impl Found {
    pub fn read(connection: &Connection) -> Found {
        let mut statement =
            connection.prepare(r#"SELECT "code", count(*), max("count") FROM "crash.Item" GROUP BY "code""#).unwrap();
        let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, (row.get(1)?, row.get(2)?)));
        Found(statement.query_map([], row).unwrap().map(Result::unwrap).collect())
    }

    fn times(&self, code: &str) -> i64 {
        self.0.get(code).map_or(0, |(times, _)| *times)
    }

    /// What the counter of that client is.
    fn count(&self, name: &str) -> Option<i64> {
        self.0.get(&format!("{name}-counter")).map(|(_, count)| *count)
    }
}

/// What is not as it should be.
#[derive(Debug, Default)]
pub struct Difference {
    pub lost: Vec<String>,
    pub twice: Vec<String>,
    /// What nobody was told of, and nobody waits for.
    pub strange: Vec<String>,
}

/// Holds a database against all that was written to it.
pub fn differences(connection: &Connection, ledgers: &[Ledger]) -> Difference {
    let mut found = Found::read(connection);
    let mut all = Difference::default();
    for ledger in ledgers {
        ledger.is_done(&found);
        let one = ledger.compare(&mut found);
        all.lost.extend(one.lost);
        all.twice.extend(one.twice);
    }
    all.strange.extend(found.0.into_keys());
    all
}

impl Difference {
    #[track_caller]
    pub fn assert_none(&self) {
        assert!(self.lost.is_empty() && self.twice.is_empty() && self.strange.is_empty(), "{self:?}");
    }
}
