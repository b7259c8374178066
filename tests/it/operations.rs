//! The commands of `docs/operations.md`: they run, in order, in one shell, and print what it says.

use crate::support::tour::{self, blocks};

const MANUAL: &str = include_str!("../../docs/operations.md");

#[test]
fn the_commands_of_the_operations_manual_do_what_it_says() {
    if !tour::can_run() {
        return;
    }
    let blocks = blocks(MANUAL);
    assert!(blocks.len() > 8, "{}", blocks.len());
    tour::take(&blocks);
}
