//! Winsock's error codes, the same numbers on every system (ER-01).
//!
//! A Linux errno never shows: the Linux column turns it into the Winsock code of the same meaning. An [`Error`]
//! knows which call failed and prints as `recv: WSAECONNRESET (10054): the peer reset the connection`.
//!
//! Plain calls, [`Op::result`](crate::overlapped::Op::result) and [`Completion::result`](crate::Completion::result) say
//! Winsock's codes. [`Completion::system_code`](crate::Completion::system_code) says what Win32 says of the same failure: 64 for
//! 10054, 1225 for 10061, 234 for 10040; 995 is the same in both (ER-02).
//!
//! ```
//! use doorbell_winsock::error::WSAENOTCONN;
//! # use doorbell_winsock::{Family, Kind, Socket};
//!
//! # fn main() -> doorbell_winsock::Result<()> {
//! # let socket = Socket::new(Family::V4, Kind::Stream)?;
//! let error = socket.send(b"ding dong").unwrap_err();
//! assert_eq!((error.call(), error.code()), ("send", WSAENOTCONN));
//! assert_eq!(error.to_string(), "send: WSAENOTCONN (10057): the socket is not connected");
//! // For whoever wants the standard library's.
//! assert_eq!(std::io::Error::from(error).kind(), std::io::ErrorKind::NotConnected);
//! # Ok(())
//! # }
//! ```

use std::fmt;
use std::io;

/// What every call of this crate returns.
pub type Result<T> = std::result::Result<T, Error>;

/// A failed call: which call, and Winsock's (or Win32's) number for the reason.
#[doc(alias = "WSAGetLastError")]
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Error {
    call: &'static str,
    code: i32,
}

impl Error {
    /// The error `code` of the call named `call`.
    pub const fn new(call: &'static str, code: i32) -> Error {
        Error { call, code }
    }

    /// The name of the call that failed, as Winsock spells the verb: `recv`, `event_select`.
    pub const fn call(&self) -> &'static str {
        self.call
    }

    /// Winsock's number, for example [`WSAECONNRESET`].
    pub const fn code(&self) -> i32 {
        self.code
    }

    /// The number's name in Microsoft's headers, or `"unknown"`.
    pub fn name(&self) -> &'static str {
        entry(self.code).map_or("unknown", |e| e.name)
    }

    /// What the number means, in words.
    pub fn meaning(&self) -> &'static str {
        entry(self.code).map_or("an error without a description here", |e| e.meaning)
    }

    /// What to do about it, where there is something to do.
    pub fn remedy(&self) -> Option<&'static str> {
        entry(self.code).map(|e| e.remedy).filter(|r| !r.is_empty())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({}): {}", self.call, self.name(), self.code, self.meaning())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Error {}

impl From<Error> for io::Error {
    fn from(error: Error) -> io::Error {
        use io::ErrorKind as K;
        let kind = match error.code {
            WSAEINTR => K::Interrupted,
            WSAEACCES => K::PermissionDenied,
            WSAEINVAL | ERROR_INVALID_PARAMETER => K::InvalidInput,
            WSAEWOULDBLOCK => K::WouldBlock,
            WSAEADDRINUSE => K::AddrInUse,
            WSAEADDRNOTAVAIL => K::AddrNotAvailable,
            WSAENETUNREACH => K::NetworkUnreachable,
            WSAEHOSTUNREACH => K::HostUnreachable,
            WSAECONNABORTED => K::ConnectionAborted,
            WSAECONNRESET | ERROR_NETNAME_DELETED => K::ConnectionReset,
            WSAENOTCONN => K::NotConnected,
            WSAETIMEDOUT | WAIT_TIMEOUT => K::TimedOut,
            WSAECONNREFUSED | ERROR_CONNECTION_REFUSED => K::ConnectionRefused,
            WSAEOPNOTSUPP | WSAEAFNOSUPPORT => K::Unsupported,
            _ => K::Other,
        };
        io::Error::new(kind, error)
    }
}

