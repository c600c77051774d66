//! The host: handles have no limit to speak of, the console tells of Ctrl-C, the system counts the rest.

mod figures;
mod processors;

pub(crate) use figures::{OtherProcess, SystemCalls, process_figures};
pub(crate) use processors::{pin_current_thread, processors_allowed, spawn_pinned};

use crate::host::{DescriptorLimit, Signal};
use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use windows_sys::Win32::System::Console::{CTRL_BREAK_EVENT, CTRL_C_EVENT, SetConsoleCtrlHandler};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, GetProcessHandleCount};

pub(crate) fn descriptor_limit() -> Option<DescriptorLimit> {
    None
}

pub(crate) fn raise_descriptor_limit() -> Option<DescriptorLimit> {
    None
}

pub(crate) fn descriptors_open() -> usize {
    let mut count = 0;
    // SAFETY: the pseudo handle of this process is always valid; the number is ours.
    unsafe { GetProcessHandleCount(GetCurrentProcess(), &mut count) };
    count as usize
}

static INSTALLED: AtomicBool = AtomicBool::new(false);
static PENDING: Mutex<VecDeque<Signal>> = Mutex::new(VecDeque::new());
static ARRIVED: Condvar = Condvar::new();

#[derive(Debug)]
pub(crate) struct Signals(());

impl Signals {
    pub(crate) fn install() -> io::Result<Signals> {
        if INSTALLED.swap(true, Ordering::AcqRel) {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "the signals are taken over already"));
        }
        // SAFETY: the handler is a function of this program and may run on any thread.
        if unsafe { SetConsoleCtrlHandler(Some(handler), 1) } == 0 {
            let error = io::Error::last_os_error();
            INSTALLED.store(false, Ordering::Release);
            return Err(error);
        }
        Ok(Signals(()))
    }

    pub(crate) fn wait(&self) -> Signal {
        let mut pending = PENDING.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match pending.pop_front() {
                Some(signal) => return signal,
                None => pending = ARRIVED.wait(pending).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }
}

/// Called by the system on a thread of its own making.
unsafe extern "system" fn handler(event: u32) -> i32 {
    let signal = if event == CTRL_C_EVENT { Signal::Interrupt } else { Signal::Terminate };
    PENDING.lock().unwrap_or_else(PoisonError::into_inner).push_back(signal);
    ARRIVED.notify_one();
    // When the console is closed or the user leaves, the system ends the process as soon as this function returns: it
    // does not, so that the program has the time that the system grants.
    if event != CTRL_C_EVENT && event != CTRL_BREAK_EVENT {
        loop {
            std::thread::park();
        }
    }
    1
}
