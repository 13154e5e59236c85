//! The proxy before a server that sends back what it gets.

use tokio::time::{Instant, timeout};

use super::*;

const SOON: Duration = Duration::from_millis(150);
const LATE: Duration = Duration::from_secs(10);

/// A server that sends back what it gets, and a proxy before it.
async fn echo() -> FaultProxy {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = stream.split();
                let _ = tokio::io::copy(&mut read, &mut write).await;
                let _ = write.shutdown().await;
            });
        }
    });
    FaultProxy::start(address).await.unwrap()
}

async fn connect(proxy: &FaultProxy) -> TcpStream {
    TcpStream::connect(proxy.address()).await.unwrap()
}

async fn round_trip(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes).await?;
    let mut back = vec![0; bytes.len()];
    timeout(LATE, stream.read_exact(&mut back)).await??;
    assert_eq!(back, bytes);
    Ok(())
}

/// All bytes until the connection ends in whatever way.
async fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = timeout(LATE, stream.read_to_end(&mut bytes)).await.unwrap();
    bytes
}

#[tokio::test]
async fn bytes_pass_and_a_half_close_is_handed_on() {
    let proxy = echo().await;
    let mut stream = connect(&proxy).await;
    round_trip(&mut stream, &vec![7; 1 << 20]).await.unwrap();
    stream.write_all(b"last").await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(rest(&mut stream).await, b"last");
    assert_eq!(proxy.accepted(), 1);
}

#[tokio::test]
async fn refusing_closes_new_connections_and_spares_running_ones() {
    let proxy = echo().await;
    let mut running = connect(&proxy).await;
    round_trip(&mut running, b"a").await.unwrap();
    proxy.set(Fault::Refuse);
    assert!(round_trip(&mut connect(&proxy).await, b"b").await.is_err());
    round_trip(&mut running, b"c").await.unwrap();
    proxy.set(Fault::None);
    round_trip(&mut connect(&proxy).await, b"d").await.unwrap();
}

#[tokio::test]
async fn a_pause_holds_bytes_back_until_it_is_over() {
    let proxy = echo().await;
    let mut stream = connect(&proxy).await;
    round_trip(&mut stream, b"before").await.unwrap();
    proxy.set(Fault::Pause);
    stream.write_all(b"held").await.unwrap();
    let mut back = [0; 4];
    assert!(timeout(SOON, stream.read_exact(&mut back)).await.is_err());
    proxy.set(Fault::None);
    timeout(LATE, stream.read_exact(&mut back)).await.unwrap().unwrap();
    assert_eq!(&back, b"held");
}

#[tokio::test]
async fn a_cut_lets_exactly_the_given_bytes_through_and_strikes_once() {
    let proxy = echo().await;
    let mut stream = connect(&proxy).await;
    round_trip(&mut stream, &[1; 100]).await.unwrap();
    proxy.set(Fault::CutOnce(Direction::ToClient, 40_000));
    stream.write_all(&vec![2; 60_000]).await.unwrap();
    assert_eq!(rest(&mut stream).await.len(), 40_000);
    assert_eq!(proxy.fault(), Fault::None);
    round_trip(&mut connect(&proxy).await, &vec![3; 60_000]).await.unwrap();
}

#[tokio::test]
async fn every_connection_is_cut_when_asked_to() {
    let proxy = echo().await;
    proxy.set(Fault::CutEach(Direction::ToServer, 10));
    for _ in 0..3 {
        let mut stream = connect(&proxy).await;
        stream.write_all(&[4; 20]).await.unwrap();
        assert!(rest(&mut stream).await.len() <= 10);
    }
}

#[tokio::test]
async fn cutting_all_resets_running_connections_only() {
    let proxy = echo().await;
    let mut stream = connect(&proxy).await;
    round_trip(&mut stream, b"a").await.unwrap();
    proxy.cut_all();
    let error = timeout(LATE, stream.read(&mut [0; 1])).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    round_trip(&mut connect(&proxy).await, b"b").await.unwrap();
}

#[tokio::test]
async fn latency_and_bandwidth_slow_bytes_down() {
    let proxy = echo().await;
    let mut stream = connect(&proxy).await;
    proxy.set(Fault::Latency(Duration::from_millis(60)));
    let begun = Instant::now();
    round_trip(&mut stream, b"there and back").await.unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(120));
    proxy.set(Fault::Bandwidth(1 << 20));
    let begun = Instant::now();
    round_trip(&mut stream, &vec![5; 1 << 18]).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(250));
}

#[tokio::test]
async fn an_upstream_that_is_down_closes_the_connection() {
    let proxy = FaultProxy::bind().await.unwrap();
    assert!(rest(&mut connect(&proxy).await).await.is_empty());
    let gone = TcpListener::bind(("127.0.0.1", 0)).await.unwrap().local_addr().unwrap();
    proxy.set_upstream(gone);
    assert!(rest(&mut connect(&proxy).await).await.is_empty());
}
