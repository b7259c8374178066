//! `Plan` -> SQL. Pure, and it cannot fail: what could not be compiled was refused by the plan.
//!
//! One statement reads a page with all records that its references nest; each nested list is one more
//! statement, which takes the ids of the records above it as one parameter. So the number of statements
//! depends on what was asked and never on how many records there are.
//!
//! [`condition`] compiles which records, [`write`] what changes, [`table`] the tables themselves.

pub mod condition;
pub mod table;
pub mod write;

use crate::model::{Join, Relation};
use crate::plan::{Condition, Order, Output, Select, What};
use crate::sql::{Alias, Statement};
use crate::value::{Scalar, Type};

/// A statement that reads records, where their parts stand in its rows, and the nested lists below it.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    pub statement: Statement,
    pub cells: Vec<Cell>,
    pub children: Vec<Child>,
}

/// A nested list: its first parameter takes the ids of the records above, its first column gives each
/// record's one of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Child {
    /// The column of the statement above that holds the id.
    pub parent: usize,
    pub query: Query,
    /// More records than this for one id are cut.
    pub limit: u64,
    /// As `extras.truncated` names it.
    pub path: String,
}

/// One member of an answered record.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    pub name: String,
    pub holds: Holds,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Holds {
    Value {
        column: usize,
        kind: Type,
    },
    /// `null` where the column of its id is.
    Record {
        id: usize,
        cells: Vec<Cell>,
    },
    List {
        child: usize,
    },
    Ids {
        child: usize,
        kind: Type,
    },
}

/// The columns and joins of one statement while they are gathered.
struct Columns {
    aliases: Aliases,
    columns: Vec<(Alias, String)>,
    joins: Vec<Joined>,
    children: Vec<Child>,
}

/// A reference that nests its record: the column that holds the id, and the table that it leads to.
struct Joined {
    from: (Alias, String),
    table: String,
    alias: Alias,
}

/// Gives out names for the tables of one statement.
#[derive(Default)]
pub struct Aliases(usize);

impl Aliases {
    pub fn next(&mut self) -> Alias {
        self.0 += 1;
        Alias(self.0 - 1)
    }
}

impl Columns {
    fn column(&mut self, alias: Alias, name: &str) -> usize {
        let wanted = (alias, name.to_owned());
        self.columns.iter().position(|column| *column == wanted).unwrap_or_else(|| {
            self.columns.push(wanted);
            self.columns.len() - 1
        })
    }

    fn cells(&mut self, alias: Alias, fields: &[Output]) -> Vec<Cell> {
        fields.iter().map(|field| Cell { name: field.name.clone(), holds: self.cell(alias, &field.what) }).collect()
    }

    fn cell(&mut self, alias: Alias, what: &What) -> Holds {
        match what {
            What::Value(column) => Holds::Value { column: self.column(alias, &column.name), kind: column.kind },
            What::Record { column, model, fields } => {
                let inner = self.aliases.next();
                let from = (alias, column.clone());
                self.joins.push(Joined { from, table: model.namespace.to_string(), alias: inner });
                Holds::Record { id: self.column(inner, "id"), cells: self.cells(inner, fields) }
            }
            What::List { relation, path, select } => Holds::List { child: self.child(alias, relation, path, select) },
            What::Ids { relation, path, select } => {
                Holds::Ids { child: self.child(alias, relation, path, select), kind: select.model.id }
            }
        }
    }

    fn child(&mut self, alias: Alias, relation: &Relation, path: &str, select: &Select) -> usize {
        let parent = self.column(alias, "id");
        let query = list(relation, select);
        self.children.push(Child { parent, query, limit: select.limit, path: path.to_owned() });
        self.children.len() - 1
    }

    fn append_joins(&self, statement: &mut Statement) {
        for joined in &self.joins {
            statement.push(" LEFT JOIN ").name(&joined.table).push(" AS ").alias(joined.alias);
            statement.push(" ON ").column(joined.alias, "id").push(" = ").column(joined.from.0, &joined.from.1);
        }
    }
}

impl Columns {
    /// Those of a statement on one table, which gets the alias.
    fn new() -> (Columns, Alias) {
        let mut aliases = Aliases::default();
        let alias = aliases.next();
        (Columns { aliases, columns: Vec::new(), joins: Vec::new(), children: Vec::new() }, alias)
    }
}

/// The statement of a page.
pub fn select(select: &Select) -> Query {
    let (mut columns, alias) = Columns::new();
    let cells = columns.cells(alias, &select.fields);
    let mut statement = Statement::default();
    statement.push("SELECT ").list(&columns.columns, ", ", |statement, (alias, name)| {
        statement.column(*alias, name);
    });
    statement.push(" FROM ").name(&select.model.namespace.to_string()).push(" AS ").alias(alias);
    columns.append_joins(&mut statement);
    condition::append_where(&mut statement, &mut columns.aliases, alias, &select.condition);
    append_order(&mut statement, &mut columns.aliases, alias, &select.order);
    statement.push(" LIMIT ").number(select.limit).push(" OFFSET ").number(select.offset);
    Query { statement, cells, children: columns.children }
}

