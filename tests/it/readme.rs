//! The README's tour: every block of it is run, in order, in one shell, and prints what the README says.

use crate::support::tour::{self, blocks};

const README: &str = include_str!("../../README.md");

#[test]
fn the_tour_does_what_it_says() {
    if !tour::can_run() {
        return;
    }
    let tour = README.split("## A tour").nth(1).unwrap().split("## Install and operate").next().unwrap();
    let blocks = blocks(tour);
    assert!(blocks.len() > 12 && blocks.iter().filter(|block| block.output.is_some()).count() > 9);
    tour::take(&blocks);
}

/// The commands that a newcomer is told to run are those that the tests and the quickstart's own test run.
#[test]
fn the_first_two_commands_are_the_ones_promised() {
    let start = README.split("## What it does").next().unwrap();
    let commands: Vec<String> = blocks(start).into_iter().map(|block| block.commands).collect();
    assert_eq!(commands, ["cargo run --release -- quickstart", "cargo test"]);
}
