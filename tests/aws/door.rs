//! A door before a server that plays AWS, with what that server does not check: who may take on
//! which role with which external id, and sessions that have ended.

use std::collections::{HashMap, HashSet};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

/// What the trust policy of a role asks for.
#[derive(Debug, Clone)]
pub(crate) struct Trust {
    pub(crate) external_id: Option<&'static str>,
}

#[derive(Debug, Default)]
struct Rules {
    trusts: HashMap<String, Trust>,
    /// Ids of access keys whose session has ended.
    ended: HashSet<String>,
}

/// Listens until the test ends.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    pub(crate) endpoint: String,
    behind: String,
    rules: Arc<Mutex<Rules>>,
}

impl Door {
    /// Opens one before `endpoint`.
    pub(crate) fn open(endpoint: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let behind = endpoint.trim_start_matches("http://").to_owned();
        let door = Self { endpoint: format!("http://{address}"), behind, rules: Arc::default() };
        let shared = door.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let door = shared.clone();
                std::thread::spawn(move || door.serve(stream));
            }
        });
        door
    }

    /// Lets `role` be taken on by whoever shows what its trust policy asks for.
    pub(crate) fn trusts(&self, role: &str, external_id: Option<&'static str>) {
        self.rules().trusts.insert(role.to_owned(), Trust { external_id });
    }

    /// Ends the session of an access key.
    pub(crate) fn ends(&self, key: &str) {
        self.rules().ended.insert(key.to_owned());
    }

    fn rules(&self) -> std::sync::MutexGuard<'_, Rules> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One request per connection.
    fn serve(&self, mut stream: TcpStream) -> Option<()> {
        let (head, body) = request(&mut stream)?;
        if let Some(answer) = self.refusal(&head, &String::from_utf8_lossy(&body)) {
            return stream.write_all(answer.as_bytes()).ok();
        }
        let mut behind = TcpStream::connect(&self.behind).ok()?;
        behind.write_all(head.replacen("\r\n", "\r\nconnection: close\r\n", 1).as_bytes()).ok()?;
        behind.write_all(&body).ok()?;
        let mut answer = Vec::new();
        behind.read_to_end(&mut answer).ok()?;
        stream.write_all(&answer).ok()
    }

    /// What AWS answers instead of doing what it was asked.
    fn refusal(&self, head: &str, body: &str) -> Option<String> {
        let key =
            head.split_once("Credential=").and_then(|(_, rest)| rest.split('/').next()).unwrap_or_default();
        let rules = self.rules();
        if rules.ended.contains(key) {
            let said = r#"{"__type":"com.amazon.coral.service#ExpiredTokenException","message":"The security token included in the request is expired"}"#;
            return Some(answer("400 Bad Request", "application/x-amz-json-1.0", said));
        }
        let asked: HashMap<&str, String> = body
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name, plain(value)))
            .collect();
        if asked.get("Action").is_none_or(|action| action != "AssumeRole") {
            return None;
        }
        let role = asked.get("RoleArn").cloned().unwrap_or_default();
        let shown = asked.get("ExternalId").map(String::as_str);
        if rules.trusts.get(&role).is_some_and(|trust| trust.external_id.is_none_or(|id| shown == Some(id))) {
            return None;
        }
        let said = format!(
            "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type><Code>AccessDenied</Code>\
             <Message>User: arn:aws:iam::123456789012:user/keywatch is not authorized to perform: sts:AssumeRole on resource: {role}\
             </Message></Error><RequestId>1</RequestId></ErrorResponse>"
        );
        Some(answer("403 Forbidden", "text/xml", &said))
    }
}

fn answer(status: &str, kind: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

fn plain(value: &str) -> String {
    percent_encoding::percent_decode_str(value).decode_utf8_lossy().into_owned()
}

/// One request, whole: its head as it came, and its body.
fn request(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let (mut got, mut piece) = (Vec::new(), [0; 4096]);
    let end = loop {
        if let Some(end) = got.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        let count = stream.read(&mut piece).ok().filter(|count| *count > 0)?;
        got.extend_from_slice(piece.get(..count)?);
    };
    let mut body = got.split_off(end);
    let head = String::from_utf8(got).ok()?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    let mut rest = vec![0; length.unwrap_or(0).saturating_sub(body.len())];
    stream.read_exact(&mut rest).ok()?;
    body.append(&mut rest);
    Some((head, body))
}
