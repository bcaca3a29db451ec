//! A door in front of the mock cluster, which has no logins: it asks for a password (SASL PLAIN, RFC
//! 4616) and lets through who knows it, in Kafka's own protocol
//! (<https://kafka.apache.org/protocol>: ApiVersions 0, SaslHandshake 1, SaslAuthenticate 0).

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

const METADATA: i16 = 3;
const HANDSHAKE: i16 = 17;
const API_VERSIONS: i16 = 18;
const AUTHENTICATE: i16 = 36;
const UNSUPPORTED_VERSION: i16 = 35;
const SASL_AUTHENTICATION_FAILED: i16 = 58;
/// What is let through: each request, its oldest and newest version. Produce, Fetch, Metadata and
/// InitProducerId are the cluster's; a client fetches nothing, but takes messages to be of an older
/// format where it could not.
const APIS: [[i16; 3]; 7] = [
    [0, 3, 7],
    [1, 0, 4],
    [METADATA, 1, 4],
    [HANDSHAKE, 1, 1],
    [API_VERSIONS, 0, 0],
    [22, 0, 1],
    [AUTHENTICATE, 0, 0],
];

/// A running door; closed when dropped.
pub(super) struct Door {
    pub(super) address: SocketAddr,
    /// Passwords that were shown, in order.
    shown: Arc<Mutex<Vec<String>>>,
    _serving: JoinSet<()>,
}

impl Door {
    /// A door before the broker at `behind`.
    pub(super) async fn before(behind: SocketAddr, password: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (shown, mut serving) = (Arc::default(), JoinSet::new());
        let heard = Arc::clone(&shown);
        serving.spawn(async move {
            let mut guests = JoinSet::new();
            loop {
                let (guest, _) = listener.accept().await.unwrap();
                let broker = TcpStream::connect(behind).await.unwrap();
                let ports = (behind.port(), address.port());
                let heard = Arc::clone(&heard);
                guests.spawn(async move { Passage { guest, broker, ports }.serve(password, &heard).await });
            }
        });
        Self { address, shown, _serving: serving }
    }

    pub(super) fn shown(&self) -> Vec<String> {
        self.shown.lock().unwrap().clone()
    }
}

/// One connection, and the one behind it.
struct Passage {
    guest: TcpStream,
    broker: TcpStream,
    /// The broker's and the door's own.
    ports: (u16, u16),
}

impl Passage {
    async fn serve(mut self, password: &str, shown: &Mutex<Vec<String>>) -> Option<()> {
        let mut is_known = false;
        loop {
            let request = frame(&mut self.guest).await?;
            let number = |at: usize| i16::from_be_bytes([request[at], request[at + 1]]);
            let body = match (number(0), number(2)) {
                (API_VERSIONS, version) => versions(version),
                // No error, and one mechanism.
                (HANDSHAKE, _) => [&[0, 0, 0, 0, 0, 1, 0, 5][..], b"PLAIN"].concat(),
                (AUTHENTICATE, _) => {
                    let text = String::from_utf8_lossy(&request).into_owned();
                    let word = text.rsplit('\0').next().unwrap().to_owned();
                    is_known = word == password;
                    shown.lock().unwrap().push(word);
                    let error = if is_known { 0 } else { SASL_AUTHENTICATION_FAILED };
                    // The error, no message, no bytes.
                    [&error.to_be_bytes()[..], &[0xff, 0xff, 0, 0, 0, 0]].concat()
                }
                (api, _) => {
                    assert!(is_known, "request {api} came before the login");
                    let answer = self.relay(api, &request).await?;
                    write(&mut self.guest, &answer).await?;
                    continue;
                }
            };
            write(&mut self.guest, &[&request[4..8], &body].concat()).await?;
        }
    }

    /// What the broker answers; where it says where it is, it says where the door is.
    async fn relay(&mut self, api: i16, request: &[u8]) -> Option<Vec<u8>> {
        write(&mut self.broker, request).await?;
        let mut answer = frame(&mut self.broker).await?;
        if api == METADATA {
            let (there, here) =
                (i32::from(self.ports.0).to_be_bytes(), i32::from(self.ports.1).to_be_bytes());
            let at = answer.windows(4).position(|bytes| bytes == there).expect("a broker's port");
            answer[at..at + 4].copy_from_slice(&here);
        }
        Some(answer)
    }
}

fn versions(version: i16) -> Vec<u8> {
    let error = if version == 0 { 0 } else { UNSUPPORTED_VERSION };
    let mut body = error.to_be_bytes().to_vec();
    body.extend(7_i32.to_be_bytes());
    body.extend(APIS.iter().flatten().flat_map(|number| number.to_be_bytes()));
    body
}

async fn frame(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let size = stream.read_i32().await.ok()?;
    let mut bytes = vec![0; usize::try_from(size).unwrap()];
    stream.read_exact(&mut bytes).await.ok()?;
    Some(bytes)
}

async fn write(stream: &mut TcpStream, bytes: &[u8]) -> Option<()> {
    let size = i32::try_from(bytes.len()).unwrap().to_be_bytes();
    stream.write_all(&[&size[..], bytes].concat()).await.ok()
}
