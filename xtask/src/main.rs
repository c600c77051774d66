#![forbid(unsafe_code)]
//! Checks of this workspace.
fn main() {}
