"""The S3 server that the platform stores in, used directly: the limit for uploads and downloads."""

from __future__ import annotations

import hashlib
import hmac
import time
from pathlib import Path
from urllib.parse import quote

import curl
import http_stream
from checks import expect

UNSIGNED = "UNSIGNED-PAYLOAD"
ALGORITHM = "AWS4-HMAC-SHA256"


class S3:
    """`settings` is `object_store` of the ready file."""

    def __init__(self, settings: dict):
        self.settings = settings

    def url(self, key: str) -> str:
        return f"{self.settings['endpoint']}/{self.settings['bucket']}/{key}"

    def curl_put(self, key: str, file: Path) -> curl.Transfer:
        return self.by_curl(key, "-T", str(file))

    def curl_get(self, key: str, output: Path | None = None) -> curl.Transfer:
        return self.by_curl(key, output=output)

    def by_curl(self, key: str, *options: str, output: Path | None = None) -> curl.Transfer:
        user = f"{self.settings['access_key_id']}:{self.settings['secret_access_key']}"
        signing = ["--aws-sigv4", f"aws:amz:{self.settings['region']}:s3", "--user", user]
        done = curl.transfer(
            self.url(key), {"x-amz-content-sha256": UNSIGNED}, *signing, *options, output=output
        )
        expect(done.status in (200, 204), f"the S3 server answered {done.status} for {key}")
        return done

    def delete(self, key: str) -> None:
        self.by_curl(key, "-X", "DELETE")

    def put(self, key: str, file: Path) -> http_stream.Sent:
        """Like `curl_put`, by the client that notes when the last byte was sent."""
        sent = http_stream.send("PUT", self.url(key), self.signed("PUT", key), file, file.stat().st_size)
        expect(sent.status == 200, f"the S3 server answered {sent.status} for {key}")
        return sent

    def presigned(self, key: str, seconds: int) -> str:
        """A URL by which anybody can get the object for so long."""
        now = now_as_s3_has_it()
        query = {
            "X-Amz-Algorithm": ALGORITHM,
            "X-Amz-Credential": f"{self.settings['access_key_id']}/{self.scope(now)}",
            "X-Amz-Date": now,
            "X-Amz-Expires": str(seconds),
            "X-Amz-SignedHeaders": "host",
        }
        text = "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items())
        signature = self.signature(now, "GET", key, text, {"host": self.host()})
        return f"{self.url(key)}?{text}&X-Amz-Signature={signature}"

    def signed(self, method: str, key: str) -> dict[str, str]:
        """The headers of AWS Signature Version 4."""
        now = now_as_s3_has_it()
        headers = {"host": self.host(), "x-amz-content-sha256": UNSIGNED, "x-amz-date": now}
        signature = self.signature(now, method, key, "", headers)
        credential = f"{self.settings['access_key_id']}/{self.scope(now)}"
        names = ";".join(headers)
        value = f"{ALGORITHM} Credential={credential}, SignedHeaders={names}, Signature={signature}"
        del headers["host"]
        return headers | {"Authorization": value}

    def signature(self, now: str, method: str, key: str, query: str, headers: dict[str, str]) -> str:
        """Of a request with a body that is not signed."""
        lines = [f"{name}:{value}" for name, value in headers.items()]
        path = f"/{self.settings['bucket']}/{key}"
        request = "\n".join([method, path, query, *lines, "", ";".join(headers), UNSIGNED])
        scope = self.scope(now)
        to_sign = "\n".join([ALGORITHM, now, scope, hashlib.sha256(request.encode()).hexdigest()])
        secret = f"AWS4{self.settings['secret_access_key']}".encode()
        for part in scope.split("/"):
            secret = hmac.digest(secret, part.encode(), "sha256")
        return hmac.digest(secret, to_sign.encode(), "sha256").hex()

    def scope(self, now: str) -> str:
        return f"{now[:8]}/{self.settings['region']}/s3/aws4_request"

    def host(self) -> str:
        return self.settings["endpoint"].split("//")[1]


def now_as_s3_has_it() -> str:
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
