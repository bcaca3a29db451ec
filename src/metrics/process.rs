//! What the system says of this process: memory, descriptors, start. Linux only; elsewhere these
//! figures are absent.

use super::catalogue::name;
use super::count;
use metrics::gauge;

/// Sets the figures of the process.
pub(super) fn tell(started_secs: f64) {
    gauge!(name("keywatch_build_info"), "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    gauge!(name("process_start_time_seconds")).set(started_secs);
    if let Some(bytes) = resident_bytes() {
        gauge!(name("process_resident_memory_bytes")).set(count(bytes));
    }
    if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
        gauge!(name("process_open_fds")).set(count(open.count() as u64));
    }
}

/// `VmRSS` of proc_pid_status(5), which is in kibibytes.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}
