//! The memory of a process, as the kernel counts it. Sizes are bytes.

use std::fs;

use anyhow::{Context, Result};

/// The most memory the process ever had resident (`VmHWM`), or since [`reset_peak`].
///
/// # Errors
/// When the process is gone.
pub fn peak_bytes(pid: u32) -> Result<u64> {
    status_bytes(pid, "VmHWM:")
}

/// The memory the process has resident now (`VmRSS`).
///
/// # Errors
/// When the process is gone.
pub fn resident_bytes(pid: u32) -> Result<u64> {
    status_bytes(pid, "VmRSS:")
}

/// Makes the peak begin anew at what is resident now.
///
/// # Errors
/// When the process is gone or another user's.
pub fn reset_peak(pid: u32) -> Result<()> {
    // "5" is the documented word for this in proc(5).
    fs::write(format!("/proc/{pid}/clear_refs"), "5")
        .with_context(|| format!("resetting the peak of process {pid}"))
}

fn status_bytes(pid: u32, field: &str) -> Result<u64> {
    let status =
        fs::read_to_string(format!("/proc/{pid}/status")).with_context(|| format!("process {pid}"))?;
    let line =
        status.lines().find_map(|line| line.strip_prefix(field)).with_context(|| format!("no {field}"))?;
    let kib: u64 = line.trim().trim_end_matches(" kB").trim().parse().with_context(|| line.to_owned())?;
    Ok(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_remembers_what_was_given_back_until_it_is_reset() {
        const SIZE: u64 = 64 << 20;
        let pid = std::process::id();
        let before = resident_bytes(pid).unwrap();
        // Written to, so that it is resident; large, so that it goes back to the kernel when freed.
        let bytes = vec![1_u8; usize::try_from(SIZE).unwrap()];
        assert!(bytes.iter().all(|byte| *byte == 1));
        drop(bytes);
        assert!(peak_bytes(pid).unwrap() >= before + SIZE / 2);
        reset_peak(pid).unwrap();
        assert!(peak_bytes(pid).unwrap() < before + SIZE / 2);
    }
}
