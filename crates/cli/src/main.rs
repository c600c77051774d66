#![forbid(unsafe_code)]
//! The `doorbell` command.
fn main() {}
