//! `select`: sets of sockets go in, those that are ready come out (model 2).
//!
//! A set is an explicit list, not a bit mask, and holds any number of sockets (SE-15). `select` is level-triggered:
//! as long as a condition lasts every call reports it (SE-17).
//!
//! ```
//! use doorbell_winsock::{FdSet, select};
//! # use doorbell_winsock::{Family, Kind, Socket};
//! use std::time::Duration;
//!
//! # fn main() -> doorbell_winsock::Result<()> {
//! # let listener = Socket::new(Family::V4, Kind::Stream)?;
//! # listener.bind(([127, 0, 0, 1], 0).into())?;
//! # listener.listen(1)?;
//! # let client = Socket::new(Family::V4, Kind::Stream)?;
//! # client.connect(listener.local_addr()?)?;
//! let mut read = FdSet::from_iter([&listener, &client]);
//! let ready = select(Some(&mut read), None, None, Some(Duration::from_secs(5)))?;
//! // What is left is ready: somebody is there to be accepted.
//! assert_eq!(ready, 1);
//! assert!(read.contains(&listener) && !read.contains(&client));
//! # Ok(())
//! # }
//! ```

use crate::error::{Error, Result};
use crate::socket::Socket;
use crate::sys;
use std::time::Duration;

/// A list of sockets for [`select`]; the same socket stands in it once (SE-14).
#[doc(alias = "fd_set")]
#[derive(Clone, Debug, Default)]
pub struct FdSet {
    members: Vec<Socket>,
}

impl FdSet {
    /// An empty set.
    #[doc(alias = "FD_ZERO")]
    pub const fn new() -> FdSet {
        FdSet { members: Vec::new() }
    }

    /// Puts a socket in. Costs no look-up: a socket put in twice is counted once by [`select`] (SE-14).
    #[doc(alias = "FD_SET")]
    pub fn insert(&mut self, socket: &Socket) {
        self.members.push(socket.clone());
    }

    /// Takes a socket out.
    #[doc(alias = "FD_CLR")]
    pub fn remove(&mut self, socket: &Socket) {
        self.members.retain(|member| member != socket);
    }

    /// Whether the socket is in the set. Walks the list.
    #[doc(alias = "FD_ISSET")]
    pub fn contains(&self, socket: &Socket) -> bool {
        self.members.iter().any(|member| member == socket)
    }

    /// Takes all sockets out and keeps the memory.
    #[doc(alias = "FD_ZERO")]
    pub fn clear(&mut self) {
        self.members.clear();
    }

    /// How many entries there are; a socket that was put in twice counts twice until [`select`] has seen it.
    #[doc(alias = "fd_count")]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether no socket is in.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The sockets in the order in which they were put in.
    pub fn iter(&self) -> std::slice::Iter<'_, Socket> {
        self.members.iter()
    }
}

impl<'a> FromIterator<&'a Socket> for FdSet {
    fn from_iter<I: IntoIterator<Item = &'a Socket>>(sockets: I) -> FdSet {
        FdSet { members: sockets.into_iter().cloned().collect() }
    }
}

impl<'a> IntoIterator for &'a FdSet {
    type Item = &'a Socket;
    type IntoIter = std::slice::Iter<'a, Socket>;

    fn into_iter(self) -> Self::IntoIter {
        self.members.iter()
    }
}

/// Waits until a socket of one of the sets is ready, and leaves exactly the ready ones in their sets (SE-02).
///
/// Blocks for at most `timeout`; `None` waits for ever, zero polls (SE-04). Returns how many entries are left, a
/// socket ready in two sets counting twice (SE-01); 0 with empty sets when the time ran out (SE-03).
///
/// Any thread. While it waits it runs routines and APCs that are queued for the thread (BL-11).
///
/// *read*: data, the peer's end, a reset, a waiting connection (SE-07). *write*: room to send, a connect that
/// succeeded (SE-08). *except*: a connect that failed (SE-09), urgent data (SE-19).
///
/// # Errors
/// WSAEINVAL (10022) when all sets are empty or absent: it is not a sleep (SE-05). WSAENOTSOCK (10038) when a member is
/// closed; the sets stay as they were (SE-06).
pub fn select(
    read: Option<&mut FdSet>,
    write: Option<&mut FdSet>,
    except: Option<&mut FdSet>,
    timeout: Option<Duration>,
) -> Result<usize> {
    let mut none = [Vec::new(), Vec::new(), Vec::new()];
    let [no_read, no_write, no_except] = &mut none;
    let sets = [
        read.map_or(no_read, |set| &mut set.members),
        write.map_or(no_write, |set| &mut set.members),
        except.map_or(no_except, |set| &mut set.members),
    ];
    sys::select::select(sets, timeout).map_err(|code| Error::new("select", code))
}
