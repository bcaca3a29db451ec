//! Syslog over UDP: a message per datagram.

use super::connection::Guard;
use super::{Device, bind};
use crate::spool::Parcel;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::UdpSocket;

/// Larger than any datagram.
const DATAGRAM_BYTES_MAX: usize = 64 << 10;
/// Datagrams that go into one write when more are waiting.
const DATAGRAMS_PER_PARCEL: u64 = 256;

pub(super) async fn take(address: SocketAddr, device: Arc<Device>, guard: Arc<Guard>) {
    guard.ready().await;
    let what = format!("udp {address}");
    let socket = bind(&what, &guard.intake, || UdpSocket::bind(address)).await;
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        let mut first = socket.recv_from(&mut buffer).await.ok();
        let mut parcel = Parcel::default();
        while let Some((length, peer)) = first.take() {
            let message = buffer.get(..length).unwrap_or_default();
            if device.admits(peer.ip()) {
                guard.take(message, &mut parcel);
            } else {
                guard.intake.refuse("datagrams from outside `networks` were dropped");
            }
            if parcel.count() < DATAGRAMS_PER_PARCEL {
                first = socket.try_recv_from(&mut buffer).ok();
            }
        }
        guard.intake.door.post(parcel);
    }
}
