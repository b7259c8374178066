//! The tables themselves: each model one STRICT table with real columns, checks, foreign keys and indexes,
//! so that any SQLite tool reads the data and none can break its rules.

use crate::model::{Field, Kind, Model, OnDelete, Reference, SOURCE, TARGET};
use crate::sql::Statement;
use crate::value::{Scalar, Storage, Type};

/// A table, or an index on one, by its name.
#[derive(Clone, Debug, PartialEq)]
pub struct Made {
    pub name: String,
    pub create: Statement,
}

/// The table of a model, under a name of its own while it is being rebuilt.
pub fn table(model: &Model, name: &str) -> Statement {
    let mut statement = Statement::default();
    statement.push("CREATE TABLE ").name(name).push(" (\n  ").name("id");
    match model.id {
        Type::Uuid => {
            statement.push(" TEXT PRIMARY KEY NOT NULL");
            form("id", model.id).iter().for_each(|form| form.append_check(&mut statement));
        }
        // AUTOINCREMENT, so that an id is never given again.
        _ => {
            statement.push(" INTEGER PRIMARY KEY AUTOINCREMENT");
        }
    }
    for field in &model.fields {
        match &field.kind {
            Kind::Plain(kind) => append_column(&mut statement, field, *kind, None),
            Kind::Ref(reference) => append_column(&mut statement, field, reference.id, Some(reference)),
            Kind::Refs(_) => {}
        }
    }
    statement.push("\n) STRICT");
    statement
}

fn append_column(statement: &mut Statement, field: &Field, kind: Type, reference: Option<&Reference>) {
    let name = &field.name;
    statement.push(",\n  ").name(name).push(storage(kind));
    if !field.null {
        statement.push(" NOT NULL");
    }
    if let Some(default) = &field.default {
        statement.push(" DEFAULT ").literal(default);
    }
    for rule in rules(field, kind) {
        rule.append_check(statement);
    }
    if let Some(reference) = reference {
        statement.push(" REFERENCES ").name(reference.to.as_str()).push(" (").name("id").push(")");
        statement.push(match reference.on_delete {
            // Checked when the statement ends, so that a cascade may remove both.
            OnDelete::Restrict => " ON DELETE NO ACTION",
            OnDelete::Cascade => " ON DELETE CASCADE",
            OnDelete::SetNull => " ON DELETE SET NULL",
        });
    }
}

fn storage(kind: Type) -> &'static str {
    match kind.storage() {
        Storage::Integer => " INTEGER",
        Storage::Real => " REAL",
        Storage::Text => " TEXT",
    }
}

/// What a table asks of the values of a field.
pub struct Rule<'f> {
    /// The option of the field that it comes of.
    pub option: &'static str,
    column: &'f str,
    asks: Asks<'f>,
}

enum Asks<'f> {
    /// That a value, or what a function makes of it, has this form.
    Form(&'static str, &'static str),
    /// That it is not further from zero.
    Within(i64),
    Json,
    OneOf(&'f [Scalar]),
    /// That it, or what a function makes of it, is on the right side of a bound.
    Bound(&'static str, &'static str, Scalar),
}

/// Choices that a value is compared with one by one.
const MOST_COMPARED: usize = 64;

/// What the table asks of the values of a field of that type. It cannot ask for a `pattern`.
pub fn rules(field: &Field, kind: Type) -> Vec<Rule<'_>> {
    let rule = |option, asks| Rule { option, column: &field.name, asks };
    let length = |length: u64| Scalar::Integer(i64::try_from(length).unwrap_or(i64::MAX));
    let bounds = [
        ("min", field.min.clone(), "", " >= "),
        ("max", field.max.clone(), "", " <= "),
        ("min_length", field.min_length.map(length), "length", " >= "),
        ("max_length", field.max_length.map(length), "length", " <= "),
    ];
    let form = form(&field.name, kind);
    let choices = Some(rule("choices", Asks::OneOf(&field.choices))).filter(|_| !field.choices.is_empty());
    let bounds = bounds
        .into_iter()
        .filter_map(|(option, bound, function, operator)| Some(rule(option, Asks::Bound(function, operator, bound?))));
    form.into_iter().chain(choices).chain(bounds).collect()
}

