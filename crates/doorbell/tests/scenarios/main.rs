//! What a server must do, whichever way it waits: one body for each scenario, run under every model and,
//! where the system has two, on both backends.
//!
//! A test is named by its scenario and its model, `a_reset_in_the_middle::select`; both can be filtered by. The list is
//! made at run time from the registry, so a model joins by being in it. A backend is chosen once for a process: when
//! none is asked for, and the best is not the only one, this binary runs itself again on the other.
//!
//! A module is a theme. [`harness`] has what all need; [`apart`] is a server in a process of its own, for figures that
//! belong to a process: descriptors, processor time.

mod apart;
mod backlog;
mod bytes;
mod clock;
mod crowd;
mod doors;
mod ends;
mod groups;
mod harness;
mod messages;
mod pressure;
mod second_leg;
mod services;
mod stop;

use doorbell::Model;
use doorbell_winsock::{Backend, host, startup};
use harness::Scenario;
use libtest_mimic::{Arguments, Conclusion, Trial};
use std::env;
use std::process::{Command, ExitCode};

/// Tests at a time. Most of them wait most of the time, so there may be more than processors; the figures that must not
/// be disturbed are taken in processes of their own.
const AT_A_TIME: usize = 6;

fn main() -> ExitCode {
    // A thousand clients and more, on whichever side this is.
    host::raise_descriptor_limit();
    if apart::is_wanted() {
        apart::serve();
        return ExitCode::SUCCESS;
    }
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(AT_A_TIME);
    if !arguments.list {
        println!("on {}, seed {} ({} repeats it)", startup::backend(), harness::seed(), harness::SEED);
    }
    let conclusion = run(&arguments);
    let again_on = Backend::Epoll;
    let other = startup::backend() == Backend::IoUring && env::var_os(BACKEND).is_none();
    if conclusion.has_failed() || arguments.list || !other {
        return conclusion.exit_code();
    }
    let mut again = Command::new(env::current_exe().expect("this binary"));
    let status = again.args(env::args_os().skip(1)).env(BACKEND, again_on.name()).status();
    if status.expect("this binary runs again").success() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

const BACKEND: &str = "DOORBELL_BACKEND";

fn run(arguments: &Arguments) -> Conclusion {
    let themes = [
        bytes::SCENARIOS,
        ends::SCENARIOS,
        pressure::SCENARIOS,
        crowd::SCENARIOS,
        groups::SCENARIOS,
        doors::SCENARIOS,
        messages::SCENARIOS,
        backlog::SCENARIOS,
        second_leg::SCENARIOS,
        clock::SCENARIOS,
        stop::SCENARIOS,
        services::SCENARIOS,
    ];
    let scenarios = themes.into_iter().flatten();
    let trials = scenarios.flat_map(|scenario| Model::ALL.into_iter().map(|model| trial(scenario, model)));
    libtest_mimic::run(arguments, trials.collect())
}

fn trial(scenario: &'static Scenario, model: Model) -> Trial {
    // As a Rust path, so that a filter needs no quotes.
    let name = format!("{}::{}", scenario.name, model.name().replace('-', "_"));
    Trial::test(name.clone(), move || harness::run(&name, scenario, model).map_err(Into::into))
}
