//! Every running process, from `/proc`. Without arguments and environment: they may hold secrets.

use std::{fs, path::Path};

use crate::table::{Cell, Row, Table};

/// Names of the columns. `resident` is in bytes.
pub const COLUMNS: &[&str] = &["pid", "parent", "name", "state", "user", "threads", "resident"];

/// The processes of this moment, those that end meanwhile left out.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn read() -> anyhow::Result<Table> {
    let mut pids: Vec<u64> =
        fs::read_dir("/proc")?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable();
    let rows = pids.into_iter().filter_map(|pid| {
        let status = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("status")).ok()?;
        Some(Ok(parse(pid, &status)))
    });
    Ok(Table { columns: COLUMNS, rows: Box::new(rows) })
}

fn parse(pid: u64, status: &str) -> Row {
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.map(str::trim)
    };
    let number = |name| field(name).and_then(|value| value.split_whitespace().next()?.parse().ok());
    vec![
        Cell::Number(pid),
        Cell::number(number("PPid")),
        Cell::text(field("Name").unwrap_or_default()),
        Cell::text(field("State").and_then(|state| state.split_whitespace().next()).unwrap_or_default()),
        Cell::number(number("Uid")),
        Cell::number(number("Threads")),
        Cell::number(number("VmRSS").map(|kib: u64| kib * 1024)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read_from_its_status() {
        let status = "Name:\tsleep\nState:\tS (sleeping)\nPPid:\t1\nUid:\t1000\t1000\t1000\t1000\nVmRSS:\t     812 kB\nThreads:\t1\n";
        let row = parse(7, status);
        let expected = [
            Cell::Number(7),
            Cell::Number(1),
            Cell::text("sleep"),
            Cell::text("S"),
            Cell::Number(1000),
            Cell::Number(1),
            Cell::Number(812 * 1024),
        ];
        assert_eq!(row, expected);
    }

    #[test]
    fn this_process_is_among_them() {
        let own = Cell::Number(u64::from(std::process::id()));
        assert!(read().unwrap().rows.any(|row| row.unwrap()[0] == own));
    }
}
