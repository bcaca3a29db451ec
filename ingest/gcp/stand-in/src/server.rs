//! A server on loopback that can be stopped, connections and all, and started on the same port. It
//! answers HTTP/1.1 and, for gRPC, HTTP/2 without TLS.

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder as Connection;
use hyper_util::service::TowerToHyperService;
use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

/// A running server; ended when dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    router: Router,
    /// Its own, so that ending it ends every connection.
    runtime: Option<Runtime>,
}

impl Server {
    pub(crate) fn start(router: Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut server = Self { address, router, runtime: None };
        server.serve(listener);
        server
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn serve(&mut self, listener: TcpListener) {
        let router = self.router.clone();
        listener.set_nonblocking(true).unwrap();
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        drop(runtime.spawn(accept(listener, router)));
        self.runtime = Some(runtime);
    }

    /// Breaks every connection and refuses others from now on.
    pub fn stop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }

    /// Takes connections again.
    pub async fn restart(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            match TcpListener::bind(self.address) {
                Ok(listener) => return self.serve(listener),
                // The old one is still being let go.
                Err(error) => assert!(Instant::now() < deadline, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

async fn accept(listener: TcpListener, router: Router) {
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let service = TowerToHyperService::new(router.clone());
        connections.spawn(async move {
            let builder = Connection::new(TokioExecutor::new());
            let _broken = builder.serve_connection(TokioIo::new(stream), service).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}
