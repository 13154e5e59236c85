//! Where other people keep their archives: a server that answers each path as the test says.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::sleep,
};

/// How a path is answered.
#[derive(Debug, Clone)]
pub(crate) enum Behaviour {
    /// 200 with these bytes.
    Body(Vec<u8>),
    /// 200 with these bytes and a header line of its own, such as `Content-Encoding: gzip`.
    With(&'static str, Vec<u8>),
    /// 200 with these bytes in chunks.
    Chunked(Vec<u8>),
    /// This status, without a body.
    Status(u16),
    /// 302 to this URL.
    Redirect(String),
    /// 200 and these bytes, of which the last never come.
    Cut(Vec<u8>),
    /// The head, and then nothing.
    Silent,
    /// These bytes after a wait.
    Slow(Duration, Vec<u8>),
    /// So many bytes, made of this piece.
    Endless(u64, Arc<Vec<u8>>),
    /// The first for so many requests, then the second.
    Then(u32, Box<Behaviour>, Box<Behaviour>),
}

#[derive(Debug, Default)]
struct Paths {
    behaviours: BTreeMap<String, Behaviour>,
    requests: BTreeMap<String, u32>,
}

/// The server. It ends with the test.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    address: SocketAddr,
    paths: Arc<Mutex<Paths>>,
}

impl Endpoint {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = Self { address: listener.local_addr().unwrap(), paths: Arc::default() };
        let serving = endpoint.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let serving = serving.clone();
                // A client that breaks off is none of the server's business.
                tokio::spawn(async move { drop(serving.serve(stream).await) });
            }
        });
        endpoint
    }

    /// Answers `path` so from now on; returns its URL, which is signed as they are.
    pub(crate) fn put(&self, path: &str, behaviour: Behaviour) -> String {
        self.paths.lock().unwrap().behaviours.insert(format!("/{path}"), behaviour);
        format!(
            "http://{}/{path}?X-Amz-Algorithm=a&X-Amz-Credential=c%2Fd&X-Amz-Signature=s3cret",
            self.address
        )
    }

    /// How often `path` was asked for.
    pub(crate) fn requests(&self, path: &str) -> u32 {
        self.paths.lock().unwrap().requests.get(&format!("/{path}")).copied().unwrap_or(0)
    }

    async fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let (mut asked, mut read) = (vec![0; 8192], 0);
        while !asked[..read].windows(4).any(|end| end == b"\r\n\r\n") {
            match stream.read(&mut asked[read..]).await? {
                0 => return Ok(()),
                more => read += more,
            }
        }
        let head = String::from_utf8_lossy(&asked[..read]).into_owned();
        let path = head.split([' ', '?']).nth(1).unwrap_or_default().to_owned();
        let (behaviour, earlier) = {
            let mut paths = self.paths.lock().unwrap();
            let requests = paths.requests.entry(path.clone()).or_default();
            let earlier = *requests;
            *requests += 1;
            (paths.behaviours.get(&path).cloned().unwrap_or(Behaviour::Status(404)), earlier)
        };
        answer(&mut stream, behaviour, earlier).await?;
        stream.shutdown().await
    }
}

async fn answer(stream: &mut TcpStream, behaviour: Behaviour, earlier: u32) -> std::io::Result<()> {
    let head =
        |size: usize, further: &str| format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n{further}\r\n");
    match behaviour {
        Behaviour::Body(bytes) => {
            stream.write_all(head(bytes.len(), "").as_bytes()).await?;
            stream.write_all(&bytes).await
        }
        Behaviour::With(header, bytes) => {
            stream.write_all(head(bytes.len(), &format!("{header}\r\n")).as_bytes()).await?;
            stream.write_all(&bytes).await
        }
        Behaviour::Chunked(bytes) => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await?;
            for chunk in bytes.chunks(1000) {
                stream.write_all(format!("{:x}\r\n", chunk.len()).as_bytes()).await?;
                stream.write_all(chunk).await?;
                stream.write_all(b"\r\n").await?;
            }
            stream.write_all(b"0\r\n\r\n").await
        }
        Behaviour::Status(status) => {
            stream.write_all(format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n").as_bytes()).await
        }
        Behaviour::Redirect(to) => {
            let head = format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n");
            stream.write_all(head.as_bytes()).await
        }
        Behaviour::Cut(bytes) => {
            stream.write_all(head(bytes.len() + 1, "").as_bytes()).await?;
            stream.write_all(&bytes).await
        }
        Behaviour::Silent => {
            stream.write_all(head(1, "").as_bytes()).await?;
            sleep(Duration::from_mins(1)).await;
            Ok(())
        }
        Behaviour::Slow(wait, bytes) => {
            stream.write_all(head(bytes.len(), "").as_bytes()).await?;
            sleep(wait).await;
            stream.write_all(&bytes).await
        }
        Behaviour::Endless(size, piece) => {
            stream.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n").as_bytes()).await?;
            let mut left = size;
            while left > 0 {
                let next = usize::try_from(left).unwrap_or(usize::MAX).min(piece.len());
                stream.write_all(&piece[..next]).await?;
                left -= next as u64;
            }
            Ok(())
        }
        Behaviour::Then(times, first, then) => {
            let next = if earlier < times { first } else { then };
            Box::pin(answer(stream, *next, u32::MAX)).await
        }
    }
}
