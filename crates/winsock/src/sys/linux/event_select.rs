//! Waits for event objects.
//!
//! A thread that has to wait leaves its name at each of the events and stands as *armed*; whoever sets one of them
//! satisfies the wait in that step (`object.rs`). The names stay where they are when the wait is over: a server waits for the
//! same array again and again, and then only what changed in it is written anew.

mod claim;
mod object;
mod waitable;

pub(crate) use self::claim::Claim;
pub(crate) use self::object::Event;
pub(crate) use self::waitable::Waitable;

pub(in crate::sys::linux) use self::object::Object;
pub(in crate::sys::linux) use self::waitable::Beacons;

use self::claim::Claimed;
use super::engine::home::{self, Home};
use super::error::Result;
use super::port::free_place;
use super::routine;
use crate::error::{ERROR_GEN_FAILURE, ERROR_INVALID_HANDLE, ERROR_INVALID_PARAMETER};
use crate::event_select::{Event as Public, WAIT_EVENTS_MAX, Wait};
use crate::routine::Alertable;
use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// So many waits in a row may find an event that is set already; then the thread also looks at its sockets, so that busy
/// ones do not keep the others away.
const LOOK_EVERY: u32 = 64;

pub(crate) fn wait(
    events: &[Public],
    all: bool,
    timeout: Option<Duration>,
    alertable: Alertable,
) -> Result<Wait> {
    if events.is_empty() || events.len() > WAIT_EVENTS_MAX {
        return Err(ERROR_INVALID_PARAMETER);
    }
    let home = home::here()?;
    let _turn = home.claim.turn();
    if all {
        wait_for(&All::new(&home, events)?, timeout, alertable)
    } else {
        // In a thread that is ending there is no place for its name any more.
        NAMES.try_with(|_| ()).map_err(|_| ERROR_GEN_FAILURE)?;
        wait_for(&Any { home: &home, events }, timeout, alertable)
    }
}

/// What is waited for: one of the events, or all of them.
trait Aim {
    fn home(&self) -> &Arc<Home>;
    /// Takes what is waited for, if it is there now.
    fn take(&self) -> Option<Claimed>;
    /// From here on whoever sets an event satisfies the wait. False if what is waited for may be there already.
    fn arm(&self) -> bool;
    /// Leaves this thread's name where another wait of it took it away.
    fn name_again(&self) {}
}

fn wait_for(aim: &impl Aim, timeout: Option<Duration>, alertable: Alertable) -> Result<Wait> {
    let home = aim.home();
    if let Some(claimed) = aim.take() {
        if is_time_to_look() {
            home.look();
        }
        return ended(claimed);
    }
    let waits = timeout != Some(Duration::ZERO);
    if !waits {
        home.look();
        if let Some(claimed) = aim.take() {
            return ended(claimed);
        }
    }
    let deadline = timeout.filter(|_| waits).and_then(|timeout| Instant::now().checked_add(timeout));
    let runs = || alertable == Alertable::Yes && routine::run_queued(home);
    if runs() {
        return Ok(Wait::IoCompletion);
    }
    if !waits {
        return Ok(Wait::TimedOut);
    }
    loop {
        // A thread of a port that waits here frees its place, until it runs what is queued for it (CP-21).
        let place = free_place(|| true);
        while !aim.arm() {
            if let Some(claimed) = home.claim.disarm().or_else(|| aim.take()) {
                return ended(claimed);
            }
        }
        loop {
            if let Some(claimed) = home.claim.claimed() {
                return ended(claimed);
            }
            if home.claim.is_disturbed() {
                aim.name_again();
                break;
            }
            if alertable == Alertable::Yes && routine::can_run(home) {
                break;
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return home.claim.disarm().map_or(Ok(Wait::TimedOut), ended);
            }
            home.wait(left);
        }
        // Disarmed first: an event that a routine sets is for the next wait (CR-11).
        if let Some(claimed) = home.claim.disarm() {
            return ended(claimed);
        }
        drop(place);
        if runs() {
            return Ok(Wait::IoCompletion);
        }
    }
}

fn ended(claimed: Claimed) -> Result<Wait> {
    match claimed {
        Claimed::Place(place) => Ok(Wait::Index(place)),
        Claimed::Closed => Err(ERROR_INVALID_HANDLE),
    }
}

