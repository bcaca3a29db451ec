//! The splitter against sentences, and against itself fed in every way.

use super::*;
use proptest::prelude::*;

/// One cut in owned form: what, text, line, ordinal.
type Seen = (&'static str, String, u64, u32);

fn seen(cut: &Cut<'_>) -> Seen {
    let (what, bytes) = match &cut.what {
        What::Document(bytes) => ("document", *bytes),
        What::Broken(reason, bytes) => (reason.kind(), *bytes),
        What::EmptyList => ("empty", &b""[..]),
    };
    (what, String::from_utf8_lossy(bytes).into_owned(), cut.line, cut.ordinal)
}

fn split(text: &[u8], step: usize) -> Vec<Seen> {
    drive(Splitter::new(), text, step)
}

fn drive(mut splitter: Splitter, text: &[u8], step: usize) -> Vec<Seen> {
    let mut all = Vec::new();
    for chunk in text.chunks(step) {
        splitter.feed(chunk);
        while let Some(cut) = splitter.cut() {
            all.push(seen(&cut));
        }
    }
    splitter.finish();
    while let Some(cut) = splitter.cut() {
        all.push(seen(&cut));
    }
    assert_eq!(splitter.safe().0, text.len() as u64, "all of it was taken");
    all
}

#[track_caller]
fn check(text: &str, want: &[(&'static str, &str, u64, u32)]) {
    let want: Vec<Seen> =
        want.iter().map(|(what, text, line, ordinal)| (*what, (*text).to_owned(), *line, *ordinal)).collect();
    for step in 1..=text.len().max(1) {
        assert_eq!(split(text.as_bytes(), step), want, "{text:?} in steps of {step}");
    }
}

#[test]
fn lines_are_documents() {
    check("", &[]);
    check("\n \r\n\0\0\n", &[]);
    check("{\"a\":1}\n{\"b\":2}", &[("document", "{\"a\":1}", 1, 0), ("document", "{\"b\":2}", 2, 0)]);
    check(
        "\u{feff}{\"a\":1}\r\n\r\n{\"b\":2}\r\n",
        &[("document", "{\"a\":1}", 1, 0), ("document", "{\"b\":2}", 3, 0)],
    );
    check("\0\0\0{\"a\":1}\0\0\n", &[("document", "{\"a\":1}", 1, 0)]);
    check(
        "@cee: {\"a\":1} \r\n[INFO] up\n",
        &[("document", "@cee: {\"a\":1}", 1, 0), ("document", "[INFO] up", 2, 0)],
    );
}

#[test]
fn a_value_may_take_many_lines() {
    check(
        "{\n  \"a\": {\n    \"b\": []\n  }\n}\n{ \"c\": 1\n}\n",
        &[("document", "{\n  \"a\": {\n    \"b\": []\n  }\n}", 1, 0), ("document", "{ \"c\": 1\n}", 6, 0)],
    );
}

#[test]
fn values_on_one_line_are_numbered() {
    check(
        "{\"a\":1}{\"b\":2} {\"c\":3}\n{\"d\":4}",
        &[
            ("document", "{\"a\":1}", 1, 1),
            ("document", "{\"b\":2}", 1, 2),
            ("document", "{\"c\":3}", 1, 3),
            ("document", "{\"d\":4}", 2, 0),
        ],
    );
}

#[test]
fn lists_give_out_their_members() {
    let members = [("document", "{\"a\":1}", 1, 1), ("document", "{\"b\":[2]}", 1, 2)];
    for text in [
        "[{\"a\":1},{\"b\":[2]}]",
        "[\n  {\"a\":1},\n  {\"b\":[2]}\n]\n",
        "{\"Records\":[{\"a\":1},{\"b\":[2]}]}",
        "{ \"records\" : [ {\"a\":1} , {\"b\":[2]} ] }\n",
        "{\"Events\":[{\"a\":1},{\"b\":[2]}],\"NextToken\":\"x]}\"}",
        "{\"entries\":[{\"a\":1}],\"n\":{\"m\":[1]},\"records\":[{\"b\":[2]}], \"t\": 5 }",
    ] {
        check(text, &members);
    }
    check("[]{\"Records\":[]}\n", &[("empty", "", 1, 0), ("empty", "", 1, 2)]);
    check("[1,\"x\",{}]", &[("document", "[1,\"x\",{}]", 1, 0)]);
    check("[\"x\",1]", &[("document", "\"x\"", 1, 1), ("document", "1", 1, 2)]);
}

#[test]
fn an_object_is_a_list_only_by_its_own_first_key() {
    for text in [
        "{\"Recordsx\":[{}]}",
        "{\"Records\":{}}",
        "{\"Records\":1}",
        "{\"a\":{\"Records\":[{}]}}",
        "{\"Rec\":[]}",
    ] {
        check(text, &[("document", text, 1, 0)]);
    }
}

#[test]
fn a_torn_line_costs_one_line() {
    let good = ("document", "{\"z\":1}", 2, 0);
    for torn in [
        "{\"a\":\"x",
        "{\"a\":1",
        "{\"a\":1,",
        "{\"a\":",
        "{\"a\"",
        "{",
        "{\"a\":[{\"b\":1},",
        "{\"a\":1]",
        "@cee: {\"a",
    ] {
        check(
            &format!("{torn}\n{{\"z\":1}}\n{{\"y\":2}}\n"),
            &[("document", torn, 1, 0), good, ("document", "{\"y\":2}", 3, 0)],
        );
    }
    check("{\"z\":0}\n{\"a\":1,\n", &[("document", "{\"z\":0}", 1, 0), ("document", "{\"a\":1,", 2, 0)]);
}

#[test]
fn a_list_that_breaks_off_keeps_its_members_and_sets_the_rest_aside() {
    check(
        "{\"Records\":[{\"a\":1},{\"b\":\"",
        &[("document", "{\"a\":1}", 1, 1), ("syntax", "{\"b\":\"", 1, 2)],
    );
    check("[{\"a\":1},", &[("document", "{\"a\":1}", 1, 1), ("syntax", "", 1, 2)]);
    check(
        "{\"Records\":[{\"a\":1},{\"b\":\"x\n{\"c\":3}\n",
        &[("document", "{\"a\":1}", 1, 1), ("syntax", "{\"b\":\"x", 1, 2), ("document", "{\"c\":3}", 2, 0)],
    );
    check(
        "[{\"a\":1}}]\n{\"c\":3}",
        &[("document", "{\"a\":1}", 1, 1), ("syntax", "}]", 1, 2), ("document", "{\"c\":3}", 2, 0)],
    );
    check(
        "{\"t\":1,\"Records\":[{\"a\":1},{\"b\"",
        &[("document", "{\"a\":1}", 1, 1), ("syntax", "{\"b\"", 1, 2)],
    );
    check(
        "{\"t\":1,\"Records\":[{\"a\":1},{\"b\":\"x\n{\"c\":3}\n",
        &[("document", "{\"a\":1}", 1, 1), ("syntax", "{\"b\":\"x", 1, 2), ("document", "{\"c\":3}", 2, 0)],
    );
}

#[test]
fn a_document_with_more_on_its_line_keeps_both() {
    check("{\"a\":1} tail\n", &[("document", "{\"a\":1}", 1, 1), ("document", "tail", 1, 2)]);
    check("{\"a\":1},\n{\"b\":2},\n", &[("document", "{\"a\":1}", 1, 0), ("document", "{\"b\":2}", 2, 0)]);
}

#[test]
fn bytes_that_are_no_text_pass_as_they_are() {
    let text = b"{\"a\":\"\xff\xfe\"}\n\xef\xbb\n";
    let got = split(text, 3);
    assert_eq!(got.len(), 2);
    assert_eq!((got[0].0, got[1].2), ("document", 2));
}

#[test]
fn a_complete_value_of_a_growing_stream_is_given_out_before_its_line_ends() {
    let mut splitter = Splitter::following(100, 7);
    splitter.feed(b"{\"a\":1}");
    assert_eq!(seen(&splitter.cut().unwrap()), ("document", "{\"a\":1}".to_owned(), 7, 0));
    assert_eq!(splitter.safe(), (107, 7));
    assert_eq!(splitter.before_safe(), b"{\"a\":1}");
    splitter.feed(b"\n{\"b\":");
    assert_eq!(splitter.cut(), None);
    assert_eq!(splitter.safe(), (108, 8));
    splitter.feed(b"2}\n");
    assert_eq!(seen(&splitter.cut().unwrap()), ("document", "{\"b\":2}".to_owned(), 8, 0));
}

#[test]
fn a_list_is_no_place_to_go_on_from_until_it_ends() {
    let mut splitter = Splitter::following(0, 1);
    splitter.feed(b"{\"x\":1}\n[{\"a\":1},");
    let count = std::iter::from_fn(|| splitter.cut().map(|cut| cut.ordinal)).count();
    assert_eq!((count, splitter.safe()), (2, (8, 2)));
    splitter.feed(b"{\"b\":2}\n]\n");
    assert_eq!(splitter.cut().map(|cut| cut.ordinal), Some(2));
    assert!(splitter.cut().is_none());
    assert_eq!(splitter.safe(), (27, 4));
}

/// The same with a record of 32 bytes as the largest, in parts of 8.
#[track_caller]
fn check_small(text: &str, want: &[(&'static str, &str, u64, u32)]) {
    let limits = Limits { record: 32, part: 8, wrapper: 20 };
    let want: Vec<Seen> =
        want.iter().map(|(what, text, line, ordinal)| (*what, (*text).to_owned(), *line, *ordinal)).collect();
    for step in 1..=text.len() {
        let splitter = Splitter::with(Cutter::new(1, false, limits), (0, 1));
        assert_eq!(drive(splitter, text.as_bytes(), step), want, "{text:?} in steps of {step}");
    }
}

fn parts(text: &str, line: u64, ordinal: u32) -> Vec<(&'static str, &str, u64, u32)> {
    let mut all = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (part, after) = rest.split_at(rest.len().min(8));
        all.push(("oversize", part, line, ordinal));
        rest = after;
    }
    all
}

#[test]
fn a_record_up_to_the_limit_is_read() {
    let longest = format!("{{\"a\":\"{}\"}}", "x".repeat(24));
    check_small(&format!("{longest}\n{{}}\n"), &[("document", &longest, 1, 0), ("document", "{}", 2, 0)]);
}

#[test]
fn a_longer_line_is_set_aside_in_parts_and_the_next_line_is_read() {
    for length in 27..60 {
        let filler = "x".repeat(length);
        let after = ("document", "{}", 2, 0);
        for line in [
            format!("{{\"a\":\"{filler}\"}}"),
            format!("{{\"a\":\"{filler}"),
            format!("text {filler}..."),
            format!("{{\"a\":{{{filler}"),
        ] {
            let mut want = parts(&line, 1, 1);
            want.push(after);
            check_small(&format!("{line}\n{{}}\n"), &want);
        }
    }
}

#[test]
fn what_follows_an_oversize_value_on_its_line_is_read() {
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(40));
    let mut want = parts(&long, 1, 1);
    want.push(("document", "{\"b\":1}", 1, 2));
    check_small(&format!("{long}{{\"b\":1}}\n"), &want);
}

#[test]
fn an_oversize_member_of_a_list_costs_that_member_alone() {
    for long in [format!("{{\"b\":\"{}\"}}", "x".repeat(40)), format!("[[{}]]", "1,".repeat(20))] {
        let mut want = vec![("document", "{\"a\":1}", 1, 1)];
        want.extend(parts(&long, 1, 2));
        want.extend([("document", "{\"c\":3}", 1, 3), ("document", "{}", 2, 0)]);
        check_small(&format!("{{\"Records\":[{{\"a\":1}},{long},{{\"c\":3}}]}}\n{{}}\n"), &want);
    }
}

#[test]
fn a_wrapper_is_recognised_by_a_later_member_when_it_is_long() {
    let text = "{\"t\":1,\"Records\":[{\"a\":1},{\"b\":2},{\"c\":3}]}\n";
    let numbered = |text, ordinal| ("document", text, 1, ordinal);
    check_small("{\"t\":1,\"Records\":[]    }", &[("empty", "", 1, 0)]);
    check_small(text, &[numbered("{\"a\":1}", 1), numbered("{\"b\":2}", 2), numbered("{\"c\":3}", 3)]);
}

#[test]
fn a_line_of_a_hundred_megabytes_needs_bounded_memory_and_loses_no_byte() {
    const CHUNK: usize = 1 << 20;
    let (mut splitter, mut cuts, mut largest) = (Splitter::new(), Vec::new(), 0);
    let chunk = vec![b'x'; CHUNK];
    for number in 0..=100 {
        splitter.feed(if number < 100 { &chunk } else { b"\n{}\n" });
        while let Some(cut) = splitter.cut() {
            let bytes = match cut.what {
                What::Document(bytes) | What::Broken(_, bytes) => bytes.len(),
                What::EmptyList => 0,
            };
            cuts.push((bytes, cut.line));
        }
        largest = splitter.buffer.len().max(largest);
    }
    let mut want = vec![(PART_BYTES_MAX, 1); 6];
    want.extend([(100 * CHUNK - 6 * PART_BYTES_MAX, 1), (2, 2)]);
    assert_eq!(cuts, want);
    assert!(largest <= 2 * RECORD_BYTES_MAX, "{largest}");
    splitter.feed(b"{}\n");
    assert!(splitter.buffer.len() <= BUFFER_BYTES_MAX, "the memory is given back: {}", splitter.buffer.len());
}

#[test]
fn a_list_on_one_line_needs_the_memory_of_a_record() {
    let chunk = format!("{{\"a\":\"{}\"}},", "y".repeat(1400)).repeat(100);
    let (mut splitter, mut count, mut largest) = (Splitter::new(), 0, 0);
    splitter.feed(b"{\"n\":1,\"Records\":[");
    for _ in 0..200 {
        splitter.feed(chunk.as_bytes());
        while splitter.cut().is_some() {
            count += 1;
        }
        largest = splitter.buffer.len().max(largest);
    }
    assert_eq!(count, 20_000);
    assert!(largest <= 4 << 20, "{largest}");
}

fn fragment() -> impl Strategy<Value = String> {
    let tokens = [
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\\",
        "\n",
        " ",
        "\0",
        "a",
        "1",
        "{\"a\":1}",
        "{\"a\":\"x\\\"{\"}",
        "\"Records\":[",
        "{\"Records\":[",
        "[{",
        "\r\n",
        "{}",
        "},\n{",
        "\"k\":",
        "null",
        "\u{feff}",
        "é",
        "<13>vault: {\"t\":{}}\n",
    ];
    prop::sample::select(tokens.to_vec()).prop_map(str::to_owned)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_cuts_do_not_depend_on_how_the_bytes_come(
        tokens in prop::collection::vec(fragment(), 0..40),
        steps in prop::collection::vec(1_usize..70, 1..4),
    ) {
        let text = tokens.concat();
        let whole = split(text.as_bytes(), text.len().max(1));
        for step in steps {
            prop_assert_eq!(&split(text.as_bytes(), step), &whole, "{:?} in steps of {}", text, step);
        }
    }

    #[test]
    fn every_letter_comes_out_again(tokens in prop::collection::vec(fragment(), 0..40)) {
        let text = tokens.concat();
        let letters = |text: &str| text.chars().filter(|c| matches!(c, 'a' | 'x' | 'é' | 't')).count();
        let cuts = split(text.as_bytes(), 7);
        let inside: usize = cuts.iter().map(|cut| letters(&cut.1)).sum();
        // Only the members of a wrapper beside its list are passed over.
        if !text.contains("Records") {
            prop_assert_eq!(inside, letters(&text), "{:?} gave {:?}", text, cuts);
        }
    }

    #[test]
    fn valid_lines_come_out_as_they_went_in(
        values in prop::collection::vec((any::<i32>(), "[ -~]{0,80}"), 1..20),
        step in 1_usize..200,
    ) {
        let lines: Vec<String> = values.iter().map(|(n, s)| serde_json::json!({"n": n, "s": s, "o": [{"k": s}]}).to_string()).collect();
        let got: Vec<String> = split(lines.join("\n").as_bytes(), step).into_iter().map(|cut| cut.1).collect();
        prop_assert_eq!(&got, &lines);
        let list = format!("{{\"Records\":[{}]}}", lines.join(","));
        let got: Vec<String> = split(list.as_bytes(), step).into_iter().map(|cut| cut.1).collect();
        prop_assert_eq!(&got, &lines);
    }
}
