//! Configurations that nobody means well: whatever a file holds, reading it ends soon and says
//! something.

use super::describe::show;
use super::frame::Problems;
use super::layers::Layers;
use std::time::{Duration, Instant};

/// Longest that reading one file may take here, unoptimised and beside other tests.
const LIMIT: Duration = Duration::from_secs(20);

/// Reads a text as every command does; how many problems it has.
fn read(text: &str) -> usize {
    let problems = Problems::default();
    if let Some(reading) = Layers::of_text("f", text).reading(&problems) {
        let _shown = show(&reading.tree);
    }
    let found = problems.into_sorted();
    for problem in &found {
        assert!(!problem.to_string().is_empty());
    }
    found.len()
}

/// Pieces of which configurations are made, good and bad.
const PIECES: &[&str] = &[
    "sources",
    "receivers",
    "webhook",
    "url",
    "secret",
    "lists",
    "egress",
    "allow",
    "name",
    "files",
    "level",
    "planned_access",
    "to",
    ": ",
    ":\n",
    "\n",
    "\n  ",
    "\n    - ",
    "- ",
    "[",
    "]",
    "{",
    "}",
    ",",
    "\"",
    "'",
    "|",
    ">",
    "&a",
    "*a",
    "#",
    "!!binary",
    "---",
    "${",
    "$$",
    "${A:-b}",
    "~",
    "true",
    "1e999",
    "0x1F",
    "\t",
    "\u{0}",
    "-9223372036854775809",
    "\u{feff}",
    "\u{202e}",
    "\u{e9}",
    "? ",
    "<<: ",
    "%YAML 1.2\n",
    "2026-01-31",
    "env:A",
];

/// Texts tried; more with `KEYWATCH_HOSTILE_TEXTS`.
const TEXTS: u64 = 4000;

/// The same text for the same seed: pieces in any order.
fn text(seed: u64) -> String {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = |bound: usize| {
        // xorshift64* (Vigna 2016).
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        usize::try_from(state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).unwrap() % bound
    };
    let count = next(60);
    (0..count).map(|_| PIECES[next(PIECES.len())]).collect()
}

#[test]
fn no_text_ends_the_program() {
    let asked = super::environment("KEYWATCH_HOSTILE_TEXTS").and_then(|text| text.parse().ok());
    let mut refused = 0;
    for seed in 0..asked.unwrap_or(TEXTS) {
        refused += usize::from(read(&text(seed)) > 0);
    }
    assert!(refused > 1000, "{refused} texts were refused: these are no hostile texts");
}

#[track_caller]
fn check_bomb(text: &str) {
    let started = Instant::now();
    assert!(read(text) > 0);
    assert!(started.elapsed() < LIMIT, "{:?}", started.elapsed());
}

#[test]
fn a_file_that_expands_nests_or_never_ends_is_refused_soon() {
    let laughs = (1..30).map(|n| format!("a{n}: &a{n} [*a{0}, *a{0}]\n", n - 1)).collect::<Vec<_>>().concat();
    check_bomb(&format!("a0: &a0 lol\n{laughs}"));
    check_bomb(&"[".repeat(500_000));
    check_bomb(&"{a: ".repeat(200_000));
    check_bomb(&format!("{}x", "- ".repeat(300_000)));
    check_bomb(&"? ".repeat(300_000));
    check_bomb(&format!("sources: {}", "x".repeat(2 << 20)));
}

#[test]
fn a_large_file_is_read_soon() {
    let keys = (0..100_000).map(|n| format!("k{n}: 1\n")).collect::<Vec<_>>().concat();
    check_bomb(&keys);
    let receivers =
        (0..20_000).map(|n| format!("- {{name: r{n}, webhook: {{}}}}\n")).collect::<Vec<_>>().concat();
    check_bomb(&format!("receivers:\n{receivers}"));
    check_bomb(&format!("hosts: [\"{}\"]", "${A".repeat(200_000)));
}
