//! Records come late, in pieces and twice, those of one principal who fails on one secret after the
//! other and those of several who read, fail and destroy: what is stored at the end is what an ordinary
//! delivery leaves, alert by alert.
//!
//! Incidents are opened, renamed, split and joined again on the way, in the engine and in the store.

use super::chance::Chance;
use super::simulation::{compare, run_all};
use super::stage::{START, Stage, clean, records};
use chrono::DateTime;
use keywatch_event::Place;
use keywatch_ingest::Batch;

const DAY: i64 = 86_400;

/// A refused read at a second, of one of twenty secrets.
fn refused(number: usize, secs: i64, secret: u64) -> String {
    let time = DateTime::from_timestamp(secs, 0).unwrap().format("%Y-%m-%dT%H:%M:%SZ");
    format!(
        r#"{{"time":"{time}","type":"response","auth":{{"display_name":"eve","entity_id":"entity-eve","policies":["app"],"token_type":"service"}},"request":{{"id":"req-{number}","operation":"read","mount_type":"kv","mount_point":"secret/","path":"secret/data/s{secret}","remote_address":"203.0.113.9"}},"response":{{"mount_type":"kv"}},"error":"permission denied"}}"#
    )
}

/// Hands over batches of up to `most` of what came until then, each with the time it came.
async fn deliver(stage: &mut Stage, arrivals: &[(i64, String)], most: u64, chance: &mut Chance) {
    let mut rest = arrivals;
    while !rest.is_empty() {
        let (part, more) = rest.split_at((1 + chance.below(most) as usize).min(rest.len()));
        let mut batch = Batch::default();
        for (at, (_, record)) in part.iter().enumerate() {
            batch.push(record.as_bytes(), Place { name: "late".into(), line: at as u64 + 1, record: 0 });
        }
        stage.hand.set(part.last().unwrap().0);
        stage.take(&batch).await;
        rest = more;
    }
}

async fn refusals(seed: u64) {
    let mut chance = Chance::new(seed ^ 0xD15);
    let mut all: Vec<(i64, String)> = (0..9 + chance.below(6) as usize)
        .map(|number| {
            let secs = START + chance.below(40 * 3600) as i64;
            (secs, refused(number, secs, chance.below(40)))
        })
        .collect();
    all.sort();
    in_disorder(seed, all, 2, chance).await;
}

async fn accesses(seed: u64) {
    let mut chance = Chance::new(seed ^ 0xACC);
    let (count, hours) = (20 + chance.below(60) as usize, 2 + chance.below(46));
    let all = records(&mut chance, count, hours);
    let most = 1 + chance.below(12);
    in_disorder(seed, all, most, chance).await;
}

async fn in_disorder(seed: u64, all: Vec<(i64, String)>, most: u64, mut chance: Chance) {
    let late = |chance: &mut Chance| match chance.below(10) {
        0..5 => chance.below(900),
        5..7 => chance.below(12 * 3600),
        _ => chance.below(47 * 3600),
    };
    let mut arrivals: Vec<(i64, String)> =
        all.iter().map(|(secs, record)| (secs + late(&mut chance) as i64, record.clone())).collect();
    let twice: Vec<_> = arrivals.iter().filter(|_| chance.happens(20)).cloned().collect();
    arrivals.extend(twice.into_iter().map(|(at, record)| (at + late(&mut chance) as i64, record)));
    arrivals.sort();
    let end = START + 5 * DAY;
    let mut stage = Stage::new(START).await;
    deliver(&mut stage, &arrivals, most, &mut chance).await;
    let records: Vec<String> = all.into_iter().map(|(_, record)| record).collect();
    compare(seed, &stage.outcome().await, &clean(&records, end).await);
}

#[tokio::test]
async fn whatever_order_refusals_come_in_the_alerts_are_those_of_the_order_they_happened_in() {
    run_all(refusals).await;
}

#[tokio::test]
async fn whatever_order_accesses_come_in_the_alerts_are_those_of_the_order_they_happened_in() {
    run_all(accesses).await;
}

/// Two incidents overlap, and the second opens with the event the first was once named after.
#[tokio::test]
async fn an_alert_may_open_under_a_name_that_another_had() {
    let minutes = [846, 870, 882, 1014, 1067, 1220, 1259, 1535, 1028, 0];
    let records: Vec<(i64, String)> = minutes
        .iter()
        .enumerate()
        .map(|(number, minutes)| (START + minutes * 60, number))
        .map(|(secs, number)| (secs, refused(number, secs, number as u64)))
        .collect();
    let mut stage = Stage::new(START + 2 * DAY).await;
    for one in &records {
        deliver(&mut stage, &[(START + 2 * DAY, one.1.clone())], 2, &mut Chance::new(0)).await;
    }
    let mut ordered = records;
    ordered.sort();
    let ordered: Vec<String> = ordered.into_iter().map(|(_, record)| record).collect();
    compare(0, &stage.outcome().await, &clean(&ordered, START + 2 * DAY).await);
}
