//! Audit devices of Vault and OpenBao, and syslog: TCP, a unix socket, UDP.
//!
//! Invariant: a connection is read as long as it is open, whatever becomes of what is read. Waits
//! for nothing but the connection; see [`Door::post`](crate::spool::Door::post).

mod connection;
mod datagram;
#[cfg(test)]
mod tests;

use crate::intake::Intake;
use crate::pushed::{REST, rest};
use crate::tls::{Acceptor, Tls, is_departure};
use connection::{Guard, Room};
use ipnet::IpNet;
use keywatch_secrets::{SecretManager, SecretRef};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Connections of one listener at once. A node of Vault has one per device; each costs a 64 KiB
/// buffer, longer messages share [`Room`].
const CONNECTIONS_MAX: usize = 512;
/// Longest a TLS handshake may take.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);

/// Where audit devices and syslog daemons send to, and who may.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Device {
    /// An address for streams: the socket device, syslog over TCP.
    pub tcp: Option<SocketAddr>,
    /// A unix socket for streams.
    pub unix: Option<PathBuf>,
    /// An address for datagrams: syslog over UDP.
    pub udp: Option<SocketAddr>,
    /// TLS for `tcp`.
    pub tls: Option<Tls>,
    /// From where connections and datagrams are taken; from anywhere when empty.
    pub networks: Vec<IpNet>,
    /// What every message must begin with: the `prefix` of the device.
    pub token: Option<SecretRef>,
}

impl Device {
    /// Where it listens, in words.
    pub(crate) fn addresses(&self) -> Vec<String> {
        let tcp = self.tcp.map(|address| format!("tcp {address}"));
        let unix = self.unix.as_ref().map(|path| format!("unix {}", path.display()));
        let udp = self.udp.map(|address| format!("udp {address}"));
        tcp.into_iter().chain(unix).chain(udp).collect()
    }

    fn admits(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.networks.is_empty() || self.networks.iter().any(|network| network.contains(&address))
    }
}

/// Listens at all addresses of a device, each as a task that never ends by itself.
pub(crate) fn listen(device: Device, secrets: &SecretManager, intake: &Intake, tasks: &mut JoinSet<()>) {
    let guard = Arc::new(Guard::new(device.token.is_some(), intake.clone()));
    if let Some(token) = device.token.clone() {
        let (guard, secrets) = (Arc::clone(&guard), secrets.clone());
        tasks.spawn(async move { guard.keep_token(token, secrets).await });
    }
    let device = Arc::new(device);
    let (tcp, unix, udp) = (device.tcp, device.unix.clone(), device.udp);
    if let Some(address) = tcp {
        tasks.spawn(take_tcp(address, Arc::clone(&device), Arc::clone(&guard)));
    }
    if let Some(path) = unix {
        tasks.spawn(take_unix(path, Arc::clone(&guard)));
    }
    if let Some(address) = udp {
        tasks.spawn(datagram::take(address, device, guard));
    }
}

async fn take_tcp(address: SocketAddr, device: Arc<Device>, guard: Arc<Guard>) {
    guard.ready().await;
    let what = format!("tcp {address}");
    let listener = bind(&what, &guard.intake, || TcpListener::bind(address)).await;
    let tls = match &device.tls {
        None => None,
        Some(tls) => Some(Arc::new(acceptor(tls, &what, &guard).await)),
    };
    let (mut connections, room) = (JoinSet::new(), Room::default());
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(ended) = connections.join_next() => {
                report(&ended);
                continue;
            }
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                out_of_descriptors(&what, &error).await;
                continue;
            }
        };
        if !device.admits(peer.ip()) {
            guard.intake.refuse("connections from outside `networks` were closed");
            continue;
        }
        let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else {
            guard.intake.refuse("connections beyond 512 were closed; end those that are idle");
            continue;
        };
        let (guard, room, tls) = (Arc::clone(&guard), room.clone(), tls.clone());
        connections.spawn(async move {
            let _slot = slot;
            match tls {
                None => connection::read(stream, &guard, &room).await,
                Some(tls) => {
                    let (acceptor, wrong) = tls.current();
                    guard.intake.health.warns("tls", wrong);
                    match tokio::time::timeout(HANDSHAKE_MAX, acceptor.accept(stream)).await {
                        Ok(Ok(stream)) => connection::read(stream, &guard, &room).await,
                        Ok(Err(error)) if is_departure(&error) => {}
                        Ok(Err(_)) | Err(_) => guard.intake.refuse("TLS handshakes failed"),
                    }
                }
            }
        });
    }
}

async fn acceptor(tls: &Tls, what: &str, guard: &Guard) -> Acceptor {
    loop {
        match Acceptor::new(tls.clone()) {
            Ok(acceptor) => {
                guard.intake.health.works(what);
                return acceptor;
            }
            Err(text) => guard.intake.health.fails(what, text, (guard.intake.clock)()),
        }
        tokio::time::sleep(REST).await;
    }
}

async fn take_unix(path: PathBuf, guard: Arc<Guard>) {
    guard.ready().await;
    let what = format!("unix {}", path.display());
    let listener = bind(&what, &guard.intake, || bind_unix(&path)).await;
    let (mut connections, room) = (JoinSet::new(), Room::default());
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else {
                        guard.intake.refuse("connections beyond 512 were closed; end those that are idle");
                        continue;
                    };
                    let (guard, room) = (Arc::clone(&guard), room.clone());
                    connections.spawn(async move {
                        let _slot = slot;
                        connection::read(stream, &guard, &room).await;
                    });
                }
                Err(error) => out_of_descriptors(&what, &error).await,
            },
            Some(ended) = connections.join_next() => report(&ended),
        }
    }
}

/// A socket that nobody listens at any more is what an earlier run left behind.
async fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    if path.exists() {
        match tokio::net::UnixStream::connect(path).await {
            Ok(_) => return Err(io::Error::new(io::ErrorKind::AddrInUse, "somebody listens there")),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path)?,
            Err(error) => return Err(error),
        }
    }
    let listener = UnixListener::bind(path)?;
    // For its owner and its group: whoever is to write joins the group.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
    Ok(listener)
}

/// Tries until it works; the health says since when it does not.
pub(crate) async fn bind<L, F: Future<Output = io::Result<L>>>(
    what: &str,
    intake: &Intake,
    open: impl Fn() -> F,
) -> L {
    let mut tries = 0;
    loop {
        match open().await {
            Ok(listener) => {
                tracing::info!("listening at {what}");
                intake.health.works(what);
                return listener;
            }
            Err(error) => {
                let text = format!(
                    "cannot listen at {what}: {error}; end the program that has it, or choose another address"
                );
                intake.health.fails(what, text, (intake.clock)());
            }
        }
        rest(&mut tries).await;
    }
}

async fn out_of_descriptors(what: &str, error: &io::Error) {
    tracing::warn!(%error, "cannot accept a connection at {what}");
    tokio::time::sleep(Duration::from_millis(100)).await;
}

fn report(ended: &Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "reading a connection panicked; report this");
    }
}
