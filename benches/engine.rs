//! How fast `keywatch scan` is, beside what the machine can do: `cargo xtask bench engine`.
//!
//! Makes its own events, then runs whole processes in turn (A B A B …) and prints the medians of
//! their processor time and of the time that passed, each with the ratios round by round, of the events
//! a second of processor time, and the peak of their memory. Scans run with the five core rules unless they say that they run with the
//! whole catalogue. The yardsticks
//! are passes of this very program: `lean` finds the fields a hand-written counter needs and
//! checks nothing; `check` reads every record strictly and keeps nothing; `inflate` expands the
//! compressed files and drops the content.
//!
//! `KEYWATCH_BENCH_EVENTS` sets the number of events (1,000,000), `KEYWATCH_BENCH_ROUNDS` that of
//! rounds (5), `KEYWATCH_BENCH_ONLY` a part of the names of the comparisons to make.
//! `KEYWATCH_SIGMA` names a folder of further rules to load beside the catalogue,
//! `KEYWATCH_BENCH_RIVAL` a program to compare with, which is given the file of lines. Processor time is
//! read from `/proc` in hundredths of a second.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

mod workload;

use keywatch_event::json::{Extractor, Fields};
use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::fs;
use std::io::{self, BufRead};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use workload::Workload;

/// Names a yardstick when this program is run again for one.
const PASS: &str = "--yardstick";

/// The five core rules.
const CORE: [&str; 5] = [
    "kw-001-normal-read.yml",
    "kw-002-unusual-address.yml",
    "kw-003-failed-authentication.yml",
    "kw-004-secret-deletion.yml",
    "kw-005-failed-reads.yml",
];

/// Where the core rules lie, beside what they judge.
const CORE_FOLDER: &str = "core";

/// Copies the core rules, without what says of which others their alerts are part: those are not loaded.
fn copy_core(folder: &Path) -> io::Result<()> {
    fs::create_dir(folder)?;
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules/builtin");
    for file in CORE {
        let text = fs::read_to_string(shipped.join(file))?;
        let alone = text.lines().filter(|line| !line.starts_with("  part_of:"));
        fs::write(folder.join(file), alone.collect::<Vec<_>>().join("\n"))?;
    }
    Ok(())
}

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == PASS) {
        let argument = |n| arguments.get(at + n).map(String::as_str).unwrap_or_default();
        return yardstick(argument(1), Path::new(argument(2)));
    }
    let events = variable("KEYWATCH_BENCH_EVENTS").unwrap_or(1_000_000);
    let rounds = usize::try_from(variable("KEYWATCH_BENCH_ROUNDS").unwrap_or(5)).unwrap_or(5);
    let folder = tempfile::tempdir()?;
    copy_core(&folder.path().join(CORE_FOLDER))?;
    let bench = Bench {
        folder: folder.path().to_owned(),
        events,
        rounds,
        only: text("KEYWATCH_BENCH_ONLY").unwrap_or_default(),
    };
    bench.lines()?;
    bench.threads()?;
    bench.files()?;
    bench.rules()?;
    bench.principals()?;
    bench.catalogue()
}

