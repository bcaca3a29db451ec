//! Probes, figures and log lines of the running program.

use crate::harness::browser::Browser;
use crate::harness::logs::{vault_line, vault_stream};
use crate::harness::{Receiver, Service, Site, wait_until};
use std::time::Duration;

#[test]
fn figures_tell_what_was_stored_and_told() {
    let receiver = Receiver::start(false);
    let site = Site::new(&receiver);
    std::fs::write(site.logs().join("audit.log"), vault_stream(0, 50) + "no record\n").expect("written");
    let service = Service::start(&site.config());
    let browser = Browser::sign_in(&service.login_link);
    let has = |line: &str| browser.page("/metrics").lines().any(|said| said.starts_with(line));
    for line in [
        "keywatch_events_total{provider=\"vault\",level=\"",
        "keywatch_rejects_total{source=\"audit\",kind=\"syntax\"} 1",
        "keywatch_alerts_total{rule=\"KW-",
        "keywatch_attempts_total{receiver=\"soc\",outcome=\"accepted\"} ",
        "keywatch_attempt_seconds_bucket{receiver=\"soc\",le=\"0.005\"} ",
        "keywatch_batch_seconds_count ",
        "keywatch_stored_events 50",
        "keywatch_source_lag_seconds{source=\"audit\"} ",
        "keywatch_configuration_loaded 1",
        "keywatch_build_info{version=\"",
    ] {
        wait_until(line, Duration::from_secs(20), || has(line));
    }
    assert!(browser.page("/readyz").ends_with("ready"));
}

#[test]
fn a_reload_that_fails_makes_it_not_ready_and_one_that_succeeds_ready_again() {
    let receiver = Receiver::start(false);
    let site = Site::new(&receiver);
    let rule = site.path("rule.yml");
    let good = "title: T\nname: T-1\nlogsource: {product: keywatch, category: audit}\n\
                detection: {s: {class: secret.read}, condition: s}\nlevel: low\n";
    std::fs::write(&rule, good).expect("written");
    site.configure(&format!("rules: [{}]\n", rule.display()));
    let service = Service::start(&site.config());
    let browser = Browser::sign_in(&service.login_link);
    assert!(browser.page("/readyz").starts_with("HTTP/1.1 200"));
    std::fs::write(&rule, "title: T\nlevel: nonsense\n").expect("written");
    service.reload();
    wait_until("it is not ready", Duration::from_secs(20), || {
        browser.page("/readyz").starts_with("HTTP/1.1 503")
    });
    assert!(browser.page("/readyz").contains("the last reload"));
    assert!(browser.page("/healthz").ends_with("ok"), "it is alive, and must not be restarted");
    std::fs::write(&rule, good).expect("written");
    service.reload();
    wait_until("it is ready", Duration::from_secs(20), || {
        browser.page("/readyz").starts_with("HTTP/1.1 200")
    });
    let figures = browser.page("/metrics");
    assert!(figures.contains("keywatch_reloads_total{outcome=\"failed\"} 1"), "{figures}");
}

#[test]
fn figures_are_also_read_at_an_address_of_their_own_where_nothing_else_is() {
    let receiver = Receiver::start(false);
    let site = Site::new(&receiver);
    let port =
        std::net::TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("a port").port();
    site.configure(&format!("metrics: {{listen: \"127.0.0.1:{port}\"}}\n"));
    let service = Service::start(&site.config());
    let at = Browser::at(&format!("127.0.0.1:{port}"));
    assert!(at.page("/metrics").contains("keywatch_build_info{"), "{}", at.page("/metrics"));
    assert!(at.page("/readyz").ends_with("ready") && at.page("/healthz").ends_with("ok"));
    for path in ["/", "/login", "/events"] {
        assert!(at.page(path).starts_with("HTTP/1.1 404"), "{}", at.page(path));
    }
    assert_eq!(service.stop(), Some(0));
}

#[test]
fn the_page_and_the_figures_tell_of_secrets_that_are_gone() {
    let receiver = Receiver::start(false);
    let site = Site::new(&receiver);
    site.configure("secret_manager: {ttl: 10s, stale_for: 0s}\n");
    let service = Service::start(&site.config());
    let browser = Browser::sign_in(&service.login_link);
    let secret = site.path("secret").display().to_string();
    let line = |name: &str, value: u8| format!("{name}{{secret=\"file:{secret}\"}} {value}\n");
    assert!(browser.page("/metrics").contains(&line("keywatch_secret_usable", 1)));
    assert!(browser.page("/sources").contains("in use"), "{}", browser.page("/sources"));
    std::fs::remove_file(&secret).expect("removed");
    // The next deletion is told with a secret that is asked for anew when its time is over.
    let mut n = 0;
    wait_until("the secret is missed", Duration::from_secs(40), || {
        n += 1;
        let log = std::fs::OpenOptions::new().create(true).append(true).open(site.logs().join("audit.log"));
        let line = vault_line(
            n,
            60 * i64::try_from(n).expect("small"),
            &format!("eve{n}"),
            &format!("delete secret/data/s{n}"),
            None,
        );
        std::io::Write::write_all(&mut log.expect("a log"), line.as_bytes()).expect("logged");
        std::thread::park_timeout(Duration::from_millis(200));
        browser.page("/metrics").contains(&format!("keywatch_secret_failing{{secret=\"file:{secret}\"}} 1\n"))
    });
    assert!(browser.page("/sources").contains("there is no such file"), "{}", browser.page("/sources"));
    assert_eq!(service.stop(), Some(0));
}

#[test]
fn log_lines_are_json_when_asked_and_no_file_name_makes_two_of_one() {
    for format in ["json", "text"] {
        let receiver = Receiver::start(false);
        let site = Site::new(&receiver);
        site.configure(&format!("log: {{format: {format}}}\n"));
        // The follower tells of a file that shrank, and names it.
        let hostile = site.logs().join("a\nb\u{1b}[31m.log");
        std::fs::write(&hostile, vault_stream(0, 20)).expect("written");
        let service = Service::start(&site.config());
        let browser = Browser::sign_in(&service.login_link);
        let stored = |n: &str| browser.page("/metrics").contains(&format!("keywatch_stored_events {n}\n"));
        wait_until("the file is read", Duration::from_secs(20), || stored("20"));
        std::fs::write(&hostile, vault_stream(20, 3)).expect("written");
        wait_until("the change is told", Duration::from_secs(30), || service.said().contains("a\\nb"));
        let said = service.said();
        assert!(!said.contains('\u{1b}'), "{said}");
        for line in said.lines().filter(|line| !line.starts_with("keywatch: ")) {
            let whole = match format {
                "json" => serde_json::from_str::<serde_json::Value>(line).is_ok(),
                // A line of text begins with its time.
                _ => line.starts_with("20"),
            };
            assert!(whole, "{line}");
        }
    }
}
