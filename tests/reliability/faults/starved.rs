//! No more descriptors, and no more threads.

use super::{counting, create, survived, told};
use crate::ledger;
use crate::support::{BINARY, Client, Folder, Server, eventually, key_to_all, run, skip};
use std::process::Command;
use std::time::Duration;

/// Kept connections read and write side by side, and every request is answered.
#[track_caller]
fn assert_served(server: &Server, clients: &mut [Client], times: usize) {
    std::thread::scope(|scope| {
        for (number, client) in clients.iter_mut().enumerate() {
            scope.spawn(move || {
                for time in 0..times {
                    let request = if time % 2 == 0 { counting() } else { create(&format!("{number}-{time}")) };
                    let reply = client.jql(&server.key, &request.to_string());
                    assert_eq!(reply.status, 200, "{}", reply.body);
                }
            });
        }
    });
}

/// More descriptors than there are take part in this: those of readers and writes, too.
#[test]
fn kept_connections_read_and_write_while_there_are_no_descriptors() {
    let folder = Folder::new();
    let models = folder.file("models.json", ledger::MODELS);
    run(&folder, &["models", "apply", models.to_str().unwrap()]);
    let key = key_to_all(&folder);
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 64; exec \"$0\" \"$@\""]);
    let server = Server::through(command, folder, key, &[]);
    let mut kept: Vec<Client> = (0..16).map(|_| Client::connect(&server.address)).collect();
    for client in &mut kept {
        assert_eq!(client.request("GET", "/healthz", "", "").status, 200);
    }
    let crowd: Vec<Client> = (0..100).map(|_| Client::connect(&server.address)).collect();
    eventually("there are none left", || told(&server, "cannot accept connections") == 1);
    assert_served(&server, &mut kept, 40);
    drop(crowd);
    eventually("there are some again", || {
        let mut client = Client::connect(&server.address);
        client.patience(Duration::from_secs(2));
        client.send(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n");
        client.try_reply("GET").is_some_and(|reply| reply.status == 200)
    });
    assert_served(&server, &mut kept, 4);
    assert_eq!(server.stop().0, Some(0));
    survived("no more descriptors");
}

/// A user without any other processes, whose threads can be counted.
const NOBODY: u32 = 61_235;

/// What starts a process that may have no more than so many threads.
fn with_threads(threads: usize) -> Command {
    let mut command = Command::new("prlimit");
    command.args([&format!("--nproc={threads}"), "setpriv", "--reuid", &NOBODY.to_string(), "--regid"]);
    command.args([&NOBODY.to_string(), "--clear-groups"]);
    command
}

#[test]
fn a_server_without_more_threads_serves_with_those_it_has() {
    let works = with_threads(50).args([BINARY, "help"]).output().is_ok_and(|output| output.status.success());
    if !works {
        return skip("no more threads", "it takes root, prlimit, setpriv, and a binary that others can run");
    }
    let folder = Folder::new();
    let models = folder.file("models.json", ledger::MODELS);
    run(&folder, &["models", "apply", models.to_str().unwrap()]);
    let key = key_to_all(&folder);
    for name in ["", "test.db"] {
        std::os::unix::fs::chown(folder.path(name), Some(NOBODY), Some(NOBODY)).unwrap();
    }
    // Not even those that it begins with.
    let mut command = with_threads(3);
    command.args([BINARY, "serve", "--listen", "127.0.0.1:0"]).env("JQLITE_DB", folder.database());
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && said.contains("jqlite: cannot s"), "{said}");
    // Those, and two more.
    let turns = std::thread::available_parallelism().map_or(4, |cores| cores.get() * 2);
    let command = with_threads(4 + turns + 2);
    let server = Server::through(command, folder, key, &["--idle-timeout", "1s"]);
    let slow = |_| {
        let mut client = Client::connect(&server.address);
        client.send(b"POST /jql HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{");
        client
    };
    let mut slow: Vec<Client> = (0..12).map(slow).collect();
    eventually("there are none left", || told(&server, "no more threads are to be had") > 0);
    let mut kept: Vec<Client> = (0..4).map(|_| Client::connect(&server.address)).collect();
    assert_served(&server, &mut kept, 4);
    for client in &mut slow {
        assert_eq!(client.try_reply("POST").map(|reply| reply.status), Some(408));
    }
    let mut kept: Vec<Client> = (0..20).map(|_| Client::connect(&server.address)).collect();
    assert_served(&server, &mut kept, 4);
    assert_eq!(server.stop().0, Some(0));
    survived("no more threads");
}
