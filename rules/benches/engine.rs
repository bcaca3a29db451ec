//! How long the engine takes for one event: `cargo bench -p keywatch-rules --bench engine`.
//!
//! Events shaped like CloudTrail's are made and normalised first, and then judged. Both are measured, in
//! nanoseconds of this thread's processor time per event, as the median of several runs with a fresh engine
//! each; a case's figure is that of judging. Where two sets of rules are compared they take turns, and of each
//! thousand events the least that any turn took counts: what else the machine does only ever adds. The same from
//! every second turn alone says how certain the ratio is.
//!
//! `KEYWATCH_BENCH_EVENTS` sets the number of events (200,000), `KEYWATCH_BENCH_ROUNDS` that of
//! runs (5), `KEYWATCH_BENCH_ONLY` a part of the names of the cases to run. `KEYWATCH_SIGMA`
//! names a folder of further rules to load beside the shipped ones.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![expect(clippy::disallowed_methods, reason = "a benchmark has no configuration")]

mod events;

use events::{Made, Workload};
use keywatch_event::Place;
use keywatch_rules::{Engine, RuleSet, Seen, Settings, builtin, compile};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

type Failure = Box<dyn std::error::Error>;
type File = (String, String);

/// That of the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Events handed over at once, as the service does.
const BATCH: usize = 1_000;

fn main() -> Result<(), Failure> {
    let bench = Bench {
        events: number("KEYWATCH_BENCH_EVENTS", 200_000),
        rounds: number("KEYWATCH_BENCH_ROUNDS", 5),
        only: std::env::var("KEYWATCH_BENCH_ONLY").unwrap_or_default(),
    };
    // Before anything was freed that could be used again: what grows is then what is held.
    bench.state()?;
    let shipped: Vec<File> =
        builtin().iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    let core = shipped.iter().filter(|(name, _)| name.contains("kw-00"));
    let core: Vec<File> = core.map(|(name, text)| (name.clone(), alone(text))).collect();
    let some = Workload { events: bench.events, principals: 2_000 }.make()?;
    bench.run("no rule", &[], &some)?;
    bench.run("core five", &core, &some)?;
    bench.run("catalogue", &shipped, &some)?;
    if let Ok(folder) = std::env::var("KEYWATCH_SIGMA") {
        let mut more = shipped.clone();
        find(Path::new(&folder), &mut more)?;
        bench.run(&format!("catalogue and {} files", more.len() - shipped.len()), &more, &some)?;
    }
    let with = |rules| {
        [core.clone(), vec![generated(rules, "eventName: [Delete{n}, Put{n}]", "service-{n}")]].concat()
    };
    bench.compare("core five and 10, then 1,000 rules", [&with(10), &with(1_000)], &some)?;
    // Here each rule names a service that has events: what tells them apart is a part of a text.
    bench.run(
        "core five and 1,000 with parts",
        &[
            core.clone(),
            vec![generated(1_000, "userAgent|contains: [evil-{n}, worse-{n}]", "secretsmanager")],
        ]
        .concat(),
        &some,
    )?;
    drop(some);
    let many = Workload { events: bench.events, principals: 100_000 }.make()?;
    bench.run("100,000 principals, core five", &core, &many)?;
    bench.run("100,000 principals, catalogue", &shipped, &many)?;
    drop(many);
    bench.siege(&shipped)?;
    bench.windows()
}

fn number(variable: &str, default: usize) -> usize {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn find(folder: &Path, files: &mut Vec<File>) -> Result<(), Failure> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            find(&path, files)?;
        } else if path.extension().is_some_and(|ending| ending == "yml") {
            files.push((path.display().to_string(), std::fs::read_to_string(path)?));
        }
    }
    Ok(())
}

/// Rules that name a service and something else each; `{n}` stands for the number of the rule.
fn generated(rules: usize, what: &str, service: &str) -> File {
    let mut text = String::new();
    for n in 0..rules {
        let separator = if n > 0 { "---\n" } else { "" };
        let (what, service) = (what.replace("{n}", &n.to_string()), service.replace("{n}", &n.to_string()));
        // Writing into a String cannot fail.
        let _infallible = write!(
            text,
            "{separator}title: Measured rule {n}\nname: BENCH-{n}\nlevel: high\nlogsource: {{product: aws, service: cloudtrail}}\n\
             detection:\n  selection:\n    eventSource: {service}.amazonaws.com\n    {what}\n  condition: selection\n"
        );
    }
    ("generated.yml".to_owned(), text)
}

const WINDOW: &str = "\
title: Many values
name: BENCH-feed
level: informational
logsource: {product: keywatch, category: audit}
detection:
  selection: {class: secret.read}
  condition: selection
---
title: Many distinct values
name: BENCH-window
level: high
correlation:
  type: value_count
  rules: [BENCH-feed]
  group-by: [provider]
  timespan: 24h
  condition: {gte: 1000, field: secrets.id}
