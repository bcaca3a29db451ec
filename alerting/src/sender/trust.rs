//! Certificates an operator trusts besides the system's.

use crate::receiver::{Fault, Receiver};
use reqwest::Certificate;

/// The text of a receiver's `ca_file`; none when it has no such file.
pub(super) fn pem(receiver: &Receiver) -> Result<Option<Vec<u8>>, Fault> {
    let Some(path) = &receiver.ca_file else { return Ok(None) };
    let pem = std::fs::read(path).map_err(|error| fault(receiver, error.to_string()))?;
    let found = Certificate::from_pem_bundle(&pem).map_err(|error| fault(receiver, error.to_string()))?;
    if found.is_empty() { Err(fault(receiver, "no certificate is in it".to_owned())) } else { Ok(Some(pem)) }
}

/// The certificates in it.
pub(super) fn certificates(receiver: &Receiver) -> Result<Vec<Certificate>, Fault> {
    let Some(pem) = pem(receiver)? else { return Ok(Vec::new()) };
    Certificate::from_pem_bundle(&pem).map_err(|error| fault(receiver, error.to_string()))
}

pub(super) fn fault(receiver: &Receiver, detail: String) -> Fault {
    let file = receiver.ca_file.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
    Fault::Certificates { file, detail }
}
