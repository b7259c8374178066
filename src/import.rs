//! A database of another program, taken over: its tables become models, and their rows records.
//!
//! [`schema`] reads what there is, by way of [`clauses`] where SQLite tells it only as it was written; [`census`] looks at all
//! values; [`plan`] makes a [`draft`] of a model of both, with [`names`], [`references`] and [`rules`], and [`notes`] of what is
//! lost on the way; [`rows`] hands over the records.

pub mod census;
mod clauses;
pub mod draft;
mod names;
pub mod notes;
pub mod plan;
mod references;
pub mod rows;
mod rules;
pub mod schema;

pub use names::app as app_of;
