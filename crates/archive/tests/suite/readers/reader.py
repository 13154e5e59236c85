"""Reads every member of the archives named."""

import sys
import zipfile
import zlib

sys.stdout.reconfigure(encoding="utf-8")
for path in sys.argv[1:]:
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            crc = size = 0
            with archive.open(info) as member:
                while chunk := member.read(1 << 20):
                    crc = zlib.crc32(chunk, crc)
                    size += len(chunk)
            mode = info.external_attr >> 16
            print(path, crc, size, oct(mode), info.filename, sep="\t")
