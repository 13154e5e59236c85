//! Taking the body of a post: to a file, then looked at. Memory does not grow with its size.

use std::{fs::File, io, time::Duration};

use actix_web::web::{Bytes, Payload};
use futures_util::StreamExt as _;
use tokio::{
    io::AsyncWriteExt as _,
    time::{sleep, timeout},
};

use super::{
    content,
    post::{Body, ErrorReport},
    target::Action,
};

/// What the platform takes of an application by default (S0-48), in bytes.
pub(crate) const MAX_BYTES: u64 = 500 * 1024 * 1024;
/// The largest error report, in bytes.
const MAX_REPORT_BYTES: usize = 64 * 1024;

/// A slow platform rests so often, for so long.
const RESTS: u32 = 8;
const REST: Duration = Duration::from_millis(250);

/// How a body is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// As it comes.
    Full,
    /// With rests.
    Slow,
    /// Not to its end.
    Cut,
}

/// How a body is read, and how much of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reading {
    /// How fast.
    pub(crate) pace: Pace,
    /// How long it may bring nothing.
    pub(crate) idle_timeout: Duration,
    /// How many bytes it may have.
    pub(crate) most_bytes: u64,
}

/// What a body is to be.
#[derive(Debug)]
pub(crate) struct Expected {
    /// Data or an error report.
    pub(crate) action: Action,
    /// The format of data.
    pub(crate) format: String,
    /// Whether it is sent as gzip.
    pub(crate) gzip: bool,
}

/// Reads a body and looks at it.
pub(crate) async fn receive(
    payload: Payload,
    pace: Pace,
    idle_timeout: Duration,
    expected: Expected,
) -> Body {
    let file = match to_file(payload, pace, idle_timeout).await {
        Ok(file) => file,
        Err(body) => return body,
    };
    if pace == Pace::Cut {
        return Body::Unread;
    }
    look(file, expected).await
}

/// Looks at a body that is whole.
pub(crate) async fn look(file: File, expected: Expected) -> Body {
    let looked = tokio::task::spawn_blocking(move || match expected.action {
        Action::Report => read_report(file, expected.gzip),
        _ => content::inspect(file, expected.gzip, &expected.format).map(Body::Data),
    });
    match looked.await {
        Ok(Ok(body)) => body,
        Ok(Err(error)) => Body::Undecodable(error.to_string()),
        Err(error) => Body::Broken(error.to_string()),
    }
}

fn read_report(mut file: File, gzip: bool) -> io::Result<Body> {
    use std::io::{Read as _, Seek as _};
    if gzip {
        return Ok(Body::Report(Err("it has a Content-Encoding".to_owned())));
    }
    file.rewind()?;
    let mut bytes = Vec::new();
    file.take(MAX_REPORT_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > MAX_REPORT_BYTES {
        return Ok(Body::Report(Err("it is larger than 64 KiB".to_owned())));
    }
    Ok(Body::Report(ErrorReport::parse(&bytes)))
}

async fn to_file(payload: Payload, pace: Pace, idle_timeout: Duration) -> Result<File, Body> {
    let mut file = tokio::fs::File::from_std(tempfile::tempfile().map_err(|error| not_kept(&error))?);
    add(payload, Reading { pace, idle_timeout, most_bytes: MAX_BYTES }, &mut file, |_| ()).await?;
    Ok(file.into_std().await)
}

fn not_kept(error: &io::Error) -> Body {
    Body::Broken(format!("it could not be kept: {error}"))
}

/// Adds a body to `file`. `arrived` is told of the bytes that were added, each time how many more.
///
/// # Errors
/// Why not all of the body was added.
pub(crate) async fn add(
    mut payload: Payload,
    reading: Reading,
    file: &mut tokio::fs::File,
    mut arrived: impl FnMut(u64),
) -> Result<(), Body> {
    let Reading { pace, idle_timeout, most_bytes } = reading;
    let (mut size_bytes, mut rests) = (0_u64, 0);
    loop {
        if pace == Pace::Slow && rests < RESTS {
            sleep(REST).await;
            rests += 1;
        }
        let mut chunk: Bytes = match timeout(idle_timeout, payload.next()).await {
            Err(_) => return Err(Body::Stalled(idle_timeout)),
            Ok(None) => break,
            Ok(Some(Err(error))) => return Err(Body::Broken(format!("it broke off: {error}"))),
            Ok(Some(Ok(chunk))) => chunk,
        };
        if pace == Pace::Cut {
            chunk.truncate(chunk.len() / 2);
        }
        size_bytes += chunk.len() as u64;
        if size_bytes > most_bytes {
            return Err(Body::TooLarge);
        }
        file.write_all(&chunk).await.map_err(|error| not_kept(&error))?;
        file.flush().await.map_err(|error| not_kept(&error))?;
        arrived(chunk.len() as u64);
        if pace == Pace::Cut {
            break;
        }
    }
    Ok(())
}
