//! The table of intents: what each does, which permission it takes, and which keys of `__meta__`.
//!
//! A new intent is a row here, an arm in `plan/planner.rs`, its work in `run.rs` or `road/tell.rs`, and a line in
//! the manual.

use crate::access::{Action, Namespace, SYSTEM};

/// What a request wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    Retrieve,
    RetrieveOne,
    Count,
    Aggregate,
    Create,
    CreateMany,
    Update,
    UpdateMany,
    Upsert,
    DeleteOne,
    DeleteMany,
    /// Those of controllers.
    Execute,
    Rotate,
    Revoke,
    Disable,
    Enable,
    WhoAmI,
    Audit,
    Describe,
    Diff,
    Apply,
    Reset,
    Snapshot,
    Restore,
    Clock,
}

/// What is known of an intent before any model is.
#[derive(Debug)]
pub struct Rule {
    pub intent: Intent,
    pub name: &'static str,
    /// Another name that is accepted.
    pub alias: Option<&'static str>,
    pub schema: Schema,
    /// The one namespace that it goes with, where it does not go with all.
    pub of: Option<&'static str>,
    /// What it does to the model of its namespace; a key needs the permission for each.
    pub actions: &'static [Action],
    /// The names of those of the server's own models that it reads beside; a key needs leave for that too.
    pub others: &'static [&'static str],
    pub beside: Beside,
    /// The keys of `__meta__` it takes, beside those that every intent takes.
    pub takes: &'static [&'static str],
    /// Those among them that it cannot do without.
    pub needs: &'static [&'static str],
}

impl Rule {
    /// What every request of it takes on a model: a write that cannot do without a filter tells what it finds by it.
    pub fn least(&self, model: &Namespace) -> impl Iterator<Item = (Namespace, Action)> {
        let reads = self.needs.iter().any(|key| narrows(key)).then_some(Action::Read);
        let own = self.actions.iter().copied().chain(reads).map(|action| (model.clone(), action));
        own.chain(self.others().map(|other| (other, Action::Read)))
    }

    /// The other models that it reads.
    pub fn others(&self) -> impl Iterator<Item = Namespace> {
        self.others.iter().map(|name| Namespace::new(SYSTEM, name))
    }
}

/// Whether a key of `__meta__` says which records.
pub fn narrows(key: &str) -> bool {
    matches!(key, "filter" | "exclude" | "search")
}

/// What kind of thing a namespace is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schema {
    Model,
    /// A thing that acts, with arguments beside `__meta__`.
    Controller,
}

impl Schema {
    pub const ALL: [Schema; 2] = [Schema::Model, Schema::Controller];

    pub fn name(self) -> &'static str {
        match self {
            Schema::Model => "model",
            Schema::Controller => "controller",
        }
    }
}

/// What stands beside `__meta__`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Beside {
    /// The fields that are wanted.
    Fields,
    /// The values of a record.
    Values,
    /// The totals that are wanted.
    Totals,
    /// The arguments of a controller.
    Arguments,
    Nothing,
}

impl Beside {
    pub fn name(self) -> &'static str {
        match self {
            Beside::Fields => "fields",
            Beside::Values => "values",
            Beside::Totals => "totals",
            Beside::Arguments => "arguments",
            Beside::Nothing => "nothing",
        }
    }
}

