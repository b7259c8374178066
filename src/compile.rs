//! `Plan` -> SQL. Pure, and it cannot fail: what could not be compiled was refused by the plan.
//!
//! One statement reads a page with all records that its references nest and all totals of its subqueries; each
//! nested list is one more statement, which is run for the id of each record above it. So the number of statements
//! depends on what was asked and never on how many records there are, and a list costs what it shows and not what
//! there is: SQLite would number all records that belong to any of the ids, to give each id its few.
//!
//! [`condition`] compiles which records, [`value`] what is read of them, [`page`] where a page begins,
//! [`totals`] groups and subqueries, [`write`] what changes, [`table`] the tables themselves.

pub mod condition;
mod page;
pub mod table;
mod totals;
mod value;
pub mod write;

use crate::json::label;
use crate::model::{Join, Relation};
use crate::plan::{Condition, Grouped, Order, Output, Select, Subquery, Value, What};
use crate::sql::{Alias, Statement};
use crate::transform::Step;
use crate::value::{Scalar, Type};
use condition::Scope;
use smol_str::SmolStr;
use value::{Pick, append_order, append_value};

/// A statement that reads records, where their parts stand in its rows, and the nested lists below it.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    pub statement: Statement,
    pub cells: Vec<Cell>,
    pub children: Vec<Child>,
    /// The columns that hold what the records are ordered by, where a cursor is to be made of them.
    pub order: Vec<usize>,
    /// The rows behind so many only tell that there are more.
    pub limit: Option<u64>,
}

/// A nested list: it is run for the id of each record above, which its first parameter takes.
#[derive(Clone, Debug, PartialEq)]
pub struct Child {
    /// The column of the statement above that holds the id.
    pub parent: usize,
    pub query: Query,
    /// More records than this for one id are cut.
    pub limit: u64,
    /// As `extras.truncated` names it.
    pub path: SmolStr,
}

/// One member of an answered record.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// Its name, as it stands in the answer.
    pub label: SmolStr,
    pub holds: Holds,
    /// What is made of the value before it is answered.
    pub steps: Vec<Step>,
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
struct Columns<'p> {
    aliases: Aliases,
    columns: Vec<Selected<'p>>,
    joins: Vec<Joined<'p>>,
    children: Vec<Child>,
}

