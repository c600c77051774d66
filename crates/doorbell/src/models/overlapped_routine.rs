#![doc = include_str!("overlapped_routine.md")]

use super::{Built, StandsOn};
use crate::bell::{Bell, Wake};
use crate::client::Notice;
use crate::core::{Core, Phase};
use crate::door::Place;
use crate::flat::{Flat, prepare_thread};
use crate::listener::Listener;
use crate::lobby::{Host, Lobby, TurnedAway};
use crate::peer::done::Arrival;
use crate::routines::{self, ByRoutine, Word};
use crate::summons::Summons;
use crate::threads::Threads;
use doorbell_winsock::routine::{Alertable, sleep_ex};
use doorbell_winsock::{Result, Socket, host};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) const BUILT: Built =
    Built { page: include_str!("overlapped_routine.md"), stands_on: StandsOn::Operations, launch };

/// Accepts of a worker at each listening socket. They take clients in the order of their starts (OR-05): with one each, the
/// workers take the clients in turn.
const ACCEPTS: usize = 1;

fn launch(core: &Arc<Core>, listeners: Vec<Listener>, threads: &Threads) -> Result<()> {
    // 1. As many workers as processors. Each starts accepts of its own, and keeps whom it accepts.
    let lobby = Lobby::new(core, &listeners, ACCEPTS);
    for _ in 0..core.settings.threads.unwrap_or_else(host::processors) {
        let (core, lobby) = (core.clone(), lobby.another());
        threads.spawn_prepared("worker", move || Ok(((), prepare(core, lobby)?)))?;
    }
    Ok(())
}

fn prepare(core: Arc<Core>, lobby: Lobby) -> Result<impl FnOnce() -> Result<()>> {
    prepare_thread()?;
    // 2. Other threads reach it by a user APC, which stands in one queue with its routines.
    let bell = Bell::new(&core, Summons::new(|| routines::tell(Word::Summons))?);
    bell.ring_at_stop(&core);
    bell.ring_at_room(&core);
    let flat = RefCell::new(Flat::new(&core));
    let (words, again_at) = (RefCell::default(), Cell::new(None));
    let worker = Rc::new(Worker { core, lobby, bell, flat, words, again_at });
    let hearer = worker.clone();
    let hears = routines::tell_to(move |word| hearer.hear(word));
    worker.hear(Word::Summons);
    Ok(move || {
        let _hears = hears;
        worker.run()
    })
}

struct Worker {
    core: Arc<Core>,
    lobby: Lobby,
    bell: Arc<Bell<Summons>>,
    flat: RefCell<Flat<ByRoutine>>,
    words: RefCell<VecDeque<Word>>,
    again_at: Cell<Option<Instant>>,
}

impl Worker {
    fn run(&self) -> Result<()> {
        // 8. Told to stop, the worker ends with its last client, and when its accepts have ended.
        while !(self.lobby.is_over() && self.flat.borrow().is_empty()) {
            // 3. Sleep alertably, until the next timer at most: the routines run meanwhile.
            sleep_ex(self.timeout(Instant::now()), Alertable::Yes)?;
            self.hear(Word::Time);
        }
        Ok(())
    }

    fn timeout(&self, now: Instant) -> Option<Duration> {
        let again = self.again_at.get().map(|at| at.saturating_duration_since(now));
        again.into_iter().chain(self.flat.borrow().timeout(now)).min()
    }

    fn hear(&self, word: Word) {
        self.words.borrow_mut().push_back(word);
        // A handler that makes a call which has to wait waits alertably (BL-11): then this routine runs in the middle of it, and
        // whoever runs the handler goes on with what was said here.
        let Ok(mut flat) = self.flat.try_borrow_mut() else { return };
        while let Some(word) = self.next_word() {
            let now = Instant::now();
            match word {
                // 4. An accept has ended: a new client of this worker, and the next accept.
                Word::Accepted(listener, completion) => {
                    self.lobby.accept_ended(listener, completion, now);
                    self.let_in(&mut flat, now);
                }
                // 5. An operation of a client has ended: its conversation hears of it, and the next ones are started.
                Word::Ended(number, tag, completion) => {
                    flat.tell(number, Notice::Ended(tag, completion), now);
                }
                // 6. Another thread has called: for a message to a client, for room at the door, or to stop.
                Word::Summons => self.look(&mut flat, now),
                Word::Time => {}
            }
            // 7. Looked for after each routine: a sleep does not end as long as there are more of them (CR-05).
            flat.ring(now);
            if self.again_at.get().is_some_and(|at| at <= now) {
                self.let_in(&mut flat, now);
            }
        }
        if flat.goes_on() {
            self.bell.wake.ring();
        }
    }

    fn next_word(&self) -> Option<Word> {
        self.words.borrow_mut().pop_front()
    }

    fn look(&self, flat: &mut Flat<ByRoutine>, now: Instant) {
        self.bell.answer().into_iter().for_each(|number| flat.tell(number, Notice::Posted, now));
        flat.go_on(now);
        if self.core.phase() > Phase::Serving {
            self.lobby.close();
        }
        flat.follow_phase(now);
        self.let_in(flat, now);
    }

    fn let_in(&self, flat: &mut Flat<ByRoutine>, now: Instant) {
        self.again_at.set(None);
        self.lobby.let_in(&mut Turn { worker: self, flat }, now);
    }
}

/// A worker, and its clients.
struct Turn<'a> {
    worker: &'a Worker,
    flat: &'a mut Flat<ByRoutine>,
}

impl Host for Turn<'_> {
    fn start_accept(&mut self, number: usize, listener: &Socket, accept: &Socket) -> Result<()> {
        routines::accept(listener, accept, number)
    }

    fn try_again_at(&mut self, at: Instant) {
        let again_at = &self.worker.again_at;
        again_at.set(again_at.get().into_iter().chain([at]).min());
    }

    fn open(&mut self, arrival: Arrival, place: Place, now: Instant) -> std::result::Result<(), TurnedAway> {
        let number = self.worker.core.next_number();
        let reach = self.worker.bell.clone();
        self.flat.take_in(number, (arrival, place), (ByRoutine::of(number), reach), now);
        Ok(())
    }
}