struct Entry {
    code: i32,
    name: &'static str,
    meaning: &'static str,
    remedy: &'static str,
}

fn entry(code: i32) -> Option<&'static Entry> {
    TABLE.iter().find(|e| e.code == code)
}

// One line a code: the constant, its number, what it means, what to do about it.
macro_rules! codes {
    ($($name:ident = $code:literal, $meaning:literal, $remedy:literal;)*) => {
        $(
            #[doc = concat!($meaning, ".")]
            pub const $name: i32 = $code;
        )*
        const TABLE: &[Entry] =
            &[$(Entry { code: $code, name: stringify!($name), meaning: $meaning, remedy: $remedy }),*];
    };
}

codes! {
    ERROR_INVALID_HANDLE = 6, "the handle is closed", "";
    ERROR_NOT_ENOUGH_MEMORY = 8, "not enough memory", "";
    ERROR_GEN_FAILURE = 31, "the thread has ended", "";
    ERROR_UNEXP_NET_ERR = 59, "the network failed unexpectedly", "";
    ERROR_NETNAME_DELETED = 64, "the connection was reset (a completed operation's system code)", "";
    ERROR_INVALID_PARAMETER = 87, "a parameter is not valid here", "";
    WSA_WAIT_IO_COMPLETION = 192, "a routine ran during the wait", "";
    ERROR_MORE_DATA = 234, "the datagram was longer than the buffer (system code)", "";
    WAIT_TIMEOUT = 258, "nothing came in time", "";
    ERROR_ABANDONED_WAIT_0 = 735, "the port was closed during the wait", "";
    WSA_OPERATION_ABORTED = 995, "the operation was cancelled", "";
    WSA_IO_INCOMPLETE = 996, "the operation is still running", "ask again later, or wait for it";
    WSA_IO_PENDING = 997, "the operation was started and is running", "";
    ERROR_NOT_FOUND = 1168, "there is nothing to cancel", "";
    ERROR_CONNECTION_REFUSED = 1225, "nobody listens there (system code)", "";
    ERROR_PORT_UNREACHABLE = 1234, "nobody owns the port there (system code)", "";
    ERROR_CONNECTION_ABORTED = 1236, "the connection was aborted on this side (system code)", "";
    ERROR_INVALID_WINDOW_HANDLE = 1400, "the window's queue is gone", "";
    ERROR_NOT_ENOUGH_QUOTA = 1816, "as many messages wait in the queue as it may hold", "let its thread take some";
    WSAEINTR = 10004, "the call was interrupted because its socket was closed", "";
    WSAEBADF = 10009, "the descriptor is not valid", "";
    WSAEACCES = 10013, "permission denied", "ports below 1024 need a privilege; take another port or grant it";
    WSAEFAULT = 10014, "a bad address in memory", "";
    WSAEINVAL = 10022, "the call does not fit the socket's state, or an argument is not valid", "";
    WSAEMFILE = 10024, "too many open sockets", "raise the descriptor limit (ulimit -n)";
    WSAEWOULDBLOCK = 10035, "the call would have to wait", "wait until the socket is ready";
    WSAEINPROGRESS = 10036, "a blocking call is in progress", "";
    WSAEALREADY = 10037, "the socket is already connecting", "wait for the outcome";
    WSAENOTSOCK = 10038, "the socket is closed", "";
    WSAEDESTADDRREQ = 10039, "no destination was given", "";
    WSAEMSGSIZE = 10040, "the datagram does not fit", "";
    WSAEPROTOTYPE = 10041, "the protocol does not fit the socket", "";
    WSAENOPROTOOPT = 10042, "the option is not known here", "";
    WSAEPROTONOSUPPORT = 10043, "the protocol is not known here", "";
    WSAESOCKTNOSUPPORT = 10044, "this kind of socket is not known here", "";
    WSAEOPNOTSUPP = 10045, "the call is not available for this socket or on this system", "";
    WSAEPFNOSUPPORT = 10046, "the protocol family is not known here", "";
    WSAEAFNOSUPPORT = 10047, "the address is of another family than the socket", "";
    WSAEADDRINUSE = 10048, "the address is in use",
        "stop the program that has it, or take another port (port 0 takes a free one)";
    WSAEADDRNOTAVAIL = 10049, "the address does not belong to this machine", "use one of this machine's addresses";
    WSAENETDOWN = 10050, "the network is down", "";
    WSAENETUNREACH = 10051, "the network cannot be reached", "";
    WSAENETRESET = 10052, "the network dropped the connection", "";
    WSAECONNABORTED = 10053, "the connection was aborted on this side", "";
    WSAECONNRESET = 10054, "the peer reset the connection", "";
    WSAENOBUFS = 10055, "the system is out of buffers", "";
    WSAEISCONN = 10056, "the socket is connected already", "";
    WSAENOTCONN = 10057, "the socket is not connected", "";
    WSAESHUTDOWN = 10058, "this direction of the socket was shut down", "";
    WSAETIMEDOUT = 10060, "the time for it ran out", "";
    WSAECONNREFUSED = 10061, "nobody listens there", "";
    WSAEHOSTDOWN = 10064, "the host is down", "";
    WSAEHOSTUNREACH = 10065, "the host cannot be reached", "";
    WSASYSNOTREADY = 10091, "the network system is not ready", "";
    WSAVERNOTSUPPORTED = 10092, "this version of Winsock is not there", "";
    WSANOTINITIALISED = 10093, "Winsock was not started", "call startup first";
}

