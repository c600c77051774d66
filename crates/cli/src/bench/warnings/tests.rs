use super::super::fixture;
use super::*;

/// What is seen in a report that was changed so; nothing is seen in it as it is.
fn seen(change: impl Fn(&mut Report)) -> Vec<String> {
    let mut report = fixture::report(&["select", "completion-port"], &[64, 1000], 5);
    assert_eq!(warnings(&report), []);
    change(&mut report);
    warnings(&report).into_iter().map(|warning| warning.seen).collect()
}

fn runs(report: &mut Report) -> impl Iterator<Item = &mut Run> {
    report.cells.iter_mut().flat_map(|cell| &mut cell.runs)
}

#[test]
fn a_generator_that_had_no_time_left_is_the_bottleneck_unless_the_server_had_none_either() {
    let idle_server = |run: &mut Run, busy| {
        run.generator.busy = Some(busy);
        run.server.as_mut().unwrap().cpu_system_us = 1e5;
    };
    let text = "The load generator was busy all the time while the server was not: everywhere.";
    assert_eq!(seen(|report| runs(report).for_each(|run| idle_server(run, 0.97))), [text]);
    assert!(seen(|report| runs(report).for_each(|run| idle_server(run, 0.85))).is_empty());
    let busy_server = |run: &mut Run| {
        run.generator.busy = Some(0.97);
        // Four threads on four processors for three seconds.
        run.server.as_mut().unwrap().cpu_system_us = 11.9e6;
    };
    assert!(seen(|report| runs(report).for_each(busy_server)).is_empty());
    let one_thread = seen(|report| {
        report.subjects.iter_mut().for_each(|subject| subject.threads = Some(1));
        runs(report).for_each(|run| {
            busy_server(run);
            run.server.as_mut().unwrap().cpu_system_us = 2.9e6;
        });
    });
    assert_eq!(one_thread, Vec::<String>::new(), "one thread cannot use more than one processor");
    let open = seen(|report| {
        report.load.rate = Some(1e5);
        runs(report).for_each(|run| idle_server(run, 1.0));
    });
    assert_eq!(open, Vec::<String>::new(), "a thread of an open loop is always busy");
}

#[test]
fn a_rate_that_was_not_kept_is_said_of_the_cells_where_it_was_not() {
    let late = |late, unsent| {
        seen(move |report| {
            report.load.rate = Some(1e5);
            let run = &mut report.cells[3].runs[2];
            (run.generator.late, run.generator.unsent) = (late, unsent);
        })
    };
    assert_eq!(late(5_000, 0), ["The load generator did not keep the rate: completion-port at 1,000."]);
    assert_eq!(late(0, 5_000).len(), 1);
    assert!(late(1, 1).is_empty());
}

#[test]
fn a_run_without_an_answer_is_said() {
    let none = |report: &mut Report| report.cells[1].runs.iter_mut().for_each(|run| run.requests = 0);
    let text = "In the measured time of a run no answer was complete: select at 1,000.";
    assert_eq!(seen(none), [text]);
}

#[test]
fn a_slow_first_run_is_told_apart_from_noise() {
    let slow = |place: usize| {
        seen(move |report| {
            let run = &mut report.cells[0].runs[place];
            run.requests = run.requests * 8 / 10;
        })
    };
    assert_eq!(slow(0), ["The first run was slower than all others: select at 64."]);
    assert_eq!(slow(3), ["Runs of the same are more than 10 % apart: select at 64."]);
}

#[test]
fn few_rounds_and_a_broken_off_bench_are_said() {
    let cut =
        |rounds| seen(move |report| report.cells.iter_mut().for_each(|cell| cell.runs.truncate(rounds)));
    assert_eq!(cut(1), ["There is 1 round only."]);
    assert_eq!(cut(3), ["There are 3 rounds only."]);
    assert!(cut(5).is_empty());
    let one = fixture::report(&["select"], &[64], 1);
    assert_eq!(warnings(&one), [], "what stands alone is not ranked anyway");
    let broken = seen(|report| {
        report.interrupted = true;
        report.cells.truncate(3);
    });
    assert_eq!(broken, ["The bench ended before its last run: 15 of 20 were made."]);
}

/// Makes of a good report one that is to be warned of.
type Spoil = fn(&mut Report);

#[test]
fn the_machine_is_looked_at() {
    let cases: [(&str, Spoil); 7] = [
        ("Others were at work when it began: a load of 2.50 on 8 processors.", |report| {
            report.machine.load_average = Some(2.5);
        }),
        ("Server and generator share the one processor.", |report| {
            (report.load.server_processors, report.machine.processors) = (None, 1);
        }),
        ("Server and generator are not kept apart: they share all processors.", |report| {
            report.load.server_processors = None;
        }),
        ("The container has a quota of processor time: container processors (cpu.max): 2.00.", |report| {
            report.machine.container = vec![
                "container processors (cpu.max): 2.00".into(),
                "container memory (memory.max): 1073741824".into(),
            ];
        }),
        ("The frequency governor is powersave.", |report| {
            report.machine.governor = Some("powersave".into());
        }),
        ("A process may have 1,024 descriptors, and 1,000 connections were asked for.", |report| {
            report.machine.descriptor_limit = Some(1024);
        }),
        ("192.0.2.1:7 may be another machine.", |report| report.subjects[0].name = "192.0.2.1:7".into()),
    ];
    for (text, change) in cases {
        assert_eq!(seen(change), [text]);
    }
    assert!(seen(|report| report.subjects[0].name = "127.0.0.1:7".into()).is_empty());
}

#[test]
fn models_that_take_a_thread_for_63_connections_are_named_where_they_took_more() {
    let report = fixture::report(&fixture::MODELS, &[64, 1000], 5);
    let seen: Vec<String> = warnings(&report).into_iter().map(|warning| warning.seen).collect();
    let text = "A thread of these waits for 63 connections at most, so more were started: \
                event-select at 1,000 and overlapped-event at 1,000.";
    assert_eq!(seen, [text]);
}
