//! A door in front of the mock cluster, which has no logins and no encryption: it takes a connection
//! with or without TLS, asks for a password, and lets through who knows it, in Kafka's own protocol
//! (<https://kafka.apache.org/protocol>: ApiVersions 0, SaslHandshake 1, SaslAuthenticate 0). Its lock can
//! be changed: who got in with the password of before is shut out.

use crate::scram::Exchange;
use keywatch_brokers::Mechanism;
use std::io::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

const FETCH: i16 = 1;
const METADATA: i16 = 3;
const FIND_COORDINATOR: i16 = 10;
const HANDSHAKE: i16 = 17;
const API_VERSIONS: i16 = 18;
const AUTHENTICATE: i16 = 36;
const UNSUPPORTED_MECHANISM: i16 = 33;
const UNSUPPORTED_VERSION: i16 = 35;
const AUTHENTICATION_FAILED: i16 = 58;
/// What is let through: each request of a member of a group, its oldest and newest version; and of
/// Produce, without which the client takes messages to be of an older format.
const APIS: [[i16; 3]; 14] = [
    [0, 3, 7],
    [FETCH, 0, 4],
    [2, 0, 1],
    [METADATA, 1, 4],
    [8, 0, 2],
    [9, 0, 1],
    [FIND_COORDINATOR, 0, 0],
    [11, 0, 2],
    [12, 0, 1],
    [13, 0, 1],
    [14, 0, 1],
    [HANDSHAKE, 1, 1],
    [API_VERSIONS, 0, 0],
    [AUTHENTICATE, 0, 0],
];

/// The certificate the door shows, which is made out to `localhost` and signed by itself.
pub(super) fn certificate() -> PathBuf {
    fixture("listener.pem")
}

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../push/src/tls/fixtures").join(name)
}

/// How somebody gets in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Login {
    pub(super) mechanism: Mechanism,
    pub(super) password: &'static str,
    pub(super) is_encrypted: bool,
}

/// A running door; closed when dropped.
pub(super) struct Door {
    port: u16,
    /// Whether each login that was tried was let in, in order.
    tried: Arc<Mutex<Vec<bool>>>,
    /// How often messages were asked for.
    fetches: Arc<AtomicUsize>,
    lock: watch::Sender<&'static str>,
    _serving: JoinSet<()>,
}

impl Door {
    /// A door before the broker at `behind`.
    pub(super) async fn before(behind: SocketAddr, login: Login) -> Self {
        Self::that_changes(behind, login, Arc::new(|_answer| {})).await
    }

    /// A door that changes the answers to requests for messages (Fetch 4).
    pub(super) async fn that_changes(behind: SocketAddr, login: Login, change: Change) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (tried, fetches, mut serving) = (Arc::default(), Arc::default(), JoinSet::new());
        let (lock, fits) = watch::channel(login.password);
        let counts = (Arc::clone(&tried), Arc::clone(&fetches));
        let passage = Passage { login, ports: (behind.port(), port), counts, fits, change };
        let tls = login.is_encrypted.then(acceptor);
        serving.spawn(async move {
            let mut guests = JoinSet::new();
            loop {
                let (guest, _) = listener.accept().await.expect("a guest");
                let (mut passage, tls) = (passage.clone(), tls.clone());
                passage.fits.mark_unchanged();
                guests.spawn(async move {
                    let broker = TcpStream::connect(behind).await.ok()?;
                    match tls {
                        Some(tls) => passage.serve(tls.accept(guest).await.ok()?, broker).await,
                        None => passage.serve(guest, broker).await,
                    }
                });
            }
        });
        Self { port, tried, fetches, lock, _serving: serving }
    }

    pub(super) fn address(&self) -> String {
        format!("localhost:{}", self.port)
    }

    /// From now on only this password opens it, and everybody has to show it.
    pub(super) fn change_lock(&self, password: &'static str) {
        self.lock.send(password).expect("somebody listens");
    }

    /// Waits until what was sent before this call has gone through to whoever reads: a request that
    /// was made after it was answered, since another one came.
    pub(super) async fn passed(&self) {
        let now = || self.fetches.load(Ordering::Relaxed);
        let wanted = now() + 3;
        while now() < wanted {
            tokio::task::yield_now().await;
        }
    }

    pub(super) fn tried(&self) -> Vec<bool> {
        self.tried.lock().expect("logins").clone()
    }
}

fn acceptor() -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_file(certificate()).expect("a certificate");
    let key = PrivateKeyDer::from_pem_file(fixture("listener.key")).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key);
    TlsAcceptor::from(Arc::new(config.expect("they go together")))
}

/// What is done with an answer that holds messages.
pub(super) type Change = Arc<dyn Fn(&mut Vec<u8>) + Send + Sync>;

