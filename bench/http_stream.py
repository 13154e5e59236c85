"""Sends a large body and notes when its last byte was handed to the kernel, which curl does not tell."""

from __future__ import annotations

import http.client
import os
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

# How long the server may take for a piece of the body or for the answer.
STALL_SECONDS = 120
PIECE_BYTES = 1 << 20


@dataclass(frozen=True)
class Sent:
    """What became of a request. Times are seconds from its begin."""

    status: int
    body: bytes
    last_byte: float
    answered: float

    @property
    def waited_ms(self) -> float:
        """From the last byte to the answer."""
        return (self.answered - self.last_byte) * 1e3


def send(method: str, url: str, headers: dict[str, str], file: Path, size_bytes: int) -> Sent:
    """Sends the bytes of `file`, over and over, up to `size_bytes`. The file goes from the kernel's cache to
    the socket: the client takes next to no processor time from the server."""
    place = urlsplit(url)
    head = [f"{method} {place.path} HTTP/1.1", f"Host: {place.netloc}", f"Content-Length: {size_bytes}"]
    head += ["Connection: close", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    with socket.create_connection((place.hostname, place.port), STALL_SECONDS) as connection:
        # Without it the last piece may wait for an acknowledgement of the one before.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        begun = time.monotonic()
        connection.sendall("\r\n".join(head).encode())
        with file.open("rb") as source:
            copy(connection, source.fileno(), os.fstat(source.fileno()).st_size, size_bytes)
        last_byte = time.monotonic() - begun
        answer = http.client.HTTPResponse(connection, method=method)
        answer.begin()
        body = answer.read()
        return Sent(answer.status, body, last_byte, time.monotonic() - begun)


def copy(connection: socket.socket, source: int, length: int, size_bytes: int) -> None:
    # A socket with a timeout does not block, and a full one refuses: with this it blocks in the kernel.
    connection.settimeout(None)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeval(STALL_SECONDS))
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeval(STALL_SECONDS))
    sent = 0
    while sent < size_bytes:
        offset = sent % length
        piece = min(PIECE_BYTES, length - offset, size_bytes - sent)
        sent += os.sendfile(connection.fileno(), source, offset, piece)


def timeval(seconds: int) -> bytes:
    """`struct timeval`: two machine words."""
    return seconds.to_bytes(8, "little") + bytes(8)
