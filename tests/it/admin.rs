//! The files of the admin page: what is served, with which headers, and that the page may ask what any client may.

use crate::support::{Client, Folder, MODELS, Reply, Server, fails, request, run};
use serde_json::json;
use std::path::Path;

/// The files of a folder and of those in it, each with the path that it is served at.
fn files(folder: &Path, path: &str) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let (file, path) = (entry.as_ref().unwrap().path(), format!("{path}/{}", entry.unwrap().file_name().display()));
        match file.is_dir() {
            true => found.extend(self::files(&file, &path)),
            false if path == "/admin/index.html" => found.push(("/".to_owned(), std::fs::read(file).unwrap())),
            false => found.push((path, std::fs::read(file).unwrap())),
        }
    }
    found
}

fn all() -> Vec<(String, Vec<u8>)> {
    let files = files(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/admin")), "/admin");
    assert!(files.len() >= 3);
    files
}

#[track_caller]
fn get(server: &Server, path: &str, headers: &str) -> Reply {
    Client::connect(&server.address).request("GET", path, headers, "")
}

#[test]
fn every_file_is_served_without_a_key_and_leaves_no_entry() {
    let server = Server::start();
    for (path, bytes) in all() {
        let reply = get(&server, &path, "");
        assert_eq!((reply.status, reply.body.as_bytes()), (200, bytes.as_slice()), "{path}");
        let media = match path.rsplit_once('.').map(|(_, ending)| ending) {
            None => "text/html; charset=utf-8",
            Some("js") => "text/javascript; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            Some("svg") => "image/svg+xml",
            Some("LICENSE") => "text/plain; charset=utf-8",
            other => panic!("what is {other:?}?"),
        };
        assert_eq!(reply.header("content-type"), Some(media), "{path}");
        assert_eq!(get(&server, &format!("{path}?a=b"), "").status, 200, "{path}");
    }
    let (_, folder) = server.stop();
    assert_eq!(run(&folder, &["logs", "--json"]), "");
}

#[test]
fn the_headers_of_each_are_these() {
    let server = Server::start();
    for (path, bytes) in all() {
        let mut headers = get(&server, &path, "X-Request-Id: one\r\n").headers;
        headers.retain(|(name, _)| !["content-type", "date", "etag"].contains(&name.as_str()));
        let length = bytes.len().to_string();
        let expected = [
            ("x-request-id", "one"),
            ("cache-control", "no-cache"),
            ("x-content-type-options", "nosniff"),
            (
                "content-security-policy",
                "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                 base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            ),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
            ("content-length", &length),
        ];
        assert_eq!(headers, expected.map(|(name, value)| (name.to_owned(), value.to_owned())), "{path}");
    }
}

#[test]
fn a_file_that_the_browser_has_is_not_sent_again() {
    let server = Server::start();
    let mut client = Client::connect(&server.address);
    for (path, bytes) in all() {
        let tag = format!("\"{}\"", blake3::hash(&bytes).to_hex());
        for known in [&tag, &format!("\"another\", {tag}"), &format!("\"another\",W/{tag}"), "*"] {
            let reply = client.request("GET", &path, &format!("If-None-Match: {known}\r\n"), "");
            assert_eq!((reply.status, reply.body.as_str()), (304, ""), "{path}");
            assert_eq!(reply.header("etag"), Some(tag.as_str()), "{path}");
            assert_eq!(reply.header("cache-control"), Some("no-cache"), "{path}");
        }
        for unknown in ["\"another\"", &tag[1..], "W/\"another\"", &format!("w/{tag}")] {
            let reply = client.request("GET", &path, &format!("If-None-Match: {unknown}\r\n"), "");
            assert_eq!((reply.status, reply.body.len()), (200, bytes.len()), "{path}");
        }
    }
}

#[test]
fn it_is_read_and_nothing_else() {
    let server = Server::start();
    let mut client = Client::connect(&server.address);
    for (path, bytes) in all() {
        let head = client.request("HEAD", &path, "", "");
        assert_eq!((head.status, head.body.as_str()), (200, ""), "{path}");
        assert_eq!(head.header("content-length"), Some(bytes.len().to_string().as_str()), "{path}");
        for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
            let reply = client.request(method, &path, "Content-Length: 0\r\n", "");
            assert_eq!((reply.status, reply.header("allow")), (405, Some("GET, HEAD")), "{method} {path}");
        }
    }
    for path in ["/admin", "/admin/", "/admin/index.html", "/admin/../app.js", "/admin/app.js/", "/admin//app.js"] {
        let reply = client.request("GET", path, "", "");
        assert_eq!(reply.errors(), vec![format!(": there is nothing at {path}")]);
        assert_eq!(reply.status, 404);
    }
    let with_key = client.request("GET", &format!("/?key={}", server.key), "", "");
    assert_eq!(with_key.status, 400);
}

#[test]
fn a_server_without_the_page_has_nothing_there() {
    let server = Server::with(MODELS, &["--no-admin", "--jql-path", "/admin/app.js"]);
    for (path, _) in all().into_iter().filter(|(path, _)| path != "/admin/app.js") {
        let reply = get(&server, &path, "");
        assert_eq!((reply.status, reply.errors()), (404, vec![format!(": there is nothing at {path}")]));
    }
    assert_eq!(get(&server, "/admin/app.js", "").header("allow"), Some("POST"));
}

#[test]
fn the_path_of_a_file_is_not_taken_for_requests() {
    let folder = Folder::new();
    run(&folder, &["bootstrap"]);
    for (path, _) in all().into_iter().filter(|(path, _)| path != "/") {
        let said = fails(&folder, &["serve", "--listen", "127.0.0.1:0", "--jql-path", &path], 1);
        let why = "is where the admin page is; take another path, or leave it out with --no-admin";
        assert_eq!(said, format!("jqlite: --jql-path {path} {why}\n"));
    }
}

#[test]
fn the_page_may_send_requests_where_its_address_is_ours() {
    let server = Server::start();
    let port = server.address.rsplit_once(':').unwrap().1;
    let body = request("count", "tickets.Ticket", &json!({}), &json!({})).to_string();
    let status = |host: &str, origin: &str, site: &str| {
        let mut client = Client::connect(&server.address);
        let (key, length) = (&server.key, body.len());
        let head = format!(
            "Host: {host}\r\nOrigin: {origin}\r\nSec-Fetch-Site: {site}\r\nAuthorization: Bearer {key}\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n"
        );
        client.send(format!("POST /jql HTTP/1.1\r\n{head}\r\n{body}").as_bytes());
        client.reply("POST").status
    };
    for host in ["127.0.0.1", "localhost", "[::1]", "192.168.1.5"].map(|name| format!("{name}:{port}")) {
        assert_eq!(status(&host, &format!("http://{host}"), "same-origin"), 200, "{host}");
    }
    // Another page on this machine, one elsewhere, one of a name that was made to lead here, and one without an origin.
    let here = format!("127.0.0.1:{port}");
    let rebound = format!("evil.example:{port}");
    assert_eq!(status(&here, "http://127.0.0.1:1", "same-site"), 403);
    assert_eq!(status(&here, &format!("http://localhost:{port}"), "cross-site"), 403);
    assert_eq!(status(&here, "https://evil.example", "cross-site"), 403);
    assert_eq!(status(&rebound, &format!("http://{rebound}"), "same-origin"), 403);
    assert_eq!(status(&here, "null", "cross-site"), 403);
}