/// The way from one connection to the one behind it.
#[derive(Clone)]
struct Passage {
    login: Login,
    /// The broker's and the door's own.
    ports: (u16, u16),
    /// Logins, and requests for messages.
    counts: (Arc<Mutex<Vec<bool>>>, Arc<AtomicUsize>),
    fits: watch::Receiver<&'static str>,
    change: Change,
}

impl Passage {
    async fn serve(
        mut self,
        mut guest: impl AsyncRead + AsyncWrite + Unpin,
        mut broker: TcpStream,
    ) -> Option<()> {
        let (mut is_known, mut exchange) = (false, None);
        loop {
            let request = tokio::select! {
                _changed = self.fits.changed() => return None,
                request = frame(&mut guest) => request.ok()?,
            };
            let number = |at: usize| Some(i16::from_be_bytes(request.get(at..at + 2)?.try_into().ok()?));
            let body = match (number(0)?, number(2)?) {
                (API_VERSIONS, version) => versions(version),
                (HANDSHAKE, _) => self.shake_hands(&request),
                (AUTHENTICATE, _) => {
                    let asked = exchange.get_or_insert_with(|| {
                        Exchange::new(Login { password: *self.fits.borrow(), ..self.login })
                    });
                    let (answer, ends) = asked.answer(payload(&request)?);
                    if let Some(is_right) = ends {
                        is_known = is_right;
                        self.counts.0.lock().expect("logins").push(is_right);
                    }
                    let error = if ends == Some(false) { AUTHENTICATION_FAILED } else { 0 };
                    let size = i32::try_from(answer.len()).ok()?.to_be_bytes();
                    // The error, no message, and the answer.
                    [&error.to_be_bytes()[..], &[0xff, 0xff], &size, &answer].concat()
                }
                (api, _) => {
                    assert!(is_known, "request {api} came before the login");
                    self.counts.1.fetch_add(usize::from(api == FETCH), Ordering::Relaxed);
                    write(&mut broker, &request).await.ok()?;
                    let mut answer = frame(&mut broker).await.ok()?;
                    match api {
                        METADATA | FIND_COORDINATOR => self.lead_here(&mut answer),
                        FETCH => (self.change)(&mut answer),
                        _ => {}
                    }
                    write(&mut guest, &answer).await.ok()?;
                    continue;
                }
            };
            write(&mut guest, &[request.get(4..8)?, &body].concat()).await.ok()?;
        }
    }

    /// One mechanism is known here.
    fn shake_hands(&self, request: &[u8]) -> Vec<u8> {
        let name = name_of(self.login.mechanism).as_bytes();
        let error = if request.ends_with(name) { 0 } else { UNSUPPORTED_MECHANISM };
        let size = u8::try_from(name.len()).expect("a short name");
        [&error.to_be_bytes()[..], &[0, 0, 0, 1, 0, size], name].concat()
    }

    /// Where the broker says where it is, it says where the door is.
    fn lead_here(&self, answer: &mut [u8]) {
        let bytes = |host: &str, port: u16| [host.as_bytes(), &i32::from(port).to_be_bytes()].concat();
        let (there, here) = (bytes("127.0.0.1", self.ports.0), bytes("localhost", self.ports.1));
        let at = answer.windows(there.len()).position(|some| *some == there).expect("a broker's address");
        answer.iter_mut().skip(at).zip(here).for_each(|(old, new)| *old = new);
    }
}

const fn name_of(mechanism: Mechanism) -> &'static str {
    match mechanism {
        Mechanism::Plain => "PLAIN",
        Mechanism::ScramSha256 => "SCRAM-SHA-256",
        Mechanism::ScramSha512 => "SCRAM-SHA-512",
    }
}

/// What is behind the head of a request (SaslAuthenticate 0): a client's name, and bytes.
fn payload(request: &[u8]) -> Option<&[u8]> {
    let name = u16::from_be_bytes(request.get(8..10)?.try_into().ok()?);
    request.get(10 + usize::from(name) + 4..)
}

fn versions(version: i16) -> Vec<u8> {
    let error = if version == 0 { 0 } else { UNSUPPORTED_VERSION };
    let mut body = error.to_be_bytes().to_vec();
    body.extend(i32::try_from(APIS.len()).expect("few").to_be_bytes());
    body.extend(APIS.iter().flatten().flat_map(|number| number.to_be_bytes()));
    body
}

async fn frame(stream: &mut (impl AsyncRead + Unpin)) -> Result<Vec<u8>, Error> {
    let size = stream.read_i32().await?;
    let mut bytes = vec![0; usize::try_from(size).map_err(Error::other)?];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}

async fn write(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> Result<(), Error> {
    let size = i32::try_from(bytes.len()).map_err(Error::other)?.to_be_bytes();
    stream.write_all(&[&size[..], bytes].concat()).await?;
    stream.flush().await
}
