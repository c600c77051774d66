//! Signals that become bytes in a pipe, because a handler may do next to nothing (see signal-safety(7)).

use rustix::io::Errno;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering::SeqCst};

/// The pipe's writing end. It is never closed: a handler may run at any time.
static WRITER: AtomicI32 = AtomicI32::new(-1);
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The reading end.
#[derive(Debug)]
pub(crate) struct SignalPipe {
    reader: OwnedFd,
}

impl SignalPipe {
    /// From now on these signals are told by [`next`](SignalPipe::next) and do nothing else. Once in a process.
    pub(crate) fn install(signals: &[i32]) -> io::Result<SignalPipe> {
        if TAKEN.swap(true, SeqCst) {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "the signals are taken over already"));
        }
        let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        // A handler must never wait for room.
        rustix::io::ioctl_fionbio(&writer, true)?;
        WRITER.store(writer.as_raw_fd(), SeqCst);
        std::mem::forget(writer);
        for &signal in signals {
            take_over(signal)?;
        }
        Ok(SignalPipe { reader })
    }

    /// Blocks until the next signal comes.
    pub(crate) fn next(&self) -> i32 {
        let mut number = [0];
        loop {
            match rustix::io::read(&self.reader, &mut number) {
                Ok(1) => return number[0].into(),
                // The writing end is never closed, so nothing but an interruption comes here.
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => panic!("the signals' own pipe cannot be read: {errno}"),
            }
        }
    }
}

fn take_over(signal: i32) -> io::Result<()> {
    let handler: extern "C" fn(i32) = handle;
    // SAFETY: an all-zero `sigaction` is a valid one, with an empty mask. The handler has the signature that goes with
    // these flags and makes async-signal-safe calls alone. SA_RESTART keeps system calls of other code undisturbed.
    let outcome = unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as usize;
        action.sa_flags = libc::SA_RESTART;
        libc::sigaction(signal, &action, std::ptr::null_mut())
    };
    if outcome == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

extern "C" fn handle(signal: i32) {
    let number = signal as u8;
    // SAFETY: `write` and access to errno are async-signal-safe; the byte outlives the call; the descriptor is never
    // closed. errno is put back, for the interrupted code may be about to read it.
    unsafe {
        let errno = libc::__errno_location();
        let before = *errno;
        libc::write(WRITER.load(SeqCst), (&raw const number).cast(), 1);
        *errno = before;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_told_and_ends_nothing() {
        let pipe = SignalPipe::install(&[libc::SIGUSR1]).unwrap();
        for _ in 0..2 {
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::USR1).unwrap();
            assert_eq!(pipe.next(), libc::SIGUSR1);
        }
        assert!(SignalPipe::install(&[libc::SIGUSR1]).is_err());
    }
}