";

const NETWORKS: &str = "\
title: Networks of principals
name: BENCH-networks
level: informational
logsource: {product: keywatch, category: audit}
detection:
  read: {class: secret.read}
  condition: read
keywatch:
  first_seen:
    of: source.network
    per: [principal.id]
    learn: 7d
    mature: {age: 7d, events: 10, days: 3}
    values_max: 256
    accept_days: 3
";

struct Bench {
    events: usize,
    rounds: usize,
    only: String,
}

impl Bench {
    fn run(&self, name: &str, files: &[File], made: &[Made]) -> Result<(), Failure> {
        if !name.contains(&self.only) {
            return Ok(());
        }
        let rules = rules(files)?;
        let (mut taken, mut read) = (Vec::new(), Vec::new());
        let mut held = 0;
        for _ in 0..self.rounds.max(1) {
            let before = resident_kib();
            let mut engine = Engine::new(Arc::clone(&rules), settings());
            let took = measure(&mut engine, made, &mut |_| {})?;
            taken.push(took.judging / made.len() as u64);
            read.push(took.reading / made.len() as u64);
            held = resident_kib().saturating_sub(before).max(held);
        }
        println!(
            "{name:<34} {:>7} ns an event, {:>4} ns to read it, {:>4} MiB more resident",
            median(&mut taken),
            median(&mut read),
            held >> 10
        );
        Ok(())
    }

    /// Two sets of rules in turns, the first of them each time the other.
    fn compare(&self, name: &str, sets: [&[File]; 2], made: &[Made]) -> Result<(), Failure> {
        if !name.contains(&self.only) {
            return Ok(());
        }
        let [few, many] = sets;
        let sets = [rules(few)?, rules(many)?];
        // By every second turn, and by set.
        let mut halves = [[Vec::new(), Vec::new()], [Vec::new(), Vec::new()]];
        let turns = self.rounds.max(1) * 4;
        for turn in 0..turns {
            let Some(half) = halves.get_mut(turn % 2) else { continue };
            let mut pair: Vec<(&Arc<RuleSet>, &mut Vec<u64>)> = sets.iter().zip(half).collect();
            // Both come first as often, in either half of the turns.
            if turn / 2 % 2 == 1 {
                pair.reverse();
            }
            for (rules, least) in pair {
                let mut batches = Vec::new();
                let mut engine = Engine::new(Arc::clone(rules), settings());
                measure(&mut engine, made, &mut |took| batches.push(took.judging))?;
                keep_least(least, &batches);
            }
        }
        let sum = |batches: &Vec<u64>| batches.iter().sum::<u64>();
        let ratio = |[few, many]: &[Vec<u64>; 2]| times(sum(many), sum(few));
        let [odd, even] = &halves;
        let mut both = odd.clone();
        both.iter_mut().zip(even).for_each(|(both, even)| keep_least(both, even));
        let [few, many] = both.each_ref().map(|batches| sum(batches) / made.len() as u64);
        println!(
            "{name:<34} {few:>7} and {many} ns an event: {} times, by {turns} turns; by half of them {} and {}",
            ratio(&both),
            ratio(odd),
            ratio(even),
        );
        Ok(())
    }

    /// What is held of a principal that was seen in two networks.
    fn state(&self) -> Result<(), Failure> {
        const PRINCIPALS: u64 = 200_000;
        let name = "200,000 principals in two networks";
        if !name.contains(&self.only) {
            return Ok(());
        }
        let rules = rules(&[("networks.yml".to_owned(), NETWORKS.to_owned())])?;
        let settings = Settings { learned_bytes_max: 256 << 20, writes_learned: false, ..settings() };
        let mut engine = Engine::new(rules, settings);
        // What the process itself needs is there before the first figure is taken.
        judge(&mut engine, &events::networks(0..1_000, 1)?)?;
        let before = resident_kib();
        for from in (1_000..PRINCIPALS).step_by(1_000) {
            for network in [1, 2] {
                judge(&mut engine, &events::networks(from..from + 1_000, network)?)?;
            }
        }
        let held = resident_kib().saturating_sub(before) * 1_024 / (PRINCIPALS - 1_000);
        println!("{name:<34} {held:>7} bytes a principal, {} known", engine.gauges().principals);
        Ok(())
    }

    /// One principal that is refused again and again, told of a hundred times: what joins an incident
    /// costs the same however many did before.
    fn siege(&self, files: &[File]) -> Result<(), Failure> {
        const EVENTS: u64 = 60_000;
        let name = "a siege of 60,000, catalogue";
        if !name.contains(&self.only) {
            return Ok(());
        }
        let rules = rules(files)?;
        let (mut first, mut last) = (Vec::new(), Vec::new());
        for _ in 0..self.rounds.max(1) {
            let mut engine = Engine::new(Arc::clone(&rules), settings());
            let made = events::siege(EVENTS)?;
            let mut taken = Vec::new();
            for batch in made.chunks(100) {
                taken.push(judge(&mut engine, batch)?);
            }
            let mean = |taken: &[u64]| taken.iter().sum::<u64>() / (taken.len() as u64 * 100);
            first.push(mean(taken.get(50..150).unwrap_or_default()));
            last.push(mean(taken.get(500..).unwrap_or_default()));
        }
        println!(
            "{name:<34} {:>7} ns an event among the first 15,000, {} ns among the last 10,000",
            median(&mut first),
            median(&mut last)
        );
        Ok(())
    }

