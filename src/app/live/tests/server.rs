//! A server on loopback that can be stopped and started again on the same port.

use axum::Router;
use std::net::SocketAddr;
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinSet;

pub(super) struct Server {
    pub(super) address: SocketAddr,
    router: Router,
    running: JoinSet<()>,
}

impl Server {
    pub(super) async fn start(router: Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut server = Self { address, router, running: JoinSet::new() };
        server.serve(listener);
        server
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn serve(&mut self, listener: TcpListener) {
        let router = self.router.clone();
        self.running.spawn(async move { axum::serve(listener, router).await.unwrap() });
    }

    /// Refuses connections from now on.
    pub(super) async fn stop(&mut self) {
        self.running.shutdown().await;
    }

    /// Takes connections again.
    pub(super) fn restart(&mut self) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(self.address).unwrap();
        let listener = socket.listen(128).unwrap();
        self.serve(listener);
    }
}
