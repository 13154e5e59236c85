//! Every mounted file system, from `/proc/self/mountinfo`.

use std::fs;

use nix::sys::statvfs::statvfs;

use crate::table::{Cell, Row, Table};

/// Names of the columns. `total` and `free` are in bytes.
pub const COLUMNS: &[&str] = &["device", "mount_point", "type", "options", "total", "free"];

/// File systems that another machine or program answers for: asking for their size could wait for ever.
const REMOTE: [&str; 6] = ["nfs", "cifs", "smb", "fuse", "9p", "ceph"];

/// The mounts of this moment.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn read() -> anyhow::Result<Table> {
    let text = fs::read_to_string("/proc/self/mountinfo")?;
    let mounts: Vec<Mount> = text.lines().filter_map(parse).collect();
    Ok(Table { columns: COLUMNS, rows: Box::new(mounts.into_iter().map(|mount| Ok(mount.into_row()))) })
}

#[derive(Debug, PartialEq, Eq)]
struct Mount {
    device: String,
    point: String,
    kind: String,
    options: String,
}

impl Mount {
    fn into_row(self) -> Row {
        let remote = REMOTE.iter().any(|prefix| self.kind.starts_with(prefix));
        let sizes = if remote { None } else { statvfs(self.point.as_str()).ok() };
        let bytes = |blocks: u64, size: u64| blocks.checked_mul(size);
        let total = sizes.as_ref().and_then(|sizes| bytes(sizes.blocks(), sizes.fragment_size()));
        let free = sizes.as_ref().and_then(|sizes| bytes(sizes.blocks_available(), sizes.fragment_size()));
        vec![
            Cell::Text(self.device),
            Cell::Text(self.point),
            Cell::Text(self.kind),
            Cell::Text(self.options),
            Cell::number(total),
            Cell::number(free),
        ]
    }
}

/// `36 35 98:0 /root /mnt rw,noatime master:1 - ext3 /dev/root rw,errors=continue` (proc(5)).
fn parse(line: &str) -> Option<Mount> {
    let (own, of_type) = line.split_once(" - ")?;
    let own: Vec<&str> = own.split(' ').collect();
    let mut of_type = of_type.split(' ');
    let (kind, device) = (of_type.next()?, of_type.next()?);
    Some(Mount {
        device: unescape(device),
        point: unescape(own.get(4)?),
        kind: kind.to_owned(),
        options: (*own.get(5)?).to_owned(),
    })
}

/// White space and backslashes are written as three octal digits.
fn unescape(text: &str) -> String {
    let escapes = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    escapes.iter().fold(text.to_owned(), |text, (escaped, plain)| text.replace(escaped, plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_mount() {
        let mount = parse("36 35 98:0 /a /mnt/my\\040disk rw,noatime master:1 - ext3 /dev/root rw").unwrap();
        let expected = Mount {
            device: "/dev/root".to_owned(),
            point: "/mnt/my disk".to_owned(),
            kind: "ext3".to_owned(),
            options: "rw,noatime".to_owned(),
        };
        assert_eq!(mount, expected);
        assert_eq!(parse("nonsense"), None);
    }

    #[test]
    fn the_root_is_among_them() {
        assert!(read().unwrap().rows.any(|row| row.unwrap()[1] == Cell::text("/")));
    }
}
