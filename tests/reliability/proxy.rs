//! The server behind nginx, which runs with `examples/nginx.conf`: who the client is, what is not public, where secrets are
//! not kept, and that neither a connection that is given up nor a stop costs an answer. [`oddities`] and [`mutation`] hold
//! what nginx sends against what is carried out.

mod accounts;
mod mutation;
mod nginx;
mod oddities;

use crate::floods::{self, Held};
use crate::report::{counted, scale};
use crate::support::{Client, Ending, MODELS, Server, eventually, file_holds, jqlite, run, signal};
use nginx::{EXAMPLE, Nginx};
use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// A server that believes nginx.
fn behind(words: &[&str]) -> Server {
    Server::with(MODELS, &[&["--trusted-proxy", "127.0.0.1"], words].concat())
}

fn counting() -> String {
    json!({"__meta__": {"intent": "count", "namespace": "tickets.Tag"}}).to_string()
}

fn create(name: &str) -> String {
    json!({"__meta__": {"intent": "create", "namespace": "tickets.Tag"}, "name": name}).to_string()
}

/// The status of a request from this address of this machine, with more headers.
#[track_caller]
fn from(source: &str, to: &str, key: &str, headers: &str) -> (u16, Option<String>) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::new(source.parse().unwrap(), 0).into()).unwrap();
    socket.connect(&to.parse::<SocketAddr>().unwrap().into()).unwrap();
    let mut client = Client::over(TcpStream::from(socket));
    let (body, usual) = (counting(), format!("Authorization: Bearer {key}\r\nContent-Type: application/json\r\n"));
    let head = format!("{usual}{headers}Content-Length: {}\r\n", body.len());
    let reply = client.request("POST", "/jql", &head, &body);
    (reply.status, reply.header("retry-after").map(str::to_owned))
}

/// What a client may say of itself that would make it another.
const FORGED: [&str; 7] = [
    "X-Forwarded-For: 127.0.0.2\r\n",
    "X-Forwarded-For: 127.0.0.2, 127.0.0.1\r\n",
    "X-Forwarded-For: 127.0.0.2\r\nX-Forwarded-For: 127.0.0.1\r\n",
    "X-Forwarded-For: 127.0.0.2\r\nConnection: close, X-Forwarded-For\r\n",
    "X_Forwarded_For: 127.0.0.2\r\nx-forwarded-for : 127.0.0.2\r\n",
    "Forwarded: for=127.0.0.2\r\nX-Real-IP: 127.0.0.2\r\n",
    "X-Forwarded-For: 127.0.0.2\nX-Forwarded-For: 127.0.0.2\r\n",
];

#[test]
fn through_nginx_nobody_is_believed_to_be_another() {
    let server = behind(&[]);
    let Some(nginx) = Nginx::before(&server, "X-Forwarded-For through nginx") else { return };
    let words = ["keys", "create", "--name", "here", "--allow", "tickets.*:read", "--allowed-ips", "127.0.0.2"];
    let key = run(&server.folder, &words);
    assert_eq!(from("127.0.0.2", &nginx.address, &key, "").0, 200);
    for forged in FORGED {
        let (status, _) = from("127.0.0.3", &nginx.address, &key, forged);
        assert!(matches!(status, 400 | 403), "{status}: {forged}");
        let (status, _) = from("127.0.0.3", &server.address, &key, forged);
        assert!(matches!(status, 400 | 403), "without nginx: {status}: {forged}");
    }
    // From an address that is a proxy's the same is believed.
    assert_eq!(from("127.0.0.1", &server.address, &key, FORGED[0]).0, 200);
    let (_, folder) = server.stop();
    let seen = |entry: &Value| entry["remote_addr"] == "127.0.0.3" || entry["status"] == 200 || entry["status"] == 400;
    assert!(crate::support::logs(&folder, &[]).iter().all(seen));
}

