"""Real servers for the flows: Placet with its worker, and the shop beside it."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.flows.shop import client_options, shop, shop_address
from tests.flows.steps import ARTIFACTS
from tests.support.deployment import Deployment
from tests.support.smtp import MailServer


@contextmanager
def running(database_url: str, instance: Path, mail: MailServer) -> Iterator[Deployment]:
    """Run Placet with its mail going to `mail`; nothing unexpected may happen inside."""
    settings = {"PLACET_MAIL_HOST": mail.host, "PLACET_MAIL_PORT": str(mail.port)}
    deployment = Deployment(database_url, instance, settings=settings)
    with deployment.serving() as program:
        yield deployment
        assert "Traceback" not in program.output(), program.output()


@pytest.fixture
def placet(database_url: str, instance: Path, mail_server: MailServer) -> Iterator[Deployment]:
    """A running Placet of the test's own."""
    with running(database_url, instance, mail_server) as deployment:
        yield deployment


@pytest.fixture
def shop_url(placet: Deployment, tmp_path: Path) -> Iterator[str]:
    """The running shop, registered with `placet`; its address."""
    url = shop_address()
    client = placet.add_client("Olivar y Sal", *client_options(url))
    with shop(url, placet.url, client, tmp_path):
        yield url


@pytest.fixture
def pictures(request: pytest.FixtureRequest) -> Path:
    """The folder of this test's screenshots; those of an earlier run are gone."""
    folder = ARTIFACTS / re.sub(r"[^a-z0-9]+", "-", str(request.node.name)).strip("-")
    shutil.rmtree(folder, ignore_errors=True)
    return folder
