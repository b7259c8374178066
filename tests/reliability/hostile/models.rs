//! Hostile model files: each is put into force whole, or refused with the place of what is wrong and nothing is changed.

use super::judge::{assert_proper, assert_unharmed, holdings, told};
use super::mutate;
use super::tree::Tree;
use crate::dice::{Dice, seed};
use crate::report::{counted, scale};
use crate::support::{Client, MODELS, Reply, Server, jqlite, request, run};
use serde_json::{Map, Value, json};

/// Fields of each type, with the options that go with it.
const FIELDS: &str = r#"[
    {"type": "string", "max_length": 20, "min_length": 1, "choices": ["a", "b"], "default": "a", "index": true},
    {"type": "text", "null": true, "pattern": "^a", "help": "told"},
    {"type": "integer", "min": -5, "max": 5, "default": 0, "unique": true},
    {"type": "float", "null": true}, {"type": "boolean", "default": false},
    {"type": "decimal", "max_digits": 18, "decimal_places": 18, "null": true},
    {"type": "date", "auto_now": true}, {"type": "datetime", "auto_now_add": true}, {"type": "time", "null": true},
    {"type": "uuid", "null": true}, {"type": "json", "null": true},
    {"type": "ref", "to": "tickets.Ticket", "null": true, "on_delete": "cascade", "related_name": "more"},
    {"type": "ref", "to": "tickets.Tag", "null": true, "on_delete": "set_null"},
    {"type": "refs", "to": "profile.Customer", "related_name": "others"},
    {"id": {"type": "uuid"}, "versioned": true, "fields": {"a": {"type": "text"}}, "unique_together": [["a"]]},
    {"fields": {}, "ordering": ["-id"], "search": [], "indexes": [["id"]]}]"#;

/// Names that mean something in a file.
const NAMES: [&str; 38] = [
    "fields",
    "id",
    "versioned",
    "unique_together",
    "indexes",
    "ordering",
    "search",
    "type",
    "null",
    "default",
    "unique",
    "index",
    "choices",
    "min",
    "max",
    "min_length",
    "max_length",
    "pattern",
    "max_digits",
    "decimal_places",
    "auto_now",
    "auto_now_add",
    "to",
    "related_name",
    "on_delete",
    "help",
    "name",
    "title",
    "tags",
    "category",
    "version",
    "tickets.New",
    "tickets.Ticket",
    "system.Own",
    "sqlite_a.B",
    "a.B",
    "pk",
    "rowid",
];

struct Workshop {
    server: Server,
    names: Vec<String>,
    parts: Vec<Tree>,
    dice: Dice,
}

impl Workshop {
    fn new(of: &str) -> Workshop {
        let server = Server::start();
        let fields: Value = serde_json::from_str(FIELDS).unwrap();
        let parts = fields.as_array().unwrap().iter().map(Tree::of).collect();
        let workshop = Workshop { server, names: NAMES.map(str::to_owned).into(), parts, dice: Dice::new(seed(of), 0) };
        workshop.fill();
        workshop
    }

    /// Makes a few records, so that there is something to lose.
    fn fill(&self) {
        let category = self.server.create("tickets.Category", &json!({"name": "a"}));
        let tag = self.server.create("tickets.Tag", &json!({"name": "b"}));
        self.server
            .create("tickets.Ticket", &json!({"title": "c", "cost": "1.50", "category": category, "tags": [tag]}));
        self.server.create("profile.Customer", &json!({"name": "d", "email": "d@e"}));
    }

    /// A file with a few things changed in it: fields that might be meant, and what nobody means.
    fn file(&mut self) -> String {
        let mut models: Value = serde_json::from_str(MODELS).unwrap();
        for _ in 0..self.dice.below(3) {
            self.change_a_field(&mut models);
        }
        let mut tree = Tree::of(&models);
        for _ in 0..self.dice.below(3) {
            mutate::tree(&mut self.dice, &mut tree, &self.parts, &self.names);
        }
        let mut text = tree.text();
        if self.dice.one_in(8) {
            let mut bytes = text.into_bytes();
            mutate::bytes(&mut self.dice, &mut bytes);
            text = String::from_utf8_lossy(&bytes).into_owned();
        }
        text
    }

    /// Adds a field, replaces one or takes one away.
    fn change_a_field(&mut self, models: &mut Value) {
        let models: Vec<&mut Value> = models.as_object_mut().unwrap().values_mut().collect();
        let place = self.dice.below(models.len());
        let fields = models.into_iter().nth(place).unwrap()["fields"].as_object_mut().unwrap();
        let names: Vec<String> = fields.keys().cloned().chain(["extra".to_owned(), "more".to_owned()]).collect();
        let name = self.dice.pick(&names);
        if self.dice.one_in(4) {
            fields.shift_remove(name);
        } else {
            let all: Value = serde_json::from_str(FIELDS).unwrap();
            fields.insert(name.clone(), self.dice.pick(all.as_array().unwrap()).clone());
        }
    }

