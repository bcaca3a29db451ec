//! Looks at the system: which programs are there, and who we are. Changes nothing.

use crate::need::Need;
use crate::run::{output, succeeds};
use std::ffi::OsStr;
use std::process::Command;

/// What decides how packages can be installed here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    /// We are root.
    pub(crate) root: bool,
    /// There is `sudo`.
    pub(crate) sudo: bool,
    /// There is `apt-get`.
    pub(crate) apt: bool,
}

impl Host {
    /// Looks.
    pub(crate) fn look() -> Self {
        let root = output(Command::new("id").arg("-u")).is_some_and(|id| id == "0");
        Self { root, sudo: on_path("sudo"), apt: on_path("apt-get") }
    }
}

/// Those of `needs` that this system does not satisfy.
pub(crate) fn missing(needs: &[Need]) -> Vec<Need> {
    needs.iter().copied().filter(|need| !satisfied(*need)).collect()
}

fn satisfied(need: Need) -> bool {
    let there = need.programs().iter().any(|program| on_path(program));
    match need {
        // The compiler the C sources are built with can be named by `CC` as well.
        Need::Compiler => there || is_set("CC"),
        // Debian ships Python without the part that makes virtual environments.
        Need::Python => there && succeeds(Command::new("python3").args(["-c", "import ensurepip, venv"])),
        Need::PlusPlus => there || is_set("CXX"),
        // Both can be told where OpenSSL is instead (docs.rs/openssl: manual configuration).
        Need::PkgConfig => there || is_set("OPENSSL_DIR"),
        Need::OpenSsl => is_set("OPENSSL_DIR") || (there && has_openssl()),
        Need::Make | Need::Node | Need::Npm | Need::Browser => there,
    }
}

fn is_set(variable: &str) -> bool {
    std::env::var_os(variable).is_some_and(|value| !value.is_empty())
}

/// Whether pkg-config knows OpenSSL's headers, in a version the Kafka client is built with.
fn has_openssl() -> bool {
    ["pkg-config", "pkgconf"]
        .iter()
        .any(|program| succeeds(Command::new(program).args(["--exists", "openssl >= 1.1.1"])))
}

fn on_path(program: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| within(&path, program))
}

/// Whether a file of that name stands in one of the folders of `path`.
fn within(path: &OsStr, program: &str) -> bool {
    std::env::split_paths(path).any(|folder| folder.join(program).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_in_any_folder_of_the_path() {
        let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let path = std::env::join_paths([here.join("no-such-folder"), here.to_path_buf()]).unwrap();
        assert!(within(&path, "Cargo.toml"));
        assert!(!within(&path, "Cargo.yaml"));
        assert!(!within(&path, "src"), "a folder is no program");
        assert!(!within(OsStr::new(""), "no-such-program"));
    }

    #[test]
    fn nothing_needed_is_nothing_missing() {
        assert_eq!(missing(&[]), []);
    }
}
