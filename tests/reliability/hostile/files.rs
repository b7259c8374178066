//! Hostile files of records: each is loaded whole or refused with a line, and what was loaded is dumped so that it loads
//! again.

use super::corpus::{models, records};
use super::mutate;
use super::tree::{Tree, quoted};
use super::words::{NAMES, NUMBERS, VALUES};
use crate::dice::{Dice, seed};
use crate::report::{counted, scale};
use crate::support::{Folder, Server, jqlite, run};
use rusqlite::Connection;
use serde_json::Value;

/// Models that no other one refers to.
const LOADED: [&str; 2] = ["tickets.Ticket", "fleet.Booking"];

/// A database without the records of those models, and the files of these.
struct Shelf {
    folder: Folder,
    /// The model, the form and the text of each.
    files: Vec<(&'static str, &'static str, String)>,
}

impl Shelf {
    fn new() -> Shelf {
        let server = Server::with(&models().to_string(), &[]);
        records().iter().for_each(|request| drop(server.data(request)));
        let (_, folder) = server.stop();
        let dumped = |model, format| (model, format, dump(&folder, model, format));
        let files = LOADED.iter().flat_map(|model| ["jsonl", "csv"].map(|format| dumped(*model, format))).collect();
        let file = Connection::open(folder.database()).unwrap();
        file.execute_batch(r#"PRAGMA foreign_keys = ON; DELETE FROM "fleet.Booking"; DELETE FROM "tickets.Ticket""#)
            .unwrap();
        Shelf { folder, files }
    }

    /// The database anew, in a folder of its own.
    fn copy(&self) -> Folder {
        let folder = Folder::new();
        std::fs::copy(self.folder.database(), folder.database()).unwrap();
        folder
    }
}

fn dump(folder: &Folder, model: &str, format: &str) -> String {
    run(folder, &["data", "dump", "--model", model, "--format", format]) + "\n"
}

/// Changes a file: a line of it, a cell, or bytes.
fn changed(dice: &mut Dice, format: &str, text: &str) -> Vec<u8> {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for _ in 0..dice.below(3) {
        let place = dice.below(lines.len());
        match dice.below(6) {
            0 => drop(lines.remove(place)),
            1 => lines.push(lines[place].clone()),
            2 => lines.swap(place, 0),
            _ if format == "csv" => change_cell(dice, &mut lines[place]),
            _ => change_record(dice, &mut lines[place]),
        }
        if lines.is_empty() {
            lines.push(String::new());
        }
    }
    let end = *dice.pick(&["\n", "\n", "\n", "\r\n", "\r", "\n\n"]);
    let mut bytes = (lines.join(end) + end).into_bytes();
    for _ in 0..[0, 0, 0, 1, 3][dice.below(5)] {
        mutate::bytes(dice, &mut bytes);
    }
    bytes
}

fn change_cell(dice: &mut Dice, line: &mut String) {
    let mut cells: Vec<String> = line.split(',').map(str::to_owned).collect();
    let place = dice.below(cells.len());
    let value = match dice.below(6) {
        0 => (*dice.pick(&NAMES)).to_owned(),
        1 => (*dice.pick(&NUMBERS)).to_owned(),
        2 => dice.pick(&VALUES).trim_matches('"').to_owned(),
        3 => format!("\"{}\"", dice.pick(&NAMES).replace('"', "\"\"")),
        4 => (*dice.pick(&["=1+1", "'=1", "''", "'", "+", "@a", "\"a\nb\"", "\"\"\"\"", "1;2", "[1,2]", "\"[1,2]\""]))
            .to_owned(),
        _ => String::new(),
    };
    match dice.below(4) {
        0 => cells.insert(place, value),
        1 => drop(cells.remove(place)),
        _ => cells[place] = value,
    }
    *line = cells.join(",");
}

fn change_record(dice: &mut Dice, line: &mut String) {
    let Ok(record) = serde_json::from_str::<Value>(line) else { return };
    let mut tree = Tree::of(&record);
    let names = ["id", "title", "version", "tags", "category", "nothing"].map(str::to_owned);
    mutate::tree(dice, &mut tree, &[], &names);
    if let (Tree::Object(members), true) = (&mut tree, dice.one_in(4)) {
        members.push((quoted(dice.pick(&names)), Tree::Raw((*dice.pick(&VALUES)).to_owned())));
    }
    *line = tree.text().replace(['\n', '\r'], " ");
}

#[test]
fn a_file_of_records_is_loaded_whole_or_refused_with_a_line() {
    let shelf = Shelf::new();
    let mut dice = Dice::new(seed("files"), 0);
    let (rounds, mut loaded) = (scale(10, 500), 0);
    for round in 0..rounds {
        let (model, format, text) = dice.pick(&shelf.files);
        let is_as_dumped = round == 0;
        let bytes = if is_as_dumped { text.clone().into_bytes() } else { changed(&mut dice, format, text) };
        let folder = shelf.copy();
        let (file, rejects) = (folder.path(&format!("hostile.{format}")), folder.path("rejects"));
        std::fs::write(&file, &bytes).unwrap();
        let mut words = vec!["data", "load", file.to_str().unwrap(), "--model", model];
        let how = if is_as_dumped { 3 } else { dice.below(4) };
        match how {
            0 => words.extend(["--rejects", rejects.to_str().unwrap()]),
            1 => words.push("--dry-run"),
            _ => {}
        }
        let output = jqlite(&folder, &words).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        let shown = || format!("{words:?}\n{}\n{said}", String::from_utf8_lossy(&bytes));
        assert!(!said.contains("panicked"), "{}", shown());
        let there = dump(&folder, model, "jsonl");
        match output.status.code() {
            Some(0) if how == 1 => assert_eq!(there.trim(), "", "{}", shown()),
            Some(0) => {
                run(&folder, &["check"]);
                for format in ["jsonl", "csv"] {
                    let again = shelf.copy();
                    let file = again.file(&format!("again.{format}"), &dump(&folder, model, format));
                    run(&again, &["data", "load", file.to_str().unwrap(), "--model", model]);
                    assert_eq!(dump(&again, model, "jsonl"), there, "as {format}: {}", shown());
                }
                loaded += 1;
            }
            Some(1) => {
                assert!(said.contains(&format!("hostile.{format}")) || how == 0, "{}", shown());
                assert!(there.trim().is_empty() || how == 0, "{}", shown());
                run(&folder, &["check"]);
            }
            other => panic!("{other:?}: {}", shown()),
        }
    }
    assert!(loaded > 0, "not even what was dumped was loaded");
    counted("files", "hostile files of records", rounds);
    counted("files", "of them loaded, and loaded again as they were dumped", loaded);
}
