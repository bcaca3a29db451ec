//! The AWS sources against a server that plays S3, SQS, SNS, EventBridge and STS.
//!
//! `cargo xtask test` installs it and says where (`KEYWATCH_SETUP`); without it these tests say that
//! they did nothing.
#![expect(clippy::print_stdout, reason = "a test that does nothing must say so")]

mod door;
mod roles;

use crate::harness::browser::Browser;
use crate::harness::{Receiver, SECRET, Service, Site, wait_until};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A running moto server; ended when dropped.
pub(crate) struct Moto {
    child: Child,
    pub(crate) endpoint: String,
    setup: PathBuf,
}

impl Moto {
    pub(crate) fn start() -> Option<Self> {
        let Some(setup) = std::env::var_os("KEYWATCH_SETUP").map(PathBuf::from) else {
            println!(
                "KEYWATCH_SETUP names no folder with peers: nothing was checked; run `cargo xtask test`"
            );
            return None;
        };
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a port")
            .port();
        let child = Command::new(setup.join("venv/bin/moto_server"))
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("moto starts");
        wait_until("moto listens", Duration::from_mins(1), || {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        Some(Self { child, endpoint: format!("http://127.0.0.1:{port}"), setup })
    }

    /// What the script says.
    pub(crate) fn does(&self, arguments: &[&str]) -> String {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/aws.py");
        let output = Command::new(self.setup.join("venv/bin/python"))
            .arg(script)
            .arg(&self.endpoint)
            .args(arguments)
            .output()
            .expect("python runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

pub(crate) fn configure(site: &Site, receiver: &Receiver, source: &str) {
    let folder = site.folder.path().display();
    std::fs::write(site.path("key-id"), "AKIAEXAMPLE").expect("a key");
    std::fs::write(site.path("key"), SECRET).expect("a key");
    let yaml = format!(
        "database: {folder}/keywatch.db\nlisten: 127.0.0.1:0\nsources:\n{source}\
         receivers:\n  - name: soc\n    webhook:\n      url: {}\n      secret: {{source: file, path: {folder}/secret}}\n\
         egress: {{allow: [127.0.0.0/8], allow_http: true}}\n",
        receiver.url()
    );
    std::fs::write(site.config(), yaml).expect("a configuration");
}

fn access(site: &Site, moto: &Moto) -> String {
    let folder = site.folder.path().display();
    format!(
        "{{endpoint: \"{}\", access_key: {{id: \"file:{folder}/key-id\", secret: \"file:{folder}/key\"}}, \
         role: {{arn: \"arn:aws:iam::123456789012:role/keywatch\", external_id: kw-1}}}}",
        moto.endpoint
    )
}

#[test]
fn every_way_from_a_bucket_to_a_queue_ends_in_the_store_and_the_queue_is_empty() {
    let Some(moto) = Moto::start() else { return };
    let url = moto.does(&["setup"]);
    moto.does(&["write", "7"]);
    let receiver = Receiver::start(false);
    let site = Site::new(&receiver);
    let access = access(&site, &moto);
    let source = format!(
        "  - name: trail\n    aws_queue: {{url: \"{url}\", region: eu-central-1, access: {access}}}\n"
    );
    configure(&site, &receiver, &source);
    let service = Service::start(&site.config());
    wait_until("the queue is empty", Duration::from_mins(1), || moto.does(&["left"]) == "0 0");
    wait_until("the deletions are told", Duration::from_secs(20), || {
        !receiver.received().accepted.is_empty()
    });
    assert_eq!(service.stop(), Some(0));
    let totals =
        site.look(async |store| store.overview(chrono::DateTime::UNIX_EPOCH).await.expect("totals").totals);
    assert_eq!((totals.events, totals.rejects), (5 * 7, 0));
}

#[test]
fn a_backfill_lists_the_bucket_and_reads_what_no_queue_told_of() {
    let Some(moto) = Moto::start() else { return };
    let url = moto.does(&["setup"]);
    let receiver = Receiver::start(false);
    let site = Site::new(&receiver);
    moto.does(&["write", "3"]);
    let source = format!(
        "  - name: trail\n    aws_queue:\n      url: \"{}\"\n      region: eu-central-1\n      access: {}\n      \
         backfill: {{bucket: s3-sqs, from: \"2026-05-31\", to: \"2026-06-02\"}}\n",
        url.replace("/keywatch", "/dead"),
        access(&site, &moto)
    );
    configure(&site, &receiver, &source);
    let service = Service::start(&site.config());
    wait_until("the deletion is told", Duration::from_mins(1), || !receiver.received().accepted.is_empty());
    assert_eq!(service.stop(), Some(0));
    let (totals, positions) = site.look(async |store| {
        let totals = store.overview(chrono::DateTime::UNIX_EPOCH).await.expect("totals").totals;
        (totals, store.positions().await.expect("positions"))
    });
    assert_eq!(totals.events, 3, "one bucket of five");
    assert!(positions.contains_key("aws:trail:backfill"), "{positions:?}");
}

#[test]
fn a_message_that_is_given_up_raises_an_alert() {
    let Some(moto) = Moto::start() else { return };
    let url = moto.does(&["setup"]);
    moto.does(&["lost"]);
    let receiver = Receiver::start(false);
    let site = Site::new(&receiver);
    let access = access(&site, &moto);
    let source = format!(
        "  - name: trail\n    aws_queue: {{url: \"{url}\", region: eu-central-1, tries: 1, access: {access}}}\n"
    );
    configure(&site, &receiver, &source);
    let service = Service::start(&site.config());
    wait_until("it is told", Duration::from_mins(1), || {
        receiver.received().messages.iter().any(|(_, body)| body.contains("Message given up: trail"))
    });
    let page = Browser::sign_in(&service.login_link).page("/sources");
    assert!(page.contains("could not be read in 1 tries"), "{page}");
    assert_eq!(service.stop(), Some(0));
}
