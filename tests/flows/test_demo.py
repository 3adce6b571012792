"""`placet demo`, which is what `make run` starts, as somebody starts it who tries Placet."""

import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.deployment import PLACET
from tests.support.loaded import loaded
from tests.support.processes import ROOT, Program, free_port, program, wait_until

READY = "Ctrl-C stops everything."
SECOND_START_SECONDS = 10.0


@dataclass
class Demo:
    """A demo in a folder of its own."""

    instance: Path
    port: int = field(default_factory=free_port)
    shop_port: int = field(default_factory=free_port)

    @property
    def command(self) -> list[str]:
        return [str(PLACET), "demo", "--port", str(self.port), "--shop-port", str(self.shop_port)]

    @property
    def environment(self) -> dict[str, str]:
        return {"PLACET_INSTANCE": str(self.instance)}

    @contextmanager
    def running(self, log: Path) -> Iterator[Program]:
        with program(self.command, log=log, env=self.environment) as started:
            wait_until(
                lambda: READY in started.output() or not started.is_running(),
                "the demo says that it is ready",
                seconds=60,
            )
            assert started.is_running()
            yield started

    def help(self) -> None:
        """Run it to where it tells its options, which is little more than to load it."""
        env = {"PATH": str(PLACET.parent)} | self.environment
        subprocess.run([*self.command, "--help"], cwd=ROOT, env=env, check=True, timeout=120)

    def refused(self, **settings: str) -> str:
        """Start it where it cannot start; return what it says."""
        env = {"PATH": str(PLACET.parent)} | self.environment | settings
        done = loaded().run(self.command[1:], env)
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        return done.stderr


def _seconds(action: Callable[[], object]) -> float:
    began = time.monotonic()
    action()
    return time.monotonic() - began


@pytest.fixture
def demo(tmp_path: Path) -> Demo:
    return Demo(tmp_path / "instance")


def _read(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        body: bytes = answer.read()
        return body.decode()


def test_the_demo_starts_says_where_to_go_and_stops_leaving_nothing_behind(
    demo: Demo, tmp_path: Path
) -> None:
    portal, shop = f"http://localhost:{demo.port}", f"http://localhost:{demo.shop_port}"
    with demo.running(tmp_path / "first.log") as first:
        said = first.output()
        assert portal in said
        assert shop in said
        assert "Correos de la demostración" in _read(portal + "/dev/mailbox?lang=es")
        assert "Olivar y Sal" in _read(shop)
        invitation = re.search(rf"{portal}/invitation/\S+", said)
        assert invitation
        assert "<form" in _read(invitation[0])
        kept = demo.instance / "shop.json"
        assert kept.stat().st_mode & 0o777 == 0o600
        credentials = json.loads(kept.read_text())
        assert credentials["client_secret"] not in said
        assert first.stop() == 0

    imports = _seconds(demo.help)
    began = time.monotonic()
    with demo.running(tmp_path / "second.log") as second:
        # On a machine that is busy with other tests everything takes longer, the imports too.
        assert time.monotonic() - began < max(SECOND_START_SECONDS, 9 * imports)
        assert json.loads(kept.read_text()) == credentials
        group = second.pid
        os.killpg(group, signal.SIGINT)  # what Ctrl-C in a terminal sends, to all of them
        wait_until(lambda: not second.is_running(), "Ctrl-C stops it", seconds=15)
        assert second.stop() == 0
        assert "Traceback" not in second.output()
    alive = [
        stat
        for stat in Path("/proc").glob("[0-9]*/stat")
        if stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[2] == str(group)
    ]
    assert alive == []


@pytest.mark.parametrize("option", ["--port", "--shop-port"])
def test_a_taken_port_is_named_and_nothing_is_set_up(demo: Demo, option: str) -> None:
    taken = demo.port if option == "--port" else demo.shop_port
    with socket.create_server(("127.0.0.1", taken), reuse_port=True):
        said = demo.refused()
    assert f"port {taken} cannot be used" in said
    assert option in said
    assert not demo.instance.exists()


def test_the_demo_refuses_a_deployment_that_serves_real_people(demo: Demo) -> None:
    said = demo.refused(PLACET_BASE_URL="https://privacy.example")
    assert "https://privacy.example" in said
    assert "PLACET_INSTANCE" in said
    assert not demo.instance.exists()
