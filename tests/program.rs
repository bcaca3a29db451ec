//! The whole program, as its users start it: real processes, real files, real sockets.

mod architecture;
mod aws;
mod azure;
mod backtest;
mod bad_input;
mod canary;
mod cloudwatch;
mod commands;
mod config;
mod docs;
mod doctor;
mod google;
#[expect(dead_code, reason = "the benchmark uses the rest")]
mod harness;
mod kills;
mod lifecycle;
mod monitoring;
mod peers;
mod push;
mod reload;
mod rules;
mod scrub;
mod secrets;
mod watch;
