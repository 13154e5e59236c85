"""A real OpenID issuer: the one that the platform's own tests use."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Self

import httpx

from platform_under_test import ROOT, free_ports, wait_for

CLIENT = "source-client"


class IdentityProvider:
    def __init__(self, folder: Path) -> None:
        cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
        tools = Path(os.environ.get("EXPORTS_TOOLS", cache / "export-platform/tools"))
        [version] = re.findall(
            r"^OIDC_PROVIDER_VERSION=(.*)$", (ROOT / "scripts/lib/versions.env").read_text(), re.MULTILINE
        )
        modules = tools / f"oidc-provider-{version}/node_modules"
        [self._node] = modules.glob("node-linux-*/bin/node")
        self._script = folder / "provider.mjs"
        shutil.copy(ROOT / "crates/devservers/src/identity_provider/provider.mjs", self._script)
        # A script finds its libraries beside itself.
        (folder / "node_modules").symlink_to(modules)
        [self._port] = free_ports(1)
        self._url = f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        command: list[str | Path] = [
            "setpriv",
            "--pdeathsig",
            "TERM",
            self._node,
            self._script,
            str(self._port),
        ]
        log = subprocess.DEVNULL
        self._process = subprocess.Popen(command, stdout=log, stderr=log)
        made = wait_for(self._make_issuer, 30)
        self._id: str = made["id"]
        self.issuer: str = made["issuer"]
        self.secret: str = made["client_secret"]
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(30)

    def _make_issuer(self) -> dict[str, str] | None:
        try:
            made: dict[str, str] = httpx.post(f"{self._url}/issuers", json={}, trust_env=False).json()
        except httpx.TransportError:
            return None
        return made

    def roll_over(self) -> None:
        """Let new keys take the place of the old ones: tokens that were issued are worth nothing soon."""
        httpx.post(f"{self._url}/issuers/{self._id}/roll-over", trust_env=False).raise_for_status()
