from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import policies.register
from policies.register.loader import load
from policies.register.model import Register

EXAMPLE = Path(policies.register.__file__).parent / "example"

Edit = Callable[[str, str, str], None]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the example shop's register, to be spoilt."""
    return Path(shutil.copytree(EXAMPLE, tmp_path / "register"))


@pytest.fixture
def edit(folder: Path) -> Edit:
    """Replace text that stands in a file exactly once."""

    def replace(file: str, old: str, new: str) -> None:
        path = folder / file
        content = path.read_text(encoding="utf-8")
        assert content.count(old) == 1, f"{old!r} stands {content.count(old)} times in {file}"
        path.write_text(content.replace(old, new), encoding="utf-8")

    return replace


@pytest.fixture(scope="session")
def example() -> Register:
    return load(EXAMPLE)
