//! Databases that say where an address belongs.

use crate::config::frame::{At, section};
use std::path::PathBuf;

section! {
    /// Databases that say where an address belongs.
    pub(crate) struct AddressFiles {
        /// Autonomous systems: an unpacked .mmdb file.
        asn: Option<At<PathBuf>>,
        /// Countries: an unpacked .mmdb file.
        country: Option<At<PathBuf>>,
    }
}
