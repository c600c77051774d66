//! Why a server does not start, or ends before it was told to.

use doorbell_winsock::Error;
use std::fmt;
use std::net::SocketAddr;

/// Why [`Builder::start`](crate::Builder::start) did not start a server.
#[derive(Clone, Debug)]
pub enum StartError {
    /// The address cannot be listened on.
    Bind {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system said.
        error: Error,
    },
    /// The system refused something else that a server needs.
    Winsock(Error),
    /// The settings do not fit together.
    Config(String),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Bind { address, error } => {
                write!(f, "cannot listen on {address}: ")?;
                with_remedy(f, error)
            }
            StartError::Winsock(error) => {
                f.write_str("cannot start: ")?;
                with_remedy(f, error)
            }
            StartError::Config(what) => write!(f, "the settings do not fit: {what}"),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            StartError::Bind { error, .. } | StartError::Winsock(error) => Some(error),
            StartError::Config(_) => None,
        }
    }
}

impl From<Error> for StartError {
    fn from(error: Error) -> StartError {
        StartError::Winsock(error)
    }
}

/// Why a running server ended although nobody stopped it.
#[derive(Clone, Debug)]
pub enum ServeError {
    /// The call that the model waits in failed.
    Winsock(Error),
    /// A thread of the server panicked outside any conversation: a mistake in this library.
    Panicked(String),
}

impl fmt::Display for ServeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServeError::Winsock(error) => {
                f.write_str("the server had to end: ")?;
                with_remedy(f, error)
            }
            ServeError::Panicked(message) => write!(f, "the server had to end: a thread panicked: {message}"),
        }
    }
}

impl std::error::Error for ServeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ServeError::Winsock(error) => Some(error),
            ServeError::Panicked(_) => None,
        }
    }
}

impl From<Error> for ServeError {
    fn from(error: Error) -> ServeError {
        ServeError::Winsock(error)
    }
}

fn with_remedy(f: &mut fmt::Formatter<'_>, error: &Error) -> fmt::Result {
    match error.remedy() {
        Some(remedy) => write!(f, "{error}; {remedy}"),
        None => write!(f, "{error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use doorbell_winsock::error::WSAEADDRINUSE;

    #[test]
    fn a_bind_error_names_address_call_code_meaning_and_remedy() {
        let address = "127.0.0.1:80".parse().unwrap();
        let text = StartError::Bind { address, error: Error::new("bind", WSAEADDRINUSE) }.to_string();
        for part in ["127.0.0.1:80", "bind", "WSAEADDRINUSE", "10048", "in use", "stop the program"] {
            assert!(text.contains(part), "'{part}' is missing in: {text}");
        }
    }
}
