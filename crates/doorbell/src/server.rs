//! The server: built, started, told to stop, waited for.

use crate::choice;
use crate::core::Core;
use crate::error::{ServeError, StartError};
use crate::event::ServerEvent;
use crate::figures::Figures;
use crate::listener::Listener;
use crate::model::Model;
use crate::settings::Settings;
use crate::threads::Threads;
use doorbell_service::{AnyService, Service};
use doorbell_winsock::{host, startup};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Where a server begins: [`Server::builder`].
#[derive(Debug)]
pub struct Server;

impl Server {
    /// A server for this service. Without further settings it runs under [`Model::default`].
    pub fn builder(service: impl Service) -> Builder {
        Builder {
            service: Box::new(service),
            model: Model::default(),
            addresses: Vec::new(),
            settings: Settings::default(),
            on_event: Box::new(|_| ()),
        }
    }
}

pub(crate) type OnEvent = Box<dyn Fn(&ServerEvent) + Send + Sync>;

/// The settings of a server that is not started yet.
#[must_use = "a builder does nothing until it is started"]
pub struct Builder {
    service: Box<dyn AnyService>,
    model: Model,
    addresses: Vec<SocketAddr>,
    settings: Settings,
    on_event: OnEvent,
}

impl Builder {
    /// The way of waiting.
    pub fn model(mut self, model: Model) -> Builder {
        self.model = model;
        self
    }

    /// The model that fits the threads, the concurrency and the limit of connections set so far, and why, as the end of a
    /// sentence. Sets nothing: that is for [`model`](Builder::model).
    pub fn choose_model(&self) -> (Model, String) {
        choice::choose(&self.settings, host::processors())
    }

    /// An address to listen on; may be said several times. Port 0 takes a free one.
    pub fn listen(mut self, address: SocketAddr) -> Builder {
        self.addresses.push(address);
        self
    }

    /// How many threads wait for connections. Without it each model takes its own number: the processors for select and
    /// overlapped-routine, twice as many for a completion port, one for async-select; one that stays for event-select and
    /// overlapped-event, which start more when they are needed; one a listener for blocking, where this number means nothing.
    pub fn threads(mut self, threads: usize) -> Builder {
        self.settings.threads = Some(threads);
        self
    }

    /// How many threads of a completion port run at a time; 0, the default, is the number of processors.
    pub fn concurrency(mut self, concurrency: u32) -> Builder {
        self.settings.concurrency = concurrency;
        self
    }

    /// With so many connections open the next clients wait in the backlog until one closes. No limit by default.
    pub fn max_connections(mut self, connections_max: usize) -> Builder {
        self.settings.connections_max = connections_max;
        self
    }

    /// Closes a connection on which no byte has moved, in either direction, for so long. `None`, the default: never.
    pub fn idle_timeout(mut self, timeout: Option<Duration>) -> Builder {
        self.settings.idle_timeout = timeout;
        self
    }

    /// How many bytes a connection may hold that its peer does not take; then its input is paused. 256 KiB by default.
    pub fn write_high_water(mut self, bytes: usize) -> Builder {
        self.settings.write_high_water = bytes;
        self
    }

    /// How long connections have to end after a stop. 10 s by default.
    pub fn grace(mut self, grace: Duration) -> Builder {
        self.settings.grace = grace;
        self
    }

    /// Is told what is worth a line in a log, on whichever thread it happens: it should return soon.
    pub fn on_event(mut self, listener: impl Fn(&ServerEvent) + Send + Sync + 'static) -> Builder {
        self.on_event = Box::new(listener);
        self
    }

    /// Binds, starts the threads and returns: the server runs.
    ///
    /// # Errors
    /// [`StartError::Bind`] when an address cannot be listened on, [`StartError::Config`] without an address or with a zero
    /// where there must be something, [`StartError::Winsock`] when the system refuses something else.
    pub fn start(self) -> Result<Running, StartError> {
        self.settings.check()?;
        if self.addresses.is_empty() {
            return Err(StartError::Config("there is no address to listen on".to_owned()));
        }
        startup::startup()?;
        let listeners: Vec<Listener> =
            self.addresses.iter().map(|&address| Listener::bind(address)).collect::<Result<_, _>>()?;
        let addresses = listeners.iter().map(Listener::address).collect();
        let core = Arc::new(Core::new(self.service, self.settings, self.on_event));
        let threads = Threads::new(&core);
        if let Err(error) = (self.model.built().launch)(&core, listeners, &threads) {
            core.stop_now();
            let _ = threads.join();
            return Err(StartError::Winsock(error));
        }
        Ok(Running { core, model: self.model, addresses, threads_at_launch: threads.count(), threads })
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("model", &self.model)
            .field("addresses", &self.addresses)
            .finish_non_exhaustive()
    }
}

/// A server that runs. Dropping it does not stop it: that is what its [`handle`](Running::handle) is for.
#[derive(Debug)]
pub struct Running {
    core: Arc<Core>,
    model: Model,
    addresses: Vec<SocketAddr>,
    threads: Threads,
    threads_at_launch: usize,
}

impl Running {
    /// The addresses it listens on, in the order in which they were given, with the ports that were taken.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Its model.
    pub fn model(&self) -> Model {
        self.model
    }

    /// How many threads were started at launch.
    pub fn threads(&self) -> usize {
        self.threads_at_launch
    }

    /// What its model stands on: [`Model::backend`].
    pub fn backend(&self) -> &'static str {
        self.model.backend()
    }

    /// Reaches the server from any thread.
    pub fn handle(&self) -> ServerHandle {
        ServerHandle { core: self.core.clone() }
    }

    /// Blocks until the server was stopped and every connection has ended.
    ///
    /// # Errors
    /// When the server had to end by itself: the call that the model waits in failed.
    pub fn wait(self) -> Result<Figures, ServeError> {
        let outcome = self.threads.join();
        let connections = self.core.counters.were_cut_off();
        if connections > 0 {
            self.core.tell(&ServerEvent::CutOff { connections });
        }
        outcome?;
        Ok(self.core.figures())
    }
}

/// Reaches a running server from any thread; clones reach the same one.
#[derive(Clone, Debug)]
pub struct ServerHandle {
    core: Arc<Core>,
}

impl ServerHandle {
    /// Stops gracefully: nothing more is accepted, idle connections close, what was received is answered, and whoever
    /// is not done when the grace is over is cut off. A second call stops at once. Does not block.
    pub fn stop(&self) {
        self.core.stop();
    }

    /// Cuts every connection off. Does not block.
    pub fn stop_now(&self) {
        self.core.stop_now();
    }

    /// The figures of this moment.
    pub fn figures(&self) -> Figures {
        self.core.figures()
    }
}