#[expect(clippy::disallowed_methods, reason = "a benchmark has no configuration")]
fn text(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn variable(name: &str) -> Option<u64> {
    text(name)?.parse().ok()
}

struct Bench {
    folder: PathBuf,
    events: u64,
    rounds: usize,
    only: String,
}

/// Which rules a scan runs with.
#[derive(Clone, Copy)]
enum Rules<'r> {
    /// The five core rules.
    Core,
    /// The five core rules and a file or folder.
    CoreAnd(&'r Path),
    /// The whole catalogue.
    Shipped,
    /// The whole catalogue and a file or folder.
    ShippedAnd(&'r Path),
}

/// A process to measure.
struct Contender {
    name: &'static str,
    command: Command,
}

/// What one run of a process took.
#[derive(Clone, Copy, Default)]
struct Taken {
    cpu_secs: f64,
    wall_secs: f64,
    peak_kib: u64,
}

impl Taken {
    fn cpu(&self) -> f64 {
        self.cpu_secs
    }

    fn wall(&self) -> f64 {
        self.wall_secs
    }
}

impl Bench {
    fn lines(&self) -> io::Result<()> {
        let file = self.file("events.ndjson", 2_000)?;
        let mut contenders = vec![
            pass("lean", &file)?,
            pass("check", &file)?,
            scan("scan, 1 thread", &file, 1, Rules::Core),
            scan("scan, 2 threads", &file, 2, Rules::Core),
        ];
        if let Some(program) = text("KEYWATCH_BENCH_RIVAL") {
            let mut command = Command::new(program);
            command.arg(&file);
            contenders.push(Contender { name: "rival", command });
        }
        self.compare("a file of lines", contenders)
    }

    fn threads(&self) -> io::Result<()> {
        let file = self.file("events.ndjson", 2_000)?;
        let on = |name, threads| scan(name, &file, threads, Rules::Core);
        self.compare("threads", vec![on("scan, 1 thread", 1), on("scan, 2 threads", 2)])
    }

    fn files(&self) -> io::Result<()> {
        let (folder, file) = (self.folder.join("gz"), self.file("events.ndjson", 2_000)?);
        Workload { events: self.events, principals: 2_000 }.write_files(&folder)?;
        self.compare(
            "compressed files",
            vec![
                scan("the lines, 1 thread", &file, 1, Rules::Core),
                pass("inflate", &folder)?,
                scan("files, 1 thread", &folder, 1, Rules::Core),
                scan("files, 2 threads", &folder, 2, Rules::Core),
            ],
        )
    }

    fn rules(&self) -> io::Result<()> {
        let file = self.file("events.ndjson", 2_000)?;
        let (few, many) = (self.rule_file(10)?, self.rule_file(1_000)?);
        self.compare(
            "further rules",
            vec![
                scan("10 rules", &file, 1, Rules::CoreAnd(&few)),
                scan("1,000 rules", &file, 1, Rules::CoreAnd(&many)),
            ],
        )
    }

    fn principals(&self) -> io::Result<()> {
        let (few, many) = (self.file("events.ndjson", 2_000)?, self.file("many.ndjson", 100_000)?);
        self.compare(
            "principals",
            vec![
                scan("2,000 principals", &few, 1, Rules::Core),
                scan("100,000 principals", &many, 1, Rules::Core),
            ],
        )
    }

    fn catalogue(&self) -> io::Result<()> {
        let file = self.file("events.ndjson", 2_000)?;
        let mut contenders = vec![
            scan("five core rules", &file, 1, Rules::Core),
            scan("the catalogue", &file, 1, Rules::Shipped),
        ];
        if let Some(folder) = text("KEYWATCH_SIGMA") {
            contenders.push(scan("and a folder", &file, 1, Rules::ShippedAnd(Path::new(&folder))));
        }
        self.compare("the catalogue", contenders)
    }

    fn file(&self, name: &str, principals: u64) -> io::Result<PathBuf> {
        let path = self.folder.join(name);
        if !path.exists() {
            Workload { events: self.events, principals }.write_lines(&path)?;
        }
        Ok(path)
    }

    fn rule_file(&self, rules: usize) -> io::Result<PathBuf> {
        let mut text = String::new();
        for n in 0..rules {
            let separator = if n > 0 { "---\n" } else { "" };
            // Writing into a String cannot fail.
            let _infallible = write!(
                text,
                "{separator}title: Measured rule {n}\nname: BENCH-{n}\nlevel: high\nlogsource: {{product: aws, service: cloudtrail}}\n\
                 detection:\n  selection:\n    eventSource: service-{n}.amazonaws.com\n    eventName: [Delete{n}, Put{n}]\n  condition: selection\n"
            );
        }
        let path = self.folder.join(format!("rules-{rules}.yml"));
        std::fs::write(&path, text)?;
        Ok(path)
    }

    /// Runs the contenders in turn; ratios are to the first.
    fn compare(&self, what: &str, mut contenders: Vec<Contender>) -> io::Result<()> {
        if !what.contains(&*self.only) {
            return Ok(());
        }
        println!("\n{what}, {} events, {} rounds", self.events, self.rounds);
        let mut taken = vec![Vec::new(); contenders.len()];
        for round in 0..=self.rounds {
            for (contender, taken) in contenders.iter_mut().zip(&mut taken) {
                let one = run(&mut contender.command)?;
                // The first round warms the caches.
                if round > 0 {
                    taken.push(one);
                }
            }
        }
        let first = taken.first().cloned().unwrap_or_default();
        for (contender, taken) in contenders.iter().zip(&taken) {
            let [cpu, wall] = [Taken::cpu, Taken::wall].map(|of| median(taken.iter().map(of)));
            let paired = |of: fn(&Taken) -> f64| {
                median(taken.iter().zip(&first).map(|(one, first)| of(one) / of(first).max(0.01)))
            };
            let [cpu_ratio, wall_ratio] = [Taken::cpu, Taken::wall].map(paired);
            let peak = taken.iter().map(|one| one.peak_kib).max().unwrap_or(0) >> 10;
            let rate = f64::from(u32::try_from(self.events).unwrap_or(u32::MAX)) / cpu.max(0.01);
            println!(
                "  {:<20} {cpu:7.2} s processor  {cpu_ratio:5.2} x  {wall:7.2} s wall  {wall_ratio:5.2} x  {rate:9.0} events/s  {peak:5} MiB peak",
                contender.name
            );
        }
        Ok(())
    }
}

fn scan(name: &'static str, input: &Path, threads: usize, rules: Rules<'_>) -> Contender {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keywatch"));
    command.args(["scan", "--quiet", "--format", "ndjson", "--threads"]).arg(threads.to_string());
    if let Rules::Core | Rules::CoreAnd(_) = rules {
        let core = folder_of(input).join(CORE_FOLDER);
        command.arg("--no-shipped-rules").arg("--rules").arg(core);
    }
    if let Rules::CoreAnd(more) | Rules::ShippedAnd(more) = rules {
        command.arg("--rules").arg(more);
    }
    command.arg(input);
    Contender { name, command }
}

/// The folder an input lies in.
fn folder_of(input: &Path) -> &Path {
    input.parent().unwrap_or(input)
}

fn pass(name: &'static str, input: &Path) -> io::Result<Contender> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args([PASS, name]).arg(input);
    Ok(Contender { name, command })
}

fn run(command: &mut Command) -> io::Result<Taken> {
    let before = children_secs()?;
    let started = Instant::now();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
    let mut peak_kib = 0;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        peak_kib = peak_of(child.id()).unwrap_or(peak_kib);
        std::thread::park_timeout(Duration::from_millis(5));
    };
    assert!(status.success(), "{command:?} ended with {status}");
    let cpu_secs = children_secs()? - before;
    Ok(Taken { cpu_secs, wall_secs: started.elapsed().as_secs_f64(), peak_kib })
}

/// Processor time of all children so far: `cutime` and `cstime` of proc(5), whose unit is a
/// hundredth of a second on every Linux.
fn children_secs() -> io::Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after_name.split_whitespace().skip(13).take(2).filter_map(|field| field.parse::<u32>().ok());
    Ok(ticks.map(f64::from).sum::<f64>() / 100.0)
}

