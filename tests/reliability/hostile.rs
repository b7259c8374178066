//! Hostile input: requests, texts, files and bytes that nobody in good faith would send. Whatever comes is answered
//! properly or cut off, and whoever comes next is served as ever.

pub mod corpus;
mod files;
pub mod grammar;
mod http;
pub mod judge;
mod keys;
mod models;
pub mod mutate;
mod requests;
mod texts;
pub mod tree;
mod words;
