//! The records of a ZIP archive, byte by byte. Section numbers are those of APPNOTE 6.3.10.

use bytes::{BufMut, BytesMut};

use super::timestamp::Timestamp;

/// A value at or above these does not fit its field: the field is filled with ones and the value
/// moves to a ZIP64 record (§4.4.1.4).
const MAX_U32: u64 = 0xffff_ffff;
const MAX_U16: u64 = 0xffff;

/// Bit 11: the name is UTF-8 (§4.4.4).
const UTF8_NAME: u16 = 1 << 11;

/// Versions of the specification needed to extract (§4.4.3).
const VERSION_STORED: u16 = 10;
const VERSION_DEFLATED: u16 = 20;
const VERSION_ZIP64: u16 = 45;

/// Made on UNIX, so that the attributes below are read as a file mode; by version 6.3 of the
/// specification, the first with UTF-8 names (§4.4.2).
const VERSION_MADE_BY: u16 = 3 << 8 | 63;

/// A regular file, `rw-r--r--`, in the upper half (§4.4.15).
const EXTERNAL_ATTRIBUTES: u32 = 0o100_644 << 16;

const ZIP64_EXTRA: u16 = 0x0001;
const TIMESTAMP_EXTRA: u16 = 0x5455;
/// In the extended timestamp: only the time of modification is present.
const TIMESTAMP_MODIFIED: u8 = 1;
const TIMESTAMP_EXTRA_BYTES: u16 = 9;

/// How the bytes of a member are stored (§4.4.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    /// As they are.
    Stored = 0,
    /// As a raw deflate stream.
    Deflated = 8,
}

/// What the local header and the directory say about a member.
#[derive(Debug, Clone, Copy)]
pub(super) struct Member<'a> {
    /// UTF-8, at most 65,535 bytes.
    pub(super) name: &'a str,
    pub(super) method: Method,
    pub(super) crc32: u32,
    /// Length of the uncompressed bytes.
    pub(super) size_bytes: u64,
    /// Length of the bytes as they stand in the archive.
    pub(super) stored_bytes: u64,
    /// Where its local header begins.
    pub(super) offset: u64,
    pub(super) modified: Timestamp,
}

