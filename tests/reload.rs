//! Another configuration takes over while the service works.

use crate::harness::logs::{vault_line, vault_stream};
use crate::harness::{Receiver, Service, Site, wait_until};
use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(30);

/// A receiver as the configuration names it.
fn named(name: &str, receiver: &Receiver, site: &Site, concurrency: usize) -> String {
    let (url, folder) = (receiver.url(), site.folder.path().display());
    format!(
        "  - name: {name}\n    concurrency: {concurrency}\n    webhook: {{url: \"{url}\", secret: {{source: file, path: {folder}/secret}}}}\n"
    )
}

/// Writes a configuration with these receivers.
fn configure(site: &Site, receivers: &[String]) {
    let folder = site.folder.path().display();
    let yaml = format!(
        "database: {folder}/keywatch.db\nlisten: 127.0.0.1:0\nsources:\n  - name: audit\n    files: [{folder}/logs]\n\
         receivers:\n{}egress: {{allow: [127.0.0.0/8], allow_http: true}}\n",
        receivers.concat()
    );
    std::fs::write(site.config(), yaml).expect("written");
}

/// Appends deletions, each an alert of its own.
fn delete(site: &Site, from: u64, count: u64) {
    let line = |n: u64| {
        let secs = i64::try_from(n).expect("small");
        vault_line(n, secs, &format!("eve{n}"), &format!("delete secret/data/db{n}"), None)
    };
    let lines: Vec<String> = (from..from + count).map(line).collect();
    let log = std::fs::OpenOptions::new().create(true).append(true).open(site.logs().join("audit.log"));
    log.and_then(|mut log| log.write_all(lines.concat().as_bytes())).expect("appended");
}

/// Deletions it was told of. That messages wait for a receiver that is gone is told as well.
fn told(receiver: &Receiver) -> usize {
    receiver.received().messages.iter().filter(|(_, body)| body.contains("KW-004")).count()
}

#[test]
fn receivers_come_change_and_go_while_alerts_are_sent_and_none_is_lost_or_sent_twice() {
    let (steady, changing, passing) =
        (Receiver::start(false), Receiver::start(false), Receiver::start(false));
    let site = Site::new(&steady);
    let receivers = |round: usize| {
        let mut all =
            vec![named("steady", &steady, &site, 4), named("changing", &changing, &site, 1 + round % 4)];
        if round % 2 == 1 {
            all.push(named("passing", &passing, &site, 4));
        }
        all
    };
    configure(&site, &receivers(0));
    let service = Service::start(&site.config());
    let (mut deletions, rounds) = (0, 8);
    for round in 1..=rounds {
        delete(&site, deletions, 15);
        deletions += 15;
        configure(&site, &receivers(round));
        service.reload();
        delete(&site, deletions, 15);
        deletions += 15;
        if round % 2 == 1 {
            // A deletion after the reload is told to the receiver that came with it.
            let before = told(&passing);
            wait_until("the new receiver hears something", LIMIT, || {
                delete(&site, deletions, 1);
                deletions += 1;
                std::thread::park_timeout(Duration::from_millis(100));
                told(&passing) > before
            });
        }
    }
    let wanted = usize::try_from(deletions).expect("small");
    wait_until("everything is told", LIMIT, || told(&steady) == wanted && told(&changing) == wanted);
    assert_eq!(service.stop(), Some(0));
    for receiver in [&steady, &changing, &passing] {
        let received = receiver.received();
        assert_eq!(received.requests, received.accepted.len() as u64, "a message came twice");
    }
    let totals = site.look(async |store| store.totals().await.expect("totals"));
    assert!(totals.alerts >= deletions, "{} alerts of {deletions} deletions", totals.alerts);
}

/// Writes a configuration with these sources: a name and the folder it follows.
fn configure_sources(site: &Site, receiver: &Receiver, sources: &[(&str, &str)]) {
    let folder = site.folder.path().display();
    let source = |(name, path): &(&str, &str)| format!("  - name: {name}\n    files: [{folder}/{path}]\n");
    let sources: String = sources.iter().map(source).collect();
    let yaml = format!(
        "database: {folder}/keywatch.db\nlisten: 127.0.0.1:0\nsources:\n{sources}receivers:\n{}\
         egress: {{allow: [127.0.0.0/8], allow_http: true}}\n",
        named("soc", receiver, site, 4)
    );
    std::fs::write(site.config(), yaml).expect("written");
}

/// Appends what happened to a file in `folder`.
fn read_in(site: &Site, folder: &str, from: u64, count: u64) {
    let lines = vault_stream(from, count);
    let path = site.folder.path().join(folder);
    std::fs::create_dir_all(&path).expect("made");
    let log = std::fs::OpenOptions::new().create(true).append(true).open(path.join("audit.log"));
    log.and_then(|mut log| log.write_all(lines.as_bytes())).expect("appended");
}

