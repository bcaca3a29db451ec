//! Installs what is missing, in the order it is needed, and says so before it does.
//!
//! Test packages go below `.setup/` in the workspace, in versions fixed here; nothing is
//! installed twice.

use crate::host::{self, Host};
use crate::need::{self, Way};
use crate::run::{self, Failure, Progress, cargo};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Packages of PyPI, one a line with its version: stand-ins for clouds, reference libraries.
const PYPI: &str = include_str!("../../tests/peers/requirements.txt");
/// Packages of npm: a reference library, and what drives a browser for the tests of the pages.
const NPM: &[(&str, &str)] =
    &[("standardwebhooks", "1.1.1"), ("playwright-core", "1.65.1"), ("azurite", "3.37.0")];

/// Packages of Debian and Ubuntu that are unpacked below `.setup/` and not installed, so that nothing
/// of them runs unless a test starts it: a receiver, and a library that tells a program another time.
const UNPACKED: &[&str] = &["prometheus-alertmanager", "libfaketime"];

/// Waits two minutes for another package manager to finish, as unattended upgrades do on a
/// machine that has just started.
const LOCK_WAIT: &str = "DPkg::Lock::Timeout=120";

/// How much is to be installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// What building the program takes.
    Build,
    /// What the tests take as well.
    Test,
}

/// Installs what `scope` needs and the system lacks.
///
/// # Errors
/// [`Failure`] with the steps to take by hand when something cannot be installed. A missing
/// cargo-nextest is none: `cargo test` can take its place.
pub(crate) fn install(root: &Path, scope: Scope, progress: &Progress) -> Result<(), Failure> {
    match scope {
        Scope::Build => system(need::TO_BUILD, "cargo xtask demo", progress),
        Scope::Test => {
            system(
                need::TO_TEST,
                "cargo xtask test; or, to run what can run without: cargo xtask test --no-setup",
                progress,
            )?;
            python_packages(&root.join(".setup/venv"), progress)?;
            node_packages(&root.join(".setup/node"), progress)?;
            unpacked(&root.join(".setup/debian"), progress);
            nextest(root, progress);
            Ok(())
        }
    }
}

/// Whether cargo-nextest can be run.
pub(crate) fn has_nextest(root: &Path) -> bool {
    run::succeeds(cargo(root).args(["nextest", "--version"]))
}

/// Installs the system packages that bring what is missing of `needs`.
fn system(needs: &[need::Need], retry: &str, progress: &Progress) -> Result<(), Failure> {
    let missing = host::missing(needs);
    if missing.is_empty() {
        return Ok(());
    }
    let way = need::way(Host::look());
    let words = match &way {
        Way::Apt(words) => *words,
        Way::ByHand(reason) => return Err(Failure::new(need::manual(&missing, reason, retry))),
    };
    progress.say(&need::announcement(&missing, &way));
    let by_hand = |reason: &str| Failure::new(need::manual(&missing, reason, retry));
    progress.say("apt-get update");
    if let Err(failure) = apt(words, &["update", "-qq"]) {
        // One unreachable third-party list fails the whole update; the packages may be known.
        progress.say(&format!("{}; trying with the lists as they are", failure.text));
    }
    let packages = need::packages(&missing);
    progress.say(&format!("apt-get install {}", packages.join(" ")));
    let install = [&["install", "-y", "-qq", "--no-install-recommends"], packages.as_slice()].concat();
    apt(words, &install).map_err(|failure| by_hand(&failure.text))?;
    let still = host::missing(needs);
    if still.is_empty() {
        progress.say("system packages are in place");
        return Ok(());
    }
    let reason = "apt-get reported success, but the programs are still not on the PATH";
    Err(Failure::new(need::manual(&still, reason, retry)))
}

fn apt(words: &[&str], args: &[&str]) -> Result<(), Failure> {
    let apt = ["DEBIAN_FRONTEND=noninteractive", "apt-get", "-o", LOCK_WAIT];
    let line = [words, &apt, args].concat();
    let Some((program, rest)) = line.split_first() else { return Ok(()) };
    run::must(Command::new(program).args(rest), "apt-get")
}

/// A virtual environment with the packages of PyPI. What was installed into it is written beside
/// it, so that a changed list is installed and an unchanged one costs nothing.
fn python_packages(venv: &Path, progress: &Progress) -> Result<(), Failure> {
    let stamp = venv.join("installed.txt");
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == PYPI) {
        return Ok(());
    }
    let packages: Vec<&str> = PYPI.lines().filter(|line| !line.starts_with('#')).collect();
    progress.say(&format!("about to install {} from PyPI into {}", packages.join(" "), venv.display()));
    let list = "tests/peers/requirements.txt";
    let steps = format!("python3 -m venv {venv} && {venv}/bin/pip install -r {list}", venv = venv.display());
    let by_hand = |failure: Failure| package_by_hand(&failure, &steps);
    run::must(Command::new("python3").args(["-m", "venv"]).arg(venv), "python3 -m venv").map_err(by_hand)?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    run::must(Command::new(venv.join("bin/python")).args(pip).args(&packages), "pip install")
        .map_err(by_hand)?;
    let written = std::fs::write(&stamp, PYPI);
    written.map_err(|error| Failure::new(format!("cannot write {}: {error}", stamp.display())))
}

