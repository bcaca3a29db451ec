#![allow(dead_code)]
#[path = "../../src/known.rs"]
mod known;
#[path = "../../src/crew.rs"]
mod crew;
use keywatch_event::EventTime;
use keywatch_ingest::source::Pieces;
fn main() {
    let mut args = std::env::args().skip(1);
    let threads = args.next().unwrap().parse().unwrap();
    let paths = args.map(std::path::PathBuf::from).collect();
    let crew = crew::Crew { threads, now: || EventTime::from_secs(1_800_000_000), progress: &|_| {} };
    let mut seen = known::Known::default();
    let (mut n, mut d, mut r, mut s) = (0, 0, 0, 0);
    crew.work(&mut Pieces::new(paths), &mut |run: &keywatch_ingest::Run<'_>, keys: &[u64]| {
        for key in keys { if seen.is_new(*key) { n += 1 } else { d += 1 } }
        r += run.rejects.len(); s += run.skipped;
    });
    println!("{n} events {d} duplicates {r} rejects {s} skipped");
}
