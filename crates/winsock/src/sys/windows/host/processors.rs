//! The choice of processors: masks of a thread and of a process, within one group of 64.

use std::io;
use std::os::windows::io::AsRawHandle;
use std::process::{Child, Command};
use windows_sys::Win32::System::Threading::{
    GetCurrentProcess, GetCurrentThread, GetProcessAffinityMask, SetProcessAffinityMask,
    SetThreadAffinityMask,
};

/// Those of the process: the mask of a thread can only be asked for by setting it.
pub(crate) fn processors_allowed() -> Vec<usize> {
    let (process, thread) = (process_mask(), thread_mask());
    let mask = if thread == 0 { process } else { thread };
    (0..usize::BITS as usize).filter(|processor| mask >> processor & 1 != 0).collect()
}

pub(crate) fn pin_current_thread(processors: &[usize]) -> io::Result<()> {
    let mask = mask(processors)?;
    // SAFETY: the pseudo handle of this thread is always valid.
    let before = unsafe { SetThreadAffinityMask(GetCurrentThread(), mask) };
    if before == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// A child inherits the mask of its parent's process, which is not to change: the child is moved when it has begun.
pub(crate) fn spawn_pinned(command: &mut Command, processors: &[usize]) -> io::Result<Child> {
    let mask = mask(processors)?;
    let mut child = command.spawn()?;
    // SAFETY: the child owns its handle and lives longer than this call.
    if unsafe { SetProcessAffinityMask(child.as_raw_handle(), mask) } == 0 {
        let error = io::Error::last_os_error();
        let _ = child.kill();
        let _ = child.wait();
        return Err(error);
    }
    Ok(child)
}

/// Of those that this process may run on at all.
fn mask(processors: &[usize]) -> io::Result<usize> {
    let named = processors.iter().filter_map(|&processor| 1_usize.checked_shl(processor as u32));
    match named.fold(0, |mask, processor| mask | processor) & process_mask() {
        0 => Err(io::ErrorKind::InvalidInput.into()),
        mask => Ok(mask),
    }
}

fn process_mask() -> usize {
    let (mut process, mut system) = (0, 0);
    // SAFETY: the pseudo handle of this process is always valid; the masks are ours.
    unsafe { GetProcessAffinityMask(GetCurrentProcess(), &mut process, &mut system) };
    process
}

/// Set to all that the process has, and back to what it was.
fn thread_mask() -> usize {
    // SAFETY: the pseudo handle of this thread is always valid.
    unsafe {
        let before = SetThreadAffinityMask(GetCurrentThread(), process_mask());
        SetThreadAffinityMask(GetCurrentThread(), before);
        before
    }
}
