//! Files, such as those of systemd's `LoadCredential`, of Docker and of Kubernetes.
//!
//! Read anew at each fetch, so a file that is replaced is a rotation. Line ends at the end are not
//! part of the secret: editors and `echo` put them there.

use super::Backend;
use super::environment::no_version;
use crate::SecretRef;
use crate::document::Document;
use crate::failure::Failure;
use crate::value::VALUE_BYTES_MAX;
use async_trait::async_trait;
use std::io::{ErrorKind, Read};
use std::path::Path;
use zeroize::Zeroizing;

/// Files.
pub(super) struct Files;

#[async_trait]
impl Backend for Files {
    async fn fetch(&self, reference: &SecretRef) -> Result<Document, Failure> {
        no_version(reference)?;
        Document::text(read(Path::new(&reference.path)).await?)
    }
}

/// The text of a file without the line ends at its end.
///
/// # Errors
/// When it cannot be read, is no text, or is larger than a credential.
pub(super) async fn read(path: &Path) -> Result<String, Failure> {
    let bytes = bytes(path).await.map_err(|error| refusal(path, &error))?;
    if bytes.len() > VALUE_BYTES_MAX {
        let detail = format!("the file is larger than the {VALUE_BYTES_MAX} bytes of a credential");
        return Err(Failure::unusable(detail, "name a file that holds the credential alone"));
    }
    match std::str::from_utf8(&bytes) {
        Ok(text) => Ok(text.trim_end_matches(['\r', '\n']).to_owned()),
        // The error itself says where, which is nobody's business.
        Err(_) => Err(Failure::unusable("the file is no UTF-8 text", "store the credential as text")),
    }
}

/// At most one byte more than a credential may have. Read with a plain call beside the runtime: an
/// asynchronous file keeps a buffer of its own that nobody overwrites, and growing leaves copies.
async fn bytes(path: &Path) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let path = path.to_owned();
    tokio::task::spawn_blocking(move || {
        let mut file = std::fs::File::open(path)?;
        let mut bytes = Zeroizing::new(vec![0; VALUE_BYTES_MAX + 1]);
        let mut filled = 0;
        while let Some(room) = bytes.get_mut(filled..).filter(|room| !room.is_empty()) {
            match file.read(room)? {
                0 => break,
                count => filled += count,
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    })
    .await
    .map_err(std::io::Error::other)?
}

fn refusal(path: &Path, error: &std::io::Error) -> Failure {
    let path = path.display();
    let kind = error.kind();
    if kind == ErrorKind::NotFound {
        return Failure::missing("there is no such file", format!("create {path}"));
    }
    if kind == ErrorKind::PermissionDenied {
        let remedy =
            format!("let the user Keywatch runs as read {path}, for instance with `chgrp` and mode 0640");
        return Failure::denied("the file may not be read", remedy);
    }
    if kind == ErrorKind::IsADirectory {
        return Failure::unusable("it is a directory", "name the file in it that holds the credential");
    }
    Failure::unavailable(format!("the file cannot be read ({kind})"), format!("see what ails {path}"))
}
