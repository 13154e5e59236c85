"""A door to the internal API that can be made to misbehave."""

from __future__ import annotations

import contextlib
import enum
import select
import socket
import socketserver
import threading
from typing import Self
from urllib.parse import urlsplit

UNAVAILABLE = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
)


class Mode(enum.Enum):
    PASS = enum.auto()
    UNAVAILABLE = enum.auto()
    """Answers 503 by itself."""
    CUT = enum.auto()
    """Lets some bytes through and breaks the connection."""
    SWALLOW_ANSWERS = enum.auto()
    """Lets everything through, and nothing back."""


class FaultProxy:
    def __init__(self, upstream_url: str) -> None:
        upstream = urlsplit(upstream_url)
        assert upstream.hostname
        assert upstream.port
        self.upstream = (upstream.hostname, upstream.port)
        self.mode = Mode.PASS
        self.connections: list[Mode] = []
        proxy = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                mode = proxy.mode
                proxy.connections.append(mode)
                with contextlib.suppress(OSError):
                    proxy.serve(self.request, mode)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=[0.02], daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def serve(self, client: socket.socket, mode: Mode) -> None:
        if mode is Mode.UNAVAILABLE:
            client.recv(65536)
            client.sendall(UNAVAILABLE)
            return
        with socket.create_connection(self.upstream) as upstream:
            carry(client, upstream, mode)


def carry(client: socket.socket, upstream: socket.socket, mode: Mode) -> None:
    carried = 0
    while True:
        for side in select.select([client, upstream], [], [])[0]:
            received = side.recv(65536)
            if not received:
                return
            if side is client:
                upstream.sendall(received)
                carried += len(received)
                if mode is Mode.CUT and carried > 100_000:
                    return
            elif mode is not Mode.SWALLOW_ANSWERS:
                client.sendall(received)
