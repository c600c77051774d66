//! The choice of a backend, once for the process, and what this kernel offers.
//!
//! Whether io_uring is granted is found out by making a small ring and asking it; a version number would not tell of
//! seccomp, of a sysctl, or of a memory limit.

mod report;

use super::error::Result;
use crate::error::{WSAEINVAL, WSASYSNOTREADY};
use crate::startup::{Backend, BackendChoice, Refusal};
use io_uring::{IoUring, Probe, opcode};
use rustix::io::Errno;
use std::fs;
use std::sync::OnceLock;

pub(crate) use report::report;

/// What the engine asks of a ring, by name.
const OPCODES: &[(&str, u8)] = &[
    ("NOP", opcode::Nop::CODE),
    ("POLL_ADD", opcode::PollAdd::CODE),
    ("RECV", opcode::Recv::CODE),
    ("SEND", opcode::Send::CODE),
    ("ACCEPT", opcode::Accept::CODE),
    ("CONNECT", opcode::Connect::CODE),
    ("ASYNC_CANCEL", opcode::AsyncCancel::CODE),
];

/// Enough for a look; a ring of this size needs one page for each queue.
const PROBE_ENTRIES: u32 = 8;

struct Settled {
    backend: Backend,
    fallback: Option<Refusal>,
}

static SETTLED: OnceLock<Settled> = OnceLock::new();

pub(crate) fn startup() -> Result<()> {
    if SETTLED.get().is_some() {
        return Ok(());
    }
    let choice = wanted().map_err(|_| WSAEINVAL)?;
    settle(choice).map(|_| ()).map_err(|_| WSASYSNOTREADY)
}

pub(crate) fn choose_backend(choice: BackendChoice) -> std::result::Result<Backend, Refusal> {
    let settled = settle(choice)?;
    match choice {
        BackendChoice::Only(backend) if backend != settled.backend => Err(Refusal {
            backend,
            cause: format!("this process runs on {} already", settled.backend),
            remedy: "choose before the first socket or port is made".into(),
        }),
        _ => Ok(settled.backend),
    }
}

pub(crate) fn backend() -> Backend {
    match SETTLED.get() {
        Some(settled) => settled.backend,
        // A choice that is refused is told by `startup`; until then this is what everything works on.
        None => wanted().ok().and_then(|choice| settle(choice).ok()).map_or(Backend::Epoll, |s| s.backend),
    }
}

pub(crate) fn fallback() -> Option<Refusal> {
    SETTLED.get().and_then(|settled| settled.fallback.clone())
}

fn wanted() -> std::result::Result<BackendChoice, String> {
    std::env::var("DOORBELL_BACKEND").unwrap_or_default().parse()
}

fn settle(choice: BackendChoice) -> std::result::Result<&'static Settled, Refusal> {
    if let Some(settled) = SETTLED.get() {
        return Ok(settled);
    }
    let settled = match choice {
        BackendChoice::Only(Backend::Epoll) => Settled { backend: Backend::Epoll, fallback: None },
        BackendChoice::Only(Backend::IoUring) => {
            probe()?;
            Settled { backend: Backend::IoUring, fallback: None }
        }
        BackendChoice::Only(Backend::Winsock) => {
            return Err(Refusal {
                backend: Backend::Winsock,
                cause: "this is Linux".into(),
                remedy: "take auto, io_uring or epoll".into(),
            });
        }
        BackendChoice::Auto => match probe() {
            Ok(_) => Settled { backend: Backend::IoUring, fallback: None },
            Err(refusal) => Settled { backend: Backend::Epoll, fallback: Some(refusal) },
        },
    };
    // When two threads come at once the first one's choice stands.
    Ok(SETTLED.get_or_init(|| settled))
}

/// Makes a ring and asks what it can do; the names of its features and opcodes.
fn probe() -> std::result::Result<Vec<&'static str>, Refusal> {
    let ring = IoUring::new(PROBE_ENTRIES).map_err(|error| refused(&error))?;
    let mut probe = Probe::new();
    ring.submitter().register_probe(&mut probe).map_err(|error| refused(&error))?;
    if let Some((name, _)) = OPCODES.iter().find(|(_, code)| !probe.is_supported(*code)) {
        return Err(refusal(
            format!("this kernel's io_uring has no {name}"),
            "run on Linux 5.19 or newer, or choose the epoll backend",
        ));
    }
    let parameters = ring.params();
    // Without NODROP a full completion queue would lose the end of an operation.
    if !parameters.is_feature_nodrop() {
        return Err(refusal(
            "this kernel's io_uring may lose completions (no NODROP)".into(),
            "run on Linux 5.19 or newer, or choose the epoll backend",
        ));
    }
    let features = [
        ("NODROP", parameters.is_feature_nodrop()),
        ("SINGLE_MMAP", parameters.is_feature_single_mmap()),
        ("SUBMIT_STABLE", parameters.is_feature_submit_stable()),
        ("FAST_POLL", parameters.is_feature_fast_poll()),
        ("EXT_ARG", parameters.is_feature_ext_arg()),
        ("CQE_SKIP", parameters.is_feature_skip_cqe_on_success()),
    ];
    let features = features.into_iter().filter(|(_, there)| *there).map(|(name, _)| name);
    Ok(features.chain(OPCODES.iter().map(|(name, _)| *name)).collect())
}

/// The system's refusal in words.
fn refused(error: &std::io::Error) -> Refusal {
    match Errno::from_io_error(error) {
        Some(Errno::NOSYS) => refusal(
            "the kernel has no io_uring, or a seccomp filter hides it (ENOSYS)".into(),
            "run on Linux 5.19 or newer with CONFIG_IO_URING, or allow io_uring_setup, io_uring_enter and \
             io_uring_register in the seccomp profile",
        ),
        Some(Errno::PERM | Errno::ACCESS) => match disabled() {
            Some(value) if value != "0" => refusal(
                format!("the sysctl kernel.io_uring_disabled is {value} (EPERM)"),
                "set it to 0 (sysctl -w kernel.io_uring_disabled=0), or to 1 and put this user into \
                 kernel.io_uring_group",
            ),
            _ => refusal(
                "a seccomp filter refuses it (EPERM), as Docker's default profile does".into(),
                "allow io_uring_setup, io_uring_enter and io_uring_register in the seccomp profile, for example \
                 docker run --security-opt seccomp=PROFILE",
            ),
        },
        Some(Errno::NOMEM) => refusal(
            "the limit of locked memory is used up (ENOMEM)".into(),
            "raise it (ulimit -l), or LimitMEMLOCK= of the unit",
        ),
        Some(Errno::MFILE | Errno::NFILE) => {
            refusal("no descriptor is left (EMFILE)".into(), "raise the descriptor limit (ulimit -n)")
        }
        _ => refusal(format!("the kernel says: {error}"), "choose the epoll backend"),
    }
}

fn refusal(cause: String, remedy: &str) -> Refusal {
    Refusal { backend: Backend::IoUring, cause, remedy: remedy.into() }
}

/// The sysctl that switches io_uring off; `None` where the kernel does not know it.
fn disabled() -> Option<String> {
    Some(fs::read_to_string("/proc/sys/kernel/io_uring_disabled").ok()?.trim().to_owned())
}

#[cfg(test)]
mod tests;
