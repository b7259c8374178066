//! Disks of a test's own, which can be small, full, or there to be read only. They are in memory, and mounted in a name
//! space of mounts that is the test's own, so that nobody else sees them and nothing of them is left behind.

use crate::support::{Folder, skip};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Says that the process is in a name space of its own.
const OWN: &str = "JQLITE_OWN_MOUNTS";

/// Runs a test where it can mount disks: the test of that name is started once more, in a name space of its own. Where
/// there is none to be had, it is skipped.
#[track_caller]
pub fn with_disks(name: &str, test: impl FnOnce()) {
    if std::env::var_os(OWN).is_some() {
        return test();
    }
    // Whoever is not root may become so for himself, on most machines.
    let ways: [&[&str]; 2] = [&["-m"], &["-Urm"]];
    let mounts = |way: &&&[&str]| {
        let output = Command::new("unshare").args(**way).args(["mount", "-t", "tmpfs", "tmpfs", "/tmp"]).output();
        output.is_ok_and(|output| output.status.success())
    };
    let Some(way) = ways.iter().find(mounts) else {
        return skip(name, "it takes leave to mount a disk (root, or name spaces of users)");
    };
    let mut again = Command::new("unshare");
    again.args(*way).arg(std::env::current_exe().unwrap());
    again.args(["--exact", name, "--nocapture", "--test-threads", "1"]).env(OWN, "1");
    let Output { status, stdout, stderr } = again.output().unwrap();
    let (said, failed) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success() && said.contains("1 passed"), "{said}\n{failed}");
    print!("{said}");
}

/// A disk that is mounted in a folder.
pub struct Disk(PathBuf);

impl Disk {
    /// A disk of that size (`4m`), and a folder whose database is on it.
    pub fn with_folder(size: &str) -> (Disk, Folder) {
        let folder = Folder::new();
        let disk = Disk(folder.path("disk"));
        std::fs::create_dir(&disk.0).unwrap();
        disk.mount(&["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]);
        let database = disk.0.join("test.db");
        (disk, folder.with_database(database))
    }

    #[track_caller]
    fn mount(&self, words: &[&str]) {
        let output = Command::new("mount").args(words).arg(&self.0).output().unwrap();
        assert!(output.status.success(), "mount {words:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Changes what it was mounted with: its size, or whether it can be written.
    #[track_caller]
    pub fn remount(&self, options: &str) {
        self.mount(&["-o", &format!("remount,{options}")]);
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Takes all the room that there is.
    pub fn fill(&self) {
        let mut file = std::fs::File::create(self.0.join("filler")).unwrap();
        for size in [64 * 1024, 1] {
            while std::io::Write::write_all(&mut file, &vec![0; size]).is_ok() {}
        }
    }

    /// Gives the room back that was taken.
    pub fn free(&self) {
        std::fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}