/// The Winsock face of a completed operation's system code (ER-02): 64 becomes 10054, 1225 becomes 10061.
pub(crate) const fn wsa_from_system(code: i32) -> i32 {
    match code {
        ERROR_NETNAME_DELETED => WSAECONNRESET,
        ERROR_MORE_DATA => WSAEMSGSIZE,
        ERROR_CONNECTION_REFUSED => WSAECONNREFUSED,
        ERROR_PORT_UNREACHABLE => WSAECONNRESET,
        ERROR_CONNECTION_ABORTED => WSAECONNABORTED,
        1231 => WSAENETUNREACH,
        1232 => WSAEHOSTUNREACH,
        121 => WSAETIMEDOUT,
        // What a pending operation ends with when its socket is closed differs: 995, 1236 or 676 (CL-01).
        676 => WSA_OPERATION_ABORTED,
        other => other,
    }
}

/// The system face of a Winsock code, as a completion port tells it (ER-02): 10054 becomes 64.
#[allow(dead_code, reason = "a column that passes through never needs it")]
pub(crate) const fn system_from_wsa(code: i32) -> i32 {
    match code {
        WSAECONNRESET => ERROR_NETNAME_DELETED,
        WSAEMSGSIZE => ERROR_MORE_DATA,
        WSAECONNREFUSED => ERROR_CONNECTION_REFUSED,
        WSAECONNABORTED => ERROR_CONNECTION_ABORTED,
        WSAENETUNREACH => 1231,
        WSAEHOSTUNREACH => 1232,
        WSAETIMEDOUT => 121,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_call_the_code_and_the_meaning() {
        let error = Error::new("recv", WSAECONNRESET);
        assert_eq!(error.to_string(), "recv: WSAECONNRESET (10054): the peer reset the connection");
        assert_eq!(io::Error::from(error).kind(), io::ErrorKind::ConnectionReset);
    }

    #[test]
    fn the_two_faces_of_a_failure_agree() {
        for wsa in [WSAECONNRESET, WSAEMSGSIZE, WSAECONNREFUSED, WSAECONNABORTED, WSA_OPERATION_ABORTED] {
            assert_eq!(wsa_from_system(system_from_wsa(wsa)), wsa);
        }
    }

    #[test]
    fn no_number_stands_twice() {
        for (i, a) in TABLE.iter().enumerate() {
            assert!(TABLE[i + 1..].iter().all(|b| b.code != a.code), "{} stands twice", a.name);
        }
    }
}
