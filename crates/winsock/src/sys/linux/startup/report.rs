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

/// What a container's limits are, where they can be read and there are any.
fn container() -> Vec<(String, String)> {
    let mut lines = Vec::new();
    let own = read("/proc/self/cgroup").unwrap_or_default();
    // Version 2 has one line: "0::/path". Inside a container the path is often the root of what can be seen.
    let path = own.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or("/").trim_end_matches('/');
    for (file, name) in
        [("cpu.max", "container processors (cpu.max)"), ("memory.max", "container memory (memory.max)")]
    {
        let value =
            read(&format!("/sys/fs/cgroup{path}/{file}")).or_else(|| read(&format!("/sys/fs/cgroup/{file}")));
        match value.as_deref().map(|value| value.split_whitespace().collect::<Vec<_>>()).as_deref() {
            None | Some([] | ["max", ..]) => {}
            Some([quota, period]) => lines.push(line(name, share(quota, period))),
            Some([bytes, ..]) => lines.push(line(name, format!("{bytes} bytes"))),
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
