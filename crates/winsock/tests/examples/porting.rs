//! The programs of the porting guide: they run, and the guide shows them as they are.

use crate::program::Program;

const GUIDE: &str = include_str!("../../../../docs/porting.md");

macro_rules! programs {
    ($($name:ident),*) => {
        $(
            #[test]
            fn $name() {
                is_shown_and_runs(stringify!($name), include_str!(concat!("../../examples/", stringify!($name), ".rs")));
            }
        )*
    };
}

programs!(port_events, port_messages, port_routines, port_completion_port);

fn is_shown_and_runs(name: &str, source: &str) {
    let shown = GUIDE.contains(&format!("examples/{name}.rs):\n\n```rust\n{source}```\n"));
    assert!(shown, "docs/porting.md shows another {name}.rs: copy it between the lines ```rust and ```");
    let mut program = Program::start(name);
    assert_eq!(program.line(), "the client was answered");
    let (status, rest) = program.end();
    assert!(status.success(), "{name}: {status}");
    assert_eq!(rest, [""; 0], "{name}");
}
