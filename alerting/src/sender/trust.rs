//! Certificates an operator trusts besides the system's.

use crate::receiver::{Fault, Receiver};
use reqwest::Certificate;

/// The certificates of a receiver's `ca_file`; none when it has no such file.
pub(crate) fn certificates(receiver: &Receiver) -> Result<Vec<Certificate>, Fault> {
    let Some(path) = &receiver.ca_file else { return Ok(Vec::new()) };
    let fault = |detail: String| Fault::Certificates { file: path.display().to_string(), detail };
    let pem = std::fs::read(path).map_err(|error| fault(error.to_string()))?;
    let found = Certificate::from_pem_bundle(&pem).map_err(|error| fault(error.to_string()))?;
    if found.is_empty() { Err(fault("no certificate is in it".to_owned())) } else { Ok(found) }
}
