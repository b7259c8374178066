//! A disk that can only be read, and a file or a folder of somebody else.

use super::{COMMANDS, CREATE, SERVE, assert_reads, assert_refused, bytes, survived};
use crate::disk::{Disk, with_disks};
use crate::support::{BINARY, Folder, Server, key_to_all, run, skip};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

#[test]
fn a_disk_that_can_only_be_read_is_told() {
    with_disks("faults::readonly::a_disk_that_can_only_be_read_is_told", || {
        let (disk, folder) = Disk::with_folder("8m");
        let models = folder.file("models.json", crate::ledger::MODELS);
        run(&folder, &["models", "apply", models.to_str().unwrap()]);
        let key = key_to_all(&folder);
        disk.remount("ro");
        assert_refused(&folder, COMMANDS, "Read-only file system");
        let new = Folder::new().with_database(disk.path().join("new.db"));
        assert_refused(&new, &[&["bootstrap"]], "Read-only file system");
        disk.remount("rw");
        assert_reads(&Server::again(folder, key, &[]));
        survived("a disk that can only be read");
    });
}

/// A user that has nothing, and no other processes.
const NOBODY: &str = "61234";

/// The command as that user; `None` where it cannot be.
fn as_nobody(words: &[&str], database: &Path) -> Option<std::process::Output> {
    let mut command = Command::new("setpriv");
    command.args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"]).arg(BINARY).args(words);
    let output = command.env("JQLITE_DB", database).output().ok()?;
    output.status.code().filter(|code| [0, 1].contains(code)).map(|_| output)
}

/// Sets who may do what.
fn allow(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_file_or_a_folder_that_others_may_not_write_is_told() {
    let folder = Folder::new();
    run(&folder, &["bootstrap"]);
    let (file, parent) = (folder.database().to_owned(), folder.path(""));
    if !as_nobody(&["help"], &file).is_some_and(|output| output.status.success()) {
        return skip("files of another user", "it takes root, setpriv, and a binary that others can run");
    }
    let before = bytes(&file);
    for (of_file, of_folder, why) in [
        (0o600, 0o755, "cannot write"),     // a file that cannot be read or written
        (0o644, 0o755, "cannot write"),     // one that can be read
        (0o666, 0o755, "can only be read"), // a folder in which nothing can be made
        (0o666, 0o700, "cannot open"),      // one that cannot be looked into
    ] {
        allow(&file, of_file);
        allow(&parent, of_folder);
        for words in [SERVE, CREATE, &["keys", "list"]] {
            let output = as_nobody(words, &file).unwrap();
            let said = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(1), "{of_file:o} {of_folder:o} {words:?}: {said}");
            assert!(said.contains(why) && said.lines().count() == 1, "{of_file:o} {of_folder:o} {words:?}: {said}");
        }
        allow(&parent, 0o755);
        assert!(bytes(&file) == before);
    }
    allow(&parent, 0o777);
    assert!(as_nobody(&["keys", "list"], &file).unwrap().status.success());
    survived("a file or a folder that others may not write");
}
