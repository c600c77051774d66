//! The command, from outside: what it says, what it serves, how it ends.

mod bench;
mod command;
mod linux;
mod serve;
mod support;
