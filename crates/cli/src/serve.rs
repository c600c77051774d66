//! `doorbell serve`: starts a server, says where it listens, and ends it when a signal asks for that.

use crate::arguments::{ModelChoice, Serve, Service};
use crate::failure::Failure;
use crate::output::print;
use doorbell::{Builder, Running, Server, ServerEvent, ServerHandle};
use doorbell_service::{Burn, Chargen, Discard, Echo};
use doorbell_winsock::host::{self, Signal, Signals};
use doorbell_winsock::startup::{choose_backend, fallback};
use std::io;
use std::process;
use std::thread;
use std::time::Duration;
use tracing::{debug, error, info, warn};

/// How long a stop at once waits for the server's threads. Cutting connections off takes no time, but a handler that
/// computes cannot be interrupted: whoever asks for it does not want to wait for that.
const AT_ONCE: Duration = Duration::from_millis(500);

/// Serves until told to stop.
pub(crate) fn serve(options: &Serve) -> Result<(), Failure> {
    let backend = choose_backend(options.backend)?;
    // Before anything listens, so that no signal finds the old disposition.
    let signals = Signals::install()?;
    if let Some(refusal) = fallback() {
        warn!("falling back to {backend}: {refusal}");
    }
    match host::raise_descriptor_limit() {
        Some(limit) => info!("{} descriptors may be open", limit.soft),
        None => info!("this system does not limit descriptors"),
    }
    debug!(?options, "the settings in force");
    let running = builder(options).on_event(log).start()?;
    print(first_lines(&running))?;
    let handle = running.handle();
    if options.until_eof {
        let handle = handle.clone();
        thread::spawn(move || stop_on_eof(&handle));
    }
    thread::spawn(move || stop_on_signals(&signals, &handle));
    let figures = running.wait()?;
    info!("ended: {} connections were accepted", figures.accepted);
    debug!(?figures, "at the end");
    Ok(())
}

fn builder(options: &Serve) -> Builder {
    let mut builder = match options.service {
        Service::Echo => Server::builder(Echo),
        Service::Discard => Server::builder(Discard),
        Service::Chargen => Server::builder(Chargen),
        Service::Burn => Server::builder(Burn),
    };
    builder = builder
        .concurrency(options.concurrency)
        .idle_timeout(options.idle_timeout.0)
        .write_high_water(options.write_high_water)
        .grace(options.grace);
    for &address in &options.listen {
        builder = builder.listen(address);
    }
    if let Some(threads) = options.threads {
        builder = builder.threads(threads as usize);
    }
    if let Some(connections_max) = options.max_connections {
        builder = builder.max_connections(connections_max as usize);
    }
    let model = match options.model {
        ModelChoice::Only(model) => model,
        ModelChoice::Auto => {
            let (model, why) = builder.choose_model();
            info!("the model is {model}, {why}");
            model
        }
    };
    builder.model(model)
}

/// What scripts wait for: one line an address, in the order of the flags.
fn first_lines(running: &Running) -> String {
    let (model, threads, backend) = (running.model(), running.threads(), running.backend());
    let line =
        |address| format!("listening on {address} model={model} threads={threads} backend={backend}\n");
    running.addresses().iter().map(line).collect()
}

fn log(event: &ServerEvent) {
    match event {
        ServerEvent::AcceptPaused { .. } | ServerEvent::LimitReached { .. } | ServerEvent::CutOff { .. } => {
            warn!("{event}");
        }
        ServerEvent::Panicked { .. } => error!("{event}"),
        _ => info!("{event}"),
    }
}

fn stop_on_signals(signals: &Signals, handle: &ServerHandle) {
    // Waited for outside the log's arguments: a silenced log does not evaluate them.
    let first = signals.wait();
    info!("{} received", name(first));
    handle.stop();
    let second = signals.wait();
    warn!("{} received again: stopping at once", name(second));
    stop_at_once(handle);
}

fn stop_on_eof(handle: &ServerHandle) {
    match io::copy(&mut io::stdin(), &mut io::sink()) {
        Ok(_) => info!("standard input has ended: stopping at once"),
        Err(error) => warn!("standard input cannot be read ({error}): stopping at once"),
    }
    stop_at_once(handle);
}

fn stop_at_once(handle: &ServerHandle) -> ! {
    handle.stop_now();
    thread::sleep(AT_ONCE);
    process::exit(0);
}

fn name(signal: Signal) -> &'static str {
    match signal {
        Signal::Interrupt => "an interrupt",
        Signal::Terminate => "a request to terminate",
    }
}
