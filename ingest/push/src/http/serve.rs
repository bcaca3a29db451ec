//! Connections: taken, bounded, closed in time.
//!
//! A sender has ten seconds for its headers and may stay for as long as it goes on sending; there
//! are never more than [`CONNECTIONS_MAX`] connections.

use crate::intake::Intake;
use crate::pushed::REST;
use crate::tls::{Acceptor, Tls};
use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use ipnet::IpNet;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tower::ServiceExt;

/// Connections at once. A sender needs a few; each costs at most a 64 KiB buffer.
const CONNECTIONS_MAX: usize = 512;
/// Longest a sender may take over its headers, and between two requests.
const HEADER_READ_MAX: Duration = Duration::from_mins(1);
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
const HEAD_BYTES_MAX: usize = 64 << 10;

/// Answers connections until the task is ended.
pub(super) async fn serve(
    listener: TcpListener,
    router: Router,
    who: (Option<Tls>, Vec<IpNet>),
    intake: Intake,
) {
    let (tls, networks) = who;
    let tls = match &tls {
        None => None,
        Some(tls) => Some(Arc::new(acceptor(tls, &intake).await)),
    };
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(ended) = connections.join_next() => {
                if let Err(error) = ended
                    && tokio::task::JoinError::is_panic(&error)
                {
                    tracing::error!(%error, "answering a request panicked; report this");
                }
                continue;
            }
        };
        let Ok((stream, peer)) = accepted else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let address = peer.ip().to_canonical();
        if !networks.is_empty() && !networks.iter().any(|network| network.contains(&address)) {
            intake.refuse("connections from outside `networks` were closed");
            continue;
        }
        let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else {
            intake.refuse("connections beyond 512 were closed");
            continue;
        };
        // Answers are small: waiting to send more of one at once only makes them late.
        let _slower = stream.set_nodelay(true);
        let (router, tls, intake) = (router.clone(), tls.clone(), intake.clone());
        connections.spawn(async move {
            let _slot = slot;
            match tls {
                None => answer(stream, router).await,
                Some(tls) => {
                    let (acceptor, wrong) = tls.current();
                    intake.health.warns("tls", wrong);
                    match tokio::time::timeout(HANDSHAKE_MAX, acceptor.accept(stream)).await {
                        Ok(Ok(stream)) => answer(stream, router).await,
                        Ok(Err(_)) | Err(_) => intake.refuse("TLS handshakes failed"),
                    }
                }
            }
        });
    }
}

async fn acceptor(tls: &Tls, intake: &Intake) -> Acceptor {
    loop {
        match Acceptor::new(tls.clone()) {
            Ok(acceptor) => {
                intake.health.works("tls");
                return acceptor;
            }
            Err(text) => intake.health.fails("tls", text, (intake.clock)()),
        }
        tokio::time::sleep(REST).await;
    }
}

async fn answer(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, router: Router) {
    let service = service_fn(move |request: Request<Incoming>| router.clone().oneshot(request));
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_READ_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = served.await {
        tracing::debug!(%error, "a connection ended early");
    }
}
