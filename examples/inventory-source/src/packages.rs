//! Every installed Debian package, as `dpkg-query` tells.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, ChildStdout, Command, Stdio},
};

use anyhow::Context as _;

use crate::table::{Cell, Row, Table};

/// Names of the columns. Sizes are in bytes.
pub const COLUMNS: &[&str] = &["name", "version", "architecture", "size", "section", "maintainer"];

const FORMAT: &str = "${Package}\\t${Version}\\t${Architecture}\\t${Installed-Size}\\t${Section}\\t${Maintainer}\\t\
                      ${db:Status-Status}\\n";

/// The packages installed at this moment.
///
/// # Errors
/// When `dpkg-query` cannot be started; when it fails, the last row is an error.
pub fn read() -> anyhow::Result<Table> {
    let mut child = Command::new("dpkg-query")
        .args(["--show", "--showformat", FORMAT])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("dpkg-query cannot be started")?;
    let output = child.stdout.take().context("dpkg-query has no output")?;
    let rows = Packages { child, lines: BufReader::new(output), ended: false };
    Ok(Table { columns: COLUMNS, rows: Box::new(rows) })
}

struct Packages {
    child: Child,
    lines: BufReader<ChildStdout>,
    ended: bool,
}

impl Packages {
    fn next_row(&mut self) -> anyhow::Result<Option<Row>> {
        let mut line = String::new();
        while self.lines.read_line(&mut line)? > 0 {
            if let Some(row) = parse(line.trim_end_matches('\n')) {
                return Ok(Some(row));
            }
            line.clear();
        }
        let status = self.child.wait()?;
        anyhow::ensure!(status.success(), "dpkg-query failed: {status}");
        Ok(None)
    }
}

impl Iterator for Packages {
    type Item = anyhow::Result<Row>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.next_row().transpose();
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }
}

impl Drop for Packages {
    fn drop(&mut self) {
        // Nobody reads on: without this a child would be left behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A line of `dpkg-query`; None for a package that is known but not installed.
fn parse(line: &str) -> Option<Row> {
    let fields: Vec<&str> = line.split('\t').collect();
    let [name, version, architecture, size_kib, section, maintainer, "installed"] = fields[..] else {
        return None;
    };
    let size_bytes = size_kib.parse::<u64>().ok().map(|kib| kib * 1024);
    Some(vec![
        Cell::text(name),
        Cell::text(version),
        Cell::text(architecture),
        Cell::number(size_bytes),
        Cell::text(section),
        Cell::text(maintainer),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_package_if_it_is_installed() {
        let row = parse("zlib1g\t1:1.2.13\tamd64\t168\tlibs\tM <m@debian.org>\tinstalled").unwrap();
        assert_eq!(row.len(), COLUMNS.len());
        assert_eq!((&row[0], &row[3]), (&Cell::text("zlib1g"), &Cell::Number(168 * 1024)));
        assert_eq!(parse("gone\t1\tamd64\t\tlibs\tM\tconfig-files"), None);
        assert_eq!(parse("no size\t1\tall\t\tnet\tM\tinstalled").unwrap()[3], Cell::Missing);
    }
}
