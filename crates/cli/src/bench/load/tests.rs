//! The generator against servers that are right, and against servers with one fault each.

use super::servers::Server;
use super::{Kind, Load, LoadError, Measured, Moments, run};
use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// Nothing that is right takes so long, however busy the machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A load that a test changes to its needs.
pub(super) fn load() -> Load {
    Load {
        kind: Kind::Echo,
        connections: 4,
        size_min: 64,
        size_max: 64,
        depth: 1,
        rate: None,
        threads: 1,
        warm_up: Duration::from_millis(20),
        duration: Duration::from_millis(200),
        patience: PATIENCE,
        processors: None,
    }
}

/// The moments, in the order in which they were told.
#[derive(Default)]
struct Told(Vec<&'static str>);

impl Moments for Told {
    fn connected(&mut self) {
        self.0.push("connected");
    }

    fn began(&mut self) {
        self.0.push("began");
    }

    fn ended(&mut self) {
        self.0.push("ended");
    }
}

fn measure(target: SocketAddr, load: &Load) -> Result<Measured, LoadError> {
    let mut told = Told::default();
    let result = run(target, load, &AtomicBool::new(false), &mut told);
    if result.is_ok() {
        assert_eq!(told.0, ["connected", "began", "ended"]);
    }
    result
}

#[test]
fn a_closed_loop_measures_what_a_right_server_answers() {
    let server = Server::echo();
    let measured = measure(server.address, &load()).unwrap();
    assert!(measured.requests > 0);
    println!("{measured:?}");
}
