//! Ports, and the few lines of protocol needed to ask a server whether it is ready.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::time::Duration;

use crate::Error;
use crate::random::random;

/// How long a readiness question may take.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);
/// Ports are taken from below the range from which Linux serves outgoing connections (32768 and up):
/// a connection of somebody else cannot take one while its server is down.
const FIRST_PORT: u16 = 12_000;
const LAST_PORT: u16 = 32_000;

/// The address of a port on this machine.
pub(crate) fn local(port: u16) -> SocketAddr {
    SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))
}

/// Whether nobody listens on any of the ports of 127.0.0.1.
pub fn all_free(ports: &[u16]) -> bool {
    ports.iter().all(|port| TcpListener::bind(local(*port)).is_ok())
}

/// Chooses `N` free neighbouring ports of 127.0.0.1, at a random place, so that servers started at the
/// same time do not choose the same ones.
///
/// # Errors
/// [`Error::NoPorts`] when none were found in a hundred places.
pub fn free_ports<const N: usize>() -> Result<[u16; N], Error> {
    let seed = u64::from_le_bytes(random()?);
    let span = u64::from(LAST_PORT - FIRST_PORT);
    (0..100_u64)
        .map(|attempt| seed.wrapping_add(attempt.wrapping_mul(7_919)) % span)
        .filter_map(|offset| u16::try_from(offset).ok())
        .map(|offset| std::array::from_fn(|i| FIRST_PORT + offset + u16::try_from(i).unwrap_or_default()))
        .find(|ports: &[u16; N]| all_free(ports))
        .ok_or(Error::NoPorts)
}

fn connect(port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&local(port), PROBE_TIMEOUT)?;
    stream.set_read_timeout(Some(PROBE_TIMEOUT))?;
    stream.set_write_timeout(Some(PROBE_TIMEOUT))?;
    Ok(stream)
}

/// Sends one HTTP/1.0 request to this machine and returns the status code.
pub(crate) fn http_status(port: u16, method: &str, path: &str, body: &str) -> io::Result<u16> {
    let mut stream = connect(port)?;
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\nContent-Length: {length}\r\n\r\n{body}"
    )?;
    let mut head = [0; 12];
    stream.read_exact(&mut head)?;
    std::str::from_utf8(&head[9..])
        .ok()
        .and_then(|code| code.parse().ok())
        .ok_or_else(|| io::Error::other("not an HTTP answer"))
}

/// Asks a Kafka broker which requests it knows (`ApiVersions`, version 0) and returns the error code of
/// the answer; 0 says that it serves requests.
pub(crate) fn kafka_api_versions(port: u16) -> io::Result<i16> {
    const CORRELATION: [u8; 4] = [0, 0, 0, 7];
    let mut stream = connect(port)?;
    // Length, API key 18, version 0, correlation id, client id of no characters.
    let mut request = vec![0, 0, 0, 10, 0, 18, 0, 0];
    request.extend(CORRELATION);
    request.extend([0, 0]);
    stream.write_all(&request)?;
    // Length, correlation id, error code; the list of requests does not matter here.
    let mut answer = [0; 10];
    stream.read_exact(&mut answer)?;
    if answer[4..8] != CORRELATION {
        return Err(io::Error::other("not a Kafka answer"));
    }
    Ok(i16::from_be_bytes([answer[8], answer[9]]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_ports_are_distinct_and_free() {
        // Somebody else on the machine may take one between the question and the look.
        let mut tries = (0..20).map(|_| free_ports::<8>().unwrap());
        assert!(tries.all(|ports| ports.windows(2).all(|pair| pair[0] < pair[1])));
        assert!((0..20).any(|_| free_ports::<8>().is_ok_and(|ports| all_free(&ports))));
    }
}
