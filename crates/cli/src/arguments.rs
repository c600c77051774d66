//! The command line. Each flag is defined once, here: the environment, the file of settings, the help, the completions
//! and the manual pages follow from it.

use crate::bench::arguments::{Bench, Models};
use crate::units::{self, Timeout};
use clap::builder::{BoolishValueParser, PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum, value_parser};
use doorbell::Model;
use doorbell_winsock::startup::BackendChoice;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// A server whose way of waiting is a choice: the seven Winsock I/O models, on Windows and on Linux.
#[derive(Debug, Parser)]
#[command(name = "doorbell", version, arg_required_else_help = true, after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) verbosity: Verbosity,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Args, Debug)]
pub(crate) struct Verbosity {
    /// Log more: also the settings in force, and the figures at the end
    #[arg(short, long, global = true, display_order = 100, action = ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Log less: -q only warnings and errors, -qq only errors
    #[arg(short, long, global = true, display_order = 101, action = ArgAction::Count, conflicts_with = "verbose")]
    pub(crate) quiet: u8,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve until told to stop
    #[command(after_help = SERVE_EXAMPLES, after_long_help = format!("{SERVE_SETTINGS}\n\n{SERVE_EXAMPLES}\n\n{EXIT_CODES}"))]
    Serve(Serve),
    /// Measure the ways of waiting under one load, and compare them
    #[command(after_help = BENCH_EXAMPLES, after_long_help = format!("{BENCH_NOTES}\n\n{BENCH_EXAMPLES}\n\n{EXIT_CODES}"))]
    Bench(Box<Bench>),
    /// List the seven models: what each waits on, its limit, and what it is on this system
    Models,
    /// Tell of a model: its story, its steps, its limit, and what its calls are on each system and on this one
    #[command(
        arg_required_else_help = true,
        after_help = "Example:\n  doorbell explain completion-port | less"
    )]
    Explain {
        /// Which model
        #[arg(value_parser = model())]
        model: Model,
    },
    /// Tell what this system offers, what falls back and why, and what to do about it
    Doctor,
    /// Print a completion script
    #[command(after_help = "Example:\n  doorbell completions bash > /etc/bash_completion.d/doorbell")]
    Completions {
        /// For which shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page, of the whole or of one command
    #[command(after_help = "Example:\n  doorbell man serve > doorbell-serve.1")]
    Man {
        /// Whose page: serve, bench, models, explain, doctor
        command: Option<String>,
    },
}

#[derive(Args, Debug)]
pub(crate) struct Serve {
    /// What to serve
    pub(crate) service: Service,

    /// How to wait: `doorbell models` lists the seven, `auto` chooses one and says why
    #[arg(long, value_name = "MODEL", env = "DOORBELL_MODEL", default_value = Model::default().name(),
        value_parser = model_choice())]
    pub(crate) model: ModelChoice,

    /// Where to listen, as IP:PORT or [IPv6]:PORT; may be given several times. Port 0 takes a free one
    #[arg(long, value_name = "ADDR", env = "DOORBELL_LISTEN", value_delimiter = ',', default_value = "127.0.0.1:7007",
        value_parser = address)]
    pub(crate) listen: Vec<SocketAddr>,

    /// How many threads wait for connections [default: what the model takes for this machine]
    #[arg(long, value_name = "N", env = "DOORBELL_THREADS", value_parser = value_parser!(u32).range(1..))]
    pub(crate) threads: Option<u32>,

    /// How many threads of a completion port run at a time; 0 is the number of processors
    #[arg(long, value_name = "N", env = "DOORBELL_CONCURRENCY", default_value_t = 0)]
    pub(crate) concurrency: u32,

    /// What stands below the model: auto, io_uring, epoll or winsock
    #[arg(long, value_name = "BACKEND", env = "DOORBELL_BACKEND", default_value = "auto")]
    pub(crate) backend: BackendChoice,

    /// With so many connections open the next clients wait until one closes [default: no limit]
    #[arg(long, value_name = "N", env = "DOORBELL_MAX_CONNECTIONS", value_parser = value_parser!(u32).range(1..))]
    pub(crate) max_connections: Option<u32>,

    /// Close a connection on which no byte has moved for so long: 30s, 500ms, 2m or none
    #[arg(long, value_name = "TIME", env = "DOORBELL_IDLE_TIMEOUT", default_value = "none", value_parser = units::timeout)]
    pub(crate) idle_timeout: Timeout,

    /// How many bytes a connection may hold that its peer does not take; then its input is paused
    #[arg(long, value_name = "SIZE", env = "DOORBELL_WRITE_HIGH_WATER", default_value = "256k", value_parser = units::bytes)]
    pub(crate) write_high_water: usize,

    /// How long connections have to end after a stop
    #[arg(long, value_name = "TIME", env = "DOORBELL_GRACE", default_value = "10s", value_parser = units::duration)]
    pub(crate) grace: Duration,

    /// Stop at once when standard input ends: for a parent that must not leave a server behind
    #[arg(long, env = "DOORBELL_UNTIL_EOF", value_parser = BoolishValueParser::new())]
    pub(crate) until_eof: bool,

    /// A TOML file of settings, named as the flags are; flags and the environment outrank it
    #[arg(long, value_name = "FILE", env = "DOORBELL_CONFIG")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Service {
    /// Sends back whatever it receives (RFC 862)
    Echo,
    /// Throws away whatever it receives (RFC 863)
    Discard,
    /// Sends lines of characters for ever (RFC 864)
    Chargen,
    /// Sends each request back after taking the processor time that it asks for (for `bench --load skew`)
    Burn,
}

