//! A panic of each thread: it is answered with 500 where an answer is due, takes nothing with it that was acknowledged, and
//! what comes next is served.

use super::{assert_kept, assert_settled, entries, load, server};
use crate::report::{counted, scale};
use crate::support::{Client, Server, assert_json, eventually, request};
use load::{Caller, Load};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::scope;
use std::time::Duration;

/// How many panics a server told of, each with its place.
fn panics(server: &Server) -> usize {
    server.stderr().lines().filter(|line| line.contains(" panicked at ") && line.contains(": on trial: ")).count()
}

/// The answer of a server at fault; nothing of the fault is in it.
fn assert_is_fault(body: &Value, intent: &Value) {
    let told = "an unexpected error happened; the server's log has it under the request id";
    let error = json!({"code": "JQL:ServerException", "errorMessage": told});
    let extras = json!({"filtered": 0, "display": 0, "queries": 0});
    assert_json(
        body,
        &json!({
            "status": "ERROR", "data": null, "errors": [error], "il8n": "en-gb", "extras": extras, "system_info": null,
            "intent": intent, "message": told,
        }),
    );
}

/// Sends records until so many panics of that place were met, and holds each answer and its entry against what is there.
fn assert_survived(place: &str, intent: &Value, leaves_entry: bool) {
    let server = Server::on_trial(&format!("{place}/3"), &[]);
    let mut client = Client::connect(&server.address);
    let (mut made, mut failed) = (Vec::new(), Vec::new());
    while failed.len() < 5 {
        let name = format!("{place} {} {}", made.len(), failed.len());
        let reply = client.jql(&server.key, &load::tag(&name).to_string());
        if reply.header("connection") == Some("close") {
            client = Client::connect(&server.address);
        }
        match reply.status {
            200 => made.push(name),
            status => {
                assert_eq!(status, 500, "{}", reply.body);
                assert_is_fault(&reply.json(), intent);
                failed.push(reply.header("x-request-id").map(str::to_owned));
            }
        }
        assert!(made.len() < 100, "nothing panicked");
    }
    assert!(!made.is_empty());
    let wanted: String = made.iter().map(|name| format!("{name}\n")).collect();
    assert_eq!(server.rows(r#"SELECT "name" FROM "tickets.Tag" ORDER BY "id""#), wanted);
    let told = panics(&server);
    assert!(told >= failed.len(), "{told}");
    let (code, folder) = server.stop();
    assert_eq!(code, Some(0));
    let entries = entries(&folder);
    let logged = entries.values().filter(|statuses| statuses.as_slice() == [500]).count();
    assert_eq!((entries.len() - logged, logged), (made.len(), if leaves_entry { failed.len() } else { 0 }));
    if leaves_entry {
        assert!(failed.iter().flatten().all(|id| entries.contains_key(id)), "{failed:?}");
    }
    counted("threads", &format!("panics survived: {place}"), told);
}

#[test]
fn a_request_that_panics_is_answered() {
    assert_survived("request", &Value::Null, true);
}

#[test]
fn a_thread_that_panics_beside_a_request_answers_and_goes_on() {
    assert_survived("talk", &Value::Null, false);
}

#[test]
fn a_write_that_panics_is_undone_and_answered() {
    assert_survived("job", &json!("create"), true);
}

#[test]
fn a_commit_that_panics_is_undone_and_answered() {
    assert_survived("group", &json!("create"), true);
}

#[test]
fn a_function_that_panics_within_sqlite_fails_its_request_only() {
    let server = Server::on_trial("function/3", &[]);
    server.create("tickets.Tag", &json!({"name": "abc"}));
    let search =
        request("retrieve", "tickets.Tag", &json!({"filter": {"name__contains": "b"}}), &json!({"name": null}));
    let replies: Vec<_> = (0..30).map(|_| server.send(&search)).collect();
    let (found, failed): (Vec<_>, Vec<_>) = replies.iter().partition(|reply| reply.status == 200);
    assert!(found.len() >= 10 && failed.len() >= 5, "{} {}", found.len(), failed.len());
    found.iter().for_each(|reply| assert_eq!(reply.json()["data"], json!([{"name": "abc"}])));
    failed.iter().for_each(|reply| assert_is_fault(&reply.json(), &json!("retrieve")));
    let told = panics(&server);
    let (code, folder) = server.stop();
    assert_eq!(
        (code, entries(&folder).values().filter(|statuses| statuses.as_slice() == [500]).count()),
        (Some(0), failed.len())
    );
    counted("threads", "panics survived: function", told);
}

#[test]
fn the_log_is_written_though_its_writing_panics() {
    let server = Server::on_trial("log/2", &[]);
    for number in 0..20 {
        server.create("tickets.Tag", &json!({"name": number.to_string()}));
    }
    eventually("all entries are written", || server.log_rows() == 20);
    let told = panics(&server);
    assert!(told > 0);
    assert_eq!(server.stop().0, Some(0));
    counted("threads", "panics survived: log", told);
}

#[test]
fn all_threads_panic_and_nothing_that_was_acknowledged_is_lost() {
    let seeds = scale(1, 15);
    let all = "request/11 talk/13 job/7 group/9 log/3 prune/3 cut/1 welcome/5 thread/3 idle/5";
    let (mut told, mut requests) = (0, 0);
    for seed in 0..seeds {
        let server = server(&format!("pauses/{} {all}", 3000 + seed), &["--idle-timeout", "2s"]);
        let (load, cut) = (Load::on(&server), AtomicU32::new(0));
        scope(|scope| {
            for _ in 0..12 {
                let mut caller = load.caller("any");
                let cut = &cut;
                scope.spawn(move || (0..scale(15, 40)).for_each(|round| make(&mut caller, round, cut)));
            }
        });
        // Connections that a panic ended before anything was said.
        assert!(cut.into_inner() > 0);
        assert_settled(&server);
        for place in ["request", "talk", "job", "group", "log", "prune", "cut", "welcome"] {
            let told = format!(": on trial: {place}\n");
            eventually(&format!("{place} panics"), || server.stderr().contains(&told));
        }
        // Two of them, as a panic may end one of five.
        for mut silent in [Client::connect(&server.address), Client::connect(&server.address)] {
            silent.patience(Duration::from_secs(20));
            assert!(silent.is_closed(), "nobody cuts who is silent");
        }
        let old = r#"SELECT count(*) FROM "system.UsageLog" WHERE "request_id" = 'old'"#;
        eventually("the log is pruned", || server.rows(old) == "Integer(0)\n");
        told += panics(&server);
        let (code, folder) = server.stop();
        assert_eq!(code, Some(0), "{}", std::fs::read_to_string(folder.path("stderr")).unwrap());
        requests += load.answered().len();
        assert_kept(folder, &load);
    }
    counted("threads", "panics survived: all places at once", told);
    counted("threads", "requests answered beside them", requests);
}

/// Makes a record, on another connection where this one is over.
fn make(caller: &mut Caller<'_>, round: usize, cut: &AtomicU32) {
    let name = format!("{} {round}", caller.name);
    match caller.try_ask(&load::tag(&name)) {
        Some(reply) => {
            assert!([200, 500].contains(&reply.status), "{}", reply.body);
            if reply.status == 200 {
                caller.made(name);
            }
            if reply.header("connection") == Some("close") {
                caller.reconnect();
            }
        }
        None => {
            cut.fetch_add(1, Ordering::Relaxed);
            caller.reconnect();
        }
    }
}
