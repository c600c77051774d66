//! The flags of `doorbell bench`.

use super::gate::{self, Condition};
use crate::arguments::model_list;
use crate::units;
use clap::{Args, ValueEnum, value_parser};
use doorbell::Model;
use doorbell_winsock::startup::BackendChoice;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Args, Debug)]
pub(crate) struct Bench {
    /// Which models: all, none (only each --server), or some of them with commas between
    #[arg(long, value_name = "MODELS", default_value = "all", value_delimiter = ',', value_parser = model_list())]
    pub(crate) models: Vec<Models>,

    /// What stands below the models: auto, io_uring, epoll or winsock; several are compared
    #[arg(
        long,
        value_name = "BACKENDS",
        env = "DOORBELL_BACKEND",
        default_value = "auto",
        value_delimiter = ','
    )]
    pub(crate) backends: Vec<BackendChoice>,

    /// Another server (or several), which echoes and prints `listening on ADDR:PORT`
    #[arg(long, value_name = "NAME=COMMAND", value_parser = server)]
    pub(crate) server: Vec<OtherServer>,

    /// Put no server up, but this load on the one that listens there
    #[arg(long, value_name = "ADDR", value_parser = target, conflicts_with_all = ["models", "server", "threads"])]
    pub(crate) target: Option<SocketAddr>,

    /// What the clients do
    #[arg(long, value_name = "KIND", value_enum, default_value_t = LoadKind::Echo)]
    pub(crate) load: LoadKind,

    /// How many connections; several numbers are measured one after the other
    #[arg(long, value_name = "N,…", default_value = "64", value_delimiter = ',', value_parser = connections)]
    pub(crate) conns: Vec<usize>,

    /// Bytes of a request, or a range of them, as 64, 16k or 64-1k
    #[arg(long, value_name = "SIZE", default_value = "64", value_parser = size)]
    pub(crate) size: Size,

    /// Requests under way on a connection
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = value_parser!(u32).range(1..=65_536))]
    pub(crate) depth: u32,

    /// Requests a second in all, each sent when it is due (open loop) [default: as answers come]
    #[arg(long, value_name = "R", value_parser = rate)]
    pub(crate) rate: Option<f64>,

    /// With idle and slow-reader: how many of the connections are active
    #[arg(long, value_name = "K", default_value_t = 1, value_parser = value_parser!(u32).range(1..))]
    pub(crate) active: u32,

    /// With slow-reader: bytes a second that each slow one reads
    #[arg(long, value_name = "SIZE", default_value = "16k", value_parser = units::bytes)]
    pub(crate) slow_rate: usize,

    /// With skew: the share of requests that are costly
    #[arg(long, value_name = "SHARE", default_value = "1%", value_parser = share)]
    pub(crate) skew_share: f64,

    /// With skew: the processor time that a costly request takes from its handler
    #[arg(long, value_name = "TIME", default_value = "5ms", value_parser = units::duration)]
    pub(crate) skew_cost: Duration,

    /// How long a run is measured
    #[arg(long, value_name = "TIME", default_value = "3s", value_parser = positive_time)]
    pub(crate) duration: Duration,

    /// How long each run warms up before that
    #[arg(long, value_name = "TIME", default_value = "500ms", value_parser = units::duration)]
    pub(crate) warm_up: Duration,

    /// Rounds: each measures every variant once, in turn
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = value_parser!(u32).range(1..=1000))]
    pub(crate) runs: u32,

    /// Threads of each server [default: half the processors; under blocking one a connection]
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..))]
    pub(crate) threads: Option<u32>,

    /// Threads of the load generator [default: the other half of the processors, at least one]
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..))]
    pub(crate) generator_threads: Option<u32>,

    /// Whether servers and generator are kept to processors of their own
    #[arg(long, value_name = "WHETHER", value_enum, default_value_t = Pin::Auto)]
    pub(crate) pin: Pin,

    /// How long an answer may show no byte before the server is said to hang
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = positive_time)]
    pub(crate) patience: Duration,

    /// Write everything as JSON (docs/bench.md has its schema)
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,

    /// Write a line a run
    #[arg(long, value_name = "FILE")]
    pub(crate) csv: Option<PathBuf>,

    /// Write the tables for a page
    #[arg(long, value_name = "FILE")]
    pub(crate) markdown: Option<PathBuf>,

    /// Write one page with the plots, which needs nothing else
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,

    /// Compare with what an earlier bench wrote by --json
    #[arg(long, value_name = "FILE")]
    pub(crate) baseline: Option<PathBuf>,

    /// End with 99 if this (or one of several) holds, as 'p99>5ms' or 'requests_per_s<100k'
    #[arg(long, value_name = "CONDITION", value_parser = gate::condition)]
    pub(crate) fail_if: Vec<Condition>,

    /// End with 99 if requests/s, p99 or CPU a request is worse than the baseline's by more
    #[arg(long, value_name = "SHARE", requires = "baseline", value_parser = share)]
    pub(crate) max_regress: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Models {
    All,
    None,
    Only(Model),
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub(crate) enum LoadKind {
    /// Every connection exchanges requests and answers
    Echo,
    /// Some do, the others are silent
    Idle,
    /// Connect, one exchange, close, again and again
    Churn,
    /// Some exchange, the others send much and read slowly
    SlowReader,
    /// Some requests cost the handler much processor time (serves burn)
    Skew,
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub(crate) enum Pin {
    /// Where there are two processors or more and the system can
    Auto,
    /// Left to the system
    None,
}

impl LoadKind {
    /// As on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            LoadKind::Echo => "echo",
            LoadKind::Idle => "idle",
            LoadKind::Churn => "churn",
            LoadKind::SlowReader => "slow-reader",
            LoadKind::Skew => "skew",
        }
    }

    /// Whether only some of its connections exchange.
    pub(crate) fn has_active(self) -> bool {
        matches!(self, LoadKind::Idle | LoadKind::SlowReader)
    }
}

