//! The server's own models: keys, the usage log and the models themselves, read and written by the same code as any.
//!
//! Their tables are in `schema.sql`. What is not a field here, the hashes of keys above all, can be named nowhere.

use super::{Clock, Field, Form, Model};
use crate::access::{Namespace, SYSTEM};
use crate::intent::Intent;
use crate::value::{Scalar, Type};
use std::sync::Arc;

/// The name of that of the usage log.
pub const USAGE_LOG: &str = "UsageLog";
/// That of what is done to a server for tests, which has no records.
pub const FIXTURE: &str = "Fixture";

/// All of them.
pub fn models() -> Vec<Model> {
    vec![api_key(), usage_log(), model()]
}

/// The namespace of one of them.
pub fn namespace(name: &str) -> Namespace {
    Namespace::new(SYSTEM, name)
}

fn named(name: &str, intents: &'static [Intent], fields: Vec<Field>) -> Model {
    Model {
        namespace: namespace(name),
        id: Type::Integer,
        intents: Some(intents),
        is_groups: false,
        versioned: false,
        fields: fields.into_iter().map(Arc::new).collect(),
        unique_together: Vec::new(),
        indexes: Vec::new(),
        ordering: Vec::new(),
        search: None,
    }
}

/// A field that only the server sets.
fn kept(name: &str, kind: Type) -> Field {
    Field { clock: Some(Clock::Kept), ..Field::plain(name, kind) }
}

fn api_key() -> Model {
    use Intent::*;
    let name = Field {
        null: false,
        min_length: Some(1),
        max_length: Some(100),
        form: Some(Form::Name),
        ..Field::plain("name", Type::String)
    };
    let permissions = Field {
        null: false,
        default: Some(Scalar::Text(String::new())),
        form: Some(Form::Permissions),
        ..Field::plain("permissions", Type::Words)
    };
    let created = Field { clock: Some(super::Clock::OnCreate), null: false, ..Field::plain("created", Type::Datetime) };
    let rate = Field {
        min: Some(Scalar::Integer(1)),
        max: Some(Scalar::Integer(1_000_000_000)),
        ..Field::plain("rate", Type::Integer)
    };
    let fields = vec![
        Field { unique: true, ..kept("public_id", Type::String) },
        name,
        permissions,
        created,
        kept("created_by", Type::String),
        Field::plain("expires", Type::Datetime),
        kept("disabled", Type::Datetime),
        kept("revoked", Type::Datetime),
        rate,
        Field { form: Some(Form::Networks), ..Field::plain("allowed_ips", Type::Words) },
        kept("last_used", Type::Datetime),
        kept("last_ip", Type::String),
    ];
    named(
        "ApiKey",
        &[Retrieve, RetrieveOne, Count, Create, Update, DeleteOne, Rotate, Revoke, Disable, Enable, WhoAmI, Audit],
        fields,
    )
}

fn usage_log() -> Model {
    use Intent::*;
    let fields = vec![
        Field { index: true, ..kept("at", Type::Datetime) },
        kept("request_id", Type::String),
        kept("key", Type::String),
        kept("namespace", Type::String),
        kept("intent", Type::String),
        kept("action", Type::String),
        kept("status", Type::Integer),
        kept("code", Type::String),
        kept("rows", Type::Integer),
        kept("queries", Type::Integer),
        kept("duration_us", Type::Integer),
        kept("request_bytes", Type::Integer),
        kept("response_bytes", Type::Integer),
        kept("remote_addr", Type::String),
    ];
    named(USAGE_LOG, &[Retrieve, RetrieveOne, Count, Aggregate], fields)
}

/// The models in force, as they were written.
fn model() -> Model {
    use Intent::*;
    let fields = vec![Field { unique: true, ..kept("namespace", Type::String) }, kept("definition", Type::Json)];
    named("Model", &[Retrieve, RetrieveOne, Describe, Diff, Apply], fields)
}
