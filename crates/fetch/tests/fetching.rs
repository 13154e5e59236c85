//! Fetching from servers of every kind.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use domain::Period;
use fetch::{Coding, FetchError, FetchSettings, Fetched, Fetcher};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpListener,
    time::sleep,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, pki_types::PrivateKeyDer},
};

/// What a server says, piece by piece, each after a wait; then it closes.
type Script = &'static [(u64, &'static str)];

/// A server of one script; counts its connections.
async fn serve(script: Script) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, connections) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(answer(stream, script));
        }
    });
    (address, connections)
}

async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, script: Script) {
    let mut asked = [0; 4096];
    if stream.read(&mut asked).await.unwrap_or(0) == 0 {
        return;
    }
    for (wait_ms, piece) in script {
        sleep(Duration::from_millis(*wait_ms)).await;
        if stream.write_all(piece.as_bytes()).await.is_err() || stream.flush().await.is_err() {
            return;
        }
    }
    let _ = stream.shutdown().await;
}

/// This machine may be fetched from, and without TLS.
fn settings() -> FetchSettings {
    FetchSettings {
        allow_http: true,
        allow_networks: vec!["127.0.0.0/8".parse().unwrap()],
        answer_timeout: Period::from_secs(10),
        idle_timeout: Period::from_millis(400),
        ..FetchSettings::default()
    }
}

async fn get(settings: &FetchSettings, url: &str, max_bytes: u64) -> Result<(Coding, Vec<u8>), FetchError> {
    let fetcher = Fetcher::new(settings).unwrap();
    let Fetched { coding, mut body } = fetcher.get(&fetcher.target(url).unwrap(), max_bytes).await?;
    let mut bytes = Vec::new();
    while let Some(chunk) = body.next().await? {
        bytes.extend_from_slice(&chunk);
    }
    Ok((coding, bytes))
}

async fn get_from(script: Script, max_bytes: u64) -> Result<(Coding, Vec<u8>), FetchError> {
    let (address, _) = serve(script).await;
    get(&settings(), &format!("http://{address}/part?signature=secret"), max_bytes).await
}