/// All intents.
pub static INTENTS: [Rule; 25] = [
    Rule {
        intent: Intent::Retrieve,
        name: "retrieve",
        alias: Some("read"),
        schema: Schema::Model,
        of: None,
        actions: &[Action::Read],
        others: &[],
        beside: Beside::Fields,
        takes: &[
            "uniqueObject",
            "filter",
            "exclude",
            "search",
            "ordering",
            "limit",
            "offset",
            "after",
            "count",
            "cache",
        ],
        needs: &[],
    },
    Rule {
        intent: Intent::RetrieveOne,
        name: "retrieveOne",
        alias: None,
        schema: Schema::Model,
        of: None,
        actions: &[Action::Read],
        others: &[],
        beside: Beside::Fields,
        takes: &["uniqueObject", "filter", "exclude", "search", "cache"],
        needs: &["uniqueObject"],
    },
    Rule {
        intent: Intent::Count,
        name: "count",
        alias: None,
        schema: Schema::Model,
        of: None,
        actions: &[Action::Read],
        others: &[],
        beside: Beside::Nothing,
        takes: &["filter", "exclude", "search", "cache"],
        needs: &[],
    },
    Rule {
        intent: Intent::Aggregate,
        name: "aggregate",
        alias: None,
        schema: Schema::Model,
        of: None,
        actions: &[Action::Read],
        others: &[],
        beside: Beside::Totals,
        takes: &["groupBy", "having", "filter", "exclude", "search", "ordering", "limit", "offset", "count", "cache"],
        needs: &[],
    },
    Rule {
        intent: Intent::Create,
        name: "create",
        alias: None,
        schema: Schema::Model,
        of: None,
        actions: &[Action::Create],
        others: &[],
        beside: Beside::Values,
        takes: &["return", "dryRun"],
        needs: &[],
    },
    Rule {
        intent: Intent::CreateMany,
        name: "createMany",
        alias: None,
        schema: Schema::Model,
        of: None,
        actions: &[Action::Create],
        others: &[],
        beside: Beside::Nothing,
        takes: &["objects", "return", "dryRun"],
        needs: &["objects"],
    },
    Rule {
        intent: Intent::Update,
        name: "update",
        alias: None,
        schema: Schema::Model,
        of: None,
        actions: &[Action::Update],
        others: &[],
        beside: Beside::Values,
        takes: &["return", "uniqueObject", "filter", "exclude", "search", "dryRun"],
        needs: &["uniqueObject"],
    },
    Rule {
        intent: Intent::UpdateMany,
        name: "updateMany",
        alias: None,
        schema: Schema::Model,
        of: None,
        actions: &[Action::Update],
        others: &[],
        beside: Beside::Values,
        takes: &["filter", "exclude", "search", "maxAffected", "dryRun"],
        needs: &["filter"],
    },
    Rule {
        intent: Intent::Upsert,
        name: "upsert",
        alias: None,
        schema: Schema::Model,
        of: None,
        actions: &[Action::Update, Action::Create],
        others: &[],
        beside: Beside::Values,
        takes: &["return", "uniqueObject", "dryRun"],
        needs: &["uniqueObject"],
    },
    Rule {
        intent: Intent::DeleteOne,
        name: "deleteOne",
        alias: Some("delete"),
        schema: Schema::Model,
        of: None,
        actions: &[Action::Delete],
        others: &[],
        beside: Beside::Nothing,
        takes: &["uniqueObject", "filter", "exclude", "search", "dryRun"],
        needs: &["uniqueObject"],
    },
    Rule {
        intent: Intent::DeleteMany,
        name: "deleteMany",
        alias: None,
        schema: Schema::Model,
        of: None,
        actions: &[Action::Delete],
        others: &[],
        beside: Beside::Nothing,
        takes: &["filter", "exclude", "search", "maxAffected", "dryRun"],
        needs: &["filter"],
    },
    Rule {
        intent: Intent::Execute,
        name: "execute",
        alias: None,
        schema: Schema::Controller,
        of: Some(BATCH),
        actions: &[],
        others: &[],
        beside: Beside::Arguments,
        takes: &["dryRun"],
        needs: &[],
    },
    of_keys(Intent::Rotate, "rotate"),
    of_keys(Intent::Revoke, "revoke"),
    of_keys(Intent::Disable, "disable"),
    of_keys(Intent::Enable, "enable"),
    of_caller(Intent::WhoAmI, "whoami", API_KEY),
    // The findings tell how keys are used, and name models that keys were given and may do without.
    Rule {
        actions: &[Action::Read],
        others: &["UsageLog", "Model"],
        beside: Beside::Arguments,
        ..of_caller(Intent::Audit, "audit", API_KEY)
    },
    of_caller(Intent::Describe, "describe", MODEL),
    of_models(Intent::Diff, "diff", &[]),
    of_models(Intent::Apply, "apply", &["dryRun"]),
    of_fixture(Intent::Reset, "reset"),
    of_fixture(Intent::Snapshot, "snapshot"),
    of_fixture(Intent::Restore, "restore"),
    of_fixture(Intent::Clock, "clock"),
];

