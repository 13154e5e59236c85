//! Rows into JSON or CSV, chunk by chunk: an answer of any size needs the memory of a chunk.

use std::{
    io, mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{FutureExt as _, Stream, StreamExt as _, stream};
use serde::{Serialize, Serializer as _, ser::SerializeMap as _};
use tokio::time::timeout;

use crate::{Format, Refusal, answer::ByteStream, error::BoxError};

/// Size of a chunk, and a little more.
const CHUNK_BYTES: usize = 64 * 1024;

/// Rows that come slowly do not wait for a full chunk: the platform gives up on an upload that stands still.
const LONGEST_HELD: Duration = Duration::from_secs(1);

type Csv = csv::Writer<Written>;

/// Something that can be a row of both formats.
pub(crate) trait Row {
    fn write_json(&self, out: &mut Vec<u8>) -> Result<(), serde_json::Error>;
    fn write_csv(&self, out: &mut Csv) -> Result<(), csv::Error>;
}

/// A row that knows its columns by itself.
pub(crate) struct Plain<T>(pub(crate) T);

impl<T: Serialize> Row for Plain<T> {
    fn write_json(&self, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        serde_json::to_writer(out, &self.0)
    }

    fn write_csv(&self, out: &mut Csv) -> Result<(), csv::Error> {
        out.serialize(&self.0)
    }
}

/// Values and the names of their columns.
pub(crate) struct Record<C> {
    pub(crate) columns: Arc<[String]>,
    pub(crate) cells: Vec<C>,
}

impl<C: Serialize> Row for Record<C> {
    fn write_json(&self, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        if self.cells.len() != self.columns.len() {
            return Err(serde::ser::Error::custom("a row does not have one value for each column"));
        }
        let mut serializer = serde_json::Serializer::new(out);
        let mut object = serializer.serialize_map(Some(self.columns.len()))?;
        for (column, cell) in self.columns.iter().zip(&self.cells) {
            object.serialize_entry(column, cell)?;
        }
        object.end()
    }

    fn write_csv(&self, out: &mut Csv) -> Result<(), csv::Error> {
        out.serialize(&self.cells)
    }
}

/// The rows as bytes. `header` names the columns where the rows do not.
pub(crate) fn written<T: Row + Send + 'static>(
    rows: impl Stream<Item = Result<T, Refusal>> + Send + 'static,
    format: Format,
    header: Option<Arc<[String]>>,
) -> ByteStream {
    let state = Writing { rows: rows.boxed(), writer: Writer::new(format, header), ended: false };
    stream::try_unfold(state, |mut state| async {
        let chunk = state.next_chunk().await?;
        Ok(chunk.map(|chunk| (chunk, state)))
    })
    .boxed()
}

struct Writing<T> {
    rows: stream::BoxStream<'static, Result<T, Refusal>>,
    writer: Writer,
    ended: bool,
}

impl<T: Row> Writing<T> {
    async fn next_chunk(&mut self) -> Result<Option<Bytes>, Refusal> {
        let mut held = false;
        while !self.ended && self.writer.len() < CHUNK_BYTES {
            // Only rows that are not there yet cost a timer.
            let next = match self.rows.next().now_or_never() {
                Some(next) => next,
                None if !held => self.rows.next().await,
                None => match timeout(LONGEST_HELD, self.rows.next()).await {
                    Ok(next) => next,
                    Err(_) => break,
                },
            };
            if let Some(row) = next {
                self.writer.write(&row?).map_err(Refusal::internal)?;
            } else {
                self.ended = true;
                self.writer.end().map_err(Refusal::internal)?;
            }
            held = true;
        }
        let chunk = self.writer.take().map_err(Refusal::internal)?;
        Ok((!chunk.is_empty()).then(|| chunk.into()))
    }
}

/// What CSV was written and not taken. The writer stays the same from the first row to the last: it knows the
/// number of columns, and without it a later row of fewer would look like one of others.
#[derive(Clone, Default)]
pub(crate) struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

enum Writer {
    Json { out: Vec<u8>, any: bool },
    Csv { out: Box<Csv>, written: Written, header: Option<Arc<[String]>> },
}

impl Writer {
    fn new(format: Format, header: Option<Arc<[String]>>) -> Self {
        match format {
            Format::Json => Self::Json { out: Vec::with_capacity(CHUNK_BYTES), any: false },
            Format::Csv => {
                let written = Written::default();
                let out = csv::WriterBuilder::new()
                    .has_headers(header.is_none())
                    .terminator(csv::Terminator::CRLF)
                    .from_writer(written.clone());
                Self::Csv { out: Box::new(out), written, header }
            }
        }
    }

    fn write(&mut self, row: &impl Row) -> Result<(), BoxError> {
        self.begin()?;
        match self {
            Self::Json { out, any } => {
                out.extend_from_slice(if mem::replace(any, true) { b",\n" } else { b"[\n" });
                Ok(row.write_json(out)?)
            }
            Self::Csv { out, .. } => Ok(row.write_csv(out)?),
        }
    }

    /// Writes the header if it is known and not written yet.
    fn begin(&mut self) -> Result<(), csv::Error> {
        match self {
            Self::Csv { out, header, .. } => {
                header.take().map_or(Ok(()), |header| out.write_record(&*header))
            }
            Self::Json { .. } => Ok(()),
        }
    }

    fn end(&mut self) -> Result<(), BoxError> {
        self.begin()?;
        if let Self::Json { out, any } = self {
            out.extend_from_slice(if *any { b"\n]\n" } else { b"[]\n" });
        }
        Ok(())
    }

    /// Bytes so far; of CSV up to 8 KiB may be on their way.
    fn len(&self) -> usize {
        match self {
            Self::Json { out, .. } => out.len(),
            Self::Csv { written, .. } => written.lock().len(),
        }
    }

    fn take(&mut self) -> io::Result<Vec<u8>> {
        match self {
            Self::Json { out, .. } => Ok(mem::replace(out, Vec::with_capacity(CHUNK_BYTES))),
            Self::Csv { out, written, .. } => {
                out.flush()?;
                Ok(mem::replace(&mut written.lock(), Vec::with_capacity(CHUNK_BYTES + 16 * 1024)))
            }
        }
    }
}

#[cfg(test)]
mod tests;
