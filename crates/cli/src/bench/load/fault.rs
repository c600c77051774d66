//! What a server did wrong, in one sentence each.

use super::LoadError;
use super::pattern::{Pattern, Place};
use std::io;
use std::time::Duration;

/// Bytes that must agree before it is said that others are missing or came twice.
const CERTAIN: usize = 4;

/// Letters that are taken for words, and how many of them are shown.
const WORDS_MIN: usize = 8;
const WORDS_MAX: usize = 40;

/// Where a connection stands, in the words of a fault.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Standing {
    pub(super) connection: usize,
    /// Answers that were complete, which is the number of the request whose answer comes.
    pub(super) answered: u64,
    /// Bytes of that answer that came.
    pub(super) of_answer: usize,
    /// Bytes of all answers that came.
    pub(super) received: u64,
    /// Bytes that were sent and not yet answered.
    pub(super) awaited: usize,
}

impl Standing {
    fn place(&self) -> String {
        format!(
            "connection {}, byte {} of its answers (byte {} of the answer to request {})",
            self.connection, self.received, self.of_answer, self.answered
        )
    }

    /// A byte that is another than was sent. `came` begins with it.
    pub(super) fn wrong(&self, expected: u8, came: &[u8], pattern: &Pattern, place: Place) -> LoadError {
        LoadError::Fault(format!(
            "{}: expected {expected:#04x}, came {:#04x}{}",
            self.place(),
            came[0],
            self.reason(came, pattern, place).or_else(|| self.words(came)).unwrap_or_default()
        ))
    }

    /// What may have happened, if what follows tells.
    fn reason(&self, came: &[u8], pattern: &Pattern, place: Place) -> Option<String> {
        let came = &came[..came.len().min(4 * CERTAIN)];
        if came.len() > CERTAIN && pattern.piece(place.after(1), came.len() - 1) == &came[1..] {
            return Some("; what follows is right, so this byte was changed".into());
        }
        let ahead = (came.len() >= CERTAIN).then(|| pattern.distance(place, came))??;
        let back = Place::round() - ahead;
        if ahead <= self.awaited {
            Some(format!("; as if {} before it were missing", bytes(ahead)))
        } else {
            (back as u64 <= self.received)
                .then(|| format!("; as if {} before it had come twice", bytes(back)))
        }
    }

    /// The first words that came, if they are words: they tell a server of another kind.
    fn words(&self, came: &[u8]) -> Option<String> {
        let letters = |byte: &&u8| byte.is_ascii_graphic() || **byte == b' ';
        let words: String =
            came.iter().take(WORDS_MAX).take_while(letters).map(|&byte| byte as char).collect();
        (self.received == 0 && words.len() >= WORDS_MIN)
            .then(|| format!("; it reads '{words}': this is no echo server"))
    }

    /// More bytes than were sent.
    pub(super) fn too_many(&self, came: &[u8]) -> LoadError {
        LoadError::Fault(format!(
            "{}: expected nothing, for all that was sent is answered; came {} more, the first {:#04x}",
            self.place(),
            bytes(came.len()),
            came[0]
        ))
    }

    /// The end of the stream before the client's own.
    pub(super) fn closed(&self) -> LoadError {
        LoadError::Fault(format!(
            "{}: expected {}, but the server closed the connection",
            self.place(),
            self.expected()
        ))
    }

    /// The connection broke.
    pub(super) fn broke(&self, error: &io::Error) -> LoadError {
        LoadError::Fault(format!(
            "{}: expected {}, but the connection broke: {error}",
            self.place(),
            self.expected()
        ))
    }

    /// Nothing came for so long.
    pub(super) fn silence(&self, patience: Duration) -> LoadError {
        LoadError::Fault(format!(
            "{}: expected {}, but nothing came for {patience:?}",
            self.place(),
            self.expected()
        ))
    }

    fn expected(&self) -> String {
        match self.awaited {
            0 => "the connection to stay open".into(),
            awaited => format!("{} more", bytes(awaited)),
        }
    }

    /// The client ended its half, all was answered, and the server does not end its own.
    pub(super) fn not_ended(&self, patience: Duration) -> LoadError {
        LoadError::Fault(format!(
            "{}: expected the end of the stream after the client's end, but nothing came for {patience:?}",
            self.place()
        ))
    }

    /// No connection came about.
    pub(super) fn not_opened(&self, patience: Duration, last: Option<&io::Error>) -> LoadError {
        let reason = last.map_or_else(|| "no answer to the connect".into(), io::Error::to_string);
        LoadError::Fault(format!(
            "connection {}: expected it to open, but it did not within {patience:?}: {reason}",
            self.connection
        ))
    }
}

fn bytes(number: usize) -> String {
    if number == 1 { "1 byte".into() } else { format!("{number} bytes") }
}

/// The generator itself lacks something: what, and what to do. Nothing if `error` is of another kind.
///
/// `std` has no kinds for these; the numbers are those of Linux and of Winsock.
pub(super) fn shortage(error: &io::Error) -> Option<LoadError> {
    let sentence = match (error.kind(), error.raw_os_error()) {
        (io::ErrorKind::AddrNotAvailable | io::ErrorKind::AddrInUse, _) => {
            "the load generator has no local port left: take fewer connections or a shorter run, wait a minute until \
             closed ones are free again, or widen the range (net.ipv4.ip_local_port_range; netsh int ipv4 set \
             dynamicport)"
        }
        // EMFILE, ENFILE, WSAEMFILE.
        (_, Some(24 | 23 | 10024)) => {
            "the load generator has no descriptor left: take fewer connections or raise the limit (ulimit -n)"
        }
        // ENOMEM, ENOBUFS, WSAENOBUFS.
        (_, Some(12 | 105 | 10055)) => "the system has no memory left for sockets: take fewer connections",
        _ => return None,
    };
    Some(LoadError::Generator(format!("{sentence}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_of_another_kind_is_told_by_its_words() {
        let pattern = Pattern::new();
        let said =
            |standing: Standing, came: &[u8]| standing.wrong(0, came, &pattern, Place::of(0)).to_string();
        let came = b"HTTP/1.0 400 Bad Request\r\nServer: x";
        let first = said(Standing::default(), came);
        assert!(first.ends_with("; it reads 'HTTP/1.0 400 Bad Request': this is no echo server"), "{first}");
        assert!(!said(Standing { received: 1, ..Standing::default() }, came).contains("reads"));
        assert!(!said(Standing::default(), b"HTTP\r\n").contains("reads"));
    }

    #[test]
    fn what_the_generator_lacks_is_not_the_servers_fault() {
        let sentence = |error: io::Error| shortage(&error).map(|error| error.to_string());
        for code in [24, 23, 10024] {
            let said = sentence(io::Error::from_raw_os_error(code)).unwrap();
            assert!(said.contains("descriptor") && said.contains("ulimit -n"), "{said}");
        }
        assert!(sentence(io::ErrorKind::AddrNotAvailable.into()).unwrap().contains("port"));
        assert_eq!(sentence(io::ErrorKind::ConnectionRefused.into()), None);
    }
}
