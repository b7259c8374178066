//! Tests of the binary as a user sees it: over HTTP and through its command line. One binary, so that it is
//! linked once; a file a subject.

mod support;

mod abilities;
mod admin;
mod audit;
mod backup;
mod batches;
mod bounds;
mod cache;
mod clock;
mod data;
mod envelope;
mod errors;
mod filters;
mod fixture;
mod healthcheck;
mod import;
mod iso_codes;
mod keys;
mod lives;
mod logs;
mod manual;
mod many;
mod metrics;
mod models;
mod nesting;
mod openapi;
mod operations;
mod packaging;
mod pages;
mod permissions;
mod promises;
mod properties;
mod readme;
mod releases;
mod remodel;
mod repeated;
mod server;
mod totals;
mod transforms;
mod transport;
mod writes;
