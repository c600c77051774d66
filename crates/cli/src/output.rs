//! Writing to standard output, whose reader may have left.

use crate::failure::Failure;
use std::io::{self, ErrorKind, Write};

/// Writes all of it. `doorbell models | head -1` is no failure: a reader that has left has what it wanted.
pub(crate) fn print(bytes: impl AsRef<[u8]>) -> Result<(), Failure> {
    write(io::stdout().lock(), bytes.as_ref())
}

/// The same with escape sequences, which are left out where they are not understood or not wanted (NO_COLOR).
pub(crate) fn print_styled(text: &str) -> Result<(), Failure> {
    write(anstream::stdout().lock(), text.as_bytes())
}

fn write(mut out: impl Write, bytes: &[u8]) -> Result<(), Failure> {
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::Running(format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}
