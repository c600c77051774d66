//! Which servers are measured, under what, in which order.

use super::arguments::{Bench, LoadKind, Models, Pin};
use super::load::{Kind, Load};
use super::report;
use super::server::Start;
use crate::failure::Failure;
use doorbell::Model;
use doorbell_winsock::host;
use doorbell_winsock::startup::{Backend, BackendChoice};
use std::net::SocketAddr;
use std::path::Path;

/// A server to measure.
#[derive(Clone, Debug)]
pub(crate) struct Variant {
    pub(crate) subject: report::Subject,
    pub(crate) from: From,
}

/// Where a variant's server comes from.
#[derive(Clone, Debug)]
pub(crate) enum From {
    /// Started anew for each run.
    Process(Start),
    /// It listens there already.
    Target(SocketAddr),
}

/// What will be done.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) variants: Vec<Variant>,
    pub(crate) connections: Vec<usize>,
    pub(crate) rounds: usize,
    /// The load, with the connections to be filled in.
    load: Load,
    said: report::Load,
}

/// One run of the plan.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Step {
    pub(crate) order: usize,
    pub(crate) round: usize,
    pub(crate) connections: usize,
    /// Its place in [`Plan::variants`].
    pub(crate) variant: usize,
}

/// The processors of both sides; nothing where they are not kept apart.
struct Sides {
    servers: Option<Vec<usize>>,
    generator: Option<Vec<usize>>,
    /// How many each side has, kept apart or not.
    server_threads: usize,
    generator_threads: usize,
}

impl Plan {
    /// Makes it of the flags.
    ///
    /// # Errors
    /// Flags that do not go together.
    pub(crate) fn new(options: &Bench, program: &Path) -> Result<Plan, Failure> {
        let sides = sides(options);
        let threads = options.threads.map_or(sides.server_threads, |threads| threads as usize);
        let variants = match options.target {
            Some(address) => vec![target(address)],
            None => servers(options, program, threads, &sides)?,
        };
        let most = options.conns.iter().copied().max().unwrap_or(1);
        let generator_threads =
            options.generator_threads.map_or(sides.generator_threads, |threads| threads as usize).min(most);
        let load = Load {
            kind: kind(options)?,
            connections: most,
            size_min: options.size.min,
            size_max: options.size.max,
            depth: options.depth as usize,
            rate: options.rate,
            threads: generator_threads,
            warm_up: options.warm_up,
            duration: options.duration,
            patience: options.patience,
            processors: sides.generator.clone(),
        };
        let mut connections = options.conns.clone();
        connections.sort_unstable();
        connections.dedup();
        let said = said(options, &connections, &load, sides);
        Ok(Plan { variants, connections, rounds: options.runs as usize, load, said })
    }

    /// The runs, interleaved: each round measures every variant once under each number of connections.
    pub(crate) fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        for round in 0..self.rounds {
            for &connections in &self.connections {
                for variant in 0..self.variants.len() {
                    steps.push(Step { order: steps.len(), round, connections, variant });
                }
            }
        }
        steps
    }

    /// The load of a step.
    pub(crate) fn load(&self, step: Step) -> Load {
        let mut load = self.load.clone();
        load.connections = step.connections;
        load.threads = load.threads.min(step.connections);
        load
    }

    /// How the report names the load.
    pub(crate) fn said(&self) -> report::Load {
        self.said.clone()
    }
}

fn said(options: &Bench, connections: &[usize], load: &Load, sides: Sides) -> report::Load {
    let skew = matches!(load.kind, Kind::Skew { .. });
    report::Load {
        kind: options.load.name().to_owned(),
        connections: connections.to_vec(),
        size_min: load.size_min,
        size_max: load.size_max,
        depth: load.depth,
        rate: load.rate,
        active: options.load.has_active().then_some(options.active as usize),
        skew_share: skew.then_some(options.skew_share),
        skew_cost_us: skew.then_some(options.skew_cost.as_secs_f64() * 1e6),
        duration_s: load.duration.as_secs_f64(),
        warm_up_s: load.warm_up.as_secs_f64(),
        runs: options.runs as usize,
        generator_threads: load.threads,
        server_processors: sides.servers,
        generator_processors: sides.generator,
    }
}

