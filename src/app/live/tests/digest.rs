//! CloudTrail's digests: what was changed, taken away or exchanged is told, and nothing else.

use super::bucket::{BUCKET, FINGERPRINT, Faults, State as Bucket, Store};
use super::chance::Chance;
use super::server::Server;
use super::simulation::run_all;
use super::stage::{Running, START, Stage, records};
use super::trail::{file, notice, settings, start};
use aws_lc_rs::digest::{SHA256, digest as hash};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use chrono::DateTime;
use keywatch_aws::trail::{Backfill, Settings};
use keywatch_event::Observed;
use keywatch_ingest::source::Stated;
use std::collections::BTreeSet;
use std::io::Write as _;
use std::sync::LazyLock;
use std::time::Duration;

const NAME: &str = "111122223333_CloudTrail-Digest_eu-central-1_main_eu-central-1";
/// Keys take a while to make: one that AWS lists and one that it does not.
static KEYS: LazyLock<(KeyPair, KeyPair)> = LazyLock::new(|| {
    (KeyPair::generate(KeySize::Rsa2048).unwrap(), KeyPair::generate(KeySize::Rsa2048).unwrap())
});

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn sha256(bytes: &[u8]) -> String {
    hex(hash(&SHA256, bytes).as_ref())
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

fn sign(key: &KeyPair, text: &str) -> String {
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature).unwrap();
    hex(&signature)
}

/// A trail that delivers files and, every hour, their digest.
struct Trail {
    store: Store,
    hour: i64,
    /// Key, hash and signature of the last digest.
    last: Option<(String, String, String)>,
    chance: Chance,
}

impl Trail {
    fn new(seed: u64) -> (Self, Server) {
        let store = Store::new(seed);
        store.with(|state| state.public_key = KEYS.0.public_key().as_ref().to_vec());
        let server = store.serve();
        (Self { store, hour: 0, last: None, chance: Chance::new(seed) }, server)
    }

    /// Where the files and the digest of an hour lie.
    fn keys(hour: i64) -> (Vec<String>, String) {
        let end = DateTime::from_timestamp(START + (hour + 1) * 3600, 0).unwrap();
        let (day, time) = (end.format("%Y/%m/%d"), end.format("%Y%m%dT%H%M%SZ"));
        let files =
            (0..4).map(|n| format!("AWSLogs/111122223333/CloudTrail/eu-central-1/{day}/{time}_{n}.json.gz"));
        let digest =
            format!("AWSLogs/111122223333/CloudTrail-Digest/eu-central-1/{day}/{NAME}_{time}.json.gz");
        (files.collect(), digest)
    }

    /// Delivers an hour's files and digest; the notices of all.
    fn deliver(&mut self) -> Vec<String> {
        let (files, digest) = Self::keys(self.hour);
        let mut listed = Vec::new();
        for (number, key) in files.iter().enumerate() {
            let part = records(&mut self.chance, 3, 1);
            // Ids of their own, whatever the chance says.
            let unique = format!("-{:04x}-8{number:03x}-", self.hour);
            let part: Vec<String> = part.iter().map(|(_, one)| one.replace("-4000-8000-", &unique)).collect();
            let content = format!("{{\"Records\":[{}]}}", part.join(","));
            self.store.with(|state| state.objects.insert(key.clone(), file(&part)));
            listed.push(serde_json::json!({"s3Bucket": BUCKET, "s3Object": key, "hashValue": sha256(content.as_bytes()),
                "hashAlgorithm": "SHA-256", "newestEventTime": null, "oldestEventTime": null}));
        }
        let at = |hours: i64| {
            DateTime::from_timestamp(START + hours * 3600, 0)
                .unwrap()
                .to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
        };
        let (previous, previous_hash, previous_signature) = self
            .last
            .clone()
            .map_or((None, None, None), |(key, hash, signature)| (Some(key), Some(hash), Some(signature)));
        let content = serde_json::json!({
            "awsAccountId": "111122223333", "digestStartTime": at(self.hour), "digestEndTime": at(self.hour + 1),
            "digestS3Bucket": BUCKET, "digestS3Object": digest, "digestPublicKeyFingerprint": FINGERPRINT,
            "digestSignatureAlgorithm": "SHA256withRSA", "newestEventTime": null, "oldestEventTime": null,
            "previousDigestS3Bucket": previous.as_ref().map(|_| BUCKET), "previousDigestS3Object": previous,
            "previousDigestHashValue": previous_hash, "previousDigestHashAlgorithm": "SHA-256",
            "previousDigestSignature": previous_signature, "logFiles": listed,
        }).to_string();
        let hash = sha256(content.as_bytes());
        let signed = format!(
            "{}\n{BUCKET}/{digest}\n{hash}\n{}",
            at(self.hour + 1),
            previous_signature.as_deref().unwrap_or("null")
        );
        let signature = sign(&KEYS.0, &signed);
        self.store.with(|state| {
            state.objects.insert(digest.clone(), gzip(content.as_bytes()));
            state.signatures.insert(digest.clone(), signature.clone());
        });
        self.last = Some((digest.clone(), hash, signature));
        self.hour += 1;
        files.iter().chain([&digest]).map(|key| notice(key)).collect()
    }
}

