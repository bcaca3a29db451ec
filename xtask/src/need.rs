//! What the project needs from the system, the packages that bring it, and what to say about it.
//!
//! Pure: nothing here looks at the system or changes it.

use crate::host::Host;

/// A thing the system must bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// A C compiler.
    Compiler,
    /// A C++ compiler.
    PlusPlus,
    /// make.
    Make,
    /// pkg-config.
    PkgConfig,
    /// The headers of OpenSSL.
    OpenSsl,
    /// Python that can make virtual environments.
    Python,
    /// Node.js.
    Node,
    /// npm.
    Npm,
    /// A browser of the Chromium family.
    Browser,
}

/// What building takes. SQLite, zlib, zstd and the TLS library are compiled from C, by `cc` alone.
/// librdkafka has a makefile, checks for a C++ compiler, and speaks TLS with the system's OpenSSL,
/// which is found by pkg-config.
pub(crate) const TO_BUILD: &[Need] =
    &[Need::Compiler, Need::PlusPlus, Need::Make, Need::PkgConfig, Need::OpenSsl];

/// What testing takes as well.
pub(crate) const TO_TEST: &[Need] = &[
    Need::Compiler,
    Need::PlusPlus,
    Need::Make,
    Need::PkgConfig,
    Need::OpenSsl,
    Need::Python,
    Need::Node,
    Need::Npm,
    Need::Browser,
];

impl Need {
    /// Programs that satisfy it; one is enough.
    pub(crate) const fn programs(self) -> &'static [&'static str] {
        match self {
            Self::Compiler => &["cc"],
            Self::PlusPlus => &["c++", "g++", "clang++"],
            Self::Make => &["make"],
            // OpenSSL's headers are what pkg-config can find.
            Self::PkgConfig | Self::OpenSsl => &["pkg-config", "pkgconf"],
            Self::Python => &["python3"],
            Self::Node => &["node"],
            Self::Npm => &["npm"],
            Self::Browser => &["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"],
        }
    }

    /// Packages that bring it on Debian and Ubuntu.
    pub(crate) const fn packages(self) -> &'static [&'static str] {
        match self {
            Self::Compiler | Self::PlusPlus | Self::Make => &["build-essential"],
            Self::PkgConfig => &["pkg-config"],
            Self::OpenSsl => &["libssl-dev"],
            Self::Python => &["python3", "python3-venv"],
            Self::Node => &["nodejs"],
            Self::Npm => &["npm"],
            Self::Browser => &["chromium"],
        }
    }

    /// What it is for, in words.
    pub(crate) const fn purpose(self) -> &'static str {
        match self {
            Self::Compiler => "a C compiler, for SQLite, zstd and the TLS library",
            Self::PlusPlus => "a C++ compiler, for the Kafka client",
            Self::Make => "make, for the Kafka client",
            Self::PkgConfig => "pkg-config, to find OpenSSL",
            Self::OpenSsl => "the headers of OpenSSL, which the Kafka client speaks TLS with",
            Self::Python => "Python, for stand-ins of the clouds and a reference package the tests speak to",
            Self::Node => "Node.js, to check our webhook signatures with a reference package",
            Self::Npm => "npm, to fetch that package",
            Self::Browser => "Chromium, for the tests of the pages",
        }
    }
}

/// Packages for all of `missing`, each once.
pub(crate) fn packages(missing: &[Need]) -> Vec<&'static str> {
    let mut all = Vec::new();
    for package in missing.iter().flat_map(|need| need.packages()) {
        if !all.contains(package) {
            all.push(*package);
        }
    }
    all
}

/// How missing packages get onto this system.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// By `apt-get`, after these words.
    Apt(&'static [&'static str]),
    /// By hand, for this reason.
    ByHand(&'static str),
}

/// Which way is open on `host`.
pub(crate) const fn way(host: Host) -> Way {
    match host {
        Host { apt: false, .. } => {
            Way::ByHand("there is no apt-get here, and Keywatch installs system packages with nothing else")
        }
        Host { root: true, .. } => Way::Apt(&["env"]),
        Host { sudo: true, .. } => Way::Apt(&["sudo", "env"]),
        Host { .. } => Way::ByHand("installing needs root, and there is no sudo here"),
    }
}

/// What is about to be installed, and why.
pub(crate) fn announcement(missing: &[Need], way: &Way) -> String {
    let by = match way {
        Way::Apt(["sudo", ..]) => "with sudo apt-get, which may ask for your password",
        Way::Apt(_) => "with apt-get",
        Way::ByHand(_) => "by hand",
    };
    format!("about to install {by}:{}", list(missing))
}

/// What somebody has to do when it cannot be installed from here. `retry` is the command to
/// repeat.
pub(crate) fn manual(missing: &[Need], reason: &str, retry: &str) -> String {
    format!(
        "cannot install what is missing: {reason}. Missing:{}\n\
         On Debian or Ubuntu, as root:\n    apt-get update && apt-get install {}\n\
         elsewhere the packages of the same purpose. Then: {retry}",
        list(missing),
        packages(missing).join(" "),
    )
}

fn list(missing: &[Need]) -> String {
    let lines = missing.iter().map(|need| format!("    {} ({})", need.packages().join(", "), need.purpose()));
    lines.fold(String::new(), |all, line| all + "\n" + &line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(missing: &[Need], want: &str) {
        assert_eq!(packages(missing).join(" "), want);
    }

    #[test]
    fn every_need_has_its_package() {
        check(TO_BUILD, "build-essential pkg-config libssl-dev");
        check(&[Need::Python], "python3 python3-venv");
        check(TO_TEST, "build-essential pkg-config libssl-dev python3 python3-venv nodejs npm chromium");
        check(&[], "");
    }

    #[test]
    fn what_building_takes_testing_takes_too() {
        assert!(TO_BUILD.iter().all(|need| TO_TEST.contains(need)));
    }

    #[test]
    fn root_installs_directly_others_through_sudo_and_nobody_without_apt() {
        let host = |root, sudo, apt| way(Host { root, sudo, apt });
        assert_eq!(host(true, true, true), Way::Apt(&["env"]));
        assert_eq!(host(true, false, true), Way::Apt(&["env"]));
        assert_eq!(host(false, true, true), Way::Apt(&["sudo", "env"]));
        assert!(matches!(host(false, false, true), Way::ByHand(reason) if reason.contains("no sudo")));
        assert!(matches!(host(true, true, false), Way::ByHand(reason) if reason.contains("no apt-get")));
    }

    #[test]
    fn what_is_about_to_be_installed_is_said_with_its_purpose() {
        let text = announcement(&[Need::Compiler, Need::Browser], &Way::Apt(&["sudo", "env"]));
        assert!(text.contains("password"), "{text}");
        assert!(text.contains("build-essential (a C compiler"), "{text}");
        assert!(text.contains("chromium (Chromium, for the tests of the pages)"), "{text}");
        assert!(!announcement(&[Need::Compiler], &Way::Apt(&["env"])).contains("password"));
    }

    #[test]
    fn the_manual_steps_can_be_pasted_and_say_what_to_run_next() {
        let text = manual(&[Need::Compiler, Need::Npm], "there is no apt-get here", "cargo xtask test");
        assert!(text.contains("apt-get update && apt-get install build-essential npm\n"), "{text}");
        assert!(text.ends_with("Then: cargo xtask test"), "{text}");
    }
}
