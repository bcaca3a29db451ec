//! The doctor reads the clocks of stores, and asks about several sources at a time.

use super::{Patient, ids, needs, of};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// A Vault that refuses everything, whose clock is off by `off_secs`, and that answers questions only
/// once `together` of them wait.
#[derive(Clone)]
struct Vault {
    address: String,
    off_secs: i64,
    together: usize,
    /// How many questions wait, and the most that ever did.
    waiting: Arc<(Mutex<(usize, usize)>, Condvar)>,
}

impl Vault {
    fn start(off_secs: i64, together: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let vault = Self { address, off_secs, together, waiting: Arc::default() };
        let shared = vault.clone();
        // Ends with the test's process, as its connections do.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let vault = shared.clone();
                std::thread::spawn(move || vault.serve(stream));
            }
        });
        vault
    }

    fn serve(&self, mut stream: TcpStream) -> Option<()> {
        let (mut got, mut piece) = (Vec::new(), [0; 4096]);
        while !got.windows(4).any(|four| four == b"\r\n\r\n") {
            let count = stream.read(&mut piece).ok().filter(|count| *count > 0)?;
            got.extend_from_slice(piece.get(..count)?);
        }
        if got.starts_with(b"GET") {
            self.wait();
        }
        let body = if got.starts_with(b"HEAD") { "" } else { "{\"errors\":[\"permission denied\"]}" };
        let date = self.date();
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 403 Forbidden\r\ndate: {date}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
        );
        stream.write_all(answer.as_bytes()).ok()
    }

    #[expect(clippy::disallowed_methods, reason = "the clock the doctor reads is the machine's")]
    fn date(&self) -> String {
        let now = chrono::Utc::now() + chrono::TimeDelta::seconds(self.off_secs);
        now.format("%a, %d %b %Y %H:%M:%S GMT").to_string()
    }

    /// Until enough wait, or so long that they never will.
    fn wait(&self) {
        let (count, came) = &*self.waiting;
        let mut now = count.lock().unwrap_or_else(PoisonError::into_inner);
        now.0 += 1;
        now.1 = now.1.max(now.0);
        came.notify_all();
        let too_few = |now: &mut (usize, usize)| now.1 < self.together;
        let waited = came.wait_timeout_while(now, Duration::from_secs(20), too_few);
        waited.unwrap_or_else(PoisonError::into_inner).0.0 -= 1;
    }

    fn most(&self) -> usize {
        self.waiting.0.lock().unwrap_or_else(PoisonError::into_inner).1
    }
}

/// A patient with so many files of Vaults, all of which are at `addresses`.
fn patient(addresses: &[&str], sources: usize) -> Patient {
    let patient = Patient::of("");
    let token = patient.file("token", "hvs.example");
    let numbered = || addresses.iter().cycle().take(sources).enumerate();
    let file = |(number, _): (usize, &&str)| {
        format!("  - name: vault-{number}\n    files: [/nowhere/audit-{number}.log]\n")
    };
    let vault = |(number, address): (usize, &&str)| {
        format!(
            "    - source: vault-{number}\n      vault: {{address: \"{address}\", token: {{source: file, path: {token}}}}}\n"
        )
    };
    let (files, vaults): (String, String) = (numbered().map(file).collect(), numbered().map(vault).collect());
    patient.configure(&format!("sources:\n{files}doctor:\n  vaults:\n{vaults}"));
    patient
}

#[test]
fn doctor_warns_of_a_clock_that_differs_from_that_of_the_stores() {
    let (right, wrong) = (Vault::start(0, 1), Vault::start(-3_600, 1));
    let (report, code) = patient(&[&wrong.address], 1).report();
    assert_eq!(ids(&report, "clock"), ["clock.skewed"], "{report:#}");
    let spot = &of(&report, "clock")["blind_spots"][0];
    let why = spot["why"].as_str().expect("text");
    assert!(why.contains("60 min ahead of http://127.0.0.1") || why.contains("59 min ahead of"), "{why}");
    assert_eq!(spot["mend"][0], "timedatectl set-ntp true", "{spot}");
    assert_eq!(code, Some(1));
    let (report, _) = patient(&[&right.address], 1).report();
    assert!(ids(&report, "clock").is_empty(), "{report:#}");
    assert!(of(&report, "clock")["sound"][0].as_str().expect("text").contains("agrees"), "{report:#}");
    // Two clocks of which one is right: it is the other store's that is wrong.
    let (report, _) = patient(&[&right.address, &wrong.address], 2).report();
    let spot = &of(&report, "clock")["blind_spots"][0];
    assert!(spot["mend"][0].as_str().expect("text").starts_with("# the others agree"), "{spot}");
}

#[test]
fn doctor_cannot_tell_the_time_of_a_store_that_is_not_there() {
    let (report, _) = patient(&["http://127.0.0.1:9"], 1).report();
    assert!(needs(&report, "clock")[0].contains("see whether it runs"), "{report:#}");
}

#[test]
fn doctor_asks_about_several_sources_at_the_same_time_and_tells_of_them_in_their_order() {
    let vault = Vault::start(0, 3);
    let (report, _) = patient(&[&vault.address], 3).report();
    assert_eq!(vault.most(), 3, "{report:#}");
    // Asked one after the other, the first is given up before the others come.
    for number in 0..3 {
        let said = of(&report, &format!("vault-{number}"))["unknown"][0]["said"].as_str().expect("text");
        assert!(said.contains("403"), "{said}");
    }
    let names = report["sources"].as_array().expect("sources").iter().map(|one| one["source"].as_str());
    assert_eq!(names.flatten().collect::<Vec<_>>(), ["vault-0", "vault-1", "vault-2", "clock"]);
}
