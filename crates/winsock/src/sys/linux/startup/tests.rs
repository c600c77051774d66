use super::*;
use std::os::unix::process::CommandExt;
use std::process::Command;

#[test]
fn each_refusal_has_a_cause_and_a_remedy_of_its_own() {
    let numbers = [libc::ENOSYS, libc::EPERM, libc::ENOMEM, libc::EMFILE, libc::EINVAL];
    let refusals: Vec<Refusal> =
        numbers.iter().map(|&n| refused(&std::io::Error::from_raw_os_error(n))).collect();
    for (position, refusal) in refusals.iter().enumerate() {
        assert!(!refusal.cause.is_empty() && !refusal.remedy.is_empty());
        assert!(refusals[position + 1..].iter().all(|other| other.cause != refusal.cause));
    }
}

#[test]
fn winsock_itself_is_refused_here() {
    // Whatever was settled first, Linux never runs on Winsock.
    assert!(choose_backend(BackendChoice::Only(Backend::Winsock)).is_err());
}

#[test]
fn the_report_names_the_kernel_and_io_uring() {
    let report = report();
    for wanted in ["kernel", "io_uring", "descriptors", "processors"] {
        let line = report.iter().find(|(name, _)| name == wanted);
        assert!(line.is_some_and(|(_, value)| !value.is_empty()), "no line for {wanted}");
    }
}

/// Set in the environment of a process that is not allowed to make a ring.
const REFUSED: &str = "DOORBELL_TEST_IO_URING_REFUSED";

#[test]
fn where_seccomp_refuses_auto_falls_back_and_says_why() {
    if std::env::var_os(REFUSED).is_some() {
        let refusal = choose_backend(BackendChoice::Only(Backend::IoUring)).unwrap_err();
        assert!(refusal.cause.contains("seccomp"), "{refusal}");
        assert!(refusal.remedy.contains("io_uring_setup"), "{refusal}");
        assert_eq!(choose_backend(BackendChoice::Auto), Ok(Backend::Epoll));
        assert_eq!(fallback(), Some(refusal));
        return;
    }
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "sys::linux::startup::tests::where_seccomp_refuses_auto_falls_back_and_says_why"]);
    child.env(REFUSED, "1").env_remove("DOORBELL_BACKEND");
    // SAFETY: between fork and exec nothing but system calls with arguments on the stack.
    unsafe { child.pre_exec(forbid_io_uring_setup) };
    let output = child.output().unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

/// From now on io_uring_setup gives EPERM in this process and what it executes.
fn forbid_io_uring_setup() -> std::io::Result<()> {
    let step = |code: u32, jt, jf, k| libc::sock_filter { code: code as u16, jt, jf, k };
    let mut filter = [
        // The number of the system call is the first word of what a filter sees.
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, libc::SYS_io_uring_setup as u32),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: the program and its steps live until the calls have copied them.
    let refused = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
            || libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) != 0
    };
    if refused { Err(std::io::Error::last_os_error()) } else { Ok(()) }
}
