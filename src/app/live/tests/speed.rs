//! How fast a trail is read, and how soon a file is stored. Short in an ordinary run, where it only
//! must work; `KEYWATCH_SPEED=200000` reads that many events and prints figures.
#![expect(clippy::print_stdout, reason = "figures are for reading")]

use super::bucket::Store;
use super::chance::Chance;
use super::stage::{Stage, company, records};
use super::trail::{self, NOW};
use keywatch_event::EventTime;
use keywatch_ingest::provider::Normalizer;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Records of one file.
const FILE: usize = 500;

#[expect(clippy::disallowed_methods, reason = "how many events, for runs on demand")]
fn events() -> usize {
    std::env::var("KEYWATCH_SPEED").ok().and_then(|text| text.parse().ok()).unwrap_or(5_000)
}

/// Who the events are of.
#[derive(Clone, Copy, Debug)]
enum Who {
    /// 2,000 services.
    Company,
    /// Three people, one of whom is refused again and again and one in ten of whose acts destroys.
    Siege,
}

fn filled(count: usize, who: Who) -> (Store, Vec<(String, String)>) {
    let store = Store::new(1);
    let mut chance = Chance::new(1);
    let all = match who {
        Who::Company => company(&mut chance, count, 48),
        Who::Siege => records(&mut chance, count, 48),
    };
    let all: Vec<String> = all.into_iter().map(|(_, record)| padded(&record)).collect();
    let named = |(number, part): (usize, &[String])| {
        let key = format!("AWSLogs/{number}.json.gz");
        let body = trail::put(&store, &key, part);
        (key, body)
    };
    let files = all.chunks(FILE).enumerate().map(named).collect();
    (store, files)
}

/// As long as CloudTrail's records are: about 1.4 KB.
fn padded(record: &str) -> String {
    let rest = record.strip_suffix('}').unwrap();
    format!("{rest},\"tlsDetails\":{{\"tlsVersion\":\"TLSv1.3\",\"cipherSuite\":\"{}\"}}}}", "x".repeat(700))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trail_is_read_classified_and_stored() {
    let count = events();
    for (who, stored) in [(Who::Company, false), (Who::Company, true), (Who::Siege, true)] {
        let (store, files) = filled(count, who);
        let server = store.serve();
        store.with(|state| files.iter().for_each(|(_, body)| state.send(body)));
        let mut stage = Stage::new(NOW).await;
        stage.hears = false;
        let began = Instant::now();
        let mut running = trail::start(&stage, &server, trail::settings(&server)).await;
        let mut taken = 0;
        if stored {
            stage.until(&mut running, "all are stored", |_| store.with(|state| state.waiting() == 0)).await;
            taken = usize::try_from(stage.count().await).unwrap();
        } else {
            let normalizer = Normalizer::new();
            while taken < count {
                taken += running.classify(&normalizer, EventTime::from(stage.hand.now())).await;
            }
        }
        let rate = f64::from(u32::try_from(taken).unwrap()) / began.elapsed().as_secs_f64();
        println!("{who:?}: {count} events, stored: {stored}: {rate:.0} events/s");
        assert_eq!(taken, count);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_stored_soon_after_it_is_announced() {
    let (store, files) = filled(events(), Who::Company);
    let server = store.serve();
    let mut stage = Stage::new(NOW).await;
    stage.hears = false;
    let mut running = trail::start(&stage, &server, trail::settings(&server)).await;
    let sent: Arc<std::sync::Mutex<HashMap<String, Instant>>> = Arc::default();
    let (mut late, total) = (Vec::new(), files.len());
    let mut sender = tokio::task::JoinSet::new();
    let (log, queue) = (Arc::clone(&sent), store.clone());
    sender.spawn(async move {
        // Twenty files a second: 10,000 events a second.
        for (key, body) in files {
            log.lock().unwrap().insert(format!("s3://{}/{key}", super::bucket::BUCKET), Instant::now());
            queue.with(|state| state.send(&body));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    while late.len() < total {
        for place in stage.until_places(&mut running).await {
            let at = sent.lock().unwrap().remove(&place);
            late.extend(at.map(|at| at.elapsed()));
        }
    }
    late.sort();
    let at = |share: usize| late[(late.len() * share / 100).min(late.len() - 1)];
    println!(
        "{total} files of {FILE} events, 20 a second: p50 {:?}, p99 {:?} from announced to stored",
        at(50),
        at(99)
    );
}