/// One column of a statement's rows.
enum Selected<'p> {
    Column(Alias, &'p str),
    Value(Alias, &'p Value, Pick),
    Total(Alias, &'p Subquery),
}

/// A reference that nests its record: the column that holds the id, and the table that it leads to.
struct Joined<'p> {
    from: (Alias, &'p str),
    table: &'p str,
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

impl<'p> Columns<'p> {
    /// Those of a statement on one table, which gets the alias, with room for so many columns.
    fn new(room: usize) -> (Columns<'p>, Alias) {
        let mut aliases = Aliases::default();
        let alias = aliases.next();
        (Columns { aliases, columns: Vec::with_capacity(room), joins: Vec::new(), children: Vec::new() }, alias)
    }

    fn add(&mut self, selected: Selected<'p>) -> usize {
        self.columns.push(selected);
        self.columns.len() - 1
    }

    /// The place of a column, which stands there once however often it is asked for.
    fn column(&mut self, alias: Alias, name: &'p str) -> usize {
        let is_same =
            |column: &Selected<'p>| matches!(column, Selected::Column(of, known) if *of == alias && *known == name);
        match self.columns.iter().position(is_same) {
            Some(place) => place,
            None => self.add(Selected::Column(alias, name)),
        }
    }

    fn value(&mut self, alias: Alias, value: &'p Value, pick: Pick) -> usize {
        match value.plain() {
            Some(column) => self.column(alias, &column.name),
            None => self.add(Selected::Value(alias, value, pick)),
        }
    }

    fn cells(&mut self, alias: Alias, fields: &'p [Output]) -> Vec<Cell> {
        let cell = |field: &'p Output| Cell {
            label: label(&field.name),
            holds: self.cell(alias, &field.what),
            steps: field.steps.clone(),
        };
        fields.iter().map(cell).collect()
    }

    fn cell(&mut self, alias: Alias, what: &'p What) -> Holds {
        match what {
            What::Value(value) => {
                Holds::Value { column: self.value(alias, value, Pick::Only), kind: value.term.kind() }
            }
            What::Total(total) => Holds::Value { column: self.add(Selected::Total(alias, total)), kind: total.kind },
            What::Record { column, model, fields } => {
                let inner = self.aliases.next();
                self.joins.push(Joined { from: (alias, column), table: model.namespace.as_str(), alias: inner });
                Holds::Record { id: self.column(inner, "id"), cells: self.cells(inner, fields) }
            }
            What::List { relation, path, select } => Holds::List { child: self.child(alias, relation, path, select) },
            What::Ids { relation, path, select } => {
                Holds::Ids { child: self.child(alias, relation, path, select), kind: select.model.id }
            }
        }
    }

    fn child(&mut self, alias: Alias, relation: &Relation, path: &SmolStr, select: &Select) -> usize {
        let parent = self.column(alias, "id");
        let query = list(relation, select);
        self.children.push(Child { parent, query, limit: select.limit, path: path.clone() });
        self.children.len() - 1
    }

    /// The columns that hold what records are ordered by.
    fn order(&mut self, alias: Alias, order: &'p [Order]) -> Vec<usize> {
        order.iter().map(|term| self.value(alias, &term.value, value::pick(term))).collect()
    }

    /// Appends all columns.
    fn append(&mut self, statement: &mut Statement) {
        let Columns { aliases, columns, .. } = self;
        statement.list(columns.iter(), ", ", |statement, column| match column {
            Selected::Column(alias, name) => drop(statement.column(*alias, name)),
            Selected::Value(alias, value, pick) => append_value(statement, aliases, *alias, value, *pick),
            Selected::Total(alias, total) => totals::append_subquery(statement, aliases, *alias, total),
        });
    }

    fn append_joins(&self, statement: &mut Statement) {
        for joined in &self.joins {
            statement.push(" LEFT JOIN ").name(joined.table).push(" AS ").alias(joined.alias);
            statement.push(" ON ").column(joined.alias, "id").push(" = ").column(joined.from.0, joined.from.1);
        }
    }
}

/// The statement of a page: of the records of a model, or of the groups that are made of them. A page that ends
/// in a cursor has one record more than its limit, to tell that there are more.
pub fn select(select: &Select, grouped: Option<&Grouped>) -> Query {
    let (mut columns, alias) = Columns::new(select.fields.len() + select.order.len());
    let cells = columns.cells(alias, &select.fields);
    let order = if select.ends_in_cursor { columns.order(alias, &select.order) } else { Vec::new() };
    let mut statement = Statement::with_room();
    let mut from = |statement: &mut Statement, columns: &mut Columns<'_>| {
        statement.push("SELECT ");
        columns.append(statement);
        statement.push(" FROM ");
        match grouped {
            Some(grouped) => totals::append_grouped(statement, grouped),
            None => drop(statement.name(select.model.namespace.as_str())),
        }
        statement.push(" AS ").alias(alias);
        columns.append_joins(statement);
    };
    let limit = select.limit + u64::from(select.ends_in_cursor);
    match &select.after {
        Some(after) => page::append_after(&mut statement, &mut columns, alias, select, after, &order, &mut from),
        None => {
            from(&mut statement, &mut columns);
            condition::append_where(&mut statement, &mut columns.aliases, Scope::of(alias), &select.condition);
            match select.ends_in_cursor {
                true => page::append_order_of(&mut statement, select, &order),
                false => append_order(&mut statement, &mut columns.aliases, alias, &select.order),
            }
        }
    }
    statement.push(" LIMIT ").number(limit).push(" OFFSET ").number(select.offset);
    let limit = select.ends_in_cursor.then_some(select.limit);
    Query { statement, cells, children: columns.children, order, limit }
}

/// What [`select`] makes of the fields, where nothing needs to be read for them.
pub fn cells(select: &Select) -> Vec<Cell> {
    let (mut columns, alias) = Columns::new(select.fields.len());
    columns.cells(alias, &select.fields)
}

/// The statement of a nested list: the records of a relation for one id, and one record more than its limit, to tell
/// that it was cut.
fn list(relation: &Relation, select: &Select) -> Query {
    let (mut columns, alias) = Columns::new(select.fields.len());
    let mut statement = Statement::with_room();
    let id = statement.bind(Scalar::Null); // each id goes here when it is known
    let cells = columns.cells(alias, &select.fields);
    let table = select.model.namespace.as_str();
    statement.push("SELECT ");
    columns.append(&mut statement);
    statement.push(" FROM ");
    let parent = match &relation.join {
        Join::Links { table: links, near, far, .. } => {
            let link = columns.aliases.next();
            // From the id to the records, and not through all records that fulfil the condition.
            statement.name(links).push(" AS ").alias(link).push(" CROSS JOIN ").name(table);
            statement.push(" AS ").alias(alias).push(" ON ").column(alias, "id").push(" = ").column(link, far);
            (link, *near)
        }
        Join::Reverse { column, .. } | Join::Reference { column } => {
            statement.name(table).push(" AS ").alias(alias);
            (alias, column.as_str())
        }
    };
    columns.append_joins(&mut statement);
    // Few records belong to one id, so that SQLite finds them by it before it looks at anything else of them.
    statement.push(" WHERE likelihood(").column(parent.0, parent.1).push(" = ").parameter(id).push(", 0.000001) AND ");
    condition::append(&mut statement, &mut columns.aliases, Scope::of(alias), &select.condition);
    append_order(&mut statement, &mut columns.aliases, alias, &select.order);
    statement.push(" LIMIT ").number(select.limit.saturating_add(1)).push(" OFFSET ").number(select.offset);
    Query { statement, cells, children: columns.children, order: Vec::new(), limit: None }
}

/// How many records of a table, or groups of them, fulfil a condition; counted up to a bound where there is one.
pub fn count(table: &str, condition: &Condition, grouped: Option<&Grouped>, up_to: Option<u64>) -> Statement {
    let mut aliases = Aliases::default();
    let alias = aliases.next();
    let mut statement = Statement::with_room();
    statement.push(if up_to.is_some() { "SELECT count(*) FROM (SELECT 1 FROM " } else { "SELECT count(*) FROM " });
    match grouped {
        Some(grouped) => totals::append_grouped(&mut statement, grouped),
        None => drop(statement.name(table)),
    }
    statement.push(" AS ").alias(alias);
    condition::append_where(&mut statement, &mut aliases, Scope::of(alias), condition);
    if let Some(bound) = up_to {
        statement.push(" LIMIT ").number(bound).push(")");
    }
    statement
}
