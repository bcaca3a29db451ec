//! Syslog over UDP: a message per datagram.
//!
//! What the system drops before it is taken is counted by the system alone, and asked of it here.

use super::connection::Guard;
use super::{Device, bind};
use crate::spool::{Parcel, Refusal};
use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::time::{MissedTickBehavior, interval};

/// Larger than any datagram.
const DATAGRAM_BYTES_MAX: usize = 64 << 10;
/// Datagrams that go into one write when more are waiting.
const DATAGRAMS_PER_PARCEL: u64 = 256;
/// How often the system is asked what it dropped.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// Columns of `/proc/net/udp` and `udp6` (proc_net_udp(5)): the socket's inode, and what was dropped.
const INODE_COLUMN: usize = 9;
const DROPS_COLUMN: usize = 12;

pub(super) async fn take(address: SocketAddr, device: Arc<Device>, guard: Arc<Guard>) {
    guard.ready().await;
    let what = format!("udp {address}");
    let socket = bind(&what, &guard.intake, || UdpSocket::bind(address)).await;
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    let mut drops = Drops::of(&socket);
    let mut ask = interval(ASK_EVERY);
    ask.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let mut first = tokio::select! {
            received = socket.recv_from(&mut buffer) => received.ok(),
            _ = ask.tick() => {
                let count = drops.since_last();
                if count > 0 {
                    guard.intake.door.lose(count, Refusal::Kernel);
                }
                continue;
            }
        };
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

/// What the system dropped of a socket.
struct Drops {
    /// Absent where the system does not say: then nothing is counted.
    inode: Option<u64>,
    known: u32,
}

impl Drops {
    fn of(socket: &UdpSocket) -> Self {
        let inode = inode(socket).inspect_err(|error| {
            tracing::warn!(%error, "datagrams that the system drops will not be counted");
        });
        Self { inode: inode.ok(), known: 0 }
    }

    /// Datagrams dropped since this was last asked. The system's count begins anew after 2^32.
    fn since_last(&mut self) -> u64 {
        let Some(inode) = self.inode else { return 0 };
        let tables = ["/proc/self/net/udp", "/proc/self/net/udp6"];
        let found = tables.iter().find_map(|path| drops_in(&std::fs::read_to_string(path).ok()?, inode));
        let Some(drops) = found else { return 0 };
        u64::from(drops.wrapping_sub(std::mem::replace(&mut self.known, drops)))
    }
}

/// The number under which the system lists a socket.
fn inode(socket: &UdpSocket) -> io::Result<u64> {
    Ok(File::from(socket.as_fd().try_clone_to_owned()?).metadata()?.ino())
}

fn drops_in(table: &str, inode: u64) -> Option<u32> {
    table.lines().find_map(|line| {
        let mut columns = line.split_whitespace().skip(INODE_COLUMN);
        let is_it = columns.next()?.parse() == Ok(inode);
        columns.nth(DROPS_COLUMN - INODE_COLUMN - 1).filter(|_| is_it)?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_says_what_it_dropped_of_which_socket() {
        let table = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n  \
                     530: 0100007F:96AD 00000000:0000 07 00000000:00033C00 00:00000000 00000000     0        0 1350639 2 000000008207f4ca 4908\n  \
                     531: 0100007F:96AE 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4908 2 000000008207f4cb 0\n";
        assert_eq!(drops_in(table, 1_350_639), Some(4908));
        assert_eq!(drops_in(table, 4908), Some(0));
        assert_eq!(drops_in(table, 1), None);
    }
}
