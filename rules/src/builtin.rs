//! The shipped rules, compiled into the program from `rules/builtin/`.

macro_rules! files {
    ($($name:literal,)+) => {
        &[$((concat!("builtin/", $name), include_str!(concat!("../builtin/", $name))),)+]
    };
}

/// The shipped rule files as `(name, text)`.
#[must_use]
pub fn builtin() -> &'static [(&'static str, &'static str)] {
    files![
        "kw-001-normal-read.yml",
        "kw-002-unusual-address.yml",
        "kw-003-failed-authentication.yml",
        "kw-004-secret-deletion.yml",
        "kw-005-failed-reads.yml",
    ]
}