/// A server that is not ours.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct OtherServer {
    pub(crate) name: String,
    pub(crate) command: Vec<String>,
}

/// Bytes of a request, both ends included.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Size {
    pub(crate) min: usize,
    pub(crate) max: usize,
}

/// The largest request: what a connection has under way is held in memory to be compared.
const SIZE_MAX: usize = 16 << 20;

fn server(text: &str) -> Result<OtherServer, String> {
    let (name, command) =
        text.split_once('=').ok_or("expected NAME=COMMAND, as tokio='./tokio-echo --port 0'")?;
    let command = words(command)?;
    match (name.trim(), command.is_empty()) {
        ("", _) => Err("it needs a name before the '='".into()),
        (_, true) => Err("it needs a command behind the '='".into()),
        (name, false) => Ok(OtherServer { name: name.to_owned(), command }),
    }
}

/// Splits as a shell does: at spaces, but not within '…' or "…".
fn words(text: &str) -> Result<Vec<String>, String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for letter in text.chars() {
        match (letter, quote) {
            (_, Some(open)) if letter == open => quote = None,
            (_, Some(_)) => word.get_or_insert_default().push(letter),
            ('\'' | '"', None) => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (' ' | '\t' | '\n', None) => words.extend(word.take()),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    match quote {
        Some(open) => Err(format!("the quote {open} is not closed")),
        None => {
            words.extend(word);
            Ok(words)
        }
    }
}

fn target(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "expected IP:PORT, as 127.0.0.1:7007 or [::1]:7007".to_owned())
}

fn connections(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("without a connection there is no load".into()),
        Ok(number) if number <= 1_000_000 => Ok(number),
        Ok(_) => Err("at most 1000000".into()),
        Err(_) => Err("expected a whole number, or several with commas between, as 1,64,1000".into()),
    }
}

fn size(text: &str) -> Result<Size, String> {
    let (min, max) = text.split_once('-').unwrap_or((text, text));
    let (min, max) = (units::bytes(min)?, units::bytes(max)?);
    match (min <= max, max <= SIZE_MAX) {
        (false, _) => Err("the smaller one comes first, as 64-1k".into()),
        (_, false) => Err("at most 16M".into()),
        _ => Ok(Size { min, max }),
    }
}

/// `80000`, `80k`, `1.5M`: in powers of 1000.
fn rate(text: &str) -> Result<f64, String> {
    let (number, factor) = match text.strip_suffix(['k', 'K']) {
        Some(number) => (number, 1e3),
        None => text.strip_suffix(['m', 'M']).map_or((text, 1.0), |number| (number, 1e6)),
    };
    match number.parse::<f64>() {
        Ok(rate) if rate > 0.0 && rate.is_finite() => Ok(rate * factor),
        _ => Err("expected requests a second, as 80000 or 80k".into()),
    }
}

/// `5%` or `0.05`.
fn share(text: &str) -> Result<f64, String> {
    let share = match text.strip_suffix('%') {
        Some(number) => number.trim().parse().map(|number: f64| number / 100.0),
        None => text.parse(),
    };
    match share {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("expected a share, as 5% or 0.05".into()),
    }
}

fn positive_time(text: &str) -> Result<Duration, String> {
    match units::duration(text)? {
        Duration::ZERO => Err("in no time nothing is measured".into()),
        time => Ok(time),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_split_as_a_shell_does() {
        let other = server("a=b 'c d' \"e'f\" g''h").unwrap();
        assert_eq!(
            (other.name.as_str(), other.command),
            ("a", ["b", "c d", "e'f", "gh"].map(String::from).to_vec())
        );
        for wrong in ["a", "=b", "a=", "a=b 'c"] {
            assert!(server(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_rates_and_shares_are_read_as_people_write_them() {
        assert_eq!(size("64"), Ok(Size { min: 64, max: 64 }));
        assert_eq!(size("64-1k"), Ok(Size { min: 64, max: 1024 }));
        assert!(["1k-64", "0", "17M", "-", "64-"].into_iter().all(|wrong| size(wrong).is_err()));
        assert_eq!((rate("80k"), rate("1.5M"), rate("7")), (Ok(80_000.0), Ok(1_500_000.0), Ok(7.0)));
        assert!(["0", "-1", "k", "inf", "NaN"].into_iter().all(|wrong| rate(wrong).is_err()));
        assert_eq!((share("5%"), share("0.05")), (Ok(0.05), Ok(0.05)));
        assert!(["101%", "2", "-1%", "%"].into_iter().all(|wrong| share(wrong).is_err()));
    }
}
