//! Starting, and the suite once more under the other backend.

use crate::harness::promise;
use doorbell_winsock::startup::{Backend, BackendChoice};
use doorbell_winsock::{Socket, startup};
use std::process::Command;

// D WSAStartup: any number of calls.
#[test]
fn startup_may_be_called_again_and_again() {
    promise(|| {
        for _ in 0..3 {
            startup::startup().unwrap();
        }
        let backend = startup::backend();
        assert_eq!(startup::choose_backend(BackendChoice::Only(backend)), Ok(backend));
        assert!(!startup::report().is_empty());
        assert_eq!("auto".parse(), Ok(BackendChoice::Auto));
        assert!("AUTO?".parse::<BackendChoice>().is_err());
    });
}

// A backend that was settled stands for the life of the process.
#[test]
fn startup_the_backend_is_chosen_once() {
    promise(|| {
        let settled = startup::backend();
        drop(Socket::new(doorbell_winsock::Family::V4, doorbell_winsock::Kind::Stream));
        for other in [Backend::IoUring, Backend::Epoll, Backend::Winsock] {
            if other != settled {
                let refusal = startup::choose_backend(BackendChoice::Only(other)).unwrap_err();
                assert_eq!(refusal.backend, other);
                assert!(!refusal.cause.is_empty() && !refusal.remedy.is_empty(), "{refusal}");
            }
        }
        assert_eq!(startup::backend(), settled);
    });
}

// Every promise holds under both backends, and a process has only one: this binary runs itself again.
#[test]
fn startup_every_promise_holds_under_the_other_backend_too() {
    if std::env::var_os("DOORBELL_BACKEND").is_some() || startup::backend() != Backend::IoUring {
        println!("nothing to do: the backend is {}", startup::backend());
        return;
    }
    let output = Command::new(std::env::current_exe().expect("this binary"))
        .env("DOORBELL_BACKEND", "epoll")
        .output()
        .expect("this binary runs again");
    assert!(
        output.status.success(),
        "under DOORBELL_BACKEND=epoll:\n{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
