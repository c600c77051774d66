#![doc = include_str!("completion_port.md")]

use super::{Built, StandsOn};
use crate::client::Notice;
use crate::company::{Company, word};
use crate::core::Core;
use crate::listener::Listener;
use crate::settings::Settings;
use crate::table::Key;
use crate::threads::Threads;
use crate::tray::Tray;
use doorbell_winsock::error::{ERROR_ABANDONED_WAIT_0, ERROR_INVALID_HANDLE};
use doorbell_winsock::routine::Alertable;
use doorbell_winsock::{CompletionPort, Packet, Result, host};
use std::sync::Arc;
use std::time::Instant;

pub(crate) const BUILT: Built =
    Built { page: include_str!("completion_port.md"), stands_on: StandsOn::Operations, launch };

/// How many packets a worker takes at a time, at most.
const BATCH_MAX: usize = 64;

fn launch(core: &Arc<Core>, listeners: Vec<Listener>, threads: &Threads) -> Result<()> {
    // 1. A port with a concurrency value: the processors, unless said otherwise.
    let concurrency = match core.settings.concurrency {
        0 => host::processors(),
        value => value as usize,
    };
    let port = CompletionPort::new(concurrency as u32)?;
    // 2. The listening sockets are associated with it, and several accepts are started on each.
    let company = Company::new(core, &port, listeners)?;
    // By a worker: the thread that launches a server goes on to other things, and should have no operations of its own.
    port.post(0, 0, word::ROOM)?;
    // 3. The workers, started beforehand: more than may run at a time, so that one can take over from another that waits
    // for something else.
    let workers = workers(&core.settings, host::processors());
    let office = Arc::new(Office { port, concurrency, workers, tray: Tray::new(), company });
    for _ in 0..workers {
        let office = office.clone();
        threads.spawn("worker", move || office.work())?;
    }
    Ok(())
}

/// How many workers there are, unless said otherwise twice as many as processors.
pub(crate) fn workers(settings: &Settings, processors: usize) -> usize {
    settings.threads.unwrap_or(2 * processors)
}

struct Office {
    port: CompletionPort,
    concurrency: usize,
    workers: usize,
    tray: Tray<Packet>,
    company: Company,
}

impl Office {
    fn work(&self) -> Result<()> {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        // 4. Take packets, and handle one after the other. What is left of a batch lies in the tray, where others can take
        // it: so nobody's packet waits for somebody else's handler.
        while let Some(packet) = self.next_packet(&mut batch)? {
            if self.tray.calls() {
                let _ = self.port.post(0, 0, word::LOOK);
            }
            self.handle(packet, Instant::now());
        }
        Ok(())
    }

    fn handle(&self, packet: Packet, now: Instant) {
        let company = &self.company;
        let key = Key::from_number(packet.key());
        match (packet, Company::listener(key)) {
            // 5. An accept has ended: a new client, whose socket is associated with a key of its own, and the next accept.
            (Packet::Io(completion), Some(listener)) => company.accept_ended(listener, completion, now),
            // 6. An operation of a client has ended: its conversation hears of it, and the next ones are started.
            (Packet::Io(completion), None) => company.tell(key, Notice::Ended(key.tag(), completion), now),
            // 7. Somebody has posted a packet: a message, a timer, room at the door, or a stop.
            (Packet::Posted { token: word::POSTED, .. }, None) => company.tell(key, Notice::Posted, now),
            (Packet::Posted { token: word::TIME, .. }, None) => company.tell(key, Notice::Time, now),
            (Packet::Posted { token: word::TIME, .. }, Some(_)) => company.let_in(now),
            (Packet::Posted { token: word::GO_ON, .. }, None) => company.tell(key, Notice::GoOn, now),
            (Packet::Posted { token: word::PHASE, .. }, None) => company.tell(key, Notice::Phase, now),
            (Packet::Posted { token: word::ROOM, .. }, _) => company.let_in(now),
            (Packet::Posted { token: word::STOP, .. }, _) => company.stop(),
            (Packet::Posted { token: word::LOOK, .. }, _) => self.tray.came(),
            (Packet::Posted { .. }, _) => {}
        }
    }

    /// 8. `None` when the port was closed: that is how the workers learn that the last client has gone.
    fn next_packet(&self, batch: &mut Vec<Packet>) -> Result<Option<Packet>> {
        loop {
            if let Some(packet) = self.tray.take().or_else(|| self.tray.exchange(batch)) {
                return Ok(Some(packet));
            }
            let lies_there = self.tray.begin_wait();
            let taken =
                if lies_there { Ok(0) } else { self.port.get_many(batch, self.batch(), None, Alertable::No) };
            self.tray.end_wait();
            match taken {
                Err(error) if matches!(error.code(), ERROR_ABANDONED_WAIT_0 | ERROR_INVALID_HANDLE) => {
                    return Ok(None);
                }
                taken => taken?,
            };
        }
    }

    /// How many packets to take: while another worker could run as well, they are left to it.
    fn batch(&self) -> usize {
        let waiting = self.tray.waiting();
        let running_with_me = self.workers + 1 - waiting.min(self.workers);
        if waiting > 1 && running_with_me < self.concurrency { 1 } else { BATCH_MAX }
    }
}