#[test]
fn through_nginx_wrong_keys_count_for_the_client_that_sends_them() {
    let server = behind(&[]);
    let Some(nginx) = Nginx::before(&server, "wrong keys through nginx") else { return };
    let mut told = 0;
    for number in 0..40 {
        let forged = format!("X-Forwarded-For: 198.51.100.{number}\r\n");
        match from("127.0.0.4", &nginx.address, "none", &forged) {
            (429, Some(_)) => told += 1,
            other => assert_eq!(other, (401, None)),
        }
    }
    assert_eq!(told, 10, "30 a minute are let through");
    assert_eq!(from("127.0.0.5", &nginx.address, "none", "").0, 401, "another client is not held up");
    assert_eq!(from("127.0.0.4", &nginx.address, &server.key, "").0, 200, "nor is a right key");
}

#[test]
fn through_nginx_no_other_path_is_there() {
    let server = behind(&[]);
    let Some(nginx) = Nginx::before(&server, "paths through nginx") else { return };
    let head = format!("Authorization: Bearer {}\r\n", server.key);
    let get = |address: &str, path: &str| Client::connect(address).request("GET", path, &head, "");
    assert_eq!(get(&server.address, "/metrics").status, 200);
    for path in
        ["/metrics", "//metrics", "/jql/../metrics", "/%6detrics", "/healthz", "/readyz", "/metrics?/../jql", "/"]
    {
        let reply = get(&nginx.address, path);
        assert_eq!((reply.status, reply.body.contains("jqlite_")), (404, false), "{path}");
    }
    assert_eq!(get(&nginx.address, "/openapi.json").status, 200);
}

#[test]
fn nginx_serves_over_tls_as_the_example_says() {
    let server = behind(&[]);
    let Some(nginx) = Nginx::before(&server, "TLS") else { return };
    let url = format!("https://127.0.0.1:{}/jql", nginx.tls);
    let head = format!("Authorization: Bearer {}", server.key);
    let words = ["-sk", &url, "-H", &head, "-H", "Content-Type: application/json", "-d", &counting()];
    let answer = Command::new("curl").args(words).output().unwrap();
    let json: Value = serde_json::from_slice(&answer.stdout).unwrap();
    assert_eq!(json["data"]["count"], 0);
}

#[test]
fn what_the_example_bounds_fits_what_the_server_does() {
    let server = Server::start();
    let help = run(&server.folder, &["serve", "--help"]).split_whitespace().collect::<Vec<_>>().join(" ");
    let default = |option: &str| {
        let behind = help.split_once(option).unwrap_or_else(|| panic!("no {option}: {help}")).1;
        behind.split_once("[default: ").unwrap().1.split_once(']').unwrap().0.to_owned()
    };
    let says = |directive: &str| {
        let behind = EXAMPLE.split_once(&format!("\n    {directive} ")).unwrap_or_else(|| panic!("no {directive}")).1;
        behind.split_once(';').unwrap().0.to_owned()
    };
    let seconds = |text: String| text.strip_suffix('s').unwrap().parse::<u32>().unwrap();
    assert!(seconds(says("keepalive_timeout")) < seconds(default("--idle-timeout")));
    assert!(seconds(says("proxy_read_timeout")) > 3 * seconds(default("--query-timeout")));
    assert_eq!(says("client_max_body_size"), format!("{}m", default("--max-body").parse::<u32>().unwrap() >> 20));
    assert_eq!(says("client_body_buffer_size"), says("client_max_body_size"));
    assert!(says("limit_conn").ends_with(" 100") && default("--max-connections") == "2048");
    assert_eq!(says("server"), default("--listen"));
}

// -- Secrets ------------------------------------------------------------------------------------

