//! Small parts of sentences: counts, lists and lengths of time.

/// `1 event`, `3 events`.
pub(crate) fn counted(count: u64, one: &str, many: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {many}") }
}

/// `a`, `a and b`, `a, b and c`.
pub(crate) fn listed(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

/// Seconds in the largest unit that divides them. What is long and uneven is told in the two
/// largest units, cut off.
pub(crate) fn spoken(secs: i64) -> String {
    match secs {
        s if s % 86_400 == 0 && s > 86_400 => format!("{} d", s / 86_400),
        s if s % 3600 == 0 => format!("{} h", s / 3600),
        s if s > 2 * 86_400 => format!("{} d {} h", s / 86_400, s % 86_400 / 3600),
        s if s > 2 * 3600 => format!("{} h {} min", s / 3600, s % 3600 / 60),
        s if s % 60 == 0 => format!("{} min", s / 60),
        s if s > 600 => format!("{} min", s / 60),
        s => format!("{s} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_told_as_people_say_them() {
        let told = [
            (1, "1 s"),
            (90, "90 s"),
            (601, "10 min"),
            (600, "10 min"),
            (3600, "1 h"),
            (86_400, "24 h"),
            (172_800, "2 d"),
            (111_660, "31 h 1 min"),
            (200_000, "2 d 7 h"),
        ];
        for (secs, words) in told {
            assert_eq!(spoken(secs), words, "{secs}");
        }
    }

    #[test]
    fn lists_and_counts_read_as_sentences() {
        let all = ["a", "b", "c"].map(str::to_owned);
        assert_eq!([0, 1, 2, 3].map(|n| listed(&all[..n])), ["", "a", "a and b", "a, b and c"]);
        assert_eq!([counted(1, "event", "events"), counted(0, "event", "events")], ["1 event", "0 events"]);
    }
}
