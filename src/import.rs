//! A database of another program, taken over: its tables become models, and their rows records.
//!
//! [`schema`] reads what there is, by way of [`clauses`] where SQLite tells it only as it was written; [`census`] looks at all
//! values; [`plan`] makes models of both, with [`names`], [`references`] and [`rules`]; [`rows`] hands over the records.

pub mod census;
mod clauses;
mod names;
pub mod plan;
mod references;
pub mod rows;
mod rules;
pub mod schema;

pub use names::app as app_of;
