//! Figures of this process and of others, by a handle and by the list of processes.

use crate::host::{OtherFigures, ProcessFigures};
use std::io;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::time::Duration;
use windows_sys::Win32::Foundation::{CloseHandle, FILETIME, HANDLE, INVALID_HANDLE_VALUE, WAIT_TIMEOUT};
use windows_sys::Win32::System::Diagnostics::ToolHelp::{
    CreateToolhelp32Snapshot, PROCESSENTRY32W, Process32FirstW, Process32NextW, TH32CS_SNAPPROCESS,
};
use windows_sys::Win32::System::ProcessStatus::{K32GetProcessMemoryInfo, PROCESS_MEMORY_COUNTERS};
use windows_sys::Win32::System::Threading::{
    GetCurrentProcess, GetCurrentProcessId, GetProcessTimes, OpenProcess, PROCESS_QUERY_INFORMATION,
    PROCESS_SYNCHRONIZE, PROCESS_VM_READ, WaitForSingleObject,
};

pub(crate) fn process_figures() -> ProcessFigures {
    // SAFETY: the pseudo handle of this process is always valid.
    let (times, memory) = unsafe { (times(GetCurrentProcess()), memory(GetCurrentProcess())) };
    let (user, system) = times.unwrap_or_default();
    ProcessFigures {
        user,
        system,
        resident_bytes: memory.map_or(0, |memory| memory.WorkingSetSize as u64),
        // SAFETY: no argument, no failure.
        threads: threads(unsafe { GetCurrentProcessId() }).unwrap_or(0),
    }
}

#[derive(Debug)]
pub(crate) struct OtherProcess {
    id: u32,
    handle: OwnedHandle,
}

impl OtherProcess {
    pub(crate) fn new(id: u32) -> io::Result<OtherProcess> {
        let rights = PROCESS_QUERY_INFORMATION | PROCESS_VM_READ | PROCESS_SYNCHRONIZE;
        // SAFETY: no memory is passed; a handle that is returned is ours alone.
        unsafe {
            let handle = OpenProcess(rights, 0, id);
            if handle.is_null() {
                return Err(io::Error::last_os_error());
            }
            Ok(OtherProcess { id, handle: OwnedHandle::from_raw_handle(handle) })
        }
    }

    pub(crate) fn figures(&self) -> io::Result<OtherFigures> {
        let handle = self.handle.as_raw_handle();
        // SAFETY: the handle is open as long as `self` is; nothing is waited for.
        let (running, times, memory) =
            unsafe { (WaitForSingleObject(handle, 0) == WAIT_TIMEOUT, times(handle), memory(handle)) };
        if !running {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the process has ended"));
        }
        let (user, system) = times.ok_or_else(io::Error::last_os_error)?;
        Ok(OtherFigures {
            user,
            system,
            // The system counts them by thread, but not of which kind they are.
            switches_voluntary: None,
            switches_involuntary: None,
            threads: threads(self.id),
            // What it has committed for itself alone, since Windows 8.
            memory_bytes: memory.map(|memory| memory.PagefileUsage as u64).filter(|&bytes| bytes > 0),
            ended: Duration::ZERO,
        })
    }

    pub(crate) fn count_system_calls(&self) -> io::Result<SystemCalls> {
        Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "this system does not count the system calls of a process",
        ))
    }
}

#[derive(Debug)]
pub(crate) struct SystemCalls {
    never: std::convert::Infallible,
}

impl SystemCalls {
    pub(crate) fn count(&self) -> io::Result<u64> {
        match self.never {}
    }
}

/// User and system.
///
/// # Safety
/// The handle is of a process.
unsafe fn times(process: HANDLE) -> Option<(Duration, Duration)> {
    let mut times = [FILETIME::default(); 4];
    let [created, ended, system, user] = &mut times;
    // SAFETY: as above; the structures are ours.
    let told = unsafe { GetProcessTimes(process, created, ended, system, user) } != 0;
    told.then(|| (duration(user), duration(system)))
}

/// # Safety
/// The handle is of a process.
unsafe fn memory(process: HANDLE) -> Option<PROCESS_MEMORY_COUNTERS> {
    let size = size_of::<PROCESS_MEMORY_COUNTERS>() as u32;
    let mut memory = PROCESS_MEMORY_COUNTERS { cb: size, ..Default::default() };
    // SAFETY: as above; the structure is ours and says its size.
    let told = unsafe { K32GetProcessMemoryInfo(process, &mut memory, size) } != 0;
    told.then_some(memory)
}

/// A time in steps of 100 ns.
fn duration(time: &FILETIME) -> Duration {
    Duration::from_nanos((u64::from(time.dwHighDateTime) << 32 | u64::from(time.dwLowDateTime)) * 100)
}

/// The list of processes names the number of threads of each; a walk over it is cheap enough for a report.
fn threads(process: u32) -> Option<usize> {
    let size = size_of::<PROCESSENTRY32W>() as u32;
    let mut entry = PROCESSENTRY32W { dwSize: size, ..Default::default() };
    // SAFETY: the snapshot is used by this thread alone and closed once; the entry is ours and says its size.
    unsafe {
        let snapshot = CreateToolhelp32Snapshot(TH32CS_SNAPPROCESS, 0);
        if snapshot == INVALID_HANDLE_VALUE {
            return None;
        }
        let mut more = Process32FirstW(snapshot, &mut entry);
        while more != 0 && entry.th32ProcessID != process {
            more = Process32NextW(snapshot, &mut entry);
        }
        CloseHandle(snapshot);
        (more != 0).then_some(entry.cntThreads as usize)
    }
}
