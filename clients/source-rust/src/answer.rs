//! What a request is answered with.

use std::{fmt, panic::AssertUnwindSafe};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream::BoxStream};
use serde::Serialize;

use crate::{
    Format, Refusal,
    write::{Plain, Record, written},
};

/// The bytes of an answer.
pub(crate) type ByteStream = BoxStream<'static, Result<Bytes, Refusal>>;

/// Data, as a stream: it is read while it is uploaded, and never held as a whole. A stream that fails halfway
/// makes the whole answer a [`Refusal`]; the customer never sees a part of a file.
pub struct Answer(Box<dyn FnOnce(Format) -> ByteStream + Send>);

impl Answer {
    /// Rows that serialise as objects, written as the request wants them: a JSON array, or CSV with the names of
    /// the fields as header (RFC 4180). For CSV, fields must be plain values. Without any row the CSV is empty:
    /// nothing tells what its header would be; see [`Answer::table`].
    pub fn rows<T, E>(rows: impl Stream<Item = Result<T, E>> + Send + 'static) -> Self
    where
        T: Serialize + Send + 'static,
        E: Into<Refusal> + 'static,
    {
        let rows = rows.map(|row| row.map(Plain).map_err(Into::into));
        Self(Box::new(|format| written(rows, format, None)))
    }

    /// Rows whose columns are only known when the program runs: each is one plain value for each of `columns`.
    pub fn table<R, C, E>(
        columns: impl IntoIterator<Item = impl Into<String>>,
        rows: impl Stream<Item = Result<R, E>> + Send + 'static,
    ) -> Self
    where
        R: IntoIterator<Item = C> + Send + 'static,
        C: Serialize + Send + 'static,
        E: Into<Refusal> + 'static,
    {
        let columns: std::sync::Arc<[String]> = columns.into_iter().map(Into::into).collect();
        let header = std::sync::Arc::clone(&columns);
        let rows = rows.map(move |row| match row {
            Ok(row) => {
                Ok(Record { columns: std::sync::Arc::clone(&columns), cells: row.into_iter().collect() })
            }
            Err(error) => Err(error.into()),
        });
        Self(Box::new(move |format| written(rows, format, Some(header))))
    }

    /// Bytes that are in the format of the request already. Give them in chunks of many kilobytes.
    pub fn bytes<E>(bytes: impl Stream<Item = Result<Bytes, E>> + Send + 'static) -> Self
    where
        E: Into<Refusal> + 'static,
    {
        let bytes = bytes.map(|chunk| chunk.map_err(Into::into));
        Self(Box::new(|_| bytes.boxed()))
    }

    /// The data. Where it panics it ends with a refusal: in a task of the HTTP client a panic would look like a
    /// broken connection, again and again.
    pub(crate) fn into_bytes(self, format: Format) -> ByteStream {
        let chunks = AssertUnwindSafe(self.0(format)).catch_unwind();
        let panicked = |_| Err(Refusal::internal("the data panicked"));
        chunks.map(move |chunk| chunk.unwrap_or_else(panicked)).boxed()
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answer")
    }
}
