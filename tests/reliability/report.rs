//! How long a test is to be, and what it counted.

use std::fs::OpenOptions;
use std::io::Write;

/// One of two sizes: of the short form, which is part of `cargo test`, and of the long one (`JQLITE_LONG`).
pub fn scale<T>(short: T, long: T) -> T {
    if std::env::var_os("JQLITE_LONG").is_some() { long } else { short }
}

/// Tells what was counted: prints it, and adds it to the file that `JQLITE_REPORT` names, a line each, with tabs
/// between its columns.
pub fn counted(subject: &str, what: &str, figure: impl std::fmt::Display) {
    println!("{subject}: {what}: {figure}");
    if let Some(path) = std::env::var_os("JQLITE_REPORT") {
        let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
        file.write_all(format!("{subject}\t{what}\t{figure}\n").as_bytes()).unwrap(); // in one piece: others write too
    }
}