/// A folder with the packages of npm.
fn node_packages(folder: &Path, progress: &Progress) -> Result<(), Failure> {
    if NPM.iter().all(|(name, version)| installed_version(folder, name).as_deref() == Some(*version)) {
        return Ok(());
    }
    let packages: Vec<String> = NPM.iter().map(|(name, version)| format!("{name}@{version}")).collect();
    let named = packages.join(" ");
    progress.say(&format!("about to install {named} from npm into {}", folder.display()));
    let steps = format!("npm install --prefix {} {named}", folder.display());
    let by_hand = |failure: Failure| package_by_hand(&failure, &steps);
    let made = std::fs::create_dir_all(folder);
    made.map_err(|error| Failure::new(format!("cannot create {}: {error}", folder.display())))?;
    let npm = ["install", "--no-audit", "--no-fund", "--loglevel=error", "--prefix"];
    run::must(Command::new("npm").args(npm).arg(folder).args(&packages), "npm install").map_err(by_hand)
}

/// Packages of the system's archive, unpacked into `folder`. Where there are none, the tests that
/// need them say so and the others run.
fn unpacked(folder: &Path, progress: &Progress) {
    let (stamp, wanted) = (folder.join("unpacked.txt"), UNPACKED.join(" "));
    if std::fs::read_to_string(&stamp).is_ok_and(|unpacked| unpacked == wanted) {
        return;
    }
    if !Host::look().apt {
        progress.say(&format!("going on without {wanted}: there is no apt-get here"));
        return;
    }
    progress.say(&format!("about to unpack {wanted} into {}; nothing is installed", folder.display()));
    let done = unpack(folder).and_then(|()| {
        let written = std::fs::write(&stamp, &wanted);
        written.map_err(|error| Failure::new(format!("cannot write {}: {error}", stamp.display())))
    });
    if let Err(failure) = done {
        progress.say(&format!("{}; going on without {wanted}", failure.text));
    }
}

fn unpack(folder: &Path) -> Result<(), Failure> {
    let failed = |error| Failure::new(format!("cannot use {}: {error}", folder.display()));
    std::fs::create_dir_all(folder).map_err(failed)?;
    let mut download = Command::new("apt-get");
    run::must(download.args(["download", "-qq"]).args(UNPACKED).current_dir(folder), "apt-get download")?;
    for entry in std::fs::read_dir(folder).map_err(failed)?.flatten() {
        let package = entry.path();
        if package.extension().is_some_and(|extension| extension == "deb") {
            run::must(Command::new("dpkg").arg("-x").arg(&package).arg(folder), "dpkg -x")?;
            std::fs::remove_file(&package).map_err(failed)?;
        }
    }
    Ok(())
}

fn installed_version(folder: &Path, package: &str) -> Option<String> {
    let manifest: PathBuf = folder.join("node_modules").join(package).join("package.json");
    version_in(&std::fs::read_to_string(manifest).ok()?).map(str::to_owned)
}

/// The `version` of a package.json.
fn version_in(manifest: &str) -> Option<&str> {
    let (_, after) = manifest.split_once("\"version\"")?;
    after.split('"').nth(1)
}

fn package_by_hand(failure: &Failure, steps: &str) -> Failure {
    Failure::new(format!(
        "{}\nThe registry may be out of reach from here. By hand:\n    {steps}\n\
         or run what can run without it: cargo xtask test --no-setup",
        failure.text
    ))
}

fn nextest(root: &Path, progress: &Progress) {
    if has_nextest(root) {
        return;
    }
    progress.say("about to build cargo-nextest, the test runner, with cargo install (a few minutes, once)");
    let built = run::must(cargo(root).args(["install", "cargo-nextest", "--locked"]), "cargo install");
    if let Err(failure) = built {
        progress.say(&format!("{}; going on with cargo test", failure.text));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_from_a_package_manifest() {
        assert_eq!(version_in(r#"{"name": "x", "version": "1.1.1", "main": "a"}"#), Some("1.1.1"));
        assert_eq!(version_in(r#"{"name": "x"}"#), None);
        assert_eq!(version_in(""), None);
    }

    #[test]
    fn a_folder_without_the_package_has_no_version() {
        assert_eq!(installed_version(Path::new("no-such-folder"), "standardwebhooks"), None);
    }

    #[test]
    fn a_package_that_cannot_be_fetched_is_told_with_the_step_and_the_way_around() {
        let failure = package_by_hand(&Failure::new("npm install: failed"), "npm install x");
        assert!(failure.text.starts_with("npm install: failed\n"), "{}", failure.text);
        assert!(failure.text.contains("\n    npm install x\n"), "{}", failure.text);
        assert!(failure.text.ends_with("cargo xtask test --no-setup"), "{}", failure.text);
    }
}
