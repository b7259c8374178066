//! The example of `docs/data.md` that is made of the ISO codes which Debian brings: its commands run, and all of it is there.

use crate::support::{records, run, skip, tour};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

const MANUAL: &str = include_str!("../../docs/data.md");

/// Where the lists are.
const LISTS: &str = "/usr/share/iso-codes/json";

#[test]
fn the_example_of_the_iso_codes_does_what_it_says() {
    let has = |tool: &str| Command::new(tool).arg("--version").output().is_ok();
    if !Path::new(LISTS).exists() || !has("jq") || !has("bash") {
        return skip("the example of the ISO codes", "it takes the packages iso-codes and jq, and bash");
    }
    let (_, section) = MANUAL.split_once("## An example: ISO codes").unwrap();
    let section = section.split_once("\n## ").unwrap().0;
    let folder = tour::take(&tour::blocks(section));
    let database = folder.path("iso.db");
    let folder = folder.with_database(database);
    for (list, model) in [("3166-1", "Country"), ("3166-2", "Subdivision"), ("639-3", "Language"), ("4217", "Currency")]
    {
        let listed = listed(list);
        let records = records(&folder, &format!("iso.{model}"));
        assert_eq!(records.len(), listed.len(), "{list}");
        for field in ["name", "alpha_3", "code", "flag", "common_name", "scope", "type"] {
            let all = |rows: &[Value]| rows.iter().filter_map(|row| row[field].as_str().map(str::to_owned)).collect();
            let (mut expected, mut found): (Vec<String>, Vec<String>) = (all(&listed), all(&records));
            if !(model == "Country" && field == "code") {
                expected.sort();
                found.sort();
                assert_eq!(found, expected, "{list} {field}");
            }
        }
    }
    let subdivisions = records(&folder, "iso.Subdivision");
    let parents = listed("3166-2").iter().filter(|one| one["parent"].is_string()).count();
    assert_eq!(subdivisions.iter().filter(|one| one["parent"].is_number()).count(), parents);
    run(&folder, &["check"]);
}

fn listed(list: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(format!("{LISTS}/iso_{list}.json")).unwrap();
    serde_json::from_str::<Value>(&text).unwrap()[list].as_array().unwrap().clone()
}
