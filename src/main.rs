mod access;
mod error;
mod json;
mod model;
mod value;
fn main() {}
