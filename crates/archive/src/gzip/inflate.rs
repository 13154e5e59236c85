//! Reading gzip that others made, a bounded step at a time.

use std::io::Write as _;

use flate2::write::MultiGzDecoder;

/// Most input handed to the decoder at once. It may stand for a thousand times as many bytes, and a step
/// can only end between two of these.
const INPUT_BYTES: usize = 1024;

/// What was read is not gzip, or ends too early, or its checksum is wrong.
#[derive(Debug, thiserror::Error)]
#[error("not valid gzip")]
pub struct InvalidGzip(#[from] std::io::Error);

/// Inflates a gzip stream of one or more members (RFC 1952), checking each against its trailer.
///
/// Memory: a window of 32 KiB, and the output of one step.
#[derive(Debug)]
pub struct Inflater {
    decoder: MultiGzDecoder<Vec<u8>>,
    begun: bool,
}

impl Default for Inflater {
    fn default() -> Self {
        Self { decoder: MultiGzDecoder::new(Vec::new()), begun: false }
    }
}

impl Inflater {
    /// Inflates the beginning of `input` and returns how many of its bytes were taken, at least one of
    /// them, and what they stand for. It stops once there are `enough_bytes`, and gives at most about
    /// a MiB more.
    ///
    /// # Errors
    /// [`InvalidGzip`]; nothing can be inflated after it.
    pub fn inflate(&mut self, input: &[u8], enough_bytes: usize) -> Result<(usize, Vec<u8>), InvalidGzip> {
        self.begun |= !input.is_empty();
        let mut taken = 0;
        while taken < input.len() && self.decoder.get_ref().len() < enough_bytes {
            let end = input.len().min(taken + INPUT_BYTES);
            let written = self.decoder.write(&input[taken..end])?;
            if written == 0 {
                return Err(std::io::Error::from(std::io::ErrorKind::InvalidData).into());
            }
            taken += written;
        }
        Ok((taken, std::mem::take(self.decoder.get_mut())))
    }

    /// Ends the stream and returns what was still to come.
    ///
    /// # Errors
    /// [`InvalidGzip`] if it is not at the end of a member. An empty stream is no gzip.
    pub fn finish(&mut self) -> Result<Vec<u8>, InvalidGzip> {
        if !self.begun {
            return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
        }
        self.decoder.try_finish()?;
        Ok(std::mem::take(self.decoder.get_mut()))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    fn inflate(chunks: &[&[u8]], enough_bytes: usize) -> Result<Vec<u8>, InvalidGzip> {
        let (mut inflater, mut output) = (Inflater::default(), Vec::new());
        for chunk in chunks {
            let mut rest = *chunk;
            while !rest.is_empty() {
                let (taken, bytes) = inflater.inflate(rest, enough_bytes)?;
                output.extend(bytes);
                rest = &rest[taken..];
            }
        }
        output.extend(inflater.finish()?);
        Ok(output)
    }

    #[test]
    fn any_cut_of_the_input_gives_the_same_bytes() {
        let data: Vec<u8> = (0..100_000_u32).flat_map(|i| (i % 251).to_le_bytes()).collect();
        let zipped = gzip(&data);
        for cut in [1, 2, 9, 10, 11, zipped.len() / 2, zipped.len() - 8, zipped.len() - 1] {
            let (head, tail) = zipped.split_at(cut);
            assert_eq!(inflate(&[head, tail], 1000).unwrap(), data, "cut at {cut}");
        }
    }

    #[test]
    fn several_members_are_one_stream() {
        let zipped = [gzip(b"ab"), gzip(b""), gzip(b"c")].concat();
        assert_eq!(inflate(&[&zipped], usize::MAX).unwrap(), b"abc");
    }

    #[test]
    fn a_step_stays_small_however_well_the_input_is_compressed() {
        let zipped = gzip(&vec![0; 64 << 20]);
        let mut inflater = Inflater::default();
        let (taken, output) = inflater.inflate(&zipped, 1 << 20).unwrap();
        assert!(taken < zipped.len());
        assert!(output.len() <= (1 << 20) + 1032 * INPUT_BYTES + (64 << 10), "{}", output.len());
    }

    #[test]
    fn what_is_cut_short_damaged_or_no_gzip_is_refused() {
        let zipped = gzip(b"some text, some text");
        for cut in 1..zipped.len() {
            assert!(inflate(&[&zipped[..cut]], usize::MAX).is_err(), "cut at {cut}");
        }
        let mut damaged = zipped.clone();
        let crc = damaged.len() - 8;
        damaged[crc] ^= 1;
        assert!(inflate(&[&damaged], usize::MAX).is_err());
        assert!(inflate(&[b"plain text"], usize::MAX).is_err());
        assert!(inflate(&[], usize::MAX).is_err());
        assert!(inflate(&[&[zipped.as_slice(), b"junk"].concat()], usize::MAX).is_err());
    }
}
