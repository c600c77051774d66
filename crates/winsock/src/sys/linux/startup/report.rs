//! What the system offers, in lines for people.

use super::{disabled, probe};
use rustix::process::{Resource, getrlimit};
use std::fs;

pub(crate) fn report() -> Vec<(String, String)> {
    let mut lines = vec![line("kernel", rustix::system::uname().release().to_string_lossy().into_owned())];
    lines.push(match probe() {
        Ok(offers) => line("io_uring", format!("available: {}", offers.join(" "))),
        Err(refusal) => line("io_uring", format!("not available: {}; {}", refusal.cause, refusal.remedy)),
    });
    if let Some(value) = disabled() {
        lines.push(line("kernel.io_uring_disabled", value));
    }
    lines.push(line("descriptors", limit(Resource::Nofile, "")));
    lines.push(line("locked memory", limit(Resource::Memlock, " bytes")));
    lines.push(line("processors", crate::host::processors().to_string()));
    if let Some(length) = read("/proc/sys/net/core/somaxconn") {
        lines.push(line("longest backlog (net.core.somaxconn)", length));
    }
    lines.extend(container());
    lines
}

/// Version 2 of the control groups has all in one folder, version 1 a folder for each controller.
const LIMITS: [(&str, &[&str], &str); 6] = [
    ("", &["cpu.max"], "container processors (cpu.max)"),
    ("", &["memory.max"], "container memory (memory.max)"),
    ("", &["pids.max"], "container threads (pids.max)"),
    ("cpu", &["cpu.cfs_quota_us", "cpu.cfs_period_us"], "container processors (cpu.cfs_quota_us)"),
    ("memory", &["memory.limit_in_bytes"], "container memory (memory.limit_in_bytes)"),
    ("pids", &["pids.max"], "container threads (pids.max)"),
];

/// From here on version 1 means no limit: it writes the largest whole number of pages that it can.
const NO_LIMIT: u64 = 1 << 62;

/// What a container's limits are, where they can be read and there are any.
fn container() -> Vec<(String, String)> {
    let own = read("/proc/self/cgroup").unwrap_or_default();
    let mut lines = Vec::new();
    for (controller, files, name) in LIMITS {
        // "0::/path" in version 2, "4:memory:/path" in version 1.
        let path = own.lines().find_map(|line| {
            let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
            controllers.split(',').any(|one| one == controller).then_some(path)
        });
        // Inside a container the path is often the root of what can be seen.
        let folders = [path.unwrap_or("/").trim_end_matches('/'), ""];
        let read = |folder| {
            let read = |file: &&str| read(&format!("/sys/fs/cgroup/{controller}{folder}/{file}"));
            files.iter().map(read).collect::<Option<Vec<_>>>()
        };
        let value = folders.into_iter().find_map(read).map(|values| values.join(" "));
        match value.as_deref().map(|value| value.split_whitespace().collect::<Vec<_>>()).as_deref() {
            None | Some([] | ["max" | "-1", ..]) => {}
            Some([quota, period]) => lines.push(line(name, share(quota, period))),
            Some([number, ..]) if number.parse().is_ok_and(|number: u64| number >= NO_LIMIT) => {}
            Some([number, ..]) => lines.push(line(name, (*number).to_owned())),
        }
    }
    lines
}

fn share(quota: &str, period: &str) -> String {
    match (quota.parse::<f64>(), period.parse::<f64>()) {
        (Ok(quota), Ok(period)) if period > 0.0 => format!("{:.2}", quota / period),
        _ => format!("{quota} of {period}"),
    }
}

fn limit(resource: Resource, unit: &str) -> String {
    let limit = getrlimit(resource);
    let text = |value: Option<u64>| value.map_or("unlimited".to_owned(), |value| format!("{value}{unit}"));
    format!("{} now, {} at most", text(limit.current), text(limit.maximum))
}

fn line(name: &str, value: String) -> (String, String) {
    (name.to_owned(), value)
}

fn read(path: &str) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}
