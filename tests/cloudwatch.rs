//! `keywatch cloudwatch` and what `serve` publishes, as processes, against a server that plays
//! CloudWatch (ministack).

use crate::harness::browser::Browser;
use crate::harness::logs::vault_line;
use crate::harness::{Receiver, Service, Site, program, text, wait_until};
use crate::peers::{installed, peer};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

const LIMIT: Duration = Duration::from_mins(1);

/// The credentials and the region that the SDK finds.
const ENVIRONMENT: [(&str, &str); 4] = [
    ("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE"),
    ("AWS_SECRET_ACCESS_KEY", "secret"),
    ("AWS_REGION", "eu-west-1"),
    ("AWS_EC2_METADATA_DISABLED", "true"),
];

/// A running ministack; ended when dropped.
struct Cloud {
    child: Child,
    endpoint: String,
    setup: PathBuf,
}

impl Drop for Cloud {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

impl Cloud {
    fn start() -> Option<Self> {
        let setup = installed()?;
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = free.local_addr().expect("an address").port();
        drop(free);
        let child = Command::new(setup.join("venv/bin/ministack"))
            .envs([("BIND_HOST", "127.0.0.1"), ("GATEWAY_PORT", &port.to_string())])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("ministack starts");
        let cloud = Self { child, endpoint: format!("http://127.0.0.1:{port}"), setup };
        wait_until("ministack listens", LIMIT, || TcpStream::connect(("127.0.0.1", port)).is_ok());
        Some(cloud)
    }

    /// What the peer script prints.
    fn ask(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(self.setup.join("venv/bin/python"));
        let output = command.arg(peer("cloudwatch.py")).arg(&self.endpoint).args(arguments).output();
        let output = output.expect("Python runs");
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout).trim().to_owned()
    }

    fn alarms(&self) -> Value {
        serde_json::from_str(&self.ask(&["alarms"])).expect("JSON")
    }

    fn accesses(&self, level: &str) -> u64 {
        self.ask(&["accesses", level]).parse().expect("a number")
    }

    fn section(&self, threshold: u32) -> String {
        format!(
            "cloudwatch:\n  endpoint: {}\n  region: eu-west-1\n  alarm: {{topic: \"arn:aws:sns:eu-west-1:111122223333:security\", threshold: {threshold}}}\n",
            self.endpoint
        )
    }
}

/// Runs `keywatch cloudwatch` with a configuration.
fn cloudwatch(verb: &str, config: &std::path::Path) -> Output {
    let mut command = program();
    command.args(["cloudwatch", verb, "--config"]).arg(config).envs(ENVIRONMENT);
    command.output().expect("the program starts")
}

#[test]
fn the_alarm_is_made_compared_changed_and_removed_and_doing_it_twice_changes_nothing() {
    let Some(cloud) = Cloud::start() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("keywatch.yaml");
    std::fs::write(&config, cloud.section(100)).expect("written");
    let run = |verb: &str, code: i32, part: &str| {
        let output = cloudwatch(verb, &config);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{verb}: {said}");
        assert!(said.contains(part), "{verb}: {said}");
    };
    run("diff", 1, "does not exist");
    run("apply", 0, "the alarm SecretAccessAnomaly was made");
    let made = cloud.alarms();
    let alarm = &made[0];
    for (setting, value) in [
        ("AlarmName", json!("SecretAccessAnomaly")),
        ("Namespace", json!("MyApp/Security")),
        ("MetricName", json!("SecretAccessCount")),
        ("Statistic", json!("Sum")),
        ("Period", json!(300)),
        ("EvaluationPeriods", json!(1)),
        ("Threshold", json!(100.0)),
        ("ComparisonOperator", json!("GreaterThanThreshold")),
        ("AlarmActions", json!(["arn:aws:sns:eu-west-1:111122223333:security"])),
    ] {
        let (is, shall) = (&alarm[setting], &value);
        let same = is == shall || is.as_f64().is_some_and(|number| Some(number) == shall.as_f64());
        assert!(same, "{setting} is {is}, shall be {shall}");
    }
    run("apply", 0, "nothing was changed");
    run("diff", 0, "is as the configuration says");
    assert_eq!(cloud.alarms(), made, "the second time something was changed");

    cloud.ask(&["threshold", "7"]);
    run("diff", 1, "Threshold: is 7, shall be 100");
    run("apply", 0, "was changed to what the configuration says");
    run("diff", 0, "is as the configuration says");
    std::fs::write(&config, cloud.section(250)).expect("written");
    run("diff", 1, "Threshold: is 100, shall be 250");

    run("remove", 0, "was removed");
    assert_eq!(cloud.alarms(), json!([]));
    run("remove", 0, "does not exist; nothing was changed");

    // One that somebody else made is left alone, whatever it looks like.
    cloud.ask(&["foreign"]);
    let theirs = cloud.alarms();
    for verb in ["apply", "diff", "remove"] {
        run(verb, 5, "not tagged keywatch:managed=true, so it is left alone");
    }
    assert_eq!(cloud.alarms(), theirs);
}

/// Reads of secrets in the last minutes.
fn reads(from: u64, count: u64) -> String {
    // 2026-06-01T00:00:00Z, where `vault_line` counts from.
    let began = DateTime::from_timestamp(1_780_272_000, 0).expect("a time");
    let now: DateTime<Utc> =
        std::fs::metadata("/proc/self").and_then(|it| it.modified()).expect("now").into();
    let secs = (now - TimeDelta::minutes(2) - began).num_seconds();
    let line = |n: u64| vault_line(n, secs, "app", "read secret/data/db", None);
    (from..from + count).map(line).collect()
}

#[test]
fn the_service_publishes_every_access_once_whatever_restarts_come_between() {
    let Some(cloud) = Cloud::start() else { return };
    let receiver = Receiver::start(false);
    let site = Site::new(&receiver);
    site.configure(&cloud.section(100));
    let log = site.logs().join("audit.log");
    let stored = |browser: &Browser, count: u64| {
        wait_until("the reads are stored", LIMIT, || {
            browser.page("/metrics").contains(&format!("keywatch_stored_events {count}\n"))
        });
    };
    // Counting begins here; what it counts is sent once a minute, and when it starts.
    let service = Service::start_with(&site.config(), &ENVIRONMENT);
    std::fs::write(&log, reads(0, 40)).expect("written");
    stored(&Browser::sign_in(&service.login_link), 40);
    assert_eq!(service.stop(), Some(0));

    let service = Service::start_with(&site.config(), &ENVIRONMENT);
    wait_until("the accesses are published", LIMIT, || cloud.accesses("info") == 40);
    let append = std::fs::OpenOptions::new().append(true).open(&log);
    append.and_then(|mut log| log.write_all(reads(40, 7).as_bytes())).expect("appended");
    stored(&Browser::sign_in(&service.login_link), 47);
    assert_eq!(service.stop(), Some(0));

    // The third start publishes the seven, and the forty no second time.
    let service = Service::start_with(&site.config(), &ENVIRONMENT);
    wait_until("the rest is published", LIMIT, || cloud.accesses("info") >= 47);
    assert_eq!(cloud.accesses("info"), 47);
    let said = service.said();
    assert!(!said.contains("CloudWatch"), "publications were refused or are in doubt: {said}");
    assert_eq!(service.stop(), Some(0));
}
