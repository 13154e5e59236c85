"""Uploads a file with tuspy: URL KEY FILE CHUNK_BYTES CHECKSUM."""

import sys

from tusclient.client import TusClient

url, key, file, chunk_bytes, checksum = sys.argv[1:]
client = TusClient(url, headers={"x-rh-exports-psk": key})
uploader = client.uploader(
    file, chunk_size=int(chunk_bytes), retries=100, retry_delay=0.1, upload_checksum=checksum == "checksum"
)
uploader.upload()