#[test]
fn nginx_keeps_no_secret_in_a_file() {
    let server = behind(&[]);
    let Some(nginx) = Nginx::before(&server, "secrets in files of nginx") else { return };
    let key = server.key.clone();
    let secret = &key[17..];
    let (body, canary) = (counting(), "a text that is nobody's business");
    let large = json!({"__meta__": {"intent": "create", "namespace": "tickets.Ticket"}, "title": canary,
        "description": canary.repeat(20_000)});
    let head = format!("Authorization: Bearer {}\r\nContent-Type: application/json\r\n", key);
    let send = |path: &str, body: &str| {
        let mut client = Client::connect(&nginx.address);
        client.send(
            format!("POST {path} HTTP/1.1\r\nHost: localhost\r\n{head}Content-Length: {}\r\n\r\n{body}", body.len())
                .as_bytes(),
        );
        client
    };
    let mut statuses = Vec::new();
    let mut all = |nginx: &Nginx| {
        for path in ["/jql", &format!("/jql?key={key}"), &format!("/{key}"), &format!("/jql/{key}")] {
            statuses.push(send(path, &body).reply("POST").status);
        }
        let is_ours = |path: &PathBuf| path.canonicalize().is_ok_and(|path| path.ends_with("passed.log"));
        let own = nginx.files().into_iter().filter(|path| !is_ours(path));
        let leaks: Vec<_> = own.filter(|path| file_holds(path, secret) || file_holds(path, canary)).collect();
        assert!(leaks.is_empty(), "{leaks:?}");
    };
    all(&nginx);
    // Large bodies that wait for their answers: they are in memory and nowhere else.
    let holder = rusqlite::Connection::open(server.folder.path("test.db")).unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut waiting = Vec::new();
    while floods::metric(&server, "jqlite_writer_queue") == 0 {
        waiting.push(send("/jql", &large.to_string()));
    }
    all(&nginx);
    holder.execute_batch("COMMIT").unwrap();
    waiting.iter_mut().for_each(|client| assert_eq!(client.reply("POST").status, 200));
    // And where nginx has something to complain of.
    server.stop();
    all(&nginx);
    assert_eq!(statuses[..4], [200, 400, 404, 404]);
    assert_eq!(statuses[8..], [502, 502, 404, 404]);
}

/// Asks it to stop, and waits until it takes no connection.
#[track_caller]
fn stop(server: &Server) {
    signal(server.pid(), "TERM");
    eventually("no connection is accepted", || TcpStream::connect(&server.address).is_err());
}

// -- Slow clients -------------------------------------------------------------------------------

#[test]
fn slow_clients_are_the_burden_of_nginx() {
    let server = floods::stocked(&[&["--trusted-proxy", "127.0.0.1"], &floods::LARGE_CACHE[..]].concat());
    let Some(nginx) = Nginx::before(&server, "slow clients of nginx") else { return };
    // More than the server would have room for, were it to wait for those who read.
    let mut readers: Vec<TcpStream> = (0..40).map(|_| floods::narrow(&nginx.address)).collect();
    for reader in &mut readers {
        reader.write_all(floods::books(&server.key).as_bytes()).unwrap();
        assert_eq!(floods::status(reader), 200);
    }
    let mut senders: Vec<TcpStream> = (0..40).map(|_| floods::narrow(&nginx.address)).collect();
    for sender in &mut senders {
        sender
            .write_all(format!("{}1000000\r\n\r\n{}", floods::head(&server.key), " ".repeat(5000)).as_bytes())
            .unwrap();
    }
    assert_eq!(Client::connect(&nginx.address).jql(&server.key, &counting()).status, 200);
    let rest = floods::resting(512);
    eventually("the server has nothing to do", || Held::now(&server).is_within(&rest));
}

// -- Connections that are kept ------------------------------------------------------------------

#[test]
fn connections_that_nginx_keeps_are_never_cut_with_a_request_on_its_way() {
    let server = behind(&["--idle-timeout", "1s"]);
    // As many times sooner than the server as in the example.
    let sooner = [("keepalive_timeout 50s;", "keepalive_timeout 800ms;")];
    let Some(nginx) = Nginx::changed(&server, "connections kept by nginx", &sooner) else { return };
    let sent = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for client in 0..8_u64 {
            let (server, nginx, sent) = (&server, &nginx, &sent);
            scope.spawn(move || {
                for turn in 0..scale(4, 40) {
                    let reply = Client::connect(&nginx.address).jql(&server.key, &counting());
                    assert_eq!(reply.status, 200, "{}", reply.body);
                    sent.fetch_add(1, Ordering::Relaxed);
                    // About as long as nginx keeps one, and as the server does.
                    std::thread::sleep(Duration::from_millis(760 + 10 * (client + turn * 3) % 300));
                }
            });
        }
    });
    // nginx takes the next connection where it kept none, so that every answer is the server's.
    let passed = nginx.passed();
    assert!(passed.iter().all(|one| one.upstream == Some(200)), "{passed:?}");
    counted("HTTP behind nginx", "requests on connections about to be cut, all answered", sent.into_inner());
}

