//! Callers of many kinds, each of which knows what its answers must say.

use crate::support::{Client, MODELS, Reply, Server, request};
use serde_json::{Value, json};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Nobody waits longer for an answer.
const PATIENCE: Duration = Duration::from_secs(25);

/// What came of the requests of all callers.
pub struct Load {
    address: String,
    key: String,
    callers: AtomicUsize,
    answered: Mutex<Vec<(String, u16)>>,
    made: Mutex<Vec<String>>,
}

impl Load {
    pub fn on(server: &Server) -> Load {
        Load {
            address: server.address.clone(),
            key: server.key.clone(),
            callers: AtomicUsize::new(0),
            answered: Mutex::default(),
            made: Mutex::default(),
        }
    }

    /// A caller with a connection and a name of its own.
    pub fn caller(&self, kind: &str) -> Caller<'_> {
        let number = self.callers.fetch_add(1, Ordering::SeqCst);
        let client = self.connect();
        Caller {
            load: self,
            name: format!("{kind}-{number}").replace(' ', "-"),
            key: self.key.clone(),
            client,
            sent: 0,
        }
    }

    fn connect(&self) -> Client {
        let client = Client::connect(&self.address);
        client.patience(PATIENCE);
        client
    }

    /// Reads the answer to the request of that id; `None` where the connection ended before.
    fn read(&self, client: &mut Client, id: &str) -> Option<Reply> {
        let began = Instant::now();
        let reply = client.try_reply("POST");
        assert!(began.elapsed() < PATIENCE, "no answer to {id}");
        let reply = reply?;
        // What comes after a panic outside of any request does not know which one it is for.
        let is_its_own = reply.header("x-request-id") == Some(id);
        assert!(is_its_own || reply.status == 500, "{id}: {reply:?}");
        if is_its_own {
            self.answered.lock().unwrap().push((id.to_owned(), reply.status));
        }
        Some(reply)
    }

    /// The ids of the requests that were answered, and the statuses of the answers.
    pub fn answered(&self) -> Vec<(String, u16)> {
        self.answered.lock().unwrap().clone()
    }

    /// The names of tags that were made for certain.
    pub fn made(&self) -> Vec<String> {
        self.made.lock().unwrap().clone()
    }
}

pub struct Caller<'l> {
    load: &'l Load,
    pub name: String,
    key: String,
    client: Client,
    sent: usize,
}

impl Caller<'_> {
    /// The bytes of a request with an id of its own, which is given too.
    fn written(&mut self, headers: &str, request: &Value) -> (String, String) {
        self.sent += 1;
        let (id, body) = (format!("{}-{}", self.name, self.sent), request.to_string());
        let head = format!(
            "POST /jql HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: {id}\r\nAuthorization: Bearer {}\r\n{headers}\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            self.key,
            body.len()
        );
        (id, head + &body)
    }

    /// Sends a request; `None` where the connection ended without an answer.
    pub fn try_ask(&mut self, request: &Value) -> Option<Reply> {
        let (id, bytes) = self.written("", request);
        self.client.send(bytes.as_bytes());
        self.load.read(&mut self.client, &id)
    }

    /// Takes another connection.
    pub fn reconnect(&mut self) {
        self.client = self.load.connect();
    }

    /// Sends a request that must be answered.
    pub fn ask(&mut self, request: &Value) -> Reply {
        self.try_ask(request).unwrap_or_else(|| panic!("no answer: {request}"))
    }

    /// Sends a request that must be carried out, again where the models changed meanwhile; its data.
    pub fn data(&mut self, request: &Value) -> Value {
        loop {
            let reply = self.ask(request);
            if reply.status == 503 && reply.body.contains("the models are being changed") {
                continue;
            }
            assert_eq!(reply.status, 200, "{request}\n{}", reply.body);
            return reply.json()["data"].clone();
        }
    }

    /// Notes that a tag was made.
    pub fn made(&self, name: String) {
        self.load.made.lock().unwrap().push(name);
    }
}

pub fn tag(name: &str) -> Value {
    request("create", "tickets.Tag", &json!({"return": {"name": null}}), &json!({"name": name}))
}

fn tags(name: &str) -> Value {
    request("retrieve", "tickets.Tag", &json!({"filter": {"name": name}}), &json!({"name": null}))
}

fn control(intent: &str, namespace: &str, meta: &Value, arguments: &Value) -> Value {
    let mut request = request(intent, namespace, meta, arguments);
    request["__meta__"]["schema"] = json!("controller");
    request
}

