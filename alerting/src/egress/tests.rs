//! The table of addresses a webhook must never reach, and the ways around it people try.

use super::*;
use reqwest::dns::Resolve;
use std::collections::VecDeque;
use std::sync::Mutex;

/// Answers in turn; the last answer stays.
struct Script(Mutex<VecDeque<Vec<IpAddr>>>);

impl Lookup for Script {
    fn lookup(&self, _host: String) -> Resolved {
        let mut answers = self.0.lock().unwrap();
        let last = answers.len() == 1;
        let answer = if last { answers.front().cloned() } else { answers.pop_front() };
        Box::pin(async move { Ok(answer.unwrap_or_default()) })
    }
}

fn egress(policy: EgressPolicy, answers: &[&[&str]]) -> Egress {
    let parse = |texts: &&[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
    Egress::with_lookup(policy, Arc::new(Script(Mutex::new(answers.iter().map(parse).collect()))))
}

fn policy(allow: &[&str], allow_http: bool) -> EgressPolicy {
    EgressPolicy { allow: allow.iter().map(|net| net.parse().unwrap()).collect(), allow_http }
}

fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

const SPECIAL: &[&str] = &[
    "127.0.0.1",
    "127.255.255.255",
    "0.0.0.0",
    "::1",
    "::",
    "10.0.0.1",
    "10.255.255.254",
    "172.16.0.1",
    "172.31.255.254",
    "192.168.0.1",
    "192.168.255.254",
    "100.64.0.1",
    "100.127.255.254",
    "169.254.169.254",
    "fe80::1",
    "fc00::1",
    "fd00:ec2::254",
    "255.255.255.255",
    "224.0.0.1",
    "239.1.1.1",
    "ff02::2",
    "::ffff:127.0.0.1",
    "::ffff:203.0.113.9",
    "64:ff9b::a00:1",
    "2002:a00:1::1",
    "2001::1",
    "2001:0:a00::1",
    "168.63.129.16",
];
const PUBLIC: &[&str] = &["100.63.255.254", "100.128.0.1", "1.1.1.1", "2606:4700:4700::1111"];

/// The host as it stands in a URL.
fn bracketed(address: &str) -> String {
    if address.contains(':') { format!("[{address}]") } else { address.to_owned() }
}

#[tokio::test]
async fn no_special_address_is_reached_whether_written_or_resolved() {
    for address in SPECIAL {
        let written = url(&format!("https://{}/hook", bracketed(address)));
        assert!(!EgressPolicy::default().check_url(&written).is_empty(), "{address} as a literal");
        let named =
            egress(EgressPolicy::default(), &[&[address]]).check(&url("https://hooks.example/")).await;
        assert!(matches!(named, Err(Refusal::Special { .. })), "{address} by name: {named:?}");
    }
    for address in PUBLIC {
        let written = url(&format!("https://{}/hook", bracketed(address)));
        assert_eq!(EgressPolicy::default().check_url(&written), [], "{address} as a literal");
        let named =
            egress(EgressPolicy::default(), &[&[address]]).check(&url("https://hooks.example/")).await;
        assert_eq!(named, Ok(vec![address.parse().unwrap()]), "{address} by name");
    }
}

#[test]
fn odd_notations_of_an_address_are_seen_through() {
    for text in [
        "https://2130706433/",
        "https://0x7f.1/",
        "https://0177.0.0.1/",
        "https://0x7f000001/",
        "https://127.1/",
        "https://127.0.0.1./",
        "https://127.0.0.1#@ok.example/",
        "https://127.0.0.1\\@ok.example/",
        "https://[::ffff:7f00:1]/",
        "https://①②⑦.0.0.1/",
    ] {
        let refusals = EgressPolicy::default().check_url(&url(text));
        assert!(refusals.iter().any(|r| matches!(r, Refusal::Special { .. })), "{text}: {refusals:?}");
    }
}

#[test]
fn user_names_other_schemes_and_other_ports_are_refused() {
    let none = EgressPolicy::default();
    let host = || "hooks.example".to_owned();
    for (text, want) in [
        ("https://hooks.example/", vec![]),
        ("https://hooks.example:443/", vec![]),
        ("https://a@hooks.example/", vec![Refusal::Userinfo { host: host() }]),
        ("https://:p@hooks.example/", vec![Refusal::Userinfo { host: host() }]),
        ("http://hooks.example/", vec![Refusal::Plain { host: host() }]),
        ("https://hooks.example:8443/", vec![Refusal::Port { host: host(), port: 8443 }]),
        ("ftp://hooks.example/", vec![Refusal::Scheme("ftp".to_owned())]),
        ("file:///etc/passwd", vec![Refusal::Scheme("file".to_owned())]),
        ("data:,x", vec![Refusal::Scheme("data".to_owned())]),
    ] {
        assert_eq!(none.check_url(&url(text)), want, "{text}");
    }
    assert_eq!(none.check_url(&url("http://a@127.0.0.1")).len(), 3, "every problem is named");
}

#[tokio::test]
async fn a_name_with_one_private_address_among_public_ones_is_refused() {
    let mixed = egress(EgressPolicy::default(), &[&["1.1.1.1", "10.0.0.7"]]);
    let refused = mixed.check(&url("https://hooks.example/")).await.unwrap_err();
    assert!(refused.to_string().contains("10.0.0.7"), "{refused}");
    let nothing = egress(EgressPolicy::default(), &[&[]]).check(&url("https://hooks.example/")).await;
    assert_eq!(nothing, Err(Refusal::NoAddress { host: "hooks.example".to_owned() }));
}

#[tokio::test]
async fn a_listed_network_is_reached_on_any_port_and_only_it() {
    let listed = policy(&["10.1.0.0/16"], false);
    for (answers, text, allowed) in [
        (&["10.1.2.3"], "https://siem.internal.example:8443/", true),
        (&["::ffff:10.1.2.3"], "https://siem.internal.example/", true),
        (&["10.2.0.1"], "https://siem.internal.example/", false),
        (&["1.1.1.1"], "https://hooks.example/", true),
        (&["1.1.1.1"], "https://hooks.example:8443/", false),
        (&["10.1.2.3"], "http://siem.internal.example/", false),
    ] {
        let got = egress(listed.clone(), &[answers]).check(&url(text)).await;
        assert_eq!(got.is_ok(), allowed, "{answers:?} {text}: {got:?}");
    }
}

#[tokio::test]
async fn plain_http_is_for_listed_networks_only() {
    let listed = policy(&["10.1.0.0/16"], true);
    for (address, allowed) in [("10.1.2.3", true), ("10.2.0.1", false), ("1.1.1.1", false)] {
        let got = egress(listed.clone(), &[&[address]]).check(&url("http://siem.internal.example/")).await;
        assert_eq!(got.is_ok(), allowed, "{address}: {got:?}");
    }
    assert!(!policy(&[], true).check_url(&url("http://hooks.example/")).is_empty(), "nothing is listed");
}

#[tokio::test]
async fn a_name_that_changes_between_check_and_dial_is_refused_when_dialled() {
    let rebinding = egress(EgressPolicy::default(), &[&["1.1.1.1"], &["169.254.169.254"]]);
    let target = url("https://hooks.example/");
    assert!(rebinding.check(&target).await.is_ok(), "at configuration it looks fine");
    let dialled = rebinding.resolver_for(&target).resolve("hooks.example".parse().unwrap()).await;
    let error = dialled.err().expect("the second answer must not be dialled");
    assert!(error.to_string().contains("169.254.169.254"), "{error}");
}

#[tokio::test]
async fn the_dialled_addresses_are_the_checked_ones_and_of_this_host_only() {
    let once = egress(EgressPolicy::default(), &[&["1.1.1.1"], &["10.0.0.1"]]);
    let resolver = once.resolver_for(&url("https://hooks.example/"));
    let dialled = resolver
        .resolve("hooks.example".parse().unwrap())
        .await
        .map_err(|e| e.to_string())
        .map(Iterator::collect::<Vec<_>>);
    assert_eq!(dialled, Ok(vec!["1.1.1.1:0".parse().unwrap()]));
    assert!(resolver.resolve("other.example".parse().unwrap()).await.is_err());
}

#[tokio::test]
async fn mail_goes_to_mail_ports_encrypted_and_unencrypted_only_to_this_machine() {
    let local = policy(&["127.0.0.0/8", "10.0.0.0/8"], false);
    for (policy, address, port, plain, allowed) in [
        (EgressPolicy::default(), "1.1.1.1", 587, false, true),
        (EgressPolicy::default(), "1.1.1.1", 465, false, true),
        (EgressPolicy::default(), "1.1.1.1", 443, false, false),
        (EgressPolicy::default(), "1.1.1.1", 587, true, false),
        (EgressPolicy::default(), "127.0.0.1", 25, true, false),
        (EgressPolicy::default(), "169.254.169.254", 587, false, false),
        (local.clone(), "127.0.0.1", 8025, true, true),
        (local.clone(), "10.0.0.1", 8025, false, true),
        (local.clone(), "10.0.0.1", 25, true, false),
        (local.clone(), "1.1.1.1", 8025, false, false),
        (local, "192.168.0.1", 587, false, false),
    ] {
        let named = egress(policy.clone(), &[&[address]]).check_mail("mail.example", port, plain).await;
        assert_eq!(named.is_ok(), allowed, "{address}:{port} plain={plain} by name: {named:?}");
        let written = Egress::new(policy).check_mail(address, port, plain).await;
        assert_eq!(written.is_ok(), allowed, "{address}:{port} plain={plain} as an address: {written:?}");
    }
    let mixed = egress(EgressPolicy::default(), &[&["1.1.1.1", "10.0.0.7"]]);
    assert!(
        mixed.check_mail("mail.example", 587, false).await.is_err(),
        "a private address among public ones"
    );
}