/// What is told of: subjects, without the chain's name.
fn told(stage: &Stage) -> BTreeSet<String> {
    let statements = stage.health.take_statements().into_iter();
    let said = statements.filter(|one| one.observed == Observed::Integrity && one.stated != Stated::Over);
    said.map(|one| one.subject.split(", ").next().unwrap_or_default().to_owned()).collect()
}

async fn drain(stage: &mut Stage, running: &mut Running, store: &Store) {
    stage.until(running, "the queue is empty", |_| store.with(|state| state.waiting() == 0)).await;
}

/// What somebody does to a bucket, and what must be told of it.
type Deed = (&'static str, fn(&mut Bucket, &[String], &str));

const DEEDS: &[Deed] = &[
    ("log file changed", |bucket, files, _| {
        bucket.objects.insert(files[1].clone(), gzip(b"{\"Records\":[]}"));
    }),
    ("log file changed", |bucket, files, _| {
        let cut = bucket.objects[&files[1]][..60].to_vec();
        bucket.objects.insert(files[1].clone(), cut);
    }),
    ("log file missing", |bucket, files, _| drop(bucket.objects.remove(&files[2]))),
    ("log file swapped", |bucket, files, _| {
        let other = bucket.objects[&files[0]].clone();
        bucket.objects.insert(files[3].clone(), other);
    }),
    ("digest changed", |bucket, files, digest| {
        // A line is cut out of the log, and of the digest: its signature does not hold any more.
        bucket.objects.remove(&files[0]);
        let mut content = String::new();
        let packed = bucket.objects[digest].clone();
        let mut reader = keywatch_ingest::source::Inflate::new(
            packed.as_slice(),
            keywatch_ingest::source::FILE_CAPS,
            std::sync::Arc::default(),
        );
        std::io::Read::read_to_string(&mut reader, &mut content).unwrap();
        let mut digest_of: serde_json::Value = serde_json::from_str(&content).unwrap();
        digest_of["logFiles"].as_array_mut().unwrap().remove(0);
        bucket.objects.insert(digest.to_owned(), gzip(digest_of.to_string().as_bytes()));
    }),
    ("digest changed", |bucket, _, digest| drop(bucket.signatures.remove(digest))),
    ("digest changed", |bucket, _, digest| {
        bucket.signatures.insert(digest.to_owned(), sign(&KEYS.1, "whatever"));
    }),
    ("digest changed", |bucket, _, digest| {
        drop(bucket.objects.insert(digest.to_owned(), b"nothing".to_vec()));
    }),
    ("digest missing", |bucket, _, digest| drop(bucket.objects.remove(digest))),
    // The digest of the hour before in its place, signature and all.
    ("digest changed", |bucket, _, digest| {
        let before = Trail::keys(3).1;
        let (bytes, signature) = (bucket.objects[&before].clone(), bucket.signatures[&before].clone());
        bucket.objects.insert(digest.to_owned(), bytes);
        bucket.signatures.insert(digest.to_owned(), signature);
    }),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_done_to_files_and_digests_is_told_and_nothing_else() {
    run_all(seeded).await;
}

/// A chain of eight hours in which somebody did something to the fifth, or nobody anything; on a
/// bucket and a queue that fail now and then, with notices out of order.
async fn seeded(seed: u64) {
    let deed = DEEDS.get(usize::try_from(seed).unwrap() % (DEEDS.len() + 2));
    let (mut trail, server) = Trail::new(seed);
    let mut chance = Chance::new(seed ^ 0x1234);
    let mut notices: Vec<String> = (0..8).flat_map(|_| trail.deliver()).collect();
    chance.shuffle(&mut notices);
    let doubled: Vec<String> = notices.iter().filter(|_| chance.happens(20)).cloned().collect();
    notices.extend(doubled);
    let faults = if chance.happens(50) {
        Faults { queue: 5, object: 10, missing: 0, truncated: 0 }
    } else {
        Faults::default()
    };
    trail.store.with(|state| {
        if let Some((_, act)) = deed {
            let (files, digest) = Trail::keys(4);
            act(state, &files, &digest);
        }
        state.faults = faults;
        state.tries_max = Some(2);
        for body in &notices {
            state.send(body);
        }
    });
    let mut stage = Stage::new(START + 9 * 3600).await;
    let mut running = start(&stage, &server, settings(&server)).await;
    drain(&mut stage, &mut running, &trail.store).await;
    let wanted: BTreeSet<String> = deed.iter().map(|(subject, _)| (*subject).to_owned()).collect();
    assert_eq!(told(&stage), wanted, "seed {seed}: {:?}", stage.health.read());
}

#[tokio::test]
async fn a_chain_goes_on_after_a_restart_and_one_that_begins_anew_is_told() {
    let (mut trail, server) = Trail::new(1);
    let send = |trail: &mut Trail| {
        let notices = trail.deliver();
        trail.store.with(|state| notices.iter().for_each(|body| state.send(body)));
    };
    let mut stage = Stage::new(START + 3600).await;
    let mut running = start(&stage, &server, settings(&server)).await;
    send(&mut trail);
    drain(&mut stage, &mut running, &trail.store).await;
    drop(running);
    // What lies between was never announced: it is fetched.
    trail.deliver();
    trail.deliver();
    send(&mut trail);
    let mut running = start(&stage, &server, settings(&server)).await;
    drain(&mut stage, &mut running, &trail.store).await;
    assert_eq!(told(&stage), BTreeSet::new());
    let positions = stage.positions().await;
    let stored = &positions[&format!("aws:t:digest:{BUCKET}/{NAME}")];
    assert!(stored.contains(&Trail::keys(3).1), "{stored}");
    trail.last = None;
    send(&mut trail);
    drain(&mut stage, &mut running, &trail.store).await;
    assert_eq!(told(&stage), BTreeSet::from(["chain broken".to_owned()]));
}

#[tokio::test]
async fn two_digests_that_are_missing_in_a_row_are_told_and_taken_back_when_one_comes() {
    let (mut trail, server) = Trail::new(1);
    let settings = Settings { digests_every: Duration::from_millis(2), ..settings(&server) };
    let mut stage = Stage::new(START + 3600).await;
    let notices = trail.deliver();
    trail.store.with(|state| notices.iter().for_each(|body| state.send(body)));
    let mut running = start(&stage, &server, settings.clone()).await;
    drain(&mut stage, &mut running, &trail.store).await;
    stage.hand.set(START + 3 * 3600);
    drop(running);
    let mut running = start(&stage, &server, settings.clone()).await;
    // Three hours after the start; how long Keywatch itself was away does not count.
    stage.hand.set(START + 6 * 3600 - 1);
    for _ in 0..5 {
        stage.until_some(&mut running).await;
    }
    assert_eq!(told(&stage), BTreeSet::new());
    stage.hand.set(START + 6 * 3600 + 1);
    let health = stage.health.clone();
    let warns = |_: &Stage| health.read().warnings.keys().any(|subject| subject.contains("digests missing"));
    stage.until(&mut running, "it is told", warns).await;
    assert_eq!(told(&stage), BTreeSet::from(["digests missing".to_owned()]));
    trail.deliver();
    trail.deliver();
    trail.deliver();
    trail.deliver();
    let notices = trail.deliver();
    trail.store.with(|state| notices.iter().for_each(|body| state.send(body)));
    stage.until(&mut running, "it is taken back", |stage| !warns(stage)).await;
}

#[tokio::test]
async fn a_backfill_verifies_the_digests_it_meets() {
    let (mut trail, server) = Trail::new(1);
    for _ in 0..6 {
        trail.deliver();
    }
    let (files, digest) = Trail::keys(2);
    trail.store.with(|state| {
        let (_, act) = DEEDS[2];
        act(state, &files, &digest);
    });
    let day = || "2026-06-01".parse().unwrap();
    let prefix = "AWSLogs/".to_owned();
    let backfill = Backfill { bucket: BUCKET.to_owned(), prefix, from: day(), to: Some(day()) };
    let settings = Settings { backfill: Some(backfill), ..settings(&server) };
    let mut stage = Stage::new(START + 48 * 3600).await;
    let mut running = start(&stage, &server, settings).await;
    let health = stage.health.clone();
    stage
        .until(&mut running, "it is done", |stage| stage.batches > 1 && health.read().progress.is_empty())
        .await;
    assert_eq!(told(&stage), BTreeSet::from(["log file missing".to_owned()]));
}
