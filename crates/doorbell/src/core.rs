//! What every thread of one server shares: the service, the settings, the figures, and whether to stop.

use crate::door::Door;
use crate::event::ServerEvent;
use crate::figures::{Counters, Figures};
use crate::server::OnEvent;
use crate::settings::Settings;
use doorbell_service::AnyService;
use std::fmt;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Instant;

/// Where a server is in its life; it only ever moves down this list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Phase {
    /// It accepts and serves.
    Serving,
    /// It no longer accepts; what was received is answered until the grace is over.
    Draining,
    /// Everything still open is cut off.
    Over,
}

type Wake = Box<dyn Fn() + Send + Sync>;

pub(crate) struct Core {
    pub(crate) service: Box<dyn AnyService>,
    pub(crate) settings: Settings,
    pub(crate) counters: Counters,
    pub(crate) door: Door,
    on_event: OnEvent,
    numbers: AtomicU64,
    phase: AtomicU8,
    grace_ends: OnceLock<Instant>,
    /// How a model's threads are brought to look at the phase: each model has its own textbook way.
    wakes: Mutex<Vec<Wake>>,
}

impl Core {
    pub(crate) fn new(service: Box<dyn AnyService>, settings: Settings, on_event: OnEvent) -> Core {
        Core {
            service,
            settings,
            counters: Counters::default(),
            door: Door::default(),
            on_event,
            numbers: AtomicU64::new(1),
            phase: AtomicU8::new(Phase::Serving as u8),
            grace_ends: OnceLock::new(),
            wakes: Mutex::new(Vec::new()),
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Serving,
            // The grace ends by itself: whoever looks sees it.
            1 if self.grace_ends.get().is_none_or(|&end| Instant::now() < end) => Phase::Draining,
            _ => Phase::Over,
        }
    }

    /// When a drain that has begun turns into the end.
    pub(crate) fn grace_ends(&self) -> Option<Instant> {
        self.grace_ends.get().copied()
    }

    /// A number that no connection of this server had before.
    pub(crate) fn next_number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// Begins to drain, or ends a drain that has begun.
    pub(crate) fn stop(&self) {
        let grace = self.settings.grace;
        // An instant too far away to be named stands for no end at all.
        if let Some(end) = Instant::now().checked_add(grace) {
            let _ = self.grace_ends.set(end);
        }
        let first = self.move_to(Phase::Draining);
        if first {
            self.tell(&ServerEvent::Draining { connections: self.door.open(), grace });
            self.wake_all();
        } else {
            self.stop_now();
        }
    }

    /// Ends at once.
    pub(crate) fn stop_now(&self) {
        self.move_to(Phase::Over);
        self.wake_all();
    }

    /// Is called, on any thread, whenever the phase was moved; at once if it was moved already.
    pub(crate) fn on_stop(&self, wake: impl Fn() + Send + Sync + 'static) {
        let mut wakes = self.wakes.lock().unwrap_or_else(PoisonError::into_inner);
        if self.phase() > Phase::Serving {
            wake();
        }
        wakes.push(Box::new(wake));
    }

    pub(crate) fn figures(&self) -> Figures {
        self.counters.figures(self.door.open())
    }

    pub(crate) fn tell(&self, event: &ServerEvent) {
        (self.on_event)(event);
    }

    fn move_to(&self, phase: Phase) -> bool {
        self.phase.fetch_max(phase as u8, Ordering::AcqRel) < phase as u8
    }

    fn wake_all(&self) {
        for wake in self.wakes.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            wake();
        }
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core")
            .field("phase", &self.phase())
            .field("settings", &self.settings)
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}
