//! nginx in front of a server, with the configuration of `examples/nginx.conf`: its own directives, but for ports, paths and
//! the certificate. It also tells of each request what became of it.

use crate::support::{Folder, Server, skip};
use serde_json::Value;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub const EXAMPLE: &str = include_str!("../../../examples/nginx.conf");

/// What nginx is told beside the example.
const AROUND: &str = "daemon off;
master_process off;
pid FOLDER/pid;
error_log FOLDER/start.log;
events { worker_connections 2000; }
http {
    client_body_temp_path FOLDER/bodies;
    proxy_temp_path FOLDER/answers;
    fastcgi_temp_path FOLDER/fastcgi;
    uwsgi_temp_path FOLDER/uwsgi;
    scgi_temp_path FOLDER/scgi;
    log_format passed escape=json '{\"id\":\"$request_id\",\"target\":\"$request_uri\",\"upstream\":\"$upstream_status\",'
        '\"sent\":\"$upstream_addr\",\"answered\":\"$upstream_http_x_request_id\",\"status\":\"$status\"}';
    EXAMPLE
}
";

pub struct Nginx {
    pub folder: Folder,
    /// `127.0.0.1:port`, without TLS.
    pub address: String,
    /// The port with TLS.
    pub tls: u16,
    child: Child,
}

/// A request, as nginx tells of it.
#[derive(Debug)]
pub struct Passed {
    /// Its `X-Request-Id`, as jqlite got it.
    pub id: String,
    /// What stands in the URL behind the host, as it was sent on.
    pub target: String,
    /// Whether it was sent on.
    pub sent: bool,
    /// The status and the id of jqlite's answer, where there was one.
    pub upstream: Option<u16>,
    pub answered: String,
}

/// Where there is an nginx, and what a certificate is made with.
fn found() -> Option<&'static str> {
    let runs =
        |name: &str, word: &str| Command::new(name).arg(word).stderr(Stdio::null()).stdout(Stdio::null()).status();
    let nginx = ["nginx", "/usr/sbin/nginx"].into_iter().find(|name| runs(name, "-v").is_ok());
    nginx.filter(|_| runs("openssl", "version").is_ok())
}

impl Nginx {
    /// In front of that server; `None` where there is no nginx.
    pub fn before(server: &Server, test: &str) -> Option<Nginx> {
        Nginx::changed(server, test, &[])
    }

    /// The same with other words in the configuration.
    pub fn changed(server: &Server, test: &str, changes: &[(&str, &str)]) -> Option<Nginx> {
        let Some(program) = found() else {
            skip(test, "there is no nginx here, or no openssl");
            return None;
        };
        // The ports are free when we look, and may be gone when nginx does.
        let started = (0..5).find_map(|_| Nginx::start(program, server, changes));
        Some(started.expect("nginx starts"))
    }

    fn start(program: &str, server: &Server, changes: &[(&str, &str)]) -> Option<Nginx> {
        let folder = Folder::new();
        let (address, tls) = (format!("127.0.0.1:{}", free_port()), free_port());
        let path = |name: &str| folder.path(name).to_str().unwrap().to_owned();
        certify(&path("certificate.pem"), &path("key.pem"));
        let listen = format!("listen {address}; listen 127.0.0.1:{tls} ssl;");
        let logs = format!("access_log {} jqlite; access_log {} passed;", path("access.log"), path("passed.log"));
        let mut text = EXAMPLE.to_owned();
        let ours = [
            ("listen 443 ssl;", listen.as_str()),
            ("server 127.0.0.1:5750;", &format!("server {};", server.address)),
            ("/etc/ssl/certs/jqlite.pem", &path("certificate.pem")),
            ("/etc/ssl/private/jqlite.key", &path("key.pem")),
            ("access_log /var/log/nginx/jqlite.log jqlite;", &logs),
            ("/var/log/nginx/jqlite.error.log", &path("error.log")),
        ];
        for (theirs, ours) in ours.iter().chain(changes) {
            assert_eq!(text.matches(theirs).count(), 1, "{theirs} in the example");
            text = text.replace(theirs, ours);
        }
        let text = AROUND.replace("EXAMPLE", &text).replace("FOLDER", &path(""));
        let file = folder.file("nginx.conf", &text);
        let mut command = Command::new(program);
        command.arg("-p").arg(path("")).arg("-c").arg(file).arg("-e").arg(path("start.log"));
        let child = command.stderr(Stdio::null()).spawn().unwrap();
        Nginx { folder, address, tls, child }.when_it_listens()
    }

    fn when_it_listens(mut self) -> Option<Nginx> {
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(&self.address).is_err() {
            let ended = self.child.try_wait().unwrap().is_some();
            if ended || Instant::now() > deadline {
                println!("{}", std::fs::read_to_string(self.folder.path("start.log")).unwrap_or_default());
                return None;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Some(self)
    }

    /// All that it wrote, also what has no name any more but is open.
    pub fn files(&self) -> Vec<PathBuf> {
        let mut folders = vec![self.folder.path("")];
        let mut files = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { folders.push(path) } else { files.push(path) }
            }
        }
        let open =
            std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().map(|entry| entry.unwrap().path());
        let is_ours = |path: &PathBuf| path.read_link().is_ok_and(|file| file.starts_with(self.folder.path("")));
        files.extend(open.filter(is_ours));
        files
    }

    /// What became of each request so far. Of some it tells only when the client is gone.
    pub fn passed(&self) -> Vec<Passed> {
        let log = std::fs::read(self.folder.path("passed.log")).unwrap();
        let log = String::from_utf8_lossy(&log);
        log.split_inclusive('\n').filter(|line| line.ends_with('\n')).map(passed).collect()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn passed(line: &str) -> Passed {
    let json: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    let text = |name: &str| json[name].as_str().unwrap().to_owned();
    // Where nginx sent it twice, the last is what the client got.
    let last = |text: String| text.rsplit(", ").next().unwrap_or_default().to_owned();
    Passed {
        id: text("id"),
        target: text("target"),
        sent: !text("sent").is_empty(),
        upstream: last(text("upstream")).parse().ok(),
        answered: text("answered"),
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Makes a certificate that nobody vouches for.
fn certify(certificate: &str, key: &str) {
    let words = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
    let name = ["-subj", "/CN=jqlite.example.com", "-keyout", key, "-out", certificate];
    let output = Command::new("openssl").args(words).args(name).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