#[test]
fn sources_come_change_and_go_while_they_read_and_no_event_is_lost_or_stored_twice() {
    let receiver = Receiver::start(false);
    let site = Site::new(&receiver);
    for folder in ["a", "b", "c"] {
        read_in(&site, folder, 0, 0);
    }
    configure_sources(&site, &receiver, &[("one", "a"), ("two", "b")]);
    let service = Service::start(&site.config());
    let (address, cookie) = sign_in(&service.login_link);
    let mut written = 0;
    let mut write = |folders: &[&str]| {
        for folder in folders {
            read_in(&site, folder, written, 500);
            written += 500;
        }
        written
    };
    // What the second source follows changes, and changes back, while both have thousands to read.
    for round in 0..6 {
        write(&["a", "b", "c"]);
        let second = if round % 2 == 0 { "c" } else { "b" };
        configure_sources(&site, &receiver, &[("one", "a"), ("two", second)]);
        service.reload();
        let all = write(&["a"]);
        wait_until("the first source goes on", LIMIT, || stored(&address) >= all / 4);
    }
    // A new one reads what nobody reads any more, and one that is gone leaves the others alone.
    configure_sources(&site, &receiver, &[("one", "a"), ("two", "b"), ("three", "c")]);
    service.reload();
    let all = write(&["a", "b", "c"]);
    wait_until("everything is stored", LIMIT, || stored(&address) == all);
    configure_sources(&site, &receiver, &[("three", "c")]);
    service.reload();
    // The configuration is read beside the batches: until it took over, the first source reads on.
    wait_until("the others are gone", LIMIT, || {
        let page = get(&address, "/sources", &cookie);
        !page.contains(">one<") && !page.contains(">two<")
    });
    read_in(&site, "a", all, 10);
    read_in(&site, "c", all + 10, 10);
    wait_until("the one that stayed goes on", LIMIT, || stored(&address) == all + 10);
    let page = get(&address, "/sources", &cookie);
    assert!(page.contains("three") && !page.contains(">one<") && !page.contains(">two<"), "{page}");
    assert!(!page.contains("waiting for the next start"), "{page}");
    assert_eq!(service.stop(), Some(0));
    let totals = site.look(async |store| store.totals().await.expect("totals"));
    assert_eq!((totals.events, totals.rejects), (all + 10, 0));
}

/// Events in the database, as a running service counts them.
fn stored(address: &str) -> u64 {
    let figures = get(address, "/metrics", "");
    let line = figures.lines().find_map(|line| line.strip_prefix("keywatch_stored_events "));
    line.and_then(|count| count.trim().parse().ok()).expect("a count")
}

/// One request to the dashboard; status, headers and body as they came.
fn ask(address: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("the dashboard listens");
    stream.write_all(request.as_bytes()).expect("asked");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered");
    answer
}

fn get(address: &str, path: &str, cookie: &str) -> String {
    ask(
        address,
        &format!("GET {path} HTTP/1.1\r\nhost: {address}\r\ncookie: {cookie}\r\nconnection: close\r\n\r\n"),
    )
}

fn post(address: &str, path: &str, cookie: &str, form: &str) -> String {
    ask(
        address,
        &format!(
            "POST {path} HTTP/1.1\r\nhost: {address}\r\ncookie: {cookie}\r\nconnection: close\r\n\
             content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{form}",
            form.len()
        ),
    )
}

/// Signs in with the link; address and cookie.
fn sign_in(link: &str) -> (String, String) {
    let (_, rest) = link.split_once("://").expect("a link");
    let (address, path) = rest.split_once('/').expect("a path");
    let token = path.rsplit_once("token=").map_or(path, |(_, token)| token);
    let answer = post(address, "/login", "", &format!("token={token}"));
    let headers: HashMap<&str, &str> = answer.lines().filter_map(|line| line.split_once(": ")).collect();
    let cookie = headers.get("set-cookie").and_then(|cookie| cookie.split(';').next());
    (address.to_owned(), cookie.expect("a cookie").to_owned())
}

#[test]
fn a_mistake_changes_nothing_and_the_page_says_what_it_is_until_the_button_reloads() {
    let receiver = Receiver::start(false);
    let site = Site::new(&receiver);
    let service = Service::start(&site.config());
    let (address, cookie) = sign_in(&service.login_link);
    let good = std::fs::read_to_string(site.config()).expect("read");

    std::fs::write(site.config(), good.replace("webhook:", "webhok:") + "lisen: 1\n").expect("written");
    service.reload();
    wait_until("the page tells of the mistakes", LIMIT, || {
        get(&address, "/", &cookie).contains("was not reloaded")
    });
    let page = get(&address, "/", &cookie);
    assert!(page.contains("unknown key `webhok`") && page.contains("unknown key `lisen`"), "{page}");
    delete(&site, 0, 1);
    wait_until("the old receiver is told", LIMIT, || told(&receiver) == 1);

    // So is a file that is just being written over.
    std::fs::write(site.config(), "\n").expect("written");
    service.reload();
    wait_until("the page tells of the empty file", LIMIT, || {
        get(&address, "/", &cookie).contains("the file is empty")
    });

    // And a secret that is gone.
    std::fs::write(site.config(), good.replace("/secret}", "/secret-that-is-gone}")).expect("written");
    service.reload();
    wait_until("the page tells of the secret", LIMIT, || {
        get(&address, "/", &cookie).contains("secret-that-is-gone")
    });

    std::fs::write(site.config(), good.replace("listen: 127.0.0.1:0", "listen: 127.0.0.1:1"))
        .expect("written");
    let page = get(&address, "/rules", &cookie);
    let (_, rest) = page.split_once("name=\"csrf\" value=\"").expect("a token");
    let token = rest.split('"').next().expect("a token");
    assert!(post(&address, "/reload", &cookie, "csrf=forged").starts_with("HTTP/1.1 403"));
    assert!(post(&address, "/reload", &cookie, &format!("csrf={token}")).starts_with("HTTP/1.1 303"));
    let page = get(&address, "/rules", &cookie);
    assert!(!page.contains("was not reloaded"), "{page}");
    assert!(page.contains("waiting for the next start:</strong> listen"), "{page}");
    delete(&site, 1, 1);
    wait_until("the receiver is told", LIMIT, || told(&receiver) == 2);
    assert_eq!(service.stop(), Some(0));
}
