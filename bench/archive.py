"""Reads a downloaded archive to its last byte."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path

from checks import expect

PIECE_BYTES = 1 << 20


def check(file: Path, export: dict, size_bytes: int, sha256: str) -> None:
    """Checks that the archive holds what was uploaded to the export's only source."""
    [source] = export["sources"]
    name = f"{source['id']}.{export['format']}"
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
        expect(set(names) == {name, "meta.json", "README.md"}, f"the archive holds {names}")
        digest, length = hashlib.sha256(), 0
        # Also checks the CRC.
        with archive.open(name) as member:
            while piece := member.read(PIECE_BYTES):
                digest.update(piece)
                length += len(piece)
        meta = json.loads(archive.read("meta.json"))
    expect(length == size_bytes, f"{length} bytes are in the archive of {size_bytes}")
    expect(digest.hexdigest() == sha256, "other bytes are in the archive than were uploaded")
    expect([file["filename"] for file in meta["file_meta"]] == [name], "meta.json names other files")
