//! How long each stage of a request takes by itself, without HTTP, keys and disk: `cargo bench -- stages`, or a part of it:
//! `cargo bench -- stages::plan`. `--sort location` has the stages in their order.
//!
//! The median tells most; compare it on one machine, with nothing else running. `run` compiles too. `whole` is all of them one
//! after the other, with the transaction around it. A create is undone each time.

use divan::Bencher;
use jqlite::stages::{Ask, Plan, Stages};
use serde_json::{Value, json};
use std::fmt::{self, Display, Formatter};
use std::sync::LazyLock;
use std::time::Duration;

const TICKETS: usize = 10_000;

static STAGES: LazyLock<Stages> = LazyLock::new(|| {
    let stages = Stages::open(include_str!("../examples/models.json")).unwrap();
    let named = |names: &[&str]| names.iter().map(|name| json!({"name": name})).collect();
    make(&stages, "tickets.Category", named(&["Billing", "Technical", "Sales", "Other"]));
    make(&stages, "tickets.Tag", named(&["urgent", "late"]));
    make(&stages, "tickets.Ticket", (0..TICKETS).map(ticket).collect());
    stages
});

fn main() {
    // Batches, each long enough for the clock, and many of them; of what is slow, as many as fit into a second.
    let divan = divan::Divan::default().sample_size(20).sample_count(500).max_time(Duration::from_secs(1));
    divan.config_with_args().main();
}

/// A request under its name in the table.
struct Request {
    name: &'static str,
    body: Vec<u8>,
    writes: bool,
}

impl Display for Request {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

fn requests() -> [Request; 6] {
    let reading = |name, body: Value| Request { name, body: body.to_string().into_bytes(), writes: false };
    let writing = |name, body: Value| Request { writes: true, ..reading(name, body) };
    let page = json!({"intent": "retrieve", "namespace": "tickets.Ticket", "filter": {"status": "open"}, "limit": 10, "count": false});
    let one = json!({"intent": "retrieveOne", "namespace": "tickets.Ticket", "uniqueObject": {"id": 5000}});
    // In none of the texts, so that all of them are read.
    let search = json!({"intent": "retrieve", "namespace": "tickets.Ticket", "search": {"value": "Somebody"}});
    let mut create = ticket(1);
    // Undone, so that all that is timed finds the same records.
    create["__meta__"] = json!({"intent": "create", "namespace": "tickets.Ticket", "dryRun": true});
    let objects: Vec<Value> = (0..100).map(ticket).collect();
    let many = json!({"intent": "createMany", "namespace": "tickets.Ticket", "objects": objects, "dryRun": true});
    [
        reading("page of 10", json!({"__meta__": page, "id": null, "title": null, "status": null, "priority": null})),
        reading(
            "page with a reference and a list",
            json!({"__meta__": page, "id": null, "title": null, "category": {"name": null}, "tags": {"name": null}}),
        ),
        reading("record by id", json!({"__meta__": one, "id": null, "title": null, "status": null, "priority": null})),
        reading("search", json!({"__meta__": search, "id": null, "title": null})),
        writing("create", create),
        writing("createMany of 100", json!({"__meta__": many})),
    ]
}

fn ticket(number: usize) -> Value {
    let status = ["open", "pending", "closed"][number % 3];
    let tags: &[u8] = if number.is_multiple_of(2) { &[1, 2] } else { &[] };
    json!({"title": format!("Ticket number {number}"), "description": format!("Something about {number} that goes on for a while."),
        "status": status, "priority": number % 6, "cost": "12.50", "category": number % 4 + 1, "tags": tags})
}

fn make(stages: &Stages, model: &str, records: Vec<Value>) {
    let meta = json!({"intent": "createMany", "namespace": model, "objects": records});
    stages.write(json!({"__meta__": meta}).to_string().as_bytes()).unwrap();
}

fn planned(request: &Request) -> (Ask, Plan) {
    let ask = STAGES.parse(&request.body).unwrap();
    let plan = STAGES.plan(&ask).unwrap();
    (ask, plan)
}

#[divan::bench(args = requests())]
fn parse(bencher: Bencher<'_, '_>, request: &Request) {
    bencher.bench(|| STAGES.parse(&request.body).unwrap());
}

#[divan::bench(args = requests())]
fn plan(bencher: Bencher<'_, '_>, request: &Request) {
    let ask = STAGES.parse(&request.body).unwrap();
    bencher.bench(|| STAGES.plan(&ask).unwrap());
}

#[divan::bench(args = requests())]
fn compile(bencher: Bencher<'_, '_>, request: &Request) {
    let (_, plan) = planned(request);
    bencher.bench(|| STAGES.compile(&plan));
}

#[divan::bench(args = requests())]
fn run(bencher: Bencher<'_, '_>, request: &Request) {
    let (_, plan) = planned(request);
    bencher.bench(|| STAGES.run(&plan).unwrap());
}

#[divan::bench(args = requests())]
fn shape(bencher: Bencher<'_, '_>, request: &Request) {
    let (ask, plan) = planned(request);
    let outcome = STAGES.run(&plan).unwrap();
    bencher.bench(|| STAGES.shape(&ask, &plan, &outcome).unwrap());
}

#[divan::bench(args = requests())]
fn whole(bencher: Bencher<'_, '_>, request: &Request) {
    bencher.bench(|| {
        let answer = if request.writes { STAGES.write(&request.body) } else { STAGES.read(&request.body) };
        answer.unwrap()
    });
}
