//! What is pushed to Keywatch: audit devices of Vault and OpenBao, syslog, HTTP.
//!
//! Whoever pushes does not wait for the database. What comes is opened into records, rid of secret
//! values and written to a [spool](Storage) on disk; only then is it acknowledged, where there is
//! somebody to tell. The pipeline reads the spool at its own pace.
//!
//! Invariant: nothing here waits for the database, and no socket of an audit device waits for the
//! disk. A device that is kept waiting stops Vault.

mod device;
mod framer;
mod http;
mod intake;
mod probe;
mod pushed;
mod spool;
mod tls;

pub use device::Device;
pub use http::{Http, PubSub, Sns};
pub use pushed::{Pushed, Settings, Way};
pub use spool::Storage;
pub use tls::Tls;
