//! The least that an HTTP server can do: it reads each request with its body and answers the bytes of a file.
//!
//! `echo PORT FILE [THREADS]`. The file holds a whole answer, head and body, as jqlite sent it to the same request. Head
//! and body leave in one write. What jqlite does in more time than this is its own work.

use socket2::{Domain, Protocol, Socket, Type};
use std::error::Error;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use tiny_http::{Request, Server};

/// Of 1, 2, 4, 8 and 16 the best on two cores.
const THREADS: usize = 2;

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [port, file, more @ ..] = words.as_slice() else {
        return Err("usage: echo PORT FILE [THREADS]".into());
    };
    let answer: Arc<[u8]> = std::fs::read(file)?.into();
    let threads = more.first().map_or(Ok(THREADS), |threads| threads.parse())?;
    let server = Arc::new(Server::from_listener(listen(port.parse()?)?, None)?);
    for _ in 1..threads {
        let (server, answer) = (server.clone(), answer.clone());
        std::thread::spawn(move || serve(&server, &answer));
    }
    serve(&server, &answer);
    Ok(())
}

/// Accepted sockets inherit `TCP_NODELAY` from the listening one.
fn listen(port: u16) -> std::io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_tcp_nodelay(true)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into())?;
    socket.listen(1024)?;
    Ok(socket.into())
}

fn serve(server: &Server, answer: &[u8]) {
    let mut body = Vec::new();
    while let Ok(request) = server.recv() {
        // A client that went away ends its own connection only.
        let _ = reply(request, &mut body, answer);
    }
}

fn reply(mut request: Request, body: &mut Vec<u8>, answer: &[u8]) -> std::io::Result<()> {
    body.clear();
    request.as_reader().read_to_end(body)?;
    let mut writer = request.into_writer();
    writer.write_all(answer)?;
    writer.flush()
}
