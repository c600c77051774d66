//! Counting system calls: the tracepoint `raw_syscalls:sys_enter`, by perf_event_open(2).

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{FromRawFd, OwnedFd};

/// What a thread, and every thread that it makes from now on, has called since this was made.
#[derive(Debug)]
pub(crate) struct SystemCalls {
    event: File,
}

impl SystemCalls {
    pub(crate) fn of_thread(id: i32, tracepoint: u64) -> io::Result<SystemCalls> {
        let event = Event { config: tracepoint, ..Event::default() };
        // SAFETY: the structure says its size and outlives the call; a descriptor that is returned is ours alone.
        let event = unsafe {
            let every_processor = -1_i32;
            let no_group = -1_i32;
            let descriptor = libc::syscall(
                libc::SYS_perf_event_open,
                &raw const event,
                id,
                every_processor,
                no_group,
                CLOSE_ON_EXEC,
            );
            if descriptor < 0 {
                return Err(io::Error::last_os_error());
            }
            OwnedFd::from_raw_fd(descriptor as i32)
        };
        Ok(SystemCalls { event: event.into() })
    }

    pub(crate) fn count(&self) -> io::Result<u64> {
        let mut count = [0; 8];
        (&self.event).read_exact(&mut count)?;
        Ok(u64::from_ne_bytes(count))
    }
}

const CLOSE_ON_EXEC: libc::c_ulong = 1 << 3;

/// `perf_event_attr` in its first version, which every kernel takes.
#[repr(C)]
struct Event {
    kind: u32,
    size: u32,
    config: u64,
    sample_period: u64,
    sample_type: u64,
    read_format: u64,
    flags: u64,
    wakeup_events: u32,
    breakpoint_type: u32,
    config1: u64,
}

impl Default for Event {
    fn default() -> Event {
        const TRACEPOINT: u32 = 2;
        const INHERIT: u64 = 1 << 1;
        Event {
            kind: TRACEPOINT,
            size: size_of::<Event>() as u32,
            config: 0,
            sample_period: 0,
            sample_type: 0,
            read_format: 0,
            flags: INHERIT,
            wakeup_events: 0,
            breakpoint_type: 0,
            config1: 0,
        }
    }
}

/// The number of the tracepoint, which the tracing file system tells.
///
/// Where that is not mounted, it is opened without being mounted anywhere.
pub(crate) fn tracepoint() -> io::Result<u64> {
    let mounted = openat(CWD, "/sys/kernel/tracing", OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
    let id = match mounted.map_err(io::Error::from).and_then(id_in) {
        Ok(id) => id,
        Err(_) => id_in(unmounted().map_err(|errno| match errno {
            Errno::NODEV | Errno::NOSYS => {
                io::Error::new(io::ErrorKind::Unsupported, "this kernel has no tracing file system")
            }
            errno => errno.into(),
        })?)?,
    };
    id.trim().parse().map_err(io::Error::other)
}

fn unmounted() -> rustix::io::Result<OwnedFd> {
    let tracing = fsopen("tracefs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(&tracing)?;
    fsmount(&tracing, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())
}

fn id_in(folder: OwnedFd) -> io::Result<String> {
    let path = "events/raw_syscalls/sys_enter/id";
    let mut id = String::new();
    File::from(openat(folder, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)
        .read_to_string(&mut id)?;
    Ok(id)
}