/// The statement of a nested list: the records of a relation for a list of ids, numbered for each of them
/// so that each gets its own page, and one record more than its limit, to tell that it was cut.
fn list(relation: &Relation, select: &Select) -> Query {
    let (mut columns, alias) = Columns::new();
    let mut statement = Statement::default();
    let ids = statement.bind(Scalar::Null); // the ids go here when they are known
    let (parent, link) = match &relation.join {
        Join::Links { near, .. } => {
            let link = columns.aliases.next();
            ((link, (*near).to_owned()), Some(link))
        }
        Join::Reverse { column, .. } | Join::Reference { column } => ((alias, column.clone()), None),
    };
    columns.column(parent.0, &parent.1); // the first, by which the rows are told apart
    let cells = columns.cells(alias, &select.fields);
    statement.push("SELECT * FROM (SELECT ");
    statement.list(columns.columns.iter().enumerate(), ", ", |statement, (index, (alias, name))| {
        statement.column(*alias, name).push(" AS ").alias(Alias(1000 + index));
    });
    statement.push(", row_number() OVER (PARTITION BY ").column(parent.0, &parent.1);
    append_order(&mut statement, &mut columns.aliases, alias, &select.order);
    statement.push(") AS number FROM ");
    if let (Some(link), Join::Links { table, far, .. }) = (link, &relation.join) {
        statement.name(table).push(" AS ").alias(link).push(" JOIN ").name(&select.model.namespace.to_string());
        statement.push(" AS ").alias(alias).push(" ON ").column(alias, "id").push(" = ").column(link, far);
    } else {
        statement.name(&select.model.namespace.to_string()).push(" AS ").alias(alias);
    }
    columns.append_joins(&mut statement);
    statement.push(" WHERE ").column(parent.0, &parent.1);
    statement.push(" IN (SELECT value FROM json_each(").parameter(ids).push(")) AND ");
    condition::append(&mut statement, &mut columns.aliases, alias, &select.condition);
    let last = select.offset.saturating_add(select.limit).saturating_add(1);
    statement.push(") WHERE number > ").number(select.offset).push(" AND number <= ").number(last);
    statement.push(" ORDER BY ").alias(Alias(1000)).push(", number");
    Query { statement, cells, children: columns.children }
}

/// How many records fulfil a condition, counted up to a bound where there is one.
pub fn count(table: &str, condition: &Condition, up_to: Option<u64>) -> Statement {
    let mut aliases = Aliases::default();
    let alias = aliases.next();
    let mut statement = Statement::default();
    statement.push(if up_to.is_some() { "SELECT count(*) FROM (SELECT 1 FROM " } else { "SELECT count(*) FROM " });
    statement.name(table).push(" AS ").alias(alias);
    condition::append_where(&mut statement, &mut aliases, alias, condition);
    if let Some(bound) = up_to {
        statement.push(" LIMIT ").number(bound).push(")");
    }
    statement
}

fn append_order(statement: &mut Statement, aliases: &mut Aliases, alias: Alias, order: &[Order]) {
    if order.is_empty() {
        return;
    }
    statement.push(" ORDER BY ").list(order, ", ", |statement, term| {
        append_term(statement, aliases, alias, term);
        statement.push(if term.descending { " DESC" } else { " ASC" });
    });
}

/// A column, or the column at the end of a path. Where a path leads to many records, the least of
/// their values counts, descending the greatest, so that no record comes twice.
fn append_term(statement: &mut Statement, aliases: &mut Aliases, alias: Alias, term: &Order) {
    if term.path.is_empty() {
        statement.column(alias, &term.column.name);
        return;
    }
    let tables: Vec<(Alias, Alias, &Relation)> = term
        .path
        .iter()
        .scan(alias, |from, relation| {
            let to = aliases.next();
            let hop = (*from, to, &**relation);
            *from = to;
            Some(hop)
        })
        .collect();
    let last = tables.last().map_or(alias, |(_, to, _)| *to);
    let many = term.path.iter().any(|relation| relation.is_many());
    statement.push(match (many, term.descending) {
        (false, _) => "(SELECT (",
        (true, false) => "(SELECT min(",
        (true, true) => "(SELECT max(",
    });
    statement.column(last, &term.column.name).push(") FROM ");
    let mut links = Vec::new();
    statement.list(&tables, ", ", |statement, (from, to, relation)| {
        if let Join::Links { table, .. } = &relation.join {
            let link = aliases.next();
            statement.name(table).push(" AS ").alias(link).push(", ");
            links.push((*from, *to, link));
        }
        statement.name(&relation.target.to_string()).push(" AS ").alias(*to);
    });
    let mut links = links.into_iter();
    statement.push(" WHERE ").list(&tables, " AND ", |statement, (from, to, relation)| match &relation.join {
        Join::Reference { column } => {
            statement.column(*to, "id").push(" = ").column(*from, column);
        }
        Join::Reverse { column, .. } => {
            statement.column(*to, column).push(" = ").column(*from, "id");
        }
        Join::Links { near, far, .. } => {
            let (_, _, link) = links.next().expect("a link for each such relation");
            statement.column(link, near).push(" = ").column(*from, "id");
            statement.push(" AND ").column(*to, "id").push(" = ").column(link, far);
        }
    });
    statement.push(")");
}