fn kind(options: &Bench) -> Result<Kind, Failure> {
    let active = options.active as usize;
    let fewest = options.conns.iter().copied().min().unwrap_or(1);
    if options.load.has_active() && active > fewest {
        return Err(Failure::Usage(format!(
            "--active {active} is more than the {fewest} connections of --conns: give more connections, or fewer active ones"
        )));
    }
    if options.load == LoadKind::Churn && (options.rate.is_some() || options.depth > 1) {
        return Err(Failure::Usage(
            "--load churn is one exchange a connection, as fast as it goes: leave --rate and --depth out"
                .into(),
        ));
    }
    Ok(match options.load {
        LoadKind::Echo => Kind::Echo,
        LoadKind::Idle => Kind::Idle { active },
        LoadKind::Churn => Kind::Churn,
        LoadKind::SlowReader => Kind::SlowReader { active, bytes_per_s: options.slow_rate },
        LoadKind::Skew => Kind::Skew { share: options.skew_share, cost: options.skew_cost },
    })
}

/// Half the processors for the servers, half for the generator, so that neither takes the other's; the generator gets the
/// odd one.
fn sides(options: &Bench) -> Sides {
    let processors = host::processors_allowed();
    let half = processors.len() / 2;
    let (servers, generator) = processors.split_at(half);
    let apart = options.pin == Pin::Auto && options.target.is_none() && half > 0;
    Sides {
        servers: apart.then(|| servers.to_vec()),
        generator: apart.then(|| generator.to_vec()),
        server_threads: half.max(1),
        generator_threads: (processors.len() - half).max(1),
    }
}

fn target(address: SocketAddr) -> Variant {
    let subject = report::Subject { name: address.to_string(), ..report::Subject::default() };
    Variant { subject, from: From::Target(address) }
}

/// The models on the backends, then the others.
fn servers(options: &Bench, program: &Path, threads: usize, sides: &Sides) -> Result<Vec<Variant>, Failure> {
    let mut variants = Vec::new();
    for model in models(&options.models) {
        for &backend in &backends(options, model) {
            variants.push(ours(options, program, threads, sides, model, backend));
        }
    }
    for other in &options.server {
        let start = Start { command: other.command.clone(), processors: sides.servers.clone() };
        let subject = report::Subject {
            name: other.name.clone(),
            command: Some(other.command.clone()),
            ..report::Subject::default()
        };
        variants.push(Variant { subject, from: From::Process(start) });
    }
    if variants.is_empty() {
        return Err(Failure::Usage("--models none leaves nothing to measure: give a --server".into()));
    }
    let names = variants.iter().map(|variant| &variant.subject.name);
    match first_twin(names) {
        Some(twin) => {
            Err(Failure::Usage(format!("two servers are called '{twin}': give each --server its own name")))
        }
        None => Ok(variants),
    }
}

fn models(given: &[Models]) -> Vec<Model> {
    let mut models = Vec::new();
    for choice in given {
        let more = match choice {
            Models::All => &Model::ALL[..],
            Models::Only(model) => std::slice::from_ref(model),
            Models::None => &[],
        };
        models.extend(more.iter().copied().filter(|model| !models.contains(model)).collect::<Vec<_>>());
    }
    models
}

/// On which backends a model is measured: once only where the backend is not what its server stands on.
fn backends(options: &Bench, model: Model) -> Vec<BackendChoice> {
    let mut backends = options.backends.clone();
    backends.dedup();
    if !model.is_overlapped() {
        backends.truncate(1);
    }
    backends
}

fn ours(
    options: &Bench,
    program: &Path,
    threads: usize,
    sides: &Sides,
    model: Model,
    backend: BackendChoice,
) -> Variant {
    let service = match options.load {
        LoadKind::Skew => "burn",
        _ => "echo",
    };
    let (threads, backend) = (threads.to_string(), name(backend));
    let command = [
        &*program.to_string_lossy(),
        "serve",
        service,
        "--model",
        model.name(),
        "--backend",
        backend,
        "--threads",
        &threads,
        "--listen",
        "127.0.0.1:0",
        "--until-eof",
        "-qq",
    ];
    let several = options.backends.len() > 1 && model.is_overlapped();
    let subject = report::Subject {
        name: if several { format!("{model} ({backend})") } else { model.name().to_owned() },
        model: Some(model.name().to_owned()),
        // What `auto` took the server says.
        backend: None,
        threads: None,
        command: Some(command.iter().skip(1).map(|word| (*word).to_owned()).collect()),
    };
    let start = Start { command: command.map(str::to_owned).to_vec(), processors: sides.servers.clone() };
    Variant { subject, from: From::Process(start) }
}

fn name(backend: BackendChoice) -> &'static str {
    match backend {
        BackendChoice::Auto => "auto",
        BackendChoice::Only(backend) => Backend::name(backend),
    }
}

fn first_twin<'a>(names: impl Iterator<Item = &'a String> + Clone) -> Option<&'a String> {
    let mut rest = names;
    while let Some(name) = rest.next() {
        if rest.clone().any(|other| other == name) {
            return Some(name);
        }
    }
    None
}
