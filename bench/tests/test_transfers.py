"""The sample, and the client that sends it."""

import hashlib
import tempfile
import threading
import unittest
import zlib
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import http_stream
from sample import Sample

received = {}


class Server(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        received.update(sha256=hashlib.sha256(body).hexdigest(), key=self.headers["x-key"])
        self.send_response(202)
        self.end_headers()
        self.wfile.write(b"taken")

    def log_message(self, *_):
        """Says nothing."""


class Transfers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.sample = Sample(Path(cls.folder.name))

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def test_the_sample_compresses_about_four_to_one(self):
        part = self.sample.block[: 4 << 20]
        self.assertAlmostEqual(len(part) / len(zlib.compress(part, 2)), 4, delta=0.3)

    def test_the_sample_is_the_same_at_every_run(self):
        self.assertEqual(self.sample.sha256(1 << 20)[:16], "21d1495fd8b8ad6b")

    def test_a_body_longer_than_the_block_repeats_it(self):
        size_bytes = self.sample.block_bytes + 12_345
        server = HTTPServer(("127.0.0.1", 0), Server)
        threading.Thread(target=server.handle_request).start()
        url = f"http://127.0.0.1:{server.server_port}/upload"
        sent = http_stream.send("POST", url, {"x-key": "secret"}, self.sample.path, size_bytes)
        server.server_close()
        self.assertEqual((sent.status, sent.body, received["key"]), (202, b"taken", "secret"))
        self.assertEqual(received["sha256"], self.sample.sha256(size_bytes))
        self.assertEqual(self.sample.file(size_bytes).stat().st_size, size_bytes)
        self.assertGreaterEqual(sent.waited_ms, 0)


if __name__ == "__main__":
    unittest.main()