/// The form in which a type is stored, where its storage alone does not see to it.
fn form(column: &str, kind: Type) -> Option<Rule<'_>> {
    let asks = match kind {
        Type::Boolean => Asks::Form("", " IN (0, 1)"),
        Type::Date => Asks::Form("", " GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]'"),
        Type::Datetime => Asks::Form(
            "",
            " GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'",
        ),
        Type::Time => Asks::Form("", " GLOB '[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]'"),
        Type::Uuid => Asks::Form("length", " = 36"),
        Type::Json => Asks::Json,
        Type::Decimal { digits, .. } => Asks::Within(10_i64.pow(digits) - 1),
        _ => return None,
    };
    Some(Rule { option: "type", column, asks })
}

impl Rule<'_> {
    /// Appends the condition that holds of what obeys it, and of NULL.
    pub fn append(&self, statement: &mut Statement) {
        let column = self.column;
        match &self.asks {
            Asks::Form("", form) => statement.name(column).push(form),
            Asks::Form(function, form) => statement.push(function).push("(").name(column).push(")").push(form),
            Asks::Within(most) => {
                statement.name(column).push(" BETWEEN ").literal(&Scalar::Integer(-most));
                statement.push(" AND ").literal(&Scalar::Integer(*most))
            }
            // SQLite before 3.45 takes NULL for invalid.
            Asks::Json => statement.name(column).push(" IS NULL OR json_valid(").name(column).push(")"),
            // For a list of three or more SQLite makes a table of it with each record that is written, which may
            // take two fifths of that time. Expressions may not nest too deep, so that many stay a list.
            Asks::OneOf(choices) if choices.len() <= MOST_COMPARED => {
                statement.list(*choices, " OR ", |statement, choice| {
                    statement.name(column).push(" = ").literal(choice);
                })
            }
            Asks::OneOf(choices) => statement
                .name(column)
                .push(" IN (")
                .list(*choices, ", ", |statement, choice| {
                    statement.literal(choice);
                })
                .push(")"),
            Asks::Bound(function, operator, bound) => {
                statement.push(function).push("(").name(column).push(")").push(operator).literal(bound)
            }
        };
    }

    fn append_check(&self, statement: &mut Statement) {
        statement.push(" CHECK (");
        self.append(statement);
        statement.push(")");
    }
}

/// The tables of a model's `refs` fields: pairs of ids, gone with either record.
pub fn links(model: &Model) -> Vec<Made> {
    let mut made = Vec::new();
    for field in &model.fields {
        let Kind::Refs(reference) = &field.kind else { continue };
        let name = model.link_table(&field.name);
        let mut create = Statement::default();
        create.push("CREATE TABLE ").name(&name).push(" (\n  ").name(SOURCE).push(storage(model.id));
        create
            .push(" NOT NULL REFERENCES ")
            .name(model.namespace.as_str())
            .push(" (")
            .name("id")
            .push(") ON DELETE CASCADE");
        create.push(",\n  ").name(TARGET).push(storage(reference.id));
        create
            .push(" NOT NULL REFERENCES ")
            .name(reference.to.as_str())
            .push(" (")
            .name("id")
            .push(") ON DELETE CASCADE");
        create.push(",\n  PRIMARY KEY (").name(SOURCE).push(", ").name(TARGET).push(")\n) STRICT, WITHOUT ROWID");
        made.push(Made { name, create });
    }
    made
}

/// The indexes of a model: unique values, those asked for, and one on each reference for the way back.
pub fn indexes(model: &Model) -> Vec<Made> {
    let table = model.namespace.to_string();
    let mut made: Vec<Made> = Vec::new();
    let mut add = |table: &str, columns: &[String], unique: bool| {
        let name = format!("{table}:{}{}", columns.join(","), if unique { ":unique" } else { "" });
        let mut create = Statement::default();
        create.push(if unique { "CREATE UNIQUE INDEX " } else { "CREATE INDEX " }).name(&name);
        create.push(" ON ").name(table).push(" (").list(columns, ", ", |statement, column| {
            match column.strip_prefix('-') {
                Some(column) => statement.name(column).push(" DESC"),
                None => statement.name(column),
            };
        });
        create.push(")");
        if made.iter().all(|index| index.name != name) {
            made.push(Made { name, create });
        }
    };
    for field in &model.fields {
        let columns = [field.name.clone()];
        match &field.kind {
            Kind::Refs(_) => add(&model.link_table(&field.name), &[TARGET.into(), SOURCE.into()], false),
            _ if field.unique => add(&table, &columns, true),
            _ if field.index || matches!(field.kind, Kind::Ref(_)) => add(&table, &columns, false),
            _ => {}
        }
    }
    for columns in &model.unique_together {
        add(&table, columns, true);
    }
    for columns in &model.indexes {
        add(&table, columns, false);
    }
    made
}
