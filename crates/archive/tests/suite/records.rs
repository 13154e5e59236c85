//! Reads the records of an archive field by field, without any rule of the crate, to see what exactly
//! is written (APPNOTE 6.3).

use std::io::{Read, Seek, SeekFrom};

use crate::samples::Reader;

/// A local header or an entry of the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) version_needed: u16,
    pub(crate) flags: u16,
    pub(crate) method: u16,
    pub(crate) crc32: u32,
    pub(crate) stored: u32,
    pub(crate) size: u32,
    pub(crate) name: String,
    /// Number and bytes of each extra field.
    pub(crate) extras: Vec<(u16, Vec<u8>)>,
    /// Only in the directory.
    pub(crate) offset: Option<u32>,
}

/// The end of an archive, as its two records say it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) entries: u16,
    pub(crate) directory_size: u32,
    pub(crate) directory_offset: u32,
    /// Entries, size and offset of the directory.
    pub(crate) zip64: Option<(u64, u64, u64)>,
}

impl Header {
    /// The values of the ZIP64 extra field, if there is one: it must be the first.
    pub(crate) fn zip64(&self) -> Option<Vec<u64>> {
        let place = self.extras.iter().position(|(id, _)| *id == 1)?;
        assert_eq!(place, 0, "the ZIP64 extra field is not the first");
        Some(self.extras[0].1.chunks(8).map(|value| u64::from_le_bytes(value.try_into().unwrap())).collect())
    }

    pub(crate) fn local(reader: Reader<'_>, offset: u64) -> Self {
        let mut fields = Fields { reader };
        fields.reader.seek(SeekFrom::Start(offset)).unwrap();
        assert_eq!(fields.u32(), 0x0403_4b50, "no local header at {offset}");
        let mut header = fields.common();
        let lengths = (fields.u16(), fields.u16());
        fields.name_and_extras(&mut header, lengths);
        header
    }

    fn directory(fields: &mut Fields<'_>) -> Self {
        assert_eq!(fields.u32(), 0x0201_4b50, "no entry of the directory");
        assert_eq!(fields.u16() >> 8, 3, "made by UNIX");
        let mut header = fields.common();
        let lengths = (fields.u16(), fields.u16());
        assert_eq!((fields.u16(), fields.u16()), (0, 0), "comment and disk");
        fields.u16();
        assert_eq!(fields.u32() >> 16, 0o100_644, "mode");
        header.offset = Some(fields.u32());
        fields.name_and_extras(&mut header, lengths);
        header
    }
}

/// The end of the archive and all entries of its directory.
pub(crate) fn directory(reader: Reader<'_>) -> (End, Vec<Header>) {
    let mut fields = Fields { reader };
    let end_at = fields.reader.seek(SeekFrom::End(-22)).unwrap();
    assert_eq!(fields.u32(), 0x0605_4b50, "no end of the directory");
    assert_eq!((fields.u16(), fields.u16()), (0, 0), "disks");
    let entries = fields.u16();
    assert_eq!(fields.u16(), entries);
    let (directory_size, directory_offset) = (fields.u32(), fields.u32());
    assert_eq!(fields.u16(), 0, "comment");

    let zip64 = fields.zip64_end(end_at);
    let (count, size, offset) =
        zip64.unwrap_or((entries.into(), directory_size.into(), directory_offset.into()));
    assert_eq!(
        offset + size,
        if zip64.is_some() { end_at - 76 } else { end_at },
        "the directory is followed by its end"
    );
    fields.reader.seek(SeekFrom::Start(offset)).unwrap();
    let headers = (0..count).map(|_| Header::directory(&mut fields)).collect();
    (End { entries, directory_size, directory_offset, zip64 }, headers)
}

struct Fields<'a> {
    reader: Reader<'a>,
}

impl Fields<'_> {
    fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.reader.read_exact(&mut bytes).unwrap();
        bytes
    }

    fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.bytes(2).try_into().unwrap())
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.bytes(4).try_into().unwrap())
    }

    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.bytes(8).try_into().unwrap())
    }

    fn common(&mut self) -> Header {
        let (version_needed, flags, method) = (self.u16(), self.u16(), self.u16());
        self.u32(); // time and date
        let (crc32, stored, size) = (self.u32(), self.u32(), self.u32());
        Header {
            version_needed,
            flags,
            method,
            crc32,
            stored,
            size,
            name: String::new(),
            extras: vec![],
            offset: None,
        }
    }

    fn name_and_extras(&mut self, header: &mut Header, (name, extras): (u16, u16)) {
        header.name = String::from_utf8(self.bytes(name.into())).unwrap();
        let mut left = extras;
        while left > 0 {
            let (id, length) = (self.u16(), self.u16());
            header.extras.push((id, self.bytes(length.into())));
            left -= 4 + length;
        }
    }

    /// The ZIP64 record, if its locator stands before the end.
    fn zip64_end(&mut self, end_at: u64) -> Option<(u64, u64, u64)> {
        self.reader.seek(SeekFrom::Start(end_at.checked_sub(20)?)).unwrap();
        if self.u32() != 0x0706_4b50 {
            return None;
        }
        assert_eq!(self.u32(), 0, "disk");
        let record_at = self.u64();
        assert_eq!(record_at, end_at - 76, "the record stands before its locator");
        assert_eq!(self.u32(), 1, "disks in all");
        self.reader.seek(SeekFrom::Start(record_at)).unwrap();
        assert_eq!(self.u32(), 0x0606_4b50, "no ZIP64 end of the directory");
        assert_eq!(self.u64(), 44);
        assert_eq!((self.u16() >> 8, self.u16()), (3, 45), "versions");
        assert_eq!((self.u32(), self.u32()), (0, 0), "disks");
        let entries = self.u64();
        assert_eq!(self.u64(), entries);
        Some((entries, self.u64(), self.u64()))
    }
}
