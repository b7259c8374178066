//! Bytes -> [`Ask`]: what was asked, by shape alone. Nothing here knows a model; whether a field exists or a
//! value fits is the plan's business. [`reader`] reads a request, [`fields`] what is asked of each
//! record, [`fixture`] what is asked of a server for tests.

pub mod fields;
pub mod fixture;
pub mod reader;

use crate::access::Namespace;
use crate::intent::{BATCH, FIXTURE, Intent, Schema};
use crate::json::{Json, Object};
use fixture::Fixture;
use smol_str::SmolStr;

/// Where a request says what it is.
const META: &str = "__meta__";

/// What a body asks for.
#[allow(clippy::large_enum_variant)] // there is one a request
#[derive(Clone, Debug, PartialEq)]
pub enum Ask {
    Model(Request),
    Batch(Batch),
    Fixture(Fixture),
}

impl Ask {
    pub fn intent(&self) -> Intent {
        match self {
            Ask::Model(request) => request.intent,
            Ask::Batch(_) => Intent::Execute,
            Ask::Fixture(asked) => asked.intent,
        }
    }

    /// The namespace as it was named.
    pub fn namespace(&self) -> SmolStr {
        match self {
            Ask::Model(request) => request.namespace.as_str().into(),
            Ask::Batch(_) => BATCH.into(),
            Ask::Fixture(_) => FIXTURE.into(),
        }
    }
}

/// A request about a model, well formed.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    pub intent: Intent,
    pub namespace: Namespace,
    pub unique: Option<Object>,
    pub narrowing: Narrowing,
    pub count: Count,
    /// The cursor of the page before.
    pub after: Option<String>,
    /// Whether the answer may come from memory.
    pub cached: bool,
    pub draw: Option<Json>,
    /// Whether everything is undone once it is answered.
    pub dry_run: bool,
    /// More records than these are not changed.
    pub most_affected: Option<u64>,
    /// The fields to answer: those beside `__meta__` of a reading intent, those of `return` of a writing one.
    pub fields: Option<Vec<Asked>>,
    /// The values of a writing intent: those beside `__meta__`, or the records of `objects` with their places there.
    pub records: Vec<(usize, Object)>,
    pub grouping: Grouping,
    /// What stands beside `__meta__` for a controller.
    pub arguments: Object,
}

/// Several requests, carried out one after the other.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    pub requests: Vec<Json>,
    /// Whether all are undone where one fails.
    pub atomic: bool,
    pub dry_run: bool,
    pub draw: Option<Json>,
}

impl Batch {
    /// Whether all its requests certainly only read.
    pub fn only_reads(&self) -> bool {
        self.requests.iter().all(only_reads)
    }
}

/// What stands beside the `__meta__` of a batch.
pub const BATCH_KEYS: [&str; 2] = ["requests", "atomic"];
/// Requests of one batch.
pub const MOST_REQUESTS: usize = 100;
/// Records of one `createMany`.
pub const MOST_OBJECTS: usize = 10_000;

/// Which records, in what order, which page of them; of a request or of a nested list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Narrowing {
    pub filter: Option<Object>,
    pub exclude: Option<Object>,
    pub search: Option<String>,
    pub ordering: Option<Ordering>,
    pub limit: Option<u64>,
    pub offset: Option<u64>,
}

impl Narrowing {
    /// Whether it leaves anything out.
    pub fn narrows(&self) -> bool {
        self.filter.is_some() || self.exclude.is_some() || self.search.is_some()
    }
}

/// What an `aggregate` groups by, and the totals of each group.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Grouping {
    pub by: Vec<String>,
    /// Whether `by` was one name and no list.
    pub by_one: bool,
    pub totals: Vec<WantedTotal>,
    pub having: Option<Object>,
}

/// One total, under its name.
#[derive(Clone, Debug, PartialEq)]
pub struct WantedTotal {
    pub name: String,
    pub step: WantedStep,
    pub filter: Option<Object>,
    pub ordering: Option<Ordering>,
}

/// A function, and what stands beside it.
#[derive(Clone, Debug, PartialEq)]
pub struct WantedStep {
    pub function: String,
    pub options: Object,
}

/// The fields to order by, in the form in which they were given.
#[derive(Clone, Debug, PartialEq)]
pub enum Ordering {
    One(String),
    List(Vec<String>),
}

/// Whether, and how far, matching records are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Count {
    #[default]
    Exact,
    None,
    UpTo(u64),
}

/// One field asked for, under its name.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    pub name: SmolStr,
    /// The field that stands under the name, where it is another one.
    pub of: Option<String>,
    pub what: Wanted,
    /// What is made of it before it is answered, name by name.
    pub transforms: Object,
}

/// What is asked of a field.
#[derive(Clone, Debug, PartialEq)]
pub enum Wanted {
    /// Its value.
    Value,
    /// Fields of the records that it leads to.
    Nested(Box<Nested>),
    /// No field of the record at all, but a total of other records.
    Subquery(Box<Subquery>),
}

/// The fields asked of related records. No fields at all asks for every stored one.
#[derive(Clone, Debug, PartialEq)]
pub struct Nested {
    pub narrowing: Narrowing,
    pub fields: Vec<Asked>,
    /// Whether a `__meta__` stood there at all; a reference takes none.
    pub has_meta: bool,
}

/// A total of records that belong to the one it is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Subquery {
    pub namespace: Namespace,
    pub narrowing: Narrowing,
    pub on_field: Option<String>,
    /// Pairs of a field of the subquery's model and one of the outer record that it equals.
    pub mapping: Vec<(String, String)>,
    pub steps: Vec<WantedStep>,
}

/// Whether a request, of which nothing is checked yet, certainly only reads.
fn only_reads(json: &Json) -> bool {
    let intent = json.get(META).and_then(|meta| meta.get("intent"));
    let Some(Json::String(name)) = intent else { return false };
    Schema::ALL.into_iter().filter_map(|schema| Intent::named(name, schema)).any(|rule| rule.intent.reads())
}