/// What a caller does in a round.
type Kind = fn(&mut Caller<'_>, usize);

/// The kinds of callers.
pub const KINDS: [(&str, Kind); 10] = [
    ("records", records),
    ("memory", memory),
    ("batches", batches),
    ("retries", retries),
    ("leaving", leaving),
    ("pipelines", pipelines),
    ("slow", slow),
    ("models", models),
    ("keys", keys),
    ("pages", pages),
];

/// What was made is found.
fn records(caller: &mut Caller<'_>, round: usize) {
    let name = format!("{} {round}", caller.name);
    assert_eq!(caller.data(&tag(&name)), json!({"name": name}));
    caller.made(name.clone());
    assert_eq!(caller.data(&tags(&name)), json!([{"name": name}]));
}

/// What was changed is never again answered as it was before, from memory least of all.
fn memory(caller: &mut Caller<'_>, round: usize) {
    let name = |change: usize| format!("{} {round} {change}", caller.name);
    let names: Vec<String> = (0..4).map(name).collect();
    let made = request("create", "tickets.Category", &json!({}), &json!({"name": names[0]}));
    let one = json!({"id": caller.data(&made)["id"]});
    let meta = json!({"filter": one, "cache": {"enabled": true}});
    let read = request("retrieve", "tickets.Category", &meta, &json!({"name": null}));
    for change in names.windows(2) {
        let (old, new) = (json!([{"name": change[0]}]), json!([{"name": change[1]}]));
        let mut beside = caller.load.connect();
        let sent: Vec<_> = (0..6).map(|_| caller.written("", &read)).collect();
        beside.send(sent.iter().map(|(_, bytes)| bytes.as_str()).collect::<String>().as_bytes());
        let meta = json!({"uniqueObject": one});
        caller.data(&request("update", "tickets.Category", &meta, &json!({"name": change[1]})));
        let seen =
            sent.iter().map(|(id, _)| caller.load.read(&mut beside, id).expect("an answer").json()["data"].clone());
        let seen: Vec<Value> = seen.skip_while(|seen| *seen == old).chain([caller.data(&read)]).collect();
        assert!(seen.iter().all(|seen| *seen == new), "{old} became {new}: {seen:?}");
    }
}

/// One uses what another in the same transaction made.
fn batches(caller: &mut Caller<'_>, round: usize) {
    let name = format!("{} {round}", caller.name);
    let category = request("create", "tickets.Category", &json!({}), &json!({"name": name}));
    let beside = json!({"title": name, "category": {"__result__": "/0/data/id"}});
    let ticket = request("create", "tickets.Ticket", &json!({}), &beside);
    caller.data(&control("execute", "system.Batch", &json!({}), &json!({"requests": [category, ticket]})));
    let read = request(
        "retrieve",
        "tickets.Ticket",
        &json!({"filter": {"title": name}}),
        &json!({"category": {"name": null}}),
    );
    assert_eq!(caller.data(&read), json!([{"category": {"name": name}}]));
}

/// The same write on two connections at once is done once.
fn retries(caller: &mut Caller<'_>, round: usize) {
    let name = format!("{} {round}", caller.name);
    let once = format!("Idempotency-Key: {name}\r\n");
    let mut sent: Vec<(String, Client)> = Vec::new();
    for mut client in [caller.load.connect(), caller.load.connect()] {
        let (id, bytes) = caller.written(&once, &tag(&name));
        client.send(bytes.as_bytes());
        sent.push((id, client));
    }
    let mut statuses = sent.iter_mut().map(|(id, client)| caller.load.read(client, id).expect("an answer").status);
    let statuses = [statuses.next().unwrap(), statuses.next().unwrap()];
    let is_retry = |status: &u16| [200, 409, 503].contains(status); // while it is on its way, or the models change
    assert!(statuses.iter().all(is_retry), "{statuses:?}");
    if statuses.contains(&200) {
        assert_eq!(caller.data(&tags(&name)), json!([{"name": name}]));
        caller.made(name);
    }
}

/// Who does not stay until the end leaves nothing behind.
fn leaving(caller: &mut Caller<'_>, round: usize) {
    let mut client = caller.load.connect();
    let (_, bytes) = caller.written("", &tag(&format!("{} {round}", caller.name)));
    let part = [bytes.len(), bytes.len() - 1, bytes.len() / 2, 0][round % 4];
    client.send(&bytes.as_bytes()[..part]);
    if round.is_multiple_of(3) {
        client.stream().shutdown(std::net::Shutdown::Write).unwrap();
        client.try_reply("POST");
    }
}

/// Requests that come at once are answered in their order.
fn pipelines(caller: &mut Caller<'_>, round: usize) {
    let names: Vec<String> = (0..4).map(|place| format!("{} {round} {place}", caller.name)).collect();
    let sent: Vec<_> =
        names.iter().flat_map(|name| [caller.written("", &tag(name)), caller.written("", &tags(name))]).collect();
    let mut client = caller.load.connect();
    client.send(sent.iter().map(|(_, bytes)| bytes.as_str()).collect::<String>().as_bytes());
    let replies: Vec<Reply> =
        sent.iter().map(|(id, _)| caller.load.read(&mut client, id).expect("an answer")).collect();
    for (name, replies) in names.into_iter().zip(replies.chunks(2)) {
        let was_made = replies[0].status == 200;
        assert!(was_made || replies[0].status == 503, "{}", replies[0].body);
        let found = if was_made { json!([{"name": name}]) } else { json!([]) };
        assert_eq!(replies[1].json()["data"], found);
        if was_made {
            caller.made(name);
        }
    }
}

/// A search that is at it long enough for others to go on beside it, with one of the few readers.
fn slow(caller: &mut Caller<'_>, round: usize) {
    if round.is_multiple_of(2) {
        let filter = json!({"tags__tickets__title__icontains": "zzz"});
        let search = request("count", "tickets.Ticket", &json!({"filter": filter}), &json!({}));
        assert_eq!(caller.data(&search), json!({"count": 0}));
    }
}

/// Models that change, and records that are made and read meanwhile: as it was before or as it is after.
fn models(caller: &mut Caller<'_>, round: usize) {
    let mut models: Value = serde_json::from_str(MODELS).unwrap();
    if round.is_multiple_of(2) {
        models["profile.Customer"]["fields"]["nick"] = json!({"type": "string", "null": true});
    }
    let arguments = json!({"models": models, "allowDataLoss": true});
    caller.data(&control("apply", "system.Model", &json!({}), &arguments));
    for number in 0..4 {
        let email = format!("{}-{round}-{number}@example.com", caller.name);
        let beside = json!({"name": "name", "email": email, "nick": "nick"});
        let make = request("create", "profile.Customer", &json!({"return": {"nick": null}}), &beside);
        let read = request("retrieve", "profile.Customer", &json!({"limit": 1}), &json!({"nick": null}));
        for request in [make, read] {
            let reply = caller.ask(&request);
            assert!([200, 400, 503].contains(&reply.status), "{}", reply.body);
        }
    }
}

/// What revokes a key acts on the next request.
fn keys(caller: &mut Caller<'_>, round: usize) {
    let name = format!("{} {round}", caller.name);
    let beside = json!({"name": name, "permissions": ["tickets.Tag:read"]});
    let made = caller.data(&request("create", "system.ApiKey", &json!({}), &beside));
    let all = std::mem::replace(&mut caller.key, made["key"].as_str().unwrap().to_owned());
    assert_eq!(caller.data(&tags("none")), json!([]));
    let own = std::mem::replace(&mut caller.key, all.clone());
    caller.data(&control("revoke", "system.ApiKey", &json!({"uniqueObject": {"id": made["id"]}}), &json!({})));
    caller.key = own;
    assert_eq!(caller.ask(&tags("none")).status, 401);
    caller.key = all;
}

/// What the server tells of itself.
fn pages(caller: &mut Caller<'_>, _: usize) {
    let authorization = format!("Authorization: Bearer {}\r\n", caller.key);
    for path in ["/metrics", "/openapi.json", "/healthz", "/readyz"] {
        assert_eq!(caller.client.request("GET", path, &authorization, "").status, 200, "{path}");
    }
}

/// Makes a record or looks for one; whether the server is still there.
pub fn goes_on(caller: &mut Caller<'_>, makes: bool) -> bool {
    let name = format!("{} {}", caller.name, caller.sent);
    let Some(reply) = caller.try_ask(&if makes { tag(&name) } else { tags(&name) }) else { return false };
    assert!([200, 503].contains(&reply.status), "{}", reply.body);
    if makes && reply.status == 200 {
        caller.made(name);
    }
    true
}
