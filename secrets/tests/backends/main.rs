//! The backends over real connections: real peers where there are any, and scripted servers that
//! speak the wire protocol, faults included, where there are none.

mod aws;
mod azure;
mod canary;
mod faults;
mod google;
mod harness;
mod kubernetes;
mod local;
mod openbao;
mod rotation;
mod scripted;
