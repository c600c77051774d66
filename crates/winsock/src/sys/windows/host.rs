//! The host: handles have no limit to speak of, the console tells of Ctrl-C, the system counts the rest.

use crate::host::{DescriptorLimit, ProcessFigures, Signal};
use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;
use windows_sys::Win32::Foundation::{CloseHandle, FILETIME, INVALID_HANDLE_VALUE};
use windows_sys::Win32::System::Console::{CTRL_BREAK_EVENT, CTRL_C_EVENT, SetConsoleCtrlHandler};
use windows_sys::Win32::System::Diagnostics::ToolHelp::{
    CreateToolhelp32Snapshot, PROCESSENTRY32W, Process32FirstW, Process32NextW, TH32CS_SNAPPROCESS,
};
use windows_sys::Win32::System::ProcessStatus::{K32GetProcessMemoryInfo, PROCESS_MEMORY_COUNTERS};
use windows_sys::Win32::System::Threading::{
    GetCurrentProcess, GetCurrentProcessId, GetProcessHandleCount, GetProcessTimes,
};

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

pub(crate) fn process_figures() -> ProcessFigures {
    let mut times = [FILETIME::default(); 4];
    let [created, ended, system, user] = &mut times;
    let size = size_of::<PROCESS_MEMORY_COUNTERS>() as u32;
    let mut memory = PROCESS_MEMORY_COUNTERS { cb: size, ..Default::default() };
    // SAFETY: the pseudo handle of this process is always valid; the structures are ours. What a call cannot say
    // stays zero.
    unsafe {
        GetProcessTimes(GetCurrentProcess(), created, ended, system, user);
        K32GetProcessMemoryInfo(GetCurrentProcess(), &mut memory, size);
    }
    ProcessFigures {
        user: duration(user),
        system: duration(system),
        resident_bytes: memory.WorkingSetSize as u64,
        threads: threads(),
    }
}

/// A time in steps of 100 ns.
fn duration(time: &FILETIME) -> Duration {
    Duration::from_nanos((u64::from(time.dwHighDateTime) << 32 | u64::from(time.dwLowDateTime)) * 100)
}

/// The list of processes names the number of threads of each; a walk over it is cheap enough for a report.
fn threads() -> usize {
    let size = size_of::<PROCESSENTRY32W>() as u32;
    let mut entry = PROCESSENTRY32W { dwSize: size, ..Default::default() };
    // SAFETY: the snapshot is used by this thread alone and closed once; the entry is ours and says its size.
    unsafe {
        let own = GetCurrentProcessId();
        let snapshot = CreateToolhelp32Snapshot(TH32CS_SNAPPROCESS, 0);
        if snapshot == INVALID_HANDLE_VALUE {
            return 0;
        }
        let mut more = Process32FirstW(snapshot, &mut entry);
        while more != 0 && entry.th32ProcessID != own {
            more = Process32NextW(snapshot, &mut entry);
        }
        CloseHandle(snapshot);
        if more != 0 { entry.cntThreads as usize } else { 0 }
    }
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