/// What is done to a server for tests as a whole, which no transaction holds and no dry run could undo.
const fn of_fixture(intent: Intent, name: &'static str) -> Rule {
    Rule { of: Some(FIXTURE), takes: &[], ..of_models(intent, name, &[]) }
}

/// What is done to one key.
const fn of_keys(intent: Intent, name: &'static str) -> Rule {
    Rule {
        intent,
        name,
        alias: None,
        schema: Schema::Controller,
        of: Some(API_KEY),
        actions: &[Action::Update],
        others: &[],
        beside: Beside::Arguments,
        takes: &["uniqueObject", "dryRun"],
        needs: &["uniqueObject"],
    }
}

/// What a key is told of itself. It takes no permission: whoever has none is told that.
const fn of_caller(intent: Intent, name: &'static str, of: &'static str) -> Rule {
    Rule {
        intent,
        name,
        alias: None,
        schema: Schema::Controller,
        of: Some(of),
        actions: &[],
        others: &[],
        beside: Beside::Nothing,
        takes: &[],
        needs: &[],
    }
}

/// What is done to the models themselves.
const fn of_models(intent: Intent, name: &'static str, takes: &'static [&'static str]) -> Rule {
    Rule {
        intent,
        name,
        alias: None,
        schema: Schema::Controller,
        of: Some(MODEL),
        actions: &[Action::Update],
        others: &[],
        beside: Beside::Arguments,
        takes,
        needs: &[],
    }
}

/// The controllers that there are.
pub const BATCH: &str = "system.Batch";
pub const API_KEY: &str = "system.ApiKey";
pub const MODEL: &str = "system.Model";
pub const FIXTURE: &str = "system.Fixture";

/// The keys of `__meta__` that every intent takes.
pub const COMMON: [&str; 5] = ["authenticationClass", "intent", "namespace", "schema", "draw"];

impl Intent {
    pub fn rule(self) -> &'static Rule {
        INTENTS.iter().find(|rule| rule.intent == self).expect("every intent has its row")
    }

    /// The intent of that name or alias.
    pub fn named(name: &str, schema: Schema) -> Option<&'static Rule> {
        of(schema).find(|rule| rule.name == name || rule.alias == Some(name))
    }

    /// Whether it only reads.
    pub fn reads(self) -> bool {
        use Intent::*;
        matches!(self, Retrieve | RetrieveOne | Count | Aggregate | WhoAmI | Audit | Describe | Diff)
    }

    /// Whether it takes a transaction of its own, and so no part in a batch.
    pub fn is_alone(self) -> bool {
        self == Intent::Apply || self.is_of_fixture()
    }

    /// Whether it is about a server for tests as a whole.
    pub fn is_of_fixture(self) -> bool {
        matches!(self, Intent::Reset | Intent::Snapshot | Intent::Restore | Intent::Clock)
    }
}

/// The intents of a schema.
pub fn of(schema: Schema) -> impl Iterator<Item = &'static Rule> {
    INTENTS.iter().filter(move |rule| rule.schema == schema)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_intent_has_one_row() {
        for rule in &INTENTS {
            assert!(std::ptr::eq(rule, rule.intent.rule()), "{}", rule.name);
            assert!(rule.needs.iter().all(|key| rule.takes.contains(key)), "{}", rule.name);
            // What would change is told to those only who may change it; what a key is and may, to that key.
            let told = matches!(rule.intent, Intent::Diff | Intent::WhoAmI | Intent::Describe);
            let reads = rule.actions == [Action::Read] || told;
            assert_eq!(rule.intent.reads(), reads, "{}", rule.name);
            assert_eq!(rule.of.is_some(), rule.schema == Schema::Controller, "{}", rule.name);
            let whole = rule.intent.is_of_fixture();
            assert_eq!(whole, rule.of == Some(FIXTURE), "{}", rule.name);
            assert_eq!(rule.takes.contains(&"dryRun"), !reads && !whole, "{}", rule.name);
        }
    }
}
