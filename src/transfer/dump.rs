//! Dumping: all records of a model, in the order of their ids, as a file that loads again.

use super::cell;
use crate::cli::FileFormat;
use crate::json::{write_list, write_string};
use crate::model::{Catalogue, Field, Kind, Model, SOURCE, TARGET};
use crate::sql::Statement;
use crate::store::{Failure, Session};
use crate::value::{Scalar, Type};
use std::collections::BTreeSet;
use std::io::{self, Write};
use std::sync::Arc;

/// Why a dump ended.
#[derive(Debug)]
pub enum Ended {
    Database(Failure),
    Output(io::Error),
}

/// A member of a dumped record.
struct Member<'m> {
    name: &'m str,
    null: bool,
    holds: Holds,
}

enum Holds {
    /// The next column of the record.
    Column(Type),
    /// The ids of the statement, which takes the record's.
    List(Type, Statement),
}

/// Writes all records of a model; `tell` hears how many there are so far.
///
/// # Errors
/// They cannot be read, or nobody takes them.
pub fn model(
    session: &Session,
    model: &Model,
    format: FileFormat,
    out: &mut dyn Write,
    mut tell: impl FnMut(u64),
) -> Result<u64, Ended> {
    let members = members(model);
    let mut line = Vec::new();
    if format == FileFormat::Csv {
        let names = members.iter().map(|member| member.name.as_bytes().to_vec());
        table_line(names, &mut line);
        out.write_all(&line).map_err(Ended::Output)?;
    }
    let (mut records, mut ended) = (0, None);
    let all = session.each_row_while(&everything(model, &members), |row| {
        line.clear();
        let written = match format {
            FileFormat::Jsonl => json_line(session, &members, row, &mut line),
            FileFormat::Csv => cells(session, &members, row).map(|cells| table_line(cells.into_iter(), &mut line)),
        };
        let outcome = written.map_err(Ended::Database).and_then(|()| out.write_all(&line).map_err(Ended::Output));
        records += 1;
        tell(records);
        ended = outcome.err();
        ended.is_none()
    });
    all.map_err(Ended::Database)?;
    ended.map_or(Ok(records), Err)
}

/// The models in an order in which each stands behind those that it refers to, circles aside.
pub fn in_order(catalogue: &Catalogue) -> Vec<Arc<Model>> {
    let (mut ordered, mut seen) = (Vec::new(), BTreeSet::new());
    for model in catalogue.models() {
        visit(catalogue, model, &mut seen, &mut ordered);
    }
    ordered
}

fn visit(catalogue: &Catalogue, model: &Arc<Model>, seen: &mut BTreeSet<String>, ordered: &mut Vec<Arc<Model>>) {
    if !seen.insert(model.namespace.to_string()) {
        return;
    }
    for field in &model.fields {
        if let Kind::Ref(reference) | Kind::Refs(reference) = &field.kind
            && let Some(target) = catalogue.model(&reference.to)
        {
            visit(catalogue, target, seen, ordered);
        }
    }
    ordered.push(model.clone());
}

fn members(model: &Model) -> Vec<Member<'_>> {
    let id = Member { name: "id", null: false, holds: Holds::Column(model.id) };
    let member = |field: &'_ Arc<Field>| match &field.kind {
        Kind::Plain(kind) => Holds::Column(*kind),
        Kind::Ref(reference) => Holds::Column(reference.id),
        Kind::Refs(reference) => Holds::List(reference.id, links(&model.link_table(&field.name))),
    };
    let own = model.fields.iter().map(|field| Member { name: &field.name, null: field.null, holds: member(field) });
    std::iter::once(id).chain(own).collect()
}

fn everything(model: &Model, members: &[Member<'_>]) -> Statement {
    let columns = members.iter().filter(|member| matches!(member.holds, Holds::Column(_)));
    let mut statement = Statement::default();
    statement.push("SELECT ").list(columns, ", ", |statement, member| {
        statement.name(member.name);
    });
    statement.push(" FROM ").name(model.namespace.as_str()).push(" ORDER BY ").name("id");
    statement
}

/// The ids of a `refs` field; its only parameter is the record's.
fn links(table: &str) -> Statement {
    let mut statement = Statement::default();
    statement.push("SELECT ").name(TARGET).push(" FROM ").name(table).push(" WHERE ").name(SOURCE);
    statement.push(" = ?1 ORDER BY ").name(TARGET);
    statement
}

/// The ids of a list, as JSON.
fn list(session: &Session, kind: Type, links: &Statement, id: &Scalar, out: &mut Vec<u8>) -> Result<(), Failure> {
    let ids = session.rows(&Statement { parameters: vec![id.clone()], ..links.clone() })?;
    write_list(ids.cells.iter(), out, |id, out| kind.write(id, out));
    Ok(())
}

fn json_line(session: &Session, members: &[Member<'_>], row: &[Scalar], out: &mut Vec<u8>) -> Result<(), Failure> {
    let mut values = row.iter();
    for (place, member) in members.iter().enumerate() {
        out.push(if place == 0 { b'{' } else { b',' });
        write_string(member.name, out);
        out.push(b':');
        match &member.holds {
            Holds::Column(kind) => kind.write(values.next().unwrap_or(&Scalar::Null), out),
            Holds::List(kind, links) => list(session, *kind, links, &row[0], out)?,
        }
    }
    out.extend_from_slice(b"}\n");
    Ok(())
}

fn cells(session: &Session, members: &[Member<'_>], row: &[Scalar]) -> Result<Vec<Vec<u8>>, Failure> {
    let mut values = row.iter();
    let mut cells = Vec::with_capacity(members.len());
    for member in members {
        let mut cell = Vec::new();
        match &member.holds {
            Holds::Column(kind) => cell::write(*kind, member.null, values.next().unwrap_or(&Scalar::Null), &mut cell),
            Holds::List(kind, links) => list(session, *kind, links, &row[0], &mut cell)?,
        }
        cells.push(cell);
    }
    Ok(cells)
}

/// Appends a line of CSV: <https://www.rfc-editor.org/rfc/rfc4180>, its lines ended as Unix ends them.
fn table_line(cells: impl Iterator<Item = Vec<u8>>, out: &mut Vec<u8>) {
    let mut writer = csv::WriterBuilder::new().from_writer(out);
    // A vector takes all that is written to it.
    let _ = writer.write_record(cells).and_then(|()| Ok(writer.flush()?));
}
