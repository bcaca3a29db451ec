//! A server on loopback that can be stopped, connections and all, and started on the same port.

use axum::Router;
use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};

pub(super) struct Server {
    pub(super) address: SocketAddr,
    router: Router,
    /// Its own, so that ending it ends every connection.
    runtime: Option<Runtime>,
}

impl Server {
    pub(super) fn start(router: Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut server = Self { address, router, runtime: None };
        server.serve(listener);
        server
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn serve(&mut self, listener: TcpListener) {
        let router = self.router.clone();
        listener.set_nonblocking(true).unwrap();
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let serving = async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, router).await.unwrap();
        };
        drop(runtime.spawn(serving));
        self.runtime = Some(runtime);
    }

    /// Breaks every connection and refuses others from now on.
    pub(super) fn stop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }

    /// Takes connections again.
    pub(super) async fn restart(&mut self) {
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

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}
