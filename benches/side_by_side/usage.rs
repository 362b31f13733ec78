//! CPU time and memory of a process and its children, from `/proc`.

/// User and system time so far, in seconds.
pub fn cpu(pid: u32) -> f64 {
    /// `USER_HZ`, which is 100 wherever Linux has an ABI of its own (proc(5)).
    const TICKS: f64 = 100.0;
    let of = |pid: u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // The second field is a name in parentheses; user and system time are the 14th and 15th.
        let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let times = fields.split_whitespace().skip(11).take(2);
        times
            .filter_map(|time| time.parse::<f64>().ok())
            .sum::<f64>()
            / TICKS
    };
    family(pid).into_iter().map(of).sum()
}

/// The largest resident memory so far, in megabytes (`VmHWM`; children are added up).
pub fn peak_memory(pid: u32) -> f64 {
    let of = |pid: u32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kibibytes = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
        kibibytes.unwrap_or(0.0) * 1024.0 / 1e6
    };
    family(pid).into_iter().map(of).sum()
}

fn family(pid: u32) -> Vec<u32> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let children = children.unwrap_or_default();
    let children = children
        .split_whitespace()
        .filter_map(|pid| pid.parse().ok());
    std::iter::once(pid).chain(children).collect()
}
