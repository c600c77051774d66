//! How the command fails: what it says, and its exit code.

use doorbell::{ServeError, StartError};
use doorbell_winsock::error::WSASYSNOTREADY;
use doorbell_winsock::startup::Refusal;
use std::io::{self, Write};
use std::process::ExitCode;

/// Why the command does not end with 0.
#[derive(Debug)]
pub(crate) enum Failure {
    /// 1: it failed while it was running.
    Running(String),
    /// 2: the command line, the environment or the file of settings is wrong.
    Usage(String),
    /// 3: an address cannot be listened on.
    Bind(String),
    /// 4: the model or the backend is not available here.
    Unavailable(String),
    /// 99: a threshold of `bench` was crossed.
    Crossed(String),
    /// 130: the user broke it off; what was there by then is written.
    Interrupted(String),
    /// What clap has to say: 2 for a mistake, 0 for help and the version, which it prints on standard output.
    Clap(clap::Error),
}

impl Failure {
    /// Says it on standard error and returns the exit code.
    pub(crate) fn tell(self) -> ExitCode {
        let (code, message) = match self {
            Failure::Running(message) => (1, message),
            Failure::Usage(message) => (2, message),
            Failure::Bind(message) => (3, message),
            Failure::Unavailable(message) => (4, message),
            Failure::Crossed(message) => (99, message),
            Failure::Interrupted(message) => (130, message),
            Failure::Clap(error) => {
                // Nobody reads any more: there is nobody to tell that to.
                let _ = error.print();
                return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
            }
        };
        let _ = writeln!(io::stderr(), "doorbell: {message}");
        ExitCode::from(code)
    }
}

impl From<clap::Error> for Failure {
    fn from(error: clap::Error) -> Failure {
        Failure::Clap(error)
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Failure {
        let message = error.to_string();
        match error {
            StartError::Bind { .. } => Failure::Bind(message),
            StartError::Winsock(error) if error.code() == WSASYSNOTREADY => Failure::Unavailable(message),
            StartError::Winsock(_) => Failure::Running(message),
            StartError::Config(_) => Failure::Usage(message),
        }
    }
}

impl From<ServeError> for Failure {
    fn from(error: ServeError) -> Failure {
        Failure::Running(error.to_string())
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Failure {
        Failure::Unavailable(refusal.to_string())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Running(error.to_string())
    }
}
