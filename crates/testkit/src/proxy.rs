//! A TCP proxy that makes connections fail, switchable while they run.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// Bytes moved at a time. Small, so that limits and cuts are exact enough and little is under way
/// when a fault sets in.
const CHUNK_BYTES: usize = 16 * 1024;

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the server (requests, uploads).
    ToServer,
    /// From the server to the client (answers, downloads).
    ToClient,
}

/// What the proxy does to its connections, running and new ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing: bytes pass.
    None,
    /// New connections are accepted and closed at once. Running ones go on; see [`FaultProxy::cut_all`].
    Refuse,
    /// No byte moves, connections stay open.
    Pause,
    /// Once this many bytes went this way, counted for each connection from when the fault was set, the
    /// first connection to get there is closed in both directions and the fault is over.
    CutOnce(Direction, u64),
    /// The same for every connection, until another fault is set.
    CutEach(Direction, u64),
    /// Each chunk of at most 16 KiB arrives this much later.
    Latency(Duration),
    /// At most this many bytes a second, for each connection and direction.
    Bandwidth(u64),
}

#[derive(Debug, Clone, Copy)]
struct State {
    upstream: Option<SocketAddr>,
    fault: Fault,
    /// Grows with each change of the fault: byte counts start anew with it.
    fault_number: u64,
    /// Grows with each cut: connections made under an older number end.
    cut_number: u64,
}

/// A proxy from a port of its own on 127.0.0.1 to one upstream. It ends, with all connections, when
/// dropped.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    state: watch::Sender<State>,
    accepted: Arc<AtomicU64>,
    accepting: JoinHandle<()>,
}

impl FaultProxy {
    /// Starts a proxy to `upstream`.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start(upstream: SocketAddr) -> io::Result<Self> {
        let proxy = Self::bind().await?;
        proxy.set_upstream(upstream);
        Ok(proxy)
    }

    /// Starts a proxy whose upstream is not known yet (a Kafka broker must know its proxy first). Until
    /// [`set_upstream`](Self::set_upstream), connections are closed at once.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn bind() -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let state = State { upstream: None, fault: Fault::None, fault_number: 0, cut_number: 0 };
        let (state, watched) = watch::channel(state);
        let accepted = Arc::new(AtomicU64::new(0));
        let accepting =
            tokio::spawn(accept(listener, Rules { sender: state.clone(), watched }, Arc::clone(&accepted)));
        Ok(Self { address, state, accepted, accepting })
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where new connections go from now on.
    pub fn set_upstream(&self, upstream: SocketAddr) {
        self.state.send_modify(|state| state.upstream = Some(upstream));
    }

    /// Sets what happens to running and new connections from now on.
    pub fn set(&self, fault: Fault) {
        self.state.send_modify(|state| {
            state.fault = fault;
            state.fault_number += 1;
        });
    }

    /// The fault in force; [`Fault::None`] again once a [`Fault::CutOnce`] has struck.
    pub fn fault(&self) -> Fault {
        self.state.borrow().fault
    }

    /// Breaks all running connections (both sides see a reset). New ones are possible.
    pub fn cut_all(&self) {
        self.state.send_modify(|state| state.cut_number += 1);
    }

    /// How many connections were accepted so far.
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut_all();
    }
}

/// The proxy's state as its connections see it; they end a `CutOnce` themselves.
#[derive(Debug, Clone)]
struct Rules {
    sender: watch::Sender<State>,
    watched: watch::Receiver<State>,
}

async fn accept(listener: TcpListener, rules: Rules, accepted: Arc<AtomicU64>) {
    while let Ok((client, _)) = listener.accept().await {
        accepted.fetch_add(1, Ordering::Relaxed);
        let state = *rules.watched.borrow();
        if state.fault == Fault::Refuse {
            continue;
        }
        if let Some(upstream) = state.upstream {
            tokio::spawn(carry(client, upstream, rules.clone(), state.cut_number));
        }
    }
}

async fn carry(mut client: TcpStream, upstream: SocketAddr, rules: Rules, cut_number: u64) {
    let Ok(mut server) = TcpStream::connect(upstream).await else { return };
    for stream in [&client, &server] {
        // Without it a delayed small packet would be blamed on the fault.
        let _ = stream.set_nodelay(true);
    }
    let mut watched = rules.watched.clone();
    let cut = watched.wait_for(|state| state.cut_number != cut_number);
    let was_cut = {
        let (client_read, client_write) = client.split();
        let (server_read, server_write) = server.split();
        let up = pump(client_read, server_write, Direction::ToServer, rules.clone());
        let down = pump(server_read, client_write, Direction::ToClient, rules.clone());
        tokio::select! {
            // One direction may end while the other goes on; an error ends both.
            _ = async { tokio::try_join!(up, down) } => false,
            _ = cut => true,
        }
    };
    if was_cut {
        for stream in [&client, &server] {
            // Closing then resets the connection instead of ending it in order.
            let _ = stream.set_zero_linger();
        }
    }
}

/// Moves bytes one way until the sender has no more.
///
/// # Errors
/// When the connection is broken or to be broken.
async fn pump(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    way: Direction,
    mut rules: Rules,
) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK_BYTES];
    let (mut counted_under, mut moved) = (0, 0_u64);
    loop {
        let read = from.read(&mut chunk).await?;
        // Looked at after the read: a fault set while waiting for bytes strikes the next ones.
        let state =
            *rules.watched.wait_for(|state| state.fault != Fault::Pause).await.map_err(io::Error::other)?;
        if read == 0 {
            return to.shutdown().await;
        }
        if counted_under != state.fault_number {
            (counted_under, moved) = (state.fault_number, 0);
        }
        let size = u64::try_from(read).map_err(io::Error::other)?;
        match state.fault {
            Fault::CutOnce(cut_way, limit) | Fault::CutEach(cut_way, limit)
                if cut_way == way && moved + size >= limit && strikes(&rules, state) =>
            {
                let rest = usize::try_from(limit - moved).map_err(io::Error::other)?;
                to.write_all(&chunk[..rest]).await?;
                return Err(io::Error::other("cut"));
            }
            Fault::Latency(delay) => sleep(delay).await,
            Fault::Bandwidth(per_second) => {
                sleep(Duration::from_micros(size * 1_000_000 / per_second.max(1))).await;
            }
            _ => {}
        }
        to.write_all(&chunk[..read]).await?;
        moved += size;
    }
}

/// Whether this connection is cut: always by `CutEach`, as the only one by `CutOnce`.
fn strikes(rules: &Rules, seen: State) -> bool {
    if !matches!(seen.fault, Fault::CutOnce(..)) {
        return true;
    }
    rules.sender.send_if_modified(|state| {
        let first = state.fault_number == seen.fault_number && state.fault == seen.fault;
        if first {
            state.fault = Fault::None;
        }
        first
    })
}

#[cfg(test)]
mod tests;
