"""Fixtures of signing in from outside."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.identity.sso.upstreams import Bench, Kernel, bench, small_kernel
from tests.support.hostile_provider import HostileProvider, hostile_provider


@pytest.fixture
def provider() -> Iterator[HostileProvider]:
    """An OpenID provider that does everything right until told otherwise."""
    with hostile_provider() as running:
        yield running


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    """A small database, keys and log."""
    with small_kernel(tmp_path) as made:
        yield made


@pytest.fixture
def upstream(kernel: Kernel, provider: HostileProvider) -> Bench:
    """Our relying party, with that provider in its configuration."""
    return bench(kernel, provider)
