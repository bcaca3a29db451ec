//! A receiver on loopback that can fail on purpose: a webhook's, or any other that is POSTed to.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The secret its messages are signed with.
pub(crate) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=";

/// What a receiver was sent: the alert, by message id.
#[derive(Debug, Default)]
pub(crate) struct Received {
    /// Messages that were accepted, with the alert's id in their body.
    pub(crate) accepted: HashMap<String, String>,
    /// Messages that were refused or whose reply was lost, once each.
    failed: HashSet<String>,
    /// Requests in all.
    pub(crate) requests: u64,
    /// Messages that were accepted: headers by lower-case name, and the body.
    pub(crate) messages: Vec<(HashMap<String, String>, String)>,
    /// What every message is answered with, when a test has said so.
    answer: Option<&'static str>,
    /// Bodies that were answered so.
    pub(crate) refused: Vec<String>,
}

/// Listens until the test ends.
#[derive(Debug, Clone)]
pub(crate) struct Receiver {
    port: u16,
    received: Arc<Mutex<Received>>,
}

impl Receiver {
    /// Starts one; when `faulty`, one message in ten is refused and one in twenty loses its reply,
    /// each the first time it comes.
    pub(crate) fn start(faulty: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let receiver = Self { port, received: Arc::default() };
        let shared = receiver.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let receiver = shared.clone();
                std::thread::spawn(move || receiver.serve(stream, faulty));
            }
        });
        receiver
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook", self.port)
    }

    /// From now on, what every message is answered with; `None`: it is accepted.
    pub(crate) fn answers(&self, answer: Option<&'static str>) {
        self.received().answer = answer;
    }

    pub(crate) fn received(&self) -> MutexGuard<'_, Received> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, stream: TcpStream, faulty: bool) -> Option<()> {
        let mut reader = BufReader::new(stream.try_clone().ok()?);
        let mut stream = stream;
        loop {
            let (headers, body) = request(&mut reader)?;
            let status = self.take(headers, body, faulty)?;
            // In one piece: small pieces wait for each other's acknowledgement, 40 ms each.
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
            stream.write_all(answer.as_bytes()).ok()?;
        }
    }

    /// Decides about one message; `None` loses the reply.
    fn take(&self, headers: HashMap<String, String>, body: String, faulty: bool) -> Option<&'static str> {
        let mut received = self.received();
        received.requests += 1;
        if let Some(answer) = received.answer {
            received.refused.push(body);
            return Some(answer);
        }
        // Other kinds than webhooks carry no id in their headers.
        let id = headers.get("webhook-id").cloned().unwrap_or_else(|| body.clone());
        let lot = id.bytes().fold(7_u32, |lot, byte| lot.wrapping_mul(31).wrapping_add(byte.into())) % 20;
        if faulty && lot < 3 && received.failed.insert(id.clone()) {
            return (lot < 2).then_some("500 Internal Server Error");
        }
        let alert = body.split_once("\"id\":\"").and_then(|(_, rest)| rest.split_once('"')).map(|(id, _)| id);
        let alert = alert.unwrap_or_default().to_owned();
        received.accepted.insert(id, alert);
        received.messages.push((headers, body));
        Some("204 No Content")
    }
}

/// One request, whole: its headers by lower-case name, and its body.
fn request(reader: &mut impl BufRead) -> Option<(HashMap<String, String>, String)> {
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end().split_once(": ") {
            Some((name, value)) => drop(headers.insert(name.to_ascii_lowercase(), value.to_owned())),
            None if line == "\r\n" => break,
            None => {}
        }
    }
    let length = headers.get("content-length")?.parse().ok()?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((headers, String::from_utf8_lossy(&body).into_owned()))
}
