//! A folder in which a page's commands are run, with what they speak of.
//!
//! Names that a page can only invent (hosts, files below `/var`) are replaced by what is here; see
//! [`World::here`]. Nothing else of a page is changed.

use super::page::{Block, blocks};
use crate::harness::browser::Browser;
use crate::harness::logs::{START, aws_read, vault_line};
use crate::harness::{Receiver, program, text, wait_until};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Subcommands of `cargo xtask` that pages name. Running them is what runs this test, or takes
/// minutes; that they exist is looked up.
const XTASK: &str = include_str!("../../xtask/src/main.rs");

pub(super) struct World {
    folder: tempfile::TempDir,
    receiver: Receiver,
}

impl World {
    /// A folder with logs of the last hour, in which nothing is configured.
    pub(super) fn new() -> Self {
        let world = Self { folder: tempfile::tempdir().expect("a folder"), receiver: Receiver::start(false) };
        let now = std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_secs();
        let secs = i64::try_from(now).expect("small") - START - 3600;
        let log = vault_line(1, secs, "app", "read secret/data/db", None)
            + &vault_line(2, secs + 60, "eve", "delete secret/data/db", None);
        world.write("audit.log", &log);
        world.write("AWSLogs/trail.json", &(1..20).map(aws_read).collect::<String>());
        world.write("AWSLogs/vault.log", &log);
        std::fs::create_dir(world.path("bin")).expect("a folder");
        let keywatch = program().get_program().to_owned();
        std::os::unix::fs::symlink(keywatch, world.path("bin/keywatch")).expect("a link");
        world
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn write(&self, name: &str, content: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, content).expect("written");
    }

    /// Puts what a page shows into `keywatch.yaml`: anew when it names a database, else as more of it.
    pub(super) fn configure(&self, yaml: &str) {
        let path = self.path("keywatch.yaml");
        let before = if yaml.contains("database:") {
            "egress: {allow: [127.0.0.0/8], allow_http: true}\n".to_owned()
        } else {
            std::fs::read_to_string(&path).unwrap_or_else(|_none| {
                "egress: {allow: [127.0.0.0/8], allow_http: true}\ndatabase: keywatch.db\nlisten: 127.0.0.1:0\n"
                    .to_owned()
            })
        };
        std::fs::write(&path, before + &self.here(yaml)).expect("written");
    }

    /// How many messages came.
    pub(super) fn received(&self) -> usize {
        self.receiver.received().messages.len()
    }

    /// What a page says, of this folder.
    fn here(&self, said: &str) -> String {
        let folder = self.folder.path().display().to_string();
        said.replace("/var/lib/keywatch/", &format!("{folder}/"))
            .replace("/var/log/vault/", &format!("{folder}/"))
            .replace("/srv/cloudtrail/", &format!("{folder}/"))
            .replace("https://hooks.example.org/keywatch", &self.receiver.url())
            .replace("https://hooks.example.com/keywatch", &self.receiver.url())
            .replace("127.0.0.1:8420", "127.0.0.1:0")
    }

    /// Does what a page says, from its top to its end: writes its configurations where the page is a
    /// way through them, and runs its commands. `ends` are beginnings of commands that end with
    /// something else than 0.
    pub(super) fn walk(&self, page: &str, ends: &[(&str, i32)]) {
        let is_a_way = page.ends_with("start.md");
        for block in blocks().iter().filter(|block| block.page == page) {
            match block.language.as_str() {
                "yaml" if is_a_way => self.configure(&block.text),
                "sh" if block.why_not_run().is_none() => self.does(block, ends),
                _ => {}
            }
        }
    }

    /// Runs a block: ours command by command, others as one script, whose variables go on.
    fn does(&self, block: &Block, ends: &[(&str, i32)]) {
        let commands = block.commands();
        if !commands.iter().any(|command| command.starts_with("keywatch ") || command.starts_with("cargo ")) {
            self.runs(&block.text, 0);
            return;
        }
        for command in commands {
            let known = ends.iter().find(|(begins, _)| command.starts_with(begins));
            self.runs(&command, known.map_or(0, |(_, code)| *code));
        }
    }

    /// Runs one command, which must end with `code`.
    pub(super) fn runs(&self, command: &str, code: i32) {
        if let Some(task) = command.strip_prefix("cargo xtask ") {
            let name = task.split_whitespace().next().expect("a task");
            assert!(XTASK.contains(&format!("\"{name}\"")), "there is no `cargo xtask {name}`");
            return;
        }
        if command.starts_with("keywatch serve") {
            self.serves(command);
            return;
        }
        let output = self.shell(command).output().expect("the shell runs");
        assert_eq!(output.status.code(), Some(code), "{command}\n{}", said(&output));
    }

    /// Starts a service, waits until it has stored something, and asks it to end.
    fn serves(&self, command: &str) {
        let mut child = self.shell(&format!("exec {command}")).spawn().expect("the shell runs");
        let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines().map_while(Result::ok);
        let mut heard = Vec::new();
        let link = lines
            .by_ref()
            .inspect(|line| heard.push(line.clone()))
            .find_map(|line| line.split_once("http://").map(|(_, rest)| rest.to_owned()));
        assert!(link.is_some(), "{command}: {heard:?}");
        let link = link.unwrap_or_default();
        std::thread::spawn(move || lines.for_each(drop));
        let browser = Browser::at(link.split('/').next().unwrap_or_default());
        wait_until("it stored what is there", Duration::from_secs(30), || {
            let figures = browser.page("/metrics");
            figures.contains("keywatch_stored_events ") && !figures.contains("keywatch_stored_events 0\n")
        });
        Command::new("kill").args(["-TERM", &child.id().to_string()]).status().expect("kill runs");
        assert_eq!(child.wait().expect("it ends").code(), Some(0), "{heard:?}");
    }