impl Member<'_> {
    /// Appends the header before the member's bytes (§4.3.7). With ZIP64 it holds both sizes, even
    /// if one of them would fit (§4.5.3).
    pub(super) fn put_local_header(&self, out: &mut BytesMut) {
        let zip64 = self.size_bytes >= MAX_U32 || self.stored_bytes >= MAX_U32;
        let (size, stored) = if zip64 {
            (u32::MAX, u32::MAX)
        } else {
            (or_all_ones(self.size_bytes), or_all_ones(self.stored_bytes))
        };
        let zip64_bytes = if zip64 { 4 + 16 } else { 0 };

        out.put_slice(b"PK\x03\x04");
        out.put_u16_le(self.version_needed(zip64));
        self.put_common(out, size, stored, zip64_bytes);
        out.put_slice(self.name.as_bytes());
        if zip64 {
            out.put_u16_le(ZIP64_EXTRA);
            out.put_u16_le(16);
            out.put_u64_le(self.size_bytes);
            out.put_u64_le(self.stored_bytes);
        }
        self.put_timestamp(out);
    }

    /// Appends the member's entry in the directory (§4.3.12). With ZIP64 it holds exactly the values
    /// that do not fit, in the order of their fields (§4.5.3).
    pub(super) fn put_directory_entry(&self, out: &mut BytesMut) {
        let mut zip64 = [0; 3];
        let mut count = 0;
        for value in [self.size_bytes, self.stored_bytes, self.offset] {
            if value >= MAX_U32 {
                zip64[count] = value;
                count += 1;
            }
        }
        let zip64 = &zip64[..count];
        let zip64_bytes = [0, 4 + 8, 4 + 16, 4 + 24][count];

        out.put_slice(b"PK\x01\x02");
        out.put_u16_le(VERSION_MADE_BY);
        out.put_u16_le(self.version_needed(!zip64.is_empty()));
        self.put_common(out, or_all_ones(self.size_bytes), or_all_ones(self.stored_bytes), zip64_bytes);
        out.put_u16_le(0); // length of the comment
        out.put_u16_le(0); // number of the disk
        out.put_u16_le(0); // internal attributes: not known to be text
        out.put_u32_le(EXTERNAL_ATTRIBUTES);
        out.put_u32_le(or_all_ones(self.offset));
        out.put_slice(self.name.as_bytes());
        if !zip64.is_empty() {
            out.put_u16_le(ZIP64_EXTRA);
            out.put_u16_le(zip64_bytes - 4);
            for &value in zip64 {
                out.put_u64_le(value);
            }
        }
        self.put_timestamp(out);
    }

    /// The fields that both headers share, from the flags to the length of the extra fields.
    fn put_common(&self, out: &mut BytesMut, size: u32, stored: u32, zip64_bytes: u16) {
        let timestamp_bytes = self.modified.unix_seconds.map_or(0, |_| TIMESTAMP_EXTRA_BYTES);
        out.put_u16_le(UTF8_NAME);
        out.put_u16_le(self.method as u16);
        out.put_u16_le(self.modified.dos_time);
        out.put_u16_le(self.modified.dos_date);
        out.put_u32_le(self.crc32);
        out.put_u32_le(stored);
        out.put_u32_le(size);
        out.put_u16_le(or_all_ones_u16(self.name.len() as u64));
        out.put_u16_le(zip64_bytes + timestamp_bytes);
    }

    /// Info-ZIP's extended timestamp: a time in UTC, which the MS-DOS fields cannot say.
    fn put_timestamp(&self, out: &mut BytesMut) {
        if let Some(seconds) = self.modified.unix_seconds {
            out.put_u16_le(TIMESTAMP_EXTRA);
            out.put_u16_le(TIMESTAMP_EXTRA_BYTES - 4);
            out.put_u8(TIMESTAMP_MODIFIED);
            out.put_i32_le(seconds);
        }
    }

    fn version_needed(&self, zip64: bool) -> u16 {
        match self.method {
            _ if zip64 => VERSION_ZIP64,
            Method::Stored => VERSION_STORED,
            Method::Deflated => VERSION_DEFLATED,
        }
    }
}

/// Where the directory lies.
#[derive(Debug, Clone, Copy)]
pub(super) struct Directory {
    pub(super) entries: u64,
    pub(super) offset: u64,
    pub(super) size_bytes: u64,
}

impl Directory {
    /// Appends what ends the archive (§4.3.14 to §4.3.16): the ZIP64 records if a value needs them,
    /// then the record that every reader looks for.
    pub(super) fn put_end(&self, out: &mut BytesMut) {
        if self.entries >= MAX_U16 || self.offset >= MAX_U32 || self.size_bytes >= MAX_U32 {
            self.put_zip64_end(out);
        }
        let entries = or_all_ones_u16(self.entries);
        out.put_slice(b"PK\x05\x06");
        out.put_u16_le(0); // number of this disk
        out.put_u16_le(0); // number of the disk with the directory
        out.put_u16_le(entries); // on this disk
        out.put_u16_le(entries); // in all
        out.put_u32_le(or_all_ones(self.size_bytes));
        out.put_u32_le(or_all_ones(self.offset));
        out.put_u16_le(0); // length of the comment
    }

    fn put_zip64_end(&self, out: &mut BytesMut) {
        out.put_slice(b"PK\x06\x06");
        out.put_u64_le(44); // what follows of this record
        out.put_u16_le(VERSION_MADE_BY);
        out.put_u16_le(VERSION_ZIP64);
        out.put_u32_le(0); // number of this disk
        out.put_u32_le(0); // number of the disk with the directory
        out.put_u64_le(self.entries); // on this disk
        out.put_u64_le(self.entries); // in all
        out.put_u64_le(self.size_bytes);
        out.put_u64_le(self.offset);

        out.put_slice(b"PK\x06\x07");
        out.put_u32_le(0); // number of the disk with the record above
        out.put_u64_le(self.offset + self.size_bytes);
        out.put_u32_le(1); // disks in all
    }
}

fn or_all_ones(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

fn or_all_ones_u16(value: u64) -> u16 {
    u16::try_from(value).unwrap_or(u16::MAX)
}
