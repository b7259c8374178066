//! A change of models that is killed while it rebuilds tables.

use super::{assert_sound, copied};
use crate::dice::{Dice, seed};
use crate::report::{counted, scale};
use crate::support::{Folder, jqlite, run};
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Two versions of a model; to get from one to the other its table is built anew.
const MODELS: [&str; 2] = [
    r#"{ "crash.Item": { "fields": { "code": { "type": "string", "max_length": 40 }, "count": { "type": "integer" } } } }"#,
    r#"{ "crash.Item": { "fields": { "code": { "type": "string", "max_length": 40 }, "count": { "type": "integer", "min": 0 } } } }"#,
];

/// How many versions of the models there were, how many records there are, and the sum of their counts.
fn state(connection: &Connection) -> (i64, i64, i64) {
    let all = r#"SELECT (SELECT max("id") FROM "system.ModelVersion"), count(*), sum("count") FROM "crash.Item""#;
    connection.query_one(all, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap()
}

/// Whether the table has the rule of the second version.
fn has_rule(connection: &Connection) -> bool {
    let text: String =
        connection.query_one("SELECT sql FROM sqlite_schema WHERE name = 'crash.Item'", [], |row| row.get(0)).unwrap();
    text.contains(">= 0")
}

fn apply(folder: &Folder, file: &Path) -> std::process::Child {
    let mut command = jqlite(folder, &["models", "apply", file.to_str().unwrap()]);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

#[test]
fn a_change_of_models_that_is_killed_is_there_wholly_or_not_at_all() {
    let mut dice = Dice::new(seed("rebuilt"), 0);
    let folder = Folder::new();
    let files: Vec<PathBuf> =
        MODELS.iter().enumerate().map(|(n, text)| folder.file(&format!("models {n}.json"), text)).collect();
    run(&folder, &["models", "apply", files[0].to_str().unwrap()]);
    let records = scale(5_000, 50_000);
    let fill = format!(
        r#"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {records})
           INSERT INTO "crash.Item" ("code", "count") SELECT 'code ' || i, i FROM n"#
    );
    Connection::open(folder.database()).unwrap().execute_batch(&fill).unwrap();
    // How long one takes that is not killed, there and back.
    let began = Instant::now();
    for file in [&files[1], &files[0]] {
        assert!(apply(&folder, file).wait().unwrap().success());
    }
    let time = began.elapsed() / 2;
    let sum = records * (records + 1) / 2;
    let (mut version, mut done) = (3, 0);
    let rounds = scale(6, 100);
    for _ in 0..rounds {
        let next = usize::from(!has_rule(&copied(&folder)));
        let mut child = apply(&folder, &files[next]);
        std::thread::sleep(time.mul_f64(dice.below(1200) as f64 / 1000.0).max(Duration::from_millis(1)));
        child.kill().unwrap();
        child.wait().unwrap();
        let left = copied(&folder);
        assert_sound(&left);
        let is_done = has_rule(&left) == (next == 1);
        version += i64::from(is_done);
        done += usize::from(is_done);
        assert_eq!(state(&left), (version, records, sum), "is done: {is_done}");
        drop(left);
        run(&folder, &["check"]);
    }
    counted("crash", "changes of models killed, and wholly there or not at all", rounds);
    println!("{done} of {rounds} were done before they were killed");
}