struct Any<'a> {
    home: &'a Arc<Home>,
    events: &'a [Public],
}

impl Aim for Any<'_> {
    fn home(&self) -> &Arc<Home> {
        self.home
    }

    fn take(&self) -> Option<Claimed> {
        // One look at each, as this is what a wait costs that finds something: a closed one counts wherever it stands.
        let mut first = self.events.len();
        for (place, event) in self.events.iter().enumerate().rev() {
            let object = event.sys.object();
            if !object.is_plain() {
                if object.is_closed() {
                    return Some(Claimed::Closed);
                }
                first = place;
            }
        }
        let taken = self.events[first..].iter().position(|event| event.sys.object().take());
        taken.map(|behind| Claimed::Place(first + behind))
    }

    fn arm(&self) -> bool {
        NAMES.with_borrow_mut(|names| names.leave_at(self.home, self.events));
        self.home.claim.arm_any();
        // Set between the look and this: whoever did it may have found nobody.
        self.events.iter().all(|event| event.sys.object().is_plain())
    }
}

/// The events of a wait for all are named in the claim, so that whoever sets the last of them can take them all.
struct All<'a> {
    home: &'a Arc<Home>,
    objects: Vec<Arc<Object>>,
}

impl<'a> All<'a> {
    fn new(home: &'a Arc<Home>, events: &[Public]) -> Result<All<'a>> {
        let mut objects: Vec<_> = events.iter().map(|event| event.sys.object().clone()).collect();
        // Locked in this order by everybody.
        objects.sort_unstable_by_key(Arc::as_ptr);
        if objects.windows(2).any(|pair| Arc::ptr_eq(&pair[0], &pair[1])) {
            return Err(ERROR_INVALID_PARAMETER);
        }
        let all = All { home, objects };
        all.name_again();
        Ok(all)
    }
}

impl Aim for All<'_> {
    fn home(&self) -> &Arc<Home> {
        self.home
    }

    fn take(&self) -> Option<Claimed> {
        if self.objects.iter().any(|object| object.is_closed()) {
            return Some(Claimed::Closed);
        }
        self.home.claim.arm_all();
        object::try_all(self.home);
        self.home.claim.disarm()
    }

    fn arm(&self) -> bool {
        self.home.claim.arm_all();
        !object::try_all(self.home) && !self.objects.iter().any(|object| object.is_closed())
    }

    fn name_again(&self) {
        self.home.claim.name_all(self.objects.clone());
        for object in &self.objects {
            object.add_name_for_all(self.home);
        }
    }
}

impl Drop for All<'_> {
    fn drop(&mut self) {
        // Disarmed in any case: nothing waits here any more.
        let _ = self.home.claim.disarm();
        for object in &self.objects {
            object.remove_name_for_all(self.home);
        }
        self.home.claim.name_all(Vec::new());
    }
}

thread_local! {
    static NAMES: RefCell<Names> = const { RefCell::new(Names { home: None, at: Vec::new() }) };
    static FOUND: Cell<u32> = const { Cell::new(0) };
}

fn is_time_to_look() -> bool {
    let found = FOUND.get() + 1;
    FOUND.set(found % LOOK_EVERY);
    found == LOOK_EVERY
}

/// The events where the calling thread's name stands, by their place in the last wait for any.
struct Names {
    home: Option<Arc<Home>>,
    at: Vec<Arc<Object>>,
}

impl Names {
    fn leave_at(&mut self, home: &Arc<Home>, events: &[Public]) {
        for (place, event) in events.iter().enumerate() {
            let object = event.sys.object();
            match self.at.get_mut(place) {
                Some(old) if Arc::ptr_eq(old, object) => continue,
                Some(old) => {
                    old.remove_name(home, place);
                    old.clone_from(object);
                }
                None => self.at.push(object.clone()),
            }
            object.add_name(home, place);
        }
        for place in events.len()..self.at.len() {
            self.at[place].remove_name(home, place);
        }
        self.at.truncate(events.len());
        if self.home.is_none() {
            self.home = Some(home.clone());
        }
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        if let Some(home) = &self.home {
            self.at.iter().enumerate().for_each(|(place, object)| object.remove_name(home, place));
        }
    }
}

#[cfg(test)]
mod tests;