    /// All that the database holds, its tables among it.
    fn state(&self) -> String {
        self.server.rows(r#"SELECT "name", "sql" FROM "sqlite_schema" ORDER BY "name""#) + &self.server.dump()
    }

    fn apply(&self, client: &mut Client, models: &str, loses: bool) -> Reply {
        let meta = r#""__meta__":{"schema":"controller","namespace":"system.Model","intent":"apply"}"#;
        client.jql(&self.server.key, &format!(r#"{{{meta},"allowDataLoss":{loses},"models":{models}}}"#))
    }

    /// The models in force.
    fn shown(&self) -> Value {
        let asked = request(
            "retrieve",
            "system.Model",
            &json!({"limit": 1000}),
            &json!({"namespace": null, "definition": null}),
        );
        let shown = self.server.data(&asked);
        let models = shown.as_array().unwrap().iter();
        let models = models.map(|model| (model["namespace"].as_str().unwrap().to_owned(), model["definition"].clone()));
        models.collect::<Map<_, _>>().into()
    }

    /// Brings the first models back, and their records.
    fn restore(&self, client: &mut Client) {
        let reply = self.apply(client, MODELS, true);
        if reply.status == 409 {
            // Records that were kept may not fit them.
            assert_eq!(self.apply(client, "{}", true).status, 200);
            assert_eq!(self.apply(client, MODELS, true).status, 200);
        } else {
            assert_eq!(reply.status, 200, "{}", told(&reply));
        }
        for namespace in ["tickets.Ticket", "tickets.Tag", "tickets.Category", "profile.Customer"] {
            self.server.data(&request("deleteMany", namespace, &json!({"filter": {}}), &json!({})));
        }
        self.fill();
    }
}

#[test]
fn models_that_are_sent_are_put_into_force_whole_or_not_at_all() {
    let mut workshop = Workshop::new("models over HTTP");
    let descriptors = holdings(&workshop.server).1;
    let mut client = Client::connect(&workshop.server.address);
    let (rounds, mut applied) = (scale(60, 2500), 0);
    for _ in 0..rounds {
        let (models, loses) = (workshop.file(), workshop.dice.one_in(2));
        let before = workshop.state();
        let reply = workshop.apply(&mut client, &models, loses);
        let sent = format!(r#"{{"__meta__":{{}},"models":{models}}}"#);
        assert_proper(&reply, sent.as_bytes());
        if reply.status == 200 {
            let again = workshop.apply(&mut client, &workshop.shown().to_string(), false);
            let said = again.json()["message"].as_str().unwrap().to_owned();
            assert!(again.status == 200 && said.starts_with("Nothing to change"), "{models}\n{}", again.body);
            assert_eq!(workshop.server.rows("PRAGMA foreign_key_check"), "", "{models}");
            workshop.restore(&mut client);
            applied += 1;
        } else {
            assert!(matches!(reply.status, 400 | 409), "{models}\n{}", reply.body);
            assert_eq!(workshop.state(), before, "{models}\n{}", reply.body);
        }
        assert_eq!(workshop.server.count("tickets.Ticket"), 1, "{models}");
    }
    assert!(applied > 0, "no models were applied");
    counted("models", "hostile models over HTTP", rounds);
    counted("models", "of them put into force", applied);
    assert_unharmed(&mut workshop.server, descriptors);
}

#[test]
fn a_file_of_models_is_put_into_force_or_refused_with_a_place() {
    let mut workshop = Workshop::new("models on the command line");
    let descriptors = holdings(&workshop.server).1;
    let mut client = Client::connect(&workshop.server.address);
    let (rounds, mut applied) = (scale(12, 500), 0);
    for _ in 0..rounds {
        let text = workshop.file();
        let folder = &workshop.server.folder;
        let file = folder.file("hostile.json", &text);
        let mut words = vec!["models", "apply", file.to_str().unwrap()];
        words.extend(workshop.dice.one_in(2).then_some("--allow-data-loss"));
        let before = workshop.state();
        let output = jqlite(folder, &words).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        match output.status.code() {
            Some(0) => {
                let shown = folder.file("shown.json", &run(folder, &["models", "show"]));
                let again = run(folder, &["models", "apply", shown.to_str().unwrap(), "--json"]);
                assert!(again.ends_with(r#""changes":0}"#), "{text}\n{again}");
                run(folder, &["check"]);
                workshop.restore(&mut client);
                applied += 1;
            }
            Some(1) => {
                // Of the file, or where what is stored does not fit, of a model.
                let places = ["hostile.json#", "hostile.json is not JSON: ", "tickets.", "profile.", "fleet."];
                let has_place = places.iter().any(|place| said.contains(place));
                assert!(has_place && !said.contains("panicked"), "{text}\n{said}");
                assert_eq!(workshop.state(), before, "{text}\n{said}");
            }
            other => panic!("{other:?}: {text}\n{said}"),
        }
        assert_eq!(workshop.server.count("tickets.Ticket"), 1, "{text}");
    }
    counted("models", "hostile files of models", rounds);
    counted("models", "of those put into force", applied);
    assert_unharmed(&mut workshop.server, descriptors);
}
