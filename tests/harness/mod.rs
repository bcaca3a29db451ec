//! Starts the program, a webhook receiver to tell, and logs to read.

pub(crate) mod browser;
pub(crate) mod logs;
mod receiver;

pub(crate) use receiver::{Receiver, SECRET};

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The built program.
pub(crate) fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_keywatch"))
}

/// Runs the program to its end.
pub(crate) fn run(arguments: &[&str]) -> Output {
    program().args(arguments).stdin(Stdio::null()).output().expect("the program starts")
}

/// Runs the program with `input` on standard input.
pub(crate) fn run_with_input(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = program()
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().expect("the program ends");
    let _closed_early = writer.join().expect("the writer ends");
    output
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Waits until `done`, looking often; fails after `limit`.
pub(crate) fn wait_until(what: &str, limit: Duration, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + limit;
    while !done() {
        assert!(Instant::now() < deadline, "waited {limit:?} in vain: {what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// Peak resident memory of a running process, KiB (proc(5), `VmHWM`).
pub(crate) fn resident_peak_kib(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// A running `keywatch serve`; killed when dropped.
pub(crate) struct Service {
    child: Child,
    pub(crate) login_link: String,
    said: Arc<Mutex<String>>,
}

impl Service {
    /// Starts the service and waits until it says where its dashboard is.
    pub(crate) fn start(config: &Path) -> Self {
        Self::start_with(config, &[])
    }

    /// The same with variables of the environment.
    pub(crate) fn start_with(config: &Path, variables: &[(&str, &str)]) -> Self {
        let mut child = Self::spawn_with(config, variables);
        let stderr = child.stderr.take().expect("a pipe");
        let said: Arc<Mutex<String>> = Arc::default();
        let mut lines = BufReader::new(stderr).lines().map_while(Result::ok);
        let heard = Arc::clone(&said);
        let mut hear = move || {
            let line = lines.next()?;
            let mut said = heard.lock().unwrap_or_else(PoisonError::into_inner);
            said.push_str(&line);
            said.push('\n');
            Some(line)
        };
        let link = std::iter::from_fn(&mut hear)
            .find_map(|line| line.split_once("minutes: ").map(|(_, link)| link.to_owned()));
        std::thread::spawn(move || while hear().is_some() {});
        let service = Self { child, login_link: link.clone().unwrap_or_default(), said };
        assert!(link.is_some(), "the service did not start: {}", service.said());
        service
    }

    /// What it has written to standard error so far.
    pub(crate) fn said(&self) -> String {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Starts the service without waiting for anything.
    pub(crate) fn spawn(config: &Path) -> Child {
        Self::spawn_with(config, &[])
    }

    fn spawn_with(config: &Path, variables: &[(&str, &str)]) -> Child {
        let arguments = ["serve", "--config"];
        let mut command = program();
        command.envs(variables.iter().copied());
        command.args(arguments).arg(config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command.spawn().expect("the program starts")
    }

    /// Peak resident memory so far, KiB (proc(5), `VmHWM`).
    pub(crate) fn resident_peak_kib(&self) -> Option<u64> {
        resident_peak_kib(self.child.id())
    }

    /// Asks it to read its rules again.
    pub(crate) fn reload(&self) {
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-HUP", &pid]).status().expect("kill runs");
    }

    /// Asks it to end and waits; its exit code.
    pub(crate) fn stop(mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs");
        self.child.wait().expect("it ends").code()
    }
}

impl Drop for Service {
    /// A test that fails is told how the service ended, when it did, and what it said.
    fn drop(&mut self) {
        let ended = self.child.try_wait().ok().flatten();
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
        if std::thread::panicking() {
            let ended = ended.map_or_else(|| "it ran".to_owned(), |status| status.to_string());
            let _shown = writeln!(std::io::stderr(), "the service ({ended}) said:\n{}", self.said());
        }
    }
}

/// A folder with a configuration that follows `logs/` and tells a receiver.
pub(crate) struct Site {
    pub(crate) folder: tempfile::TempDir,
}

impl Site {
    pub(crate) fn new(receiver: &Receiver) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let site = Self { folder };
        std::fs::create_dir(site.logs()).expect("a folder for logs");
        std::fs::write(site.path("secret"), SECRET).expect("a secret");
        std::fs::write(site.config(), site.yaml(receiver)).expect("a configuration");
        site
    }

    fn yaml(&self, receiver: &Receiver) -> String {
        let folder = self.folder.path().display();
        format!(
            "database: {folder}/keywatch.db\nlisten: 127.0.0.1:0\nsources:\n  - name: audit\n    files: [{folder}/logs]\n\
             receivers:\n  - name: soc\n    webhook:\n      url: {}\n      secret: {{source: file, path: {folder}/secret}}\n\
             egress: {{allow: [127.0.0.0/8], allow_http: true}}\n",
            receiver.url()
        )
    }

    /// Adds lines to the configuration.
    pub(crate) fn configure(&self, yaml: &str) {
        let config = std::fs::OpenOptions::new().append(true).open(self.config());
        config.and_then(|mut config| config.write_all(yaml.as_bytes())).expect("a configuration");
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn logs(&self) -> PathBuf {
        self.path("logs")
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.path("keywatch.yaml")
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.path("keywatch.db")
    }

    /// Looks into the database while no service has it open.
    pub(crate) fn look<T>(&self, look: impl AsyncFnOnce(keywatch_store::Store) -> T) -> T {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(async {
            let store = keywatch_store::Store::open(&self.database()).await.expect("the database opens");
            let found = look(store.clone()).await;
            store.close().await.expect("the database closes");
            found
        })
    }
}
