//! Rows into JSON or CSV, chunk by chunk: a table of any size needs the memory of one chunk.

use std::{
    io::{self, Write as _},
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use serde::{Serializer as _, ser::SerializeMap as _};
use tokio::sync::mpsc;

use crate::{
    filters::Filters,
    request::Format,
    table::{Row, Table},
};

/// Size of a chunk.
const CHUNK_BYTES: usize = 64 * 1024;

/// Chunks that may wait for the network.
const CHUNKS_AHEAD: usize = 4;

/// Rows on their way.
#[derive(Debug)]
pub struct Written {
    /// The chunks; the last is an error when the rows could not be read to their end.
    pub chunks: mpsc::Receiver<io::Result<Bytes>>,
    /// Why the rows could not be read; empty as long as they can.
    pub unreadable: Arc<OnceLock<String>>,
}

/// Writes the rows of `table` that pass `filters`, on a thread of its own.
pub fn write_rows(table: Table, filters: Filters, format: Format) -> Written {
    let (sender, chunks) = mpsc::channel(CHUNKS_AHEAD);
    let unreadable = Arc::new(OnceLock::new());
    let table = noting_failure(table, Arc::clone(&unreadable));
    tokio::task::spawn_blocking(move || {
        let mut chunks = Chunks { sender, buffer: Vec::with_capacity(CHUNK_BYTES) };
        let written = match format {
            Format::Json => write_json(table, &filters, &mut chunks),
            Format::Csv => write_csv(table, &filters, &mut chunks),
        };
        match written.and_then(|()| Ok(chunks.flush()?)) {
            Ok(()) => {}
            // A body that ends with an error is a broken connection, never a short file.
            Err(error) => chunks.fail(&error),
        }
    });
    Written { chunks, unreadable }
}

/// `table`, with a note of why it cannot be read: to whoever sends the body, that looks like any other
/// broken connection.
fn noting_failure(table: Table, note: Arc<OnceLock<String>>) -> Table {
    let rows = table.rows.inspect(move |row| {
        if let Err(error) = row {
            note.get_or_init(|| format!("{error:#}"));
        }
    });
    Table { columns: table.columns, rows: Box::new(rows) }
}

fn passing(table: Table, filters: &Filters) -> impl Iterator<Item = anyhow::Result<Row>> {
    table.rows.filter(|row| row.as_ref().map_or(true, |row| filters.pass(row)))
}

fn write_json(table: Table, filters: &Filters, chunks: &mut Chunks) -> anyhow::Result<()> {
    let columns = table.columns;
    chunks.write_all(b"[")?;
    for (i, row) in passing(table, filters).enumerate() {
        chunks.write_all(if i == 0 { b"\n" } else { b",\n" })?;
        let mut serializer = serde_json::Serializer::new(&mut *chunks);
        let mut object = serializer.serialize_map(Some(columns.len()))?;
        for (column, cell) in columns.iter().zip(row?) {
            object.serialize_entry(column, &cell)?;
        }
        object.end()?;
    }
    chunks.write_all(b"\n]\n")?;
    Ok(())
}

fn write_csv(table: Table, filters: &Filters, chunks: &mut Chunks) -> anyhow::Result<()> {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(chunks);
    writer.write_record(table.columns)?;
    for row in passing(table, filters) {
        writer.write_record(row?.iter().map(crate::table::Cell::to_plain))?;
    }
    writer.flush()?;
    Ok(())
}

/// Collects bytes and hands them over by the chunk, waiting for the receiver.
struct Chunks {
    sender: mpsc::Sender<io::Result<Bytes>>,
    buffer: Vec<u8>,
}

impl Chunks {
    fn fail(&mut self, error: &anyhow::Error) {
        // The receiver may be gone, because the connection is.
        let _ = self.sender.blocking_send(Err(io::Error::other(error.to_string())));
    }

    fn send(&mut self) -> io::Result<()> {
        let chunk = std::mem::replace(&mut self.buffer, Vec::with_capacity(CHUNK_BYTES));
        self.sender.blocking_send(Ok(chunk.into())).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl io::Write for Chunks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= CHUNK_BYTES {
            self.send()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() { Ok(()) } else { self.send() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Cell;

    fn table(rows: Vec<anyhow::Result<Row>>) -> Table {
        Table { columns: &["name", "size"], rows: Box::new(rows.into_iter()) }
    }

    fn row(name: &str, size: u64) -> Row {
        vec![Cell::text(name), Cell::Number(size)]
    }

    async fn collect(table: Table, format: Format) -> io::Result<String> {
        let (mut written, mut text) = (write_rows(table, Filters::default(), format), Vec::new());
        while let Some(chunk) = written.chunks.recv().await {
            text.extend_from_slice(&chunk?);
        }
        Ok(String::from_utf8(text).unwrap())
    }

    #[tokio::test]
    async fn json_is_an_array_of_objects() {
        let text = collect(table(vec![Ok(row("a\"b", 1)), Ok(row("c", 2))]), Format::Json).await.unwrap();
        let rows: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(rows, serde_json::json!([{"name": "a\"b", "size": 1}, {"name": "c", "size": 2}]));
        let none = collect(table(vec![]), Format::Json).await.unwrap();
        assert_eq!(serde_json::from_str::<Vec<()>>(&none).unwrap(), []);
    }

    #[tokio::test]
    async fn csv_has_a_header_and_quotes_what_needs_it() {
        let text = collect(table(vec![Ok(row("a,\"b\"", 1))]), Format::Csv).await.unwrap();
        assert_eq!(text, "name,size\r\n\"a,\"\"b\"\"\",1\r\n");
    }

    #[tokio::test]
    async fn rows_that_cannot_be_read_break_the_body() {
        let rows = vec![Ok(row("a", 1)), Err(anyhow::anyhow!("the disk is gone"))];
        assert!(collect(table(rows), Format::Csv).await.is_err());
    }

    #[tokio::test]
    async fn rows_that_cannot_be_read_say_why() {
        let mut written = write_rows(
            table(vec![Err(anyhow::anyhow!("the disk is gone"))]),
            Filters::default(),
            Format::Json,
        );
        while written.chunks.recv().await.is_some() {}
        assert_eq!(written.unreadable.get().map(String::as_str), Some("the disk is gone"));
    }
}
