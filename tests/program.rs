//! The whole program, as its users start it: real processes, real files, real sockets.

mod architecture;
mod bad_input;
mod commands;
mod harness;
mod kills;
