//! The machine, as far as it says of itself what bears on the figures.
//!
//! Where a system has none of the files below, nothing is read and nothing is said.

use super::report::Machine;
use doorbell_winsock::host::{self, OtherProcess};
use doorbell_winsock::startup::{BackendChoice, choose_backend, fallback, report};
use std::fs;
use std::path::{Path, PathBuf};

/// Reads it all; what is not told here stays empty.
pub(crate) fn read() -> Machine {
    let said = report();
    let files = Files { root: PathBuf::from("/") };
    let processors = host::processors_allowed();
    Machine {
        system: system(&said),
        cpu: files.cpu().or_else(|| std::env::var("PROCESSOR_IDENTIFIER").ok()),
        processors: processors.len(),
        governor: files.governor(&processors),
        mitigations: files.mitigations(),
        memory_bytes: files.memory_bytes(),
        backend: backend(&said),
        descriptor_limit: host::descriptor_limit().map(|limit| limit.soft),
        container: container(&said),
        hypervisor: files.hypervisor(),
        load_average: files.load_average(),
        system_calls_refused: system_calls_refused(),
    }
}

type Said = [(String, String)];

fn line<'a>(said: &'a Said, name: &str) -> Option<&'a str> {
    said.iter().find(|line| line.0 == name).map(|line| line.1.as_str())
}

/// The kernel has a name of its own where the system is called after it.
fn system(said: &Said) -> String {
    let system = match (line(said, "kernel"), line(said, "system")) {
        (Some(kernel), _) => format!("Linux {kernel}"),
        (None, system) => system.unwrap_or("a system that does not say its name").to_owned(),
    };
    match line(said, "wine") {
        Some(wine) => format!("{system} ({wine})"),
        None => system,
    }
}

/// What `auto` takes here, or why it does not take the best, and what that offers.
fn backend(said: &Said) -> String {
    match (choose_backend(BackendChoice::Auto), fallback()) {
        (Ok(backend), Some(refusal)) => {
            format!("{backend} ({} is not available: {})", refusal.backend, refusal.cause)
        }
        (Ok(backend), None) => match line(said, backend.name()) {
            Some(offers) => format!("{backend} ({})", offers.strip_prefix("available: ").unwrap_or(offers)),
            None => backend.to_string(),
        },
        (Err(refusal), _) => refusal.to_string(),
    }
}

fn container(said: &Said) -> Vec<String> {
    let limits = said.iter().filter(|(name, _)| name.starts_with("container "));
    limits.map(|(name, limit)| format!("{name}: {limit}")).collect()
}

/// Tried on this process.
fn system_calls_refused() -> Option<String> {
    let own = OtherProcess::new(std::process::id());
    own.and_then(|own| own.count_system_calls()).err().map(|error| error.to_string())
}

/// What Linux tells in files.
struct Files {
    root: PathBuf,
}

impl Files {
    fn cpu(&self) -> Option<String> {
        self.fact("proc/cpuinfo", "model name")
    }

    /// Each of those in force.
    fn governor(&self, processors: &[usize]) -> Option<String> {
        let path = |processor| format!("sys/devices/system/cpu/cpu{processor}/cpufreq/scaling_governor");
        let mut governors: Vec<_> =
            processors.iter().filter_map(|processor| self.text(path(processor))).collect();
        governors.sort();
        governors.dedup();
        (!governors.is_empty()).then(|| governors.join(", "))
    }

    fn mitigations(&self) -> Vec<String> {
        let folder = self.root.join("sys/devices/system/cpu/vulnerabilities");
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let mut mitigations: Vec<_> = entries
            .filter_map(|entry| {
                let state = self.text(entry.path())?;
                let name = entry.file_name();
                state.contains("Mitigation").then(|| format!("{}: {state}", name.to_string_lossy()))
            })
            .collect();
        mitigations.sort();
        mitigations
    }

    fn memory_bytes(&self) -> Option<u64> {
        let memory = self.fact("proc/meminfo", "MemTotal")?;
        memory.strip_suffix(" kB")?.parse::<u64>().ok().map(|kib| kib * 1024)
    }