fn peak_of(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches("kB").trim().parse().ok()
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn yardstick(name: &str, input: &Path) -> io::Result<()> {
    let found = match name {
        "lean" => lean(input),
        "check" => check(input),
        "inflate" => inflate(input),
        other => Err(io::Error::other(format!("there is no yardstick `{other}`"))),
    }?;
    println!("{found}");
    Ok(())
}

fn each_line(input: &Path, mut take: impl FnMut(&[u8])) -> io::Result<()> {
    let mut reader = io::BufReader::with_capacity(1 << 20, std::fs::File::open(input)?);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        take(line.trim_ascii_end());
        line.clear();
    }
    Ok(())
}

/// Finds the fields in the order CloudTrail writes them, and counts reads and failures per
/// principal and addresses per principal.
fn lean(input: &Path) -> io::Result<u64> {
    const KEYS: [&str; 6] = [
        "\"sessionIssuer\":{\"type\":\"Role\",\"principalId\":\"",
        "\"arn\":\"",
        "\"eventTime\":\"",
        "\"eventName\":\"",
        "\"sourceIPAddress\":\"",
        "\"eventID\":\"",
    ];
    let finders = KEYS.map(memchr::memmem::Finder::new);
    let mut reads: HashMap<Vec<u8>, (u64, HashSet<Vec<u8>>)> = HashMap::new();
    let mut total = 0;
    each_line(input, |line| {
        let mut rest = line;
        let mut values: [&[u8]; 6] = [b""; 6];
        for ((finder, key), value) in finders.iter().zip(KEYS).zip(&mut values) {
            let Some(at) = finder.find(rest) else { continue };
            rest = rest.get(at + key.len()..).unwrap_or_default();
            *value = rest.get(..memchr::memchr(b'"', rest).unwrap_or(0)).unwrap_or_default();
        }
        let [_, arn, _, name, address, id] = values;
        total += id.len() as u64;
        if !reads.contains_key(arn) {
            reads.insert(arn.to_vec(), Default::default());
        }
        if let Some((count, addresses)) = reads.get_mut(arn) {
            *count += u64::from(name == b"GetSecretValue");
            if !addresses.contains(address) {
                addresses.insert(address.to_vec());
            }
        }
    })?;
    Ok(total + reads.values().map(|(count, addresses)| count + addresses.len() as u64).sum::<u64>())
}

fn check(input: &Path) -> io::Result<u64> {
    let nothing = Extractor::new([]);
    let mut records = 0;
    each_line(input, |line| {
        records += u64::from(nothing.read(line, &mut Fields::default()).is_ok());
    })?;
    Ok(records)
}

#[expect(clippy::disallowed_types, reason = "a yardstick for files made a moment before")]
fn inflate(input: &Path) -> io::Result<u64> {
    let mut decoder = libdeflater::Decompressor::new();
    let (mut text, mut bytes) = (Vec::new(), 0);
    for entry in std::fs::read_dir(input)? {
        let packed = std::fs::read(entry?.path())?;
        let size = packed.last_chunk::<4>().map_or(0, |size| u32::from_le_bytes(*size));
        text.resize(usize::try_from(size).unwrap_or(0), 0);
        bytes += decoder.gzip_decompress(&packed, &mut text).map_err(io::Error::other)? as u64;
    }
    Ok(bytes)
}
