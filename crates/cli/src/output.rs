//! Writing to standard output, whose reader may have left.

use crate::failure::Failure;
use std::io::{self, ErrorKind, Write};

/// Writes all of it. `doorbell models | head -1` is no failure: a reader that has left has what it wanted.
pub(crate) fn print(bytes: impl AsRef<[u8]>) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes.as_ref()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::Running(format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}
