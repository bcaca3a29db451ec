//! A server on loopback that speaks HTTP/1.1 and does as a test says, up to breaking off.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What somebody asked.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// Path and query.
    pub(crate) path: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

/// What is answered.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// A status and a body.
    Json(u16, String),
    /// A status, a header and a body.
    With(u16, (&'static str, String), String),
    /// Nothing, for ever.
    Hang,
    /// The connection is closed without an answer.
    Reset,
    /// The connection is closed in the middle of the answer.
    Cut(String),
    /// Bytes without end.
    Flood,
}

type Answerer = dyn Fn(&Asked) -> Reply + Send + Sync;

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Asked>>>,
    _serving: JoinSet<()>,
}

impl Server {
    pub(crate) async fn start(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (seen, answer): (Arc<Mutex<Vec<_>>>, Arc<Answerer>) = (Arc::default(), Arc::new(answer));
        let mut serving = JoinSet::new();
        serving.spawn(accept(listener, Arc::clone(&seen), answer));
        Self { address, seen, _serving: serving }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn seen(&self) -> Vec<Asked> {
        self.seen.lock().expect("a list").clone()
    }

    /// How often something below a path was asked for.
    pub(crate) fn count(&self, path: &str) -> usize {
        self.seen().iter().filter(|asked| asked.path.starts_with(path)).count()
    }
}

async fn accept(listener: TcpListener, seen: Arc<Mutex<Vec<Asked>>>, answer: Arc<Answerer>) {
    let mut talks = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        talks.spawn(talk(stream, Arc::clone(&seen), Arc::clone(&answer)));
        while talks.try_join_next().is_some() {}
    }
}

/// One question, one answer: whoever wants more connects again.
async fn talk(mut stream: TcpStream, seen: Arc<Mutex<Vec<Asked>>>, answer: Arc<Answerer>) {
    let Some(asked) = question(&mut stream).await else { return };
    seen.lock().expect("a list").push(asked.clone());
    let written = match answer(&asked) {
        Reply::Json(status, body) => {
            stream.write_all(response(status, None, &body, body.len()).as_bytes()).await
        }
        Reply::With(status, (name, value), body) => {
            stream.write_all(response(status, Some((name, &value)), &body, body.len()).as_bytes()).await
        }
        Reply::Hang => std::future::pending().await,
        Reply::Reset => Ok(()),
        Reply::Cut(body) => stream.write_all(response(200, None, &body, body.len() + 100).as_bytes()).await,
        Reply::Flood => flood(&mut stream).await,
    };
    // A client that hung up is what some tests are about.
    drop(written);
}

fn response(status: u16, header: Option<(&str, &str)>, body: &str, length: usize) -> String {
    let header = header.map(|(name, value)| format!("{name}: {value}\r\n")).unwrap_or_default();
    format!(
        "HTTP/1.1 {status} Told\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n{header}Connection: close\r\n\r\n{body}"
    )
}

/// 64 MiB at most, in case nobody stops listening.
async fn flood(stream: &mut TcpStream) -> std::io::Result<()> {
    stream
        .write_all(
            b"HTTP/1.1 200 Told\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n{\"a\":\"",
        )
        .await?;
    let bytes = vec![b'x'; 256 * 1024];
    for _ in 0..256 {
        stream.write_all(&bytes).await?;
    }
    Ok(())
}

async fn question(stream: &mut TcpStream) -> Option<Asked> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        stream.read_buf(&mut bytes).await.ok().filter(|count| *count > 0)?;
    };
    let mut body = bytes.split_off(end + 4);
    let head = String::from_utf8_lossy(&bytes).into_owned();
    let mut lines = head.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let path = first.nth(1)?.to_owned();
    let headers: BTreeMap<_, _> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length: usize = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    while body.len() < length {
        stream.read_buf(&mut body).await.ok().filter(|count| *count > 0)?;
    }
    Some(Asked { path, headers, body: String::from_utf8_lossy(&body).into_owned() })
}
