"""The data that is uploaded: JSON that compresses about 4:1, the same at every run."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

# Rows repeat after so many bytes. What compresses sees 32 KiB at a time, so that this changes nothing.
BLOCK_BYTES = 32 << 20

SECTIONS = ("libs", "admin", "net", "devel", "doc", "python", "utils")
STATES = ("installed", "half-configured", "removed")


class Sample:
    """Any number of bytes, from a block in a file that the kernel sends without copying."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.path = folder / "block.json"
        self.block = block()
        self.path.write_bytes(self.block)
        self.block_bytes = len(self.block)
        self.digests: dict[int, str] = {}

    def sha256(self, size_bytes: int) -> str:
        """Of the first bytes, hexadecimal."""
        if size_bytes not in self.digests:
            digest = hashlib.sha256()
            for part in self.parts(size_bytes):
                digest.update(part)
            self.digests[size_bytes] = digest.hexdigest()
        return self.digests[size_bytes]

    def file(self, size_bytes: int) -> Path:
        """A file of the first bytes, for curl."""
        path = self.folder / f"{size_bytes}.json"
        if not path.exists():
            with path.open("wb") as file:
                for part in self.parts(size_bytes):
                    file.write(part)
        return path

    def parts(self, size_bytes: int):
        view = memoryview(self.block)
        while size_bytes > 0:
            part = view[: min(size_bytes, BLOCK_BYTES)]
            yield part
            size_bytes -= len(part)


def block() -> bytes:
    """Rows of an inventory."""
    draw = random.Random(1)
    rows, size_bytes = ["["], 1
    while size_bytes < BLOCK_BYTES:
        rows.append(row(draw))
        size_bytes += len(rows[-1])
    return "".join(rows).encode()[:BLOCK_BYTES]


def row(draw: random.Random) -> str:
    bits = draw.getrandbits(192)
    return (
        f'{{"id":"{bits & (1 << 64) - 1:016x}","host":"host-{(bits >> 64) % 5000:04}.example.org",'
        f'"package":"{SECTIONS[(bits >> 80) % 7]}-{(bits >> 84) % 3000}","version":"{(bits >> 96) % 20}.'
        f'{(bits >> 104) % 60}.{(bits >> 112) % 100}","installed":"2024-{(bits >> 120) % 12 + 1:02}-'
        f'{(bits >> 124) % 28 + 1:02}T{(bits >> 130) % 24:02}:{(bits >> 136) % 60:02}:{(bits >> 142) % 60:02}Z",'
        f'"size_kib":{(bits >> 150) % 100003},"state":"{STATES[(bits >> 170) % 3]}"}},\n'
    )
