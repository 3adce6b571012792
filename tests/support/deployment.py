"""Placet as its operators run it: `placet serve` in processes of its own."""

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tests.support.loaded import loaded
from tests.support.processes import Program, free_port, program
from tests.support.world import CHEAP

PLACET = Path(sys.executable).parent / "placet"


@dataclass
class Deployment:
    """One deployment on a port of its own; it can be started, killed and started again."""

    database_url: str
    instance: Path
    port: int = field(default_factory=free_port)
    settings: Mapping[str, str] = field(default_factory=dict)
    decisions_port: int = 0
    ready_seconds: float = 30.0

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        return {
            **CHEAP,
            "PLACET_INSTANCE": str(self.instance),
            "PLACET_DATABASE_URL": self.database_url,
            "PLACET_BASE_URL": self.url,
            **self.settings,
        }

    @contextmanager
    def serving(self, **faults: str) -> Iterator[Program]:
        """Run `placet serve` until the block is left."""
        with program(
            [
                *(PLACET, "serve", "--port", str(self.port)),
                *("--decisions-port", str(self.decisions_port)),
            ],
            log=self.instance / "serve.log",
            env=self.environment | faults,
            ready_url=f"{self.url}/healthz",
            ready_seconds=self.ready_seconds,
        ) as running:
            yield running

    def command(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run one `placet` command to its end."""
        inherited = {"PATH": str(PLACET.parent)}
        return loaded().run([str(part) for part in arguments], inherited | self.environment)

    def add_client(self, name: str, *options: str) -> dict[str, Any]:
        """Add an application by the command line and return what it printed."""
        done = self.command("client", "add", name, *options, "--json")
        assert done.returncode == 0, done.stderr
        client: dict[str, Any] = json.loads(done.stdout)
        return client

    def token(self, client: Mapping[str, Any], scope: str) -> str:
        """Return an access token of the application by the client credentials grant."""
        body = urlencode(
            {
                "grant_type": "client_credentials",
                "client_id": client["client_id"],
                "client_secret": client["client_secret"],
                "scope": scope,
            }
        ).encode()
        with urllib.request.urlopen(f"{self.url}/oauth/token", body, timeout=30) as answer:
            token: str = json.load(answer)["access_token"]
            return token
