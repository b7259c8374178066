//! The models for programs of others: their records as JSON Schema, and as types of TypeScript.

use super::language::of_type;
use super::maker::Maker;
use super::values::required;
use super::{closed, object, put};
use crate::auth;
use crate::json::Json;
use crate::model::{Catalogue, Field, Kind, Model};
use crate::plan::Limits;
use crate::value::{Scalar, Type};
use std::fmt::Write;

/// A schema for each model, for a whole record with all rules of its fields, such as a line of a dump:
/// <https://json-schema.org/draft/2020-12>.
pub fn json_schema(catalogue: &Catalogue) -> Json {
    let owner = auth::operator();
    let maker = Maker::new(catalogue, &owner, Limits { max_limit: 0 });
    let schema = |model: &Model| {
        let mut id = of_type(model.id);
        put(&mut id, &["readOnly"], Json::Boolean(model.id != Type::Uuid));
        let fields = model.fields.iter().map(|field| {
            let mut value = maker.field(model, field);
            if field.clock.is_some() {
                put(&mut value, &["readOnly"], Json::Boolean(true));
            }
            (field.name.as_str().into(), value)
        });
        closed(std::iter::once(("id".into(), id)).chain(fields).collect(), &required(model))
    };
    let models = catalogue.models().map(|model| (model.namespace.as_str().into(), schema(model))).collect();
    let dialect = "https://json-schema.org/draft/2020-12/schema";
    object(vec![("$schema", dialect.into()), ("$defs", Json::Object(models))])
}

/// An interface for the records of each model, one for what a new record takes, and one that finds both by namespace.
pub fn type_script(catalogue: &Catalogue) -> String {
    let mut out = String::from(
        "// The records of each model, and what makes a new one. `jqlite models show --format typescript` wrote it.\n",
    );
    for model in catalogue.models() {
        interface(model, &mut out);
    }
    for (name, prefix) in [("Models", ""), ("NewRecords", "New")] {
        let _ = writeln!(out, "\nexport interface {name} {{"); // a text takes all that is written to it
        for model in catalogue.models() {
            let _ = writeln!(out, "  \"{}\": {prefix}{};", model.namespace, type_name(model));
        }
        out.push_str("}\n");
    }
    out
}

fn interface(model: &Model, out: &mut String) {
    let name = type_name(model);
    let _ = writeln!(
        out,
        "\n/** {} */\nexport interface {name} {{\n  readonly id: {};",
        model.namespace,
        type_of(model.id)
    );
    for field in &model.fields {
        told(field, out);
        let read_only = if field.clock.is_some() { "readonly " } else { "" };
        let _ = writeln!(out, "  {read_only}{}: {};", field.name, field_type(field));
    }
    let _ = writeln!(out, "}}\n\nexport interface New{name} {{");
    if model.id == Type::Uuid {
        out.push_str("  id?: string;\n");
    }
    let required = required(model);
    for field in model.fields.iter().filter(|field| field.clock.is_none()) {
        let optional = if required.contains(&field.name.as_str()) { "" } else { "?" };
        let _ = writeln!(out, "  {}{optional}: {};", field.name, field_type(field));
    }
    out.push_str("}\n");
}

/// What a type does not tell: what it refers to, and what its author says of it.
fn told(field: &Field, out: &mut String) {
    let leads_to = match &field.kind {
        Kind::Ref(reference) => Some(format!("The id of a {}.", reference.to)),
        Kind::Refs(reference) => Some(format!("Ids of {}.", reference.to)),
        Kind::Plain(_) => None,
    };
    let told: Vec<String> = field.help.iter().cloned().chain(leads_to).collect();
    if !told.is_empty() {
        // What is told may hold the end of a comment.
        let text = told.join(" ").split_whitespace().collect::<Vec<_>>().join(" ").replace("*/", "* /");
        let _ = writeln!(out, "  /** {text} */");
    }
}

/// `tickets.Ticket` as a name: `TicketsTicket`.
fn type_name(model: &Model) -> String {
    let words = model.namespace.as_str().split(['.', '_']);
    let capital = |word: &str| {
        let mut letters = word.chars();
        letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
    };
    words.map(capital).collect()
}

fn field_type(field: &Field) -> String {
    let (kind, is_list) = match &field.kind {
        Kind::Plain(kind) => (*kind, false),
        Kind::Ref(reference) => (reference.id, false),
        Kind::Refs(reference) => (reference.id, true),
    };
    let one = if field.choices.is_empty() { type_of(kind).to_owned() } else { choices(kind, &field.choices) };
    match (is_list, field.null && kind != Type::Json) {
        (true, _) => format!("{one}[]"),
        (false, true) => format!("{one} | null"),
        (false, false) => one,
    }
}

fn choices(kind: Type, choices: &[Scalar]) -> String {
    let written = choices.iter().map(|choice| {
        let mut out = Vec::new();
        kind.write(choice, &mut out);
        String::from_utf8_lossy(&out).into_owned()
    });
    written.collect::<Vec<_>>().join(" | ")
}

fn type_of(kind: Type) -> &'static str {
    match kind {
        Type::Integer | Type::Float | Type::Total { places: None } => "number",
        Type::Boolean => "boolean",
        Type::Json => "unknown",
        Type::Words => "string[]",
        _ => "string", // decimals too, which keep their digits
    }
}