    /// One group that holds 100,000 entries, in order and with entries that come late.
    fn windows(&self) -> Result<(), Failure> {
        let name = "100,000 entries in one window";
        if !name.contains(&self.only) {
            return Ok(());
        }
        let rules = rules(&[("window.yml".to_owned(), WINDOW.to_owned())])?;
        let (mut first, mut full, mut late) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..self.rounds.max(1) {
            let mut engine = Engine::new(Arc::clone(&rules), settings());
            let mut made = events::reads(110_100)?;
            let late_ones = made.split_off(110_000);
            let (few, many) =
                (made.get(..10_000).unwrap_or_default(), made.get(100_000..).unwrap_or_default());
            first.push(judge(&mut engine, few)? / few.len() as u64);
            judge(&mut engine, made.get(10_000..100_000).unwrap_or_default())?;
            full.push(judge(&mut engine, many)? / many.len() as u64);
            late.push(judge(&mut engine, &late_ones)? / late_ones.len() as u64);
        }
        println!(
            "{name:<34} {:>7} ns an event among the first 10,000, {} ns with 100,000 before, {} ns for one that is late by 1,000",
            median(&mut first),
            median(&mut full),
            median(&mut late)
        );
        Ok(())
    }
}

/// A rule without what says of which others its alerts are part: those are not loaded with it.
fn alone(text: &str) -> String {
    text.lines().filter(|line| !line.starts_with("  part_of:")).collect::<Vec<_>>().join("\n")
}

fn settings() -> Settings {
    Settings { entries_max: 300_000, ..Settings::default() }
}

fn rules(files: &[File]) -> Result<Arc<RuleSet>, Failure> {
    let compiled = compile(files.iter().map(|(name, text)| (&**name, &**text)));
    compiled.map(Arc::new).map_err(|problems| format!("{problems:?}").into())
}

/// Nanoseconds of processor time.
#[derive(Clone, Copy, Default)]
struct Took {
    reading: u64,
    judging: u64,
}

/// Nanoseconds of processor time to judge them.
fn judge(engine: &mut Engine, made: &[Made]) -> Result<u64, Failure> {
    Ok(measure(engine, made, &mut |_| {})?.judging)
}

/// The same, and to read them; tells `each` of every batch.
fn measure(engine: &mut Engine, made: &[Made], each: &mut dyn FnMut(Took)) -> Result<Took, Failure> {
    let place = Place { name: Arc::from("bench"), line: 1, record: 0 };
    let normalizer = keywatch_ingest::provider::Normalizer::asking(engine.asked());
    let mut all = Took::default();
    for batch in made.chunks(BATCH) {
        let mut events = Vec::with_capacity(batch.len());
        let mut stream = normalizer.stream();
        let before = processor_ns();
        for record in batch {
            let event = stream.normalize(record.0.as_bytes(), events::received());
            events.extend(event.map_err(|reason| format!("{reason:?}"))?);
        }
        let reading = processor_ns() - before;
        let seen: Vec<Seen<'_>> = events
            .iter()
            .zip(batch)
            .map(|(event, record)| Seen { event, place: &place, raw: record.0.as_bytes() })
            .collect();
        let before = processor_ns();
        let evaluation = engine.evaluate(&seen);
        let took = Took { reading, judging: processor_ns() - before };
        drop(evaluation);
        all = Took { reading: all.reading + took.reading, judging: all.judging + took.judging };
        each(took);
    }
    Ok(all)
}

/// Keeps the least of each batch.
fn keep_least(least: &mut Vec<u64>, batches: &[u64]) {
    if least.is_empty() {
        least.extend(batches);
    }
    for (least, took) in least.iter_mut().zip(batches) {
        *least = (*least).min(*took);
    }
}

/// How many times the other one is, in thousandths.
fn times(one: u64, other: u64) -> String {
    let thousandths = one * 1_000 / other.max(1);
    format!("{}.{:03}", thousandths / 1_000, thousandths % 1_000)
}

/// Nanoseconds this thread has been on a processor.
fn processor_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let part = |of: i64| u64::try_from(of).unwrap_or(0);
    part(time.tv_sec) * 1_000_000_000 + part(time.tv_nsec)
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches("kB").trim().parse().unwrap_or(0)
}

fn median(values: &mut [u64]) -> u64 {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or(0)
}