#[tokio::test]
async fn a_body_with_its_length_or_in_chunks_comes_whole() {
    let sized: Script = &[(0, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"), (50, "cde")];
    assert_eq!(get_from(sized, 5).await.unwrap(), (Coding::Identity, b"abcde".to_vec()));
    let chunked: Script = &[(
        0,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Encoding: GZIP\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n",
    )];
    assert_eq!(get_from(chunked, 5).await.unwrap(), (Coding::Gzip, b"abcde".to_vec()));
}

#[tokio::test]
async fn a_cut_body_is_no_body_and_passes() {
    let cuts: [Script; 4] = [
        &[(0, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab")],
        &[(0, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n")],
        &[(0, "HTTP/1.1 200")],
        &[],
    ];
    for cut in cuts {
        let error = get_from(cut, 5).await.unwrap_err();
        assert!(matches!(error, FetchError::Broken(_)) && error.is_transient(), "{error}");
        assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
    }
}

#[tokio::test]
async fn a_body_whose_end_cannot_be_told_is_refused() {
    let error = get_from(&[(0, "HTTP/1.1 200 OK\r\n\r\nab")], 5).await.unwrap_err();
    assert!(matches!(error, FetchError::NoLength) && !error.is_transient(), "{error}");
}

#[tokio::test]
async fn s2_3_redirects_are_not_followed() {
    let (target, asked) = serve(&[(0, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")]).await;
    let redirect = format!("HTTP/1.1 302 Found\r\nLocation: http://{target}/\r\nContent-Length: 0\r\n\r\n");
    let script: Script = Box::leak(Box::new([(0, &*redirect.leak())]));
    assert!(matches!(get_from(script, 5).await, Err(FetchError::Status(302))));
    assert_eq!(asked.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn statuses_sizes_and_codings_are_refused_at_once() {
    for (head, status) in [("500 X", 500), ("403 X", 403), ("206 X", 206), ("204 X", 204)] {
        let answer = format!("HTTP/1.1 {head}\r\nContent-Length: 0\r\n\r\n");
        let script: Script = Box::leak(Box::new([(0, &*answer.leak())]));
        assert!(matches!(get_from(script, 5).await, Err(FetchError::Status(found)) if found == status));
    }
    let large: Script = &[(0, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabcdef")];
    assert!(matches!(get_from(large, 5).await, Err(FetchError::TooLarge(5))));
    let coded: Script = &[(0, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Encoding: br\r\n\r\na")];
    assert!(matches!(get_from(coded, 5).await, Err(FetchError::Coding)));
}

#[tokio::test]
async fn a_head_without_end_or_against_itself_is_no_answer() {
    let line = format!("X-More: {}\r\n", "x".repeat(1000)).repeat(2_000);
    let endless: Script = Box::leak(Box::new([(0, "HTTP/1.1 200 OK\r\n"), (0, &*line.leak())]));
    let many = "X: y\r\n".repeat(5_000);
    let many: Script = Box::leak(Box::new([(0, "HTTP/1.1 200 OK\r\n"), (0, &*many.leak())]));
    let lies: [Script; 3] = [
        &[(0, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc")],
        &[(0, "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nabc")],
        &[(0, "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nabc")],
    ];
    for script in [endless, many].into_iter().chain(lies) {
        let error = get_from(script, 5).await.unwrap_err();
        assert!(matches!(error, FetchError::Broken(_)), "{error}");
    }
    // What comes behind the length that was told is not the body's.
    let more: Script = &[(0, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabcdef")];
    assert_eq!(get_from(more, 5).await.unwrap().1, b"ab");
}

#[tokio::test]
async fn a_server_that_says_nothing_more_is_not_waited_for() {
    let idle: Script = &[(0, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"), (5_000, "cde")];
    let error = get_from(idle, 5).await.unwrap_err();
    assert!(matches!(error, FetchError::Idle(_)) && error.is_transient(), "{error}");
    let (address, _) = serve(&[(5_000, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")]).await;
    let hurried = FetchSettings {
        connect_timeout: Period::from_millis(100),
        answer_timeout: Period::from_millis(200),
        ..settings()
    };
    let error = get(&hurried, &format!("http://{address}/"), 5).await.unwrap_err();
    assert!(matches!(error, FetchError::Idle(_)), "{error}");
    let dripping: Script = &[
        (0, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\na"),
        (300, "b"),
        (300, "c"),
        (300, "d"),
        (300, "e"),
        (300, "f"),
    ];
    let (address, _) = serve(dripping).await;
    let short = FetchSettings { timeout: Period::from_millis(700), ..settings() };
    let error = get(&short, &format!("http://{address}/"), 9).await.unwrap_err();
    assert!(matches!(error, FetchError::TooLong(_)), "{error}");
}

#[tokio::test]
async fn s2_3_nothing_connects_to_what_is_not_public_by_address_or_by_name() {
    let (address, asked) = serve(&[(0, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")]).await;
    let guarded = FetchSettings { allow_networks: Vec::new(), ..settings() };
    for host in ["127.0.0.1", "localhost", "127.1", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0"] {
        let refused = get(&guarded, &format!("http://{host}:{}/", address.port()), 5).await;
        assert!(matches!(refused, Err(FetchError::NotPublic)), "{host}: {refused:?}");
    }
    assert_eq!(asked.load(Ordering::Relaxed), 0);
    let listed = get(&settings(), &format!("http://localhost:{}/", address.port()), 5).await;
    // The name may mean `::1` as well, which is not listed.
    assert!(matches!(listed, Ok(_) | Err(FetchError::NotPublic)), "{listed:?}");
}

#[tokio::test]
async fn tls_is_checked_against_the_authorities_that_are_listed() {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["127.0.0.1".to_owned(), "localhost".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let ca_file = folder.path().join("ca.pem");
    std::fs::write(&ca_file, cert.pem()).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![cert.der().clone()], key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    answer(stream, &[(0, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab")]).await;
                }
            });
        }
    });
    let strict = FetchSettings { allow_http: false, ..settings() };
    let error = get(&strict, &url, 5).await.unwrap_err();
    assert!(matches!(error, FetchError::Broken(_)), "nobody vouches for it: {error}");
    let trusting = FetchSettings { ca_file: Some(ca_file), ..strict };
    assert_eq!(get(&trusting, &url, 5).await.unwrap().1, b"ab");
    assert!(Fetcher::new(&trusting).unwrap().target(&url.replace("https", "http")).is_err());
}
