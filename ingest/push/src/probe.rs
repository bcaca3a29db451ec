//! Whether a source could be pushed to, asked without taking anything over: nothing is written, and
//! an address is given back at once.

use crate::device::Device;
use crate::http::Http;
use crate::pushed::{Settings, Way};
use crate::spool::is_held;
use crate::tls::{self, Tls};
use chrono::{DateTime, Utc};
use std::io::{Error, ErrorKind};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::unix::net::UnixStream;
use std::path::Path;

/// What was found of one part, in words; or what is wrong with it, and the remedy.
type Finding = Result<String, String>;

impl Settings {
    /// Whether its addresses can be listened at and its certificates used. An address that the
    /// Keywatch has that runs with this spool is as it should be.
    #[must_use]
    pub fn probe(&self, now: DateTime<Utc>) -> Vec<Finding> {
        let is_running = is_held(&self.storage.folder);
        match &self.way {
            Way::Device(device) => probe_device(device, is_running, now),
            Way::Http(http) => probe_http(http, is_running, now),
        }
    }
}

fn probe_device(device: &Device, is_running: bool, now: DateTime<Utc>) -> Vec<Finding> {
    let tcp = device.tcp.map(|address| listens(&format!("tcp {address}"), is_running, bound_tcp(address)));
    let bind_udp = |address: SocketAddr| UdpSocket::bind(address).map(drop);
    let udp = device.udp.map(|address| listens(&format!("udp {address}"), is_running, bind_udp(address)));
    let unix = device.unix.as_deref().map(|path| probe_unix(path, is_running));
    let certificates = device.tls.as_ref().map(|tls| probe_tls(tls, now));
    tcp.into_iter().chain(unix).chain(udp).chain(certificates).collect()
}

fn probe_http(http: &Http, is_running: bool, now: DateTime<Utc>) -> Vec<Finding> {
    let address = listens(&format!("http {}", http.listen), is_running, bound_tcp(http.listen));
    std::iter::once(address).chain(http.tls.as_ref().map(|tls| probe_tls(tls, now))).collect()
}

fn bound_tcp(address: SocketAddr) -> Result<(), Error> {
    TcpListener::bind(address).map(drop)
}

fn listens(what: &str, is_running: bool, bound: Result<(), Error>) -> Finding {
    let Err(error) = bound else { return Ok(format!("{what} can be listened at")) };
    let kind = error.kind();
    if kind == ErrorKind::AddrInUse && is_running {
        return Ok(format!("{what} is taken, and the Keywatch runs that has this source's spool"));
    }
    let remedies = [
        (ErrorKind::AddrInUse, "end the program that has it, or choose another address"),
        (ErrorKind::AddrNotAvailable, "this machine has no such address; `ip address` lists those it has"),
        (ErrorKind::PermissionDenied, "choose a port from 1024 on, or give the program CAP_NET_BIND_SERVICE"),
    ];
    let known = remedies.iter().find(|(of, _)| *of == kind);
    let remedy = known.map_or("choose another address", |(_, remedy)| remedy);
    Err(format!("cannot listen at {what}: {error}; {remedy}"))
}

/// A socket that nobody answers at is what an earlier run left behind, and is replaced.
fn probe_unix(path: &Path, is_running: bool) -> Finding {
    let what = format!("unix {}", path.display());
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        return Err(format!("cannot listen at {what}: there is no folder {}; create it", folder.display()));
    }
    if !path.exists() {
        return Ok(format!(
            "{what} can be listened at, when the user Keywatch runs as may write in its folder"
        ));
    }
    match UnixStream::connect(path) {
        Ok(_) if is_running => {
            Ok(format!("{what} is taken, and the Keywatch runs that has this source's spool"))
        }
        Ok(_) => Err(format!(
            "cannot listen at {what}: somebody listens there; end the program that has it, or choose another path"
        )),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
            Ok(format!("{what} is left from an earlier run, and is replaced"))
        }
        Err(error) => {
            Err(format!("cannot listen at {what}: {error}; remove what is there, or choose another path"))
        }
    }
}

fn probe_tls(tls: &Tls, now: DateTime<Utc>) -> Finding {
    tls::check(tls, now)?;
    Ok(format!(
        "the certificate in {} and its key go together, and it is valid now",
        tls.certificate.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::{Spool, Storage};

    /// 2026-11-27T00:00:00Z.
    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_795_737_600, 0).unwrap()
    }

    fn settings(folder: &Path, device: Device) -> Settings {
        let storage = Storage { folder: folder.join("spool"), bytes_max: 1 << 20 };
        Settings { storage, way: Way::Device(device) }
    }

    #[track_caller]
    fn check(settings: &Settings, wanted: &[Result<&str, &str>]) {
        let found = settings.probe(now());
        assert_eq!(found.len(), wanted.len(), "{found:?}");
        for (found, wanted) in found.iter().zip(wanted) {
            match (found, wanted) {
                (Ok(found), Ok(wanted)) | (Err(found), Err(wanted)) => {
                    assert!(found.contains(wanted), "{found}: {wanted}");
                }
                _ => panic!("{found:?} is not {wanted:?}"),
            }
        }
    }

    #[test]
    fn an_address_is_free_or_taken_by_keywatch_itself_or_by_somebody_else() {
        let folder = tempfile::tempdir().unwrap();
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let tcp = taken.local_addr().ok();
        let unix = Some(folder.path().join("socket"));
        let device = Device { tcp, unix, udp: Some(([127, 0, 0, 1], 0).into()), ..Device::default() };
        let settings = settings(folder.path(), device);
        let free = Ok("can be listened at");
        check(&settings, &[Err("end the program that has it"), free, free]);
        let spool = Spool::open("s", &settings.storage, None).unwrap();
        check(&settings, &[Ok("the Keywatch runs that has this source's spool"), free, free]);
        drop((taken, spool));
        check(&settings, &[free, free, free]);
    }

    #[test]
    fn what_this_machine_does_not_have_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let unix = Some(folder.path().join("none/socket"));
        let device = Device { tcp: Some(([203, 0, 113, 1], 9).into()), unix, ..Device::default() };
        let wanted = [Err("this machine has no such address"), Err("there is no folder")];
        check(&settings(folder.path(), device), &wanted);
    }
}