    fn shell(&self, command: &str) -> Command {
        let mut shell = Command::new("sh");
        let script = format!("PATH={}:$PATH; {}", self.path("bin").display(), self.here(command));
        shell.args(["-ec", &script]).current_dir(self.folder.path());
        shell.env("HOME", self.folder.path()).env("KEYWATCH_WEBHOOK_SECRET", crate::harness::SECRET);
        if let Ok(more) = std::fs::read_to_string(self.path("environment")) {
            shell.envs(more.lines().filter_map(|line| line.split_once('=')));
        }
        shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        shell
    }

    /// A real OpenBao, to which `vault` speaks in this world.
    pub(super) fn bao(&self, setup: &Path) -> Bao<'_> {
        let (port, program) = (free_port(), setup.join("venv/bin/bao"));
        let address = format!("http://127.0.0.1:{port}");
        let server = Command::new(&program)
            .args(["server", "-dev", "-dev-no-store-token", "-dev-root-token-id=root"])
            .arg(format!("-dev-listen-address=127.0.0.1:{port}"))
            .env("HOME", self.folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let server = Peer(server.expect("OpenBao starts"));
        std::os::unix::fs::symlink(program, self.path("bin/vault")).expect("a link");
        self.write("environment", &format!("BAO_ADDR={address}\nBAO_TOKEN=root\n"));
        let bao = Bao { world: self, address, _server: server };
        wait_until("OpenBao is ready", Duration::from_mins(1), || {
            let asked = self.shell("vault kv put secret/ready yes=yes").output();
            asked.is_ok_and(|output| output.status.success())
        });
        bao
    }

    /// A server that plays AWS, to which `aws` speaks in this world.
    pub(super) fn moto(&self, setup: &Path) -> Moto<'_> {
        let port = free_port();
        let server = Command::new(setup.join("venv/bin/moto_server"))
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .env("MOTO_ACCOUNT_ID", "111122223333")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let server = Peer(server.expect("moto starts"));
        // Its command line looks for queues at AWS unless it is told otherwise in so many words.
        let aws = setup.join("venv/bin/aws");
        let script =
            format!("#!/bin/sh\nexec {} --endpoint-url http://127.0.0.1:{port} \"$@\"\n", aws.display());
        self.write("bin/aws", &script);
        let runs = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(self.path("bin/aws"), runs).expect("it may be run");
        self.write(
            "environment",
            "AWS_DEFAULT_REGION=eu-central-1\nAWS_ACCESS_KEY_ID=AKIAEXAMPLE\nAWS_SECRET_ACCESS_KEY=example\n",
        );
        wait_until("moto listens", Duration::from_mins(1), || {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        Moto { world: self, _server: server }
    }
}

/// A chat that takes everything it is sent.
pub(super) struct Chat {
    port: u16,
    requests: Arc<AtomicUsize>,
}

impl Chat {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let requests: Arc<AtomicUsize> = Arc::default();
        let taken = Arc::clone(&requests);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                answer(stream);
                taken.fetch_add(1, Ordering::SeqCst);
            }
        });
        Self { port, requests }
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/services/T0/B0/x", self.port)
    }

    pub(super) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

/// Reads a request and says that it is fine.
fn answer(mut stream: TcpStream) {
    let mut reader = BufReader::new(stream.try_clone().expect("a stream"));
    let (mut line, mut length) = (String::new(), 0);
    while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
        line.clear();
    }
    reader.read_exact(&mut vec![0; length]).expect("a body");
    stream
        .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok")
        .expect("answered");
}

/// A peer that ends with its test.
struct Peer(Child);

impl Drop for Peer {
    fn drop(&mut self) {
        // A peer that is gone already needs no end.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

pub(super) struct Bao<'w> {
    world: &'w World,
    address: String,
    _server: Peer,
}

impl Bao<'_> {
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    pub(super) fn does(&self, arguments: &[&str]) {
        self.says(arguments);
    }

    pub(super) fn says(&self, arguments: &[&str]) -> String {
        let output = self.world.shell(&format!("vault {}", arguments.join(" "))).output();
        let output = output.expect("the shell runs");
        assert!(output.status.success(), "{arguments:?}: {}", said(&output));
        text(&output.stdout).trim().to_owned()
    }
}

pub(super) struct Moto<'w> {
    world: &'w World,
    _server: Peer,
}

impl Moto<'_> {
    pub(super) fn does(&self, command: &str) -> String {
        let output = self.world.shell(command).output().expect("the shell runs");
        assert!(output.status.success(), "{command}: {}", said(&output));
        text(&output.stdout)
    }
}

fn said(output: &Output) -> String {
    text(&output.stdout) + &text(&output.stderr)
}

fn free_port() -> u16 {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    port.expect("a port").port()
}