    /// By its name where there is one: a processor that is a guest's says so, and the machine's papers say whose.
    fn hypervisor(&self) -> Option<String> {
        let flags = self.fact("proc/cpuinfo", "flags").unwrap_or_default();
        let guest = flags.split_whitespace().any(|flag| flag == "hypervisor");
        let names = ["sys/class/dmi/id/sys_vendor", "sys/class/dmi/id/product_name"];
        let names: Vec<_> = names.iter().filter_map(|name| self.text(name)).collect();
        let kind = self.text("sys/hypervisor/type");
        match (kind, guest) {
            (Some(kind), _) => Some(kind),
            (None, true) if names.is_empty() => Some("of unknown kind".into()),
            (None, true) => Some(names.join(" ")),
            (None, false) => None,
        }
    }

    fn load_average(&self) -> Option<f64> {
        self.text("proc/loadavg")?.split_whitespace().next()?.parse().ok()
    }

    /// What stands behind a name and a colon.
    fn fact(&self, path: &str, name: &str) -> Option<String> {
        let text = self.text(path)?;
        let facts = text.lines().filter_map(|line| line.split_once(':'));
        facts.into_iter().find(|fact| fact.0.trim() == name).map(|fact| fact.1.trim().to_owned())
    }

    /// Without the space around it; nothing where there is no text.
    fn text(&self, path: impl AsRef<Path>) -> Option<String> {
        let text = fs::read_to_string(self.root.join(path)).ok()?;
        Some(text.trim().to_owned()).filter(|text| !text.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_a_name_processors_and_a_backend() {
        let machine = read();
        assert!(!machine.system.is_empty());
        assert_eq!(machine.processors, host::processors_allowed().len());
        assert!(["io_uring", "epoll", "winsock"].iter().any(|name| machine.backend.starts_with(name)));
        assert_eq!(machine.memory_bytes.is_some(), Path::new("/proc/meminfo").exists());
    }

    #[test]
    fn the_report_of_the_system_is_read() {
        let said = |lines: &[(&str, &str)]| -> Vec<(String, String)> {
            lines.iter().map(|line| (line.0.to_owned(), line.1.to_owned())).collect()
        };
        assert_eq!(system(&said(&[("kernel", "6.18.0")])), "Linux 6.18.0");
        assert_eq!(system(&said(&[("system", "Windows 11"), ("wine", "10.0")])), "Windows 11 (10.0)");
        let limits = said(&[("processors", "2"), ("container memory (memory.max)", "4096")]);
        assert_eq!(container(&limits), ["container memory (memory.max): 4096"]);
    }

    #[test]
    fn what_the_files_say_is_read() {
        let files = Files { root: folder("machine-files") };
        for (path, text) in [
            ("proc/cpuinfo", "processor\t: 0\nmodel name\t: Abacus 9\nflags\t\t: fpu hypervisor sse\n"),
            ("proc/meminfo", "MemTotal:        2048 kB\nMemFree:  1 kB\n"),
            ("proc/loadavg", "1.25 0.50 0.10 1/200 4321\n"),
            ("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave\n"),
            ("sys/devices/system/cpu/cpu1/cpufreq/scaling_governor", "performance\n"),
            ("sys/devices/system/cpu/cpu2/cpufreq/scaling_governor", "powersave\n"),
            ("sys/devices/system/cpu/vulnerabilities/spectre_v2", "Mitigation: Retpolines\n"),
            ("sys/devices/system/cpu/vulnerabilities/mds", "Not affected\n"),
            ("sys/class/dmi/id/sys_vendor", "QEMU\n"),
        ] {
            let path = files.root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        assert_eq!(files.cpu().unwrap(), "Abacus 9");
        assert_eq!(files.memory_bytes(), Some(2 << 20));
        assert_eq!(files.load_average(), Some(1.25));
        assert_eq!(files.governor(&[0, 1, 2]).unwrap(), "performance, powersave");
        assert_eq!(files.governor(&[2]).unwrap(), "powersave");
        assert_eq!(files.mitigations(), ["spectre_v2: Mitigation: Retpolines"]);
        assert_eq!(files.hypervisor().unwrap(), "QEMU");
        fs::remove_dir_all(files.root).unwrap();
    }

    #[test]
    fn where_there_are_no_files_nothing_is_said() {
        let files = Files { root: folder("machine-without-files") };
        assert_eq!((files.cpu(), files.memory_bytes(), files.load_average()), (None, None, None));
        assert_eq!((files.governor(&[0]), files.hypervisor()), (None, None));
        assert_eq!(files.mitigations(), [""; 0]);
        fs::remove_dir_all(files.root).unwrap();
    }

    /// An empty one.
    fn folder(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("doorbell-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        path
    }
}
