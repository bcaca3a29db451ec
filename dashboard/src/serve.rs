//! Connections: taken, bounded, closed in time.
//!
//! `axum::serve` waits for ever on a client that sends nothing. Here a client has ten seconds to
//! send its headers, there are never more than [`CONNECTIONS_MAX`] connections, and when that
//! many are open the one that has been idle longest gives way, so silent ones lock nobody out.

use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tower::ServiceExt;

/// Connections at once. A page of a person needs two; each costs at most a 64 KiB buffer.
pub const CONNECTIONS_MAX: usize = 512;
/// Longest a client may take over its headers, and longest a connection may idle between requests.
pub const HEADER_READ_MAX: Duration = Duration::from_secs(10);
/// Longest a connection lives; a client that never reads its answer does not hold it longer.
const CONNECTION_AGE_MAX: Duration = Duration::from_mins(5);
/// Longest the requests in flight may take once shutdown has begun.
const DRAIN_MAX: Duration = Duration::from_secs(5);
/// Pause after the system refused a connection: it is out of descriptors, and some will close.
const REFUSED_PAUSE: Duration = Duration::from_millis(100);
/// Largest request head and read buffer, bytes.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// Answers connections of `listener` with `router` until `shutdown` completes, then finishes what
/// is in flight within five seconds.
pub async fn serve(listener: TcpListener, router: Router, shutdown: impl Future<Output = ()>) {
    let limits = Limits { connections: CONNECTIONS_MAX, header_read: HEADER_READ_MAX };
    serve_within(listener, router, shutdown, limits).await;
}

/// [`CONNECTIONS_MAX`] and [`HEADER_READ_MAX`], smaller in tests.
#[derive(Clone, Copy)]
struct Limits {
    connections: usize,
    header_read: Duration,
}

async fn serve_within(
    listener: TcpListener,
    router: Router,
    shutdown: impl Future<Output = ()>,
    limits: Limits,
) {
    let (stop, stopped) = watch::channel(false);
    let mut tasks = JoinSet::new();
    let mut open = Open::default();
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            Some(ended) = tasks.join_next() => log_panic(ended),
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) if open.make_room(limits.connections) => {
                    let busy = Arc::new(AtomicUsize::new(0));
                    let told = told(stopped.clone());
                    let header_read = limits.header_read;
                    let task = connection(stream, router.clone(), Arc::clone(&busy), told, header_read);
                    open.connections.push_back((tasks.spawn(task), busy));
                }
                Ok((stream, _)) => drop(stream),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection to the dashboard");
                    tokio::time::sleep(REFUSED_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    stop.send_replace(true);
    let drained = async { while tasks.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN_MAX, drained).await.is_err() {
        tracing::warn!("requests to the dashboard were still running at shutdown and were cut off");
    }
    tasks.shutdown().await;
}

/// Connections, oldest first, and how many requests each has in flight.
#[derive(Default)]
struct Open {
    connections: VecDeque<(AbortHandle, Arc<AtomicUsize>)>,
}

impl Open {
    /// Whether there is room for one more, after closing the oldest idle one if need be.
    fn make_room(&mut self, limit: usize) -> bool {
        if self.connections.len() < limit {
            return true;
        }
        self.connections.retain(|(task, _)| !task.is_finished());
        if self.connections.len() < limit {
            return true;
        }
        let idle = self.connections.iter().position(|(_, busy)| busy.load(Ordering::Acquire) == 0);
        let Some((task, _)) = idle.and_then(|at| self.connections.remove(at)) else { return false };
        task.abort();
        true
    }
}

async fn connection(
    stream: TcpStream,
    router: Router,
    busy: Arc<AtomicUsize>,
    stop: impl Future<Output = ()>,
    header_read: Duration,
) {
    let service = service_fn(move |request: Request<Incoming>| {
        let (router, busy) = (router.clone(), Busy::begin(&busy));
        async move {
            let answer = router.oneshot(request).await;
            drop(busy);
            answer
        }
    });
    let http = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(header_read)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let mut http = pin!(http);
    let mut stop = pin!(stop);
    let mut age = pin!(tokio::time::sleep(CONNECTION_AGE_MAX));
    let ended = tokio::select! {
        ended = http.as_mut() => ended,
        () = &mut stop => {
            http.as_mut().graceful_shutdown();
            http.await
        }
        () = &mut age => return,
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection to the dashboard ended early");
    }
}

/// Completes when shutdown has begun.
async fn told(mut stopped: watch::Receiver<bool>) {
    // An error means that the sender is gone, and so is the server.
    drop(stopped.wait_for(|stop| *stop).await);
}

/// One request in flight; over when dropped, however it ends.
struct Busy(Arc<AtomicUsize>);

impl Busy {
    fn begin(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(count))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

fn log_panic(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a page of the dashboard panicked; this is a defect, please report it");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;
    use std::net::SocketAddr;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::oneshot;

    /// Longest a test waits for something that must happen.
    const PATIENCE: Duration = Duration::from_secs(30);

    async fn start(router: Router) -> (SocketAddr, oneshot::Sender<()>, JoinSet<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let mut server = JoinSet::new();
        let limits = Limits { connections: 8, header_read: Duration::from_millis(500) };
        server.spawn(serve_within(listener, router, async move { drop(stopped.await) }, limits));
        (address, stop, server)
    }

    async fn ask(address: SocketAddr) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn silent_connections_lock_nobody_out_and_are_closed() {
        let (address, stop, mut server) = start(Router::new().route("/", get(async || "hello"))).await;
        let mut silent = Vec::new();
        for _ in 0..20 {
            silent.push(TcpStream::connect(address).await.unwrap());
        }
        let answer = tokio::time::timeout(PATIENCE, ask(address)).await.unwrap();
        assert!(answer.ends_with("hello"), "{answer}");
        // The oldest gave way at once; the youngest is closed for saying nothing.
        for at in [0, silent.len() - 1] {
            let mut rest = Vec::new();
            let closed = tokio::time::timeout(PATIENCE, silent[at].read_to_end(&mut rest)).await;
            assert!(closed.is_ok(), "connection {at} stays open");
        }
        drop(stop);
        tokio::time::timeout(PATIENCE, server.join_next()).await.unwrap().unwrap().unwrap();
    }

    #[tokio::test]
    async fn shutdown_finishes_the_request_in_flight() {
        let (begun, mut has_begun) = watch::channel(false);
        let (go, gate) = watch::channel(false);
        let slow = async move || {
            begun.send_replace(true);
            gate.clone().wait_for(|go| *go).await.map(|_| "finished").unwrap_or_default()
        };
        let (address, stop, mut server) = start(Router::new().route("/", get(slow))).await;
        let mut client = JoinSet::new();
        client.spawn(ask(address));
        has_begun.wait_for(|begun| *begun).await.unwrap();
        drop(stop);
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
        go.send_replace(true);
        let answer = tokio::time::timeout(PATIENCE, client.join_next()).await.unwrap().unwrap().unwrap();
        assert!(answer.ends_with("finished"), "{answer}");
        tokio::time::timeout(PATIENCE, server.join_next()).await.unwrap().unwrap().unwrap();
    }
}
