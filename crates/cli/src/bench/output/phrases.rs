//! What a report says in words, the same in every shape.

use super::super::metric::Metric;
use super::super::report::{Load, Machine, Report};
use super::figures::{counted, figure, grouped, listed, short, significant};

/// `echo of 64 bytes, depth 1, closed loop; 5 rounds of 3 s after 0.5 s of warm-up`.
pub(crate) fn load(load: &Load) -> String {
    let size = match load.size_min == load.size_max {
        true => counted(load.size_min, "byte"),
        false => format!("{} to {}", grouped(load.size_min as u64), counted(load.size_max, "byte")),
    };
    let mut text = format!("{} of {size}, depth {}, ", load.kind, load.depth);
    text += &match load.rate {
        Some(rate) => format!("open loop at {} requests/s", short(rate)),
        None => "closed loop".to_owned(),
    };
    if let Some(active) = load.active {
        text += &format!(", {} active", grouped(active as u64));
    }
    if let (Some(share), Some(cost)) = (load.skew_share, load.skew_cost_us) {
        text += &format!(
            ", {} % of the requests cost {}",
            significant(share * 100.0),
            figure(Metric::CpuUs, cost)
        );
    }
    let seconds = |time: f64| format!("{time} s");
    text + &format!(
        "; {} of {} after {} of warm-up",
        counted(load.runs, "round"),
        seconds(load.duration_s),
        seconds(load.warm_up_s)
    )
}

/// `Linux 6.12.0, Example Processor 3000, 8 processors, io_uring (…)`.
pub(crate) fn machine(machine: &Machine) -> String {
    let mut parts = vec![machine.system.clone()];
    parts.extend(machine.cpu.clone());
    parts.push(counted(machine.processors, "processor"));
    parts.push(machine.backend.clone());
    parts.join(", ")
}

/// Everything known of machine and load, as names and values.
pub(crate) fn facts(report: &Report) -> Vec<(&'static str, String)> {
    let (machine, load) = (&report.machine, &report.load);
    let processors = |list: &Vec<usize>| listed(&list.iter().map(usize::to_string).collect::<Vec<_>>());
    let bytes = |bytes: u64| figure(Metric::MemoryBytes, bytes as f64);
    let mut facts = vec![
        ("load", self::load(load)),
        (
            "connections",
            listed(&load.connections.iter().map(|number| grouped(*number as u64)).collect::<Vec<_>>()),
        ),
        ("generator", format!("{} of its own", counted(load.generator_threads, "thread"))),
        ("system", machine.system.clone()),
        ("processors", counted(machine.processors, "processor")),
        ("backend", machine.backend.clone()),
    ];
    let known = [
        ("processor", machine.cpu.clone()),
        ("servers on", load.server_processors.as_ref().map(processors)),
        ("generator on", load.generator_processors.as_ref().map(processors)),
        ("governor", machine.governor.clone()),
        ("memory", machine.memory_bytes.map(bytes)),
        ("descriptors", machine.descriptor_limit.map(grouped)),
        ("virtual machine", machine.hypervisor.clone()),
        ("container", (!machine.container.is_empty()).then(|| machine.container.join("; "))),
        ("load average", machine.load_average.map(|load| format!("{load:.2}"))),
        ("calls are not counted", machine.system_calls_refused.clone()),
        ("mitigations", (!machine.mitigations.is_empty()).then(|| machine.mitigations.join("; "))),
    ];
    facts.extend(known.into_iter().filter_map(|(name, value)| Some((name, value?))));
    facts.push(("began", report.started.clone()));
    facts.push(("doorbell", report.doorbell.clone()));
    facts
}

/// What the columns of a table are, under it.
pub(crate) fn legend(report: &Report) -> String {
    let corrected = match report.load.rate {
        Some(_) => {
            " Latency counts from the moment at which a request was due; raw p99 from that at which it was sent."
        }
        None => "",
    };
    let has = |metric| report.cells.iter().any(|cell| cell.summary.contains_key(&metric));
    let cost = match (has(Metric::CpuUs), has(Metric::SwitchesVoluntary)) {
        (true, true) => {
            " CPU is the server's, kernel workers included; vol. and invol. are its voluntary and involuntary context switches."
        }
        (true, false) => " CPU is the server's, kernel workers included.",
        (false, _) => "",
    };
    let calls = match has(Metric::SystemCalls) {
        true => " System calls were counted under a short load of their own, since that slows the server.",
        false => "",
    };
    format!("Medians of the rounds; ± is half the 95 % interval.{corrected}{cost}{calls}")
}

/// The command as a shell takes it.
pub(crate) fn command(words: &[String]) -> String {
    let plain = |word: &String| {
        !word.is_empty()
            && word.chars().all(|letter| letter.is_alphanumeric() || "-_./:,=%+@".contains(letter))
    };
    let quoted = words.iter().map(|word| match plain(word) {
        true => word.clone(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    });
    quoted.collect::<Vec<_>>().join(" ")
}

/// Lines no longer than `width` where their words allow it, all but the first indented.
pub(crate) fn wrapped(text: &str, width: usize, indent: usize) -> String {
    let (mut lines, mut line) = (String::new(), String::new());
    for word in text.split_whitespace() {
        if !line.trim_start().is_empty() && line.chars().count() + 1 + word.chars().count() > width {
            lines += line.trim_end();
            lines.push('\n');
            line = " ".repeat(indent);
        } else if !line.trim_start().is_empty() {
            line.push(' ');
        }
        line += word;
    }
    lines + &line
}

#[cfg(test)]
mod tests {
    use super::super::super::fixture;
    use super::*;

    #[test]
    fn a_load_is_said_in_one_line() {
        let mut report = fixture::report(&["select"], &[64], 5);
        assert_eq!(
            load(&report.load),
            "echo of 64 bytes, depth 1, closed loop; 5 rounds of 3 s after 0.5 s of warm-up"
        );
        report.load.kind = "skew".to_owned();
        (report.load.size_max, report.load.rate) = (1024, Some(80_000.0));
        (report.load.skew_share, report.load.skew_cost_us, report.load.runs) = (Some(0.01), Some(5_000.0), 1);
        assert_eq!(
            load(&report.load),
            "skew of 64 to 1,024 bytes, depth 1, open loop at 80k requests/s, 1.00 % of the requests cost 5.00 ms; \
             1 round of 3 s after 0.5 s of warm-up"
        );
    }

    #[test]
    fn a_command_can_be_pasted() {
        let words = ["doorbell", "--server", "a='b c'", ""].map(String::from);
        assert_eq!(command(&words), r"doorbell --server 'a='\''b c'\''' ''");
    }

    #[test]
    fn words_are_not_broken() {
        assert_eq!(wrapped("one two three four", 9, 2), "one two\n  three\n  four");
        assert_eq!(wrapped("incomprehensible", 4, 2), "incomprehensible");
        assert_eq!(wrapped("", 10, 0), "");
    }
}
