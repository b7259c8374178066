//! What a release must not have: the ways in which the other tests make it fail.

use crate::support::file_holds;
use std::path::Path;

#[test]
fn a_release_cannot_be_told_to_fail() {
    assert!(!file_holds(Path::new(env!("CARGO_BIN_EXE_jqlite")), "JQLITE_TRIAL"));
}