// -- A stop -------------------------------------------------------------------------------------

#[test]
fn behind_nginx_requests_in_flight_are_answered_before_the_end() {
    let server = behind(&[]);
    let Some(nginx) = Nginx::before(&server, "a stop behind nginx") else { return };
    let holder = rusqlite::Connection::open(server.folder.path("test.db")).unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut waiting = Vec::new();
    while floods::metric(&server, "jqlite_writer_queue") == 0 {
        let mut client = Client::connect(&nginx.address);
        client.send(
            floods::post(&server.key, &serde_json::from_str(&create(&format!("tag {}", waiting.len()))).unwrap())
                .as_bytes(),
        );
        waiting.push(client);
    }
    stop(&server);
    holder.execute_batch("COMMIT").unwrap();
    for client in &mut waiting {
        let reply = client.reply("POST");
        assert_eq!(reply.status, 200, "{}", reply.body);
    }
    let address = server.address.clone();
    let (code, folder) = server.stop_by("CONT");
    assert_eq!(code, Some(0));
    // nginx finds the next one by itself.
    assert_eq!(Client::connect(&nginx.address).request("POST", "/jql", "", "").status, 502);
    let mut next = jqlite(&folder, &["serve", "--listen", &address]).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(next.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let status = Client::connect(&nginx.address).request("POST", "/jql", "", "").status;
    next.kill().unwrap();
    next.wait().unwrap();
    assert_eq!(status, 401);
}

#[test]
fn behind_nginx_a_stop_under_load_loses_nothing_that_was_answered() {
    let mut lost = 0;
    for round in 0..scale(1, 20) {
        let server = behind(&[]);
        let Some(nginx) = Nginx::before(&server, "a stop under load behind nginx") else { return };
        let (done, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
        let made: Vec<String> = std::thread::scope(|scope| {
            let _ending = Ending(&done);
            let clients: Vec<_> = (0..16)
                .map(|client| {
                    let (server, nginx, done, answered) = (&server, &nginx, &done, &answered);
                    scope.spawn(move || until_it_ends(server, nginx, client, done, answered))
                })
                .collect();
            eventually("there is load", || answered.load(Ordering::Relaxed) > 100 + round * 10);
            stop(&server);
            done.store(true, Ordering::Relaxed);
            clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
        });
        let (code, folder) = server.stop_by("CONT");
        assert_eq!(code, Some(0));
        let connection = rusqlite::Connection::open(folder.path("test.db")).unwrap();
        let mut statement = connection.prepare(r#"SELECT count(*) FROM "tickets.Tag" WHERE "name" = ?1"#).unwrap();
        lost +=
            made.iter().filter(|name| statement.query_one([name], |row| row.get::<_, i64>(0)).unwrap() != 1).count();
        assert_eq!(lost, 0, "of {}", made.len());
    }
    counted("HTTP behind nginx", "stops under load, and answered writes lost", format!("{}, {lost}", scale(1, 20)));
}

/// Makes records until nginx says that the server is gone; the names of those that were answered.
fn until_it_ends(
    server: &Server,
    nginx: &Nginx,
    client: usize,
    done: &AtomicBool,
    answered: &AtomicUsize,
) -> Vec<String> {
    let mut made = Vec::new();
    let mut connection = Client::connect(&nginx.address);
    for number in 0.. {
        let name = format!("tag {client} {number}");
        let reply = connection.jql(&server.key, &create(&name));
        match reply.status {
            200 => made.push(name),
            status => {
                assert!(matches!(status, 502 | 503), "{}", reply.body);
                if done.load(Ordering::Relaxed) {
                    break;
                }
            }
        }
        answered.fetch_add(1, Ordering::Relaxed);
    }
    made
}
