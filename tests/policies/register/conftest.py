from __future__ import annotations

import pickle
import shutil
import tomllib
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

import pytest

import policies.register
from policies.register import files
from policies.register.loader import load
from policies.register.model import Register

EXAMPLE = Path(policies.register.__file__).parent / "example"

Edit = Callable[[str, str, str], None]


class _ParsedOnce:
    """`tomllib` for the loader: of a folder spoilt in one file, the others are parsed but once."""

    def loads(self, text: str) -> object:
        return pickle.loads(self._parsed(text))  # its own copy

    @staticmethod
    @lru_cache(maxsize=64)
    def _parsed(text: str) -> bytes:
        return pickle.dumps(tomllib.loads(text))


@pytest.fixture(scope="session", autouse=True)
def parsed_once() -> Iterator[None]:
    """Thousands of folders differ in one file from one another."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "tomllib", _ParsedOnce())
        yield


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