/// One of the seven, or whichever fits the other settings.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ModelChoice {
    Auto,
    Only(Model),
}

fn model_choice() -> impl TypedValueParser<Value = ModelChoice> {
    let auto = PossibleValue::new("auto").help("Chooses by the number of clients and threads, and says why");
    PossibleValuesParser::new(models().chain([auto])).map(|name| match name.parse() {
        Ok(model) => ModelChoice::Only(model),
        Err(_) => ModelChoice::Auto,
    })
}

/// One of `--models`.
pub(crate) fn model_list() -> impl TypedValueParser<Value = Models> {
    let all = PossibleValue::new("all").help("The seven");
    let none = PossibleValue::new("none").help("Only the servers of --server");
    PossibleValuesParser::new(models().chain([all, none])).map(|name| match (name.parse(), name.as_str()) {
        (Ok(model), _) => Models::Only(model),
        (Err(_), "none") => Models::None,
        (Err(_), _) => Models::All,
    })
}

fn model() -> impl TypedValueParser<Value = Model> {
    PossibleValuesParser::new(models()).try_map(|name| name.parse::<Model>())
}

fn models() -> impl Iterator<Item = PossibleValue> {
    Model::ALL
        .into_iter()
        .map(|model| PossibleValue::new(model.name()).help(format!("Waits on {}", model.waits_on())))
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        "expected IP:PORT, as 127.0.0.1:7007, 0.0.0.0:7007 or [::1]:7007; port 0 takes a free one".to_owned()
    })
}

// No line longer than 90 characters: help is wrapped at 100 columns or less.
const SERVE_SETTINGS: &str = "\
Settings:
  A flag outranks its variable of the environment, which outranks the file of --config.
  The file has the flags' names:
      model = \"select\"
      listen = [\"127.0.0.1:7007\", \"[::1]:7007\"]
      idle-timeout = \"30s\"

Output:
  The first line on standard output, one for each --listen, is
      listening on ADDR:PORT model=MODEL threads=N backend=BACKEND
  and is written when clients can connect. Logs go to standard error.

Signals:
  SIGINT (Ctrl-C), SIGTERM and Ctrl-Break stop accepting, answer what was received and end
  within --grace, with exit code 0. A second one cuts every connection off at once, with
  exit code 0 too: it is what was asked for. So does, with --until-eof, the end of standard
  input, which comes when whoever holds its other end closes it or is gone.";

const SERVE_EXAMPLES: &str = "\
Examples:
  doorbell serve echo
  doorbell serve echo --model select --listen 127.0.0.1:0
  doorbell serve chargen --listen 0.0.0.0:7019 --listen [::]:7019 --idle-timeout 30s
  DOORBELL_BACKEND=epoll doorbell serve discard --threads 2";

const BENCH_NOTES: &str = "\
How it measures:
  Each variant is a server process of its own, started anew for each run. The runs are
  interleaved (A B C A B C …), so that a slow minute of the machine meets all of them.
  Every byte of every answer is verified. A figure is the median over the runs with its
  95 % bootstrap interval; two variants are ranked only where their ratio leaves out 1.
  With --rate a request is sent when it is due, and its latency counts from then.";

const BENCH_EXAMPLES: &str = "\
Examples:
  doorbell bench
  doorbell bench --models select,completion-port --conns 1,64,1000 --html bench.html
  doorbell bench --backends io_uring,epoll --models completion-port --rate 40k
  doorbell bench --target 127.0.0.1:7007 --load churn
  doorbell bench --baseline old.json --max-regress 5% --fail-if 'p99>5ms'";

const EXIT_CODES: &str = "\
Exit codes:
  0 ok    1 failure while running    2 usage    3 cannot bind    4 model or backend not available\n  99 a threshold of bench was crossed    130 bench was interrupted";

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_flag_of_serve_has_its_variable() {
        let command = Arguments::command();
        let serve = command.find_subcommand("serve").unwrap();
        for flag in
            serve.get_arguments().filter(|flag| flag.get_id() != "verbose" && flag.get_id() != "quiet")
        {
            if let Some(long) = flag.get_long() {
                let variable = format!("DOORBELL_{}", long.replace('-', "_").to_uppercase());
                assert_eq!(
                    flag.get_env().and_then(|name| name.to_str()),
                    Some(variable.as_str()),
                    "--{long}"
                );
            }
        }
    }
}
