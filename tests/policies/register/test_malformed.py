"""Whatever stands in the folder, `load` answers with a register or with RegisterError."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Self

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from policies.register.linter import lint
from policies.register.loader import RegisterError, load
from tests.policies.register.conftest import EXAMPLE

FILES = sorted(str(each.relative_to(EXAMPLE)) for each in EXAMPLE.rglob("*") if each.is_file())
DOCUMENTS = [each for each in FILES if each.endswith(".toml")]

WRONG = [
    "true",
    "-1",
    "0",
    "99999999999999999999",
    "1.5",
    "nan",
    "inf",
    "1979-05-27",
    "1979-05-27T07:32:00Z",
    "07:32:00",
    '""',
    '" "',
    '"\\u0000"',
    '"../../etc/passwd"',
    '"\\n"',
    f'"{"x" * 5000}"',
    "[]",
    "[[]]",
    "[1, 2]",
    '["x", 1]',
    "[{}]",
    "{}",
    "{ es = 1 }",
    '{ es = { es = "x" } }',
    '{ "\\u0000" = "x" }',
]


Place = tuple[str | int, ...]


def _places(value: object, place: Place = ()) -> Iterator[Place]:
    """Where every value of a document stands, outer ones first."""
    inner: Iterable[tuple[str | int, object]] = ()
    if isinstance(value, dict):
        inner = value.items()
    elif isinstance(value, list):
        inner = enumerate(value)
    for key, each in inner:
        yield (*place, key)
        yield from _places(each, (*place, key))


def _as_toml(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f'"{k}" = {_as_toml(v)}' for k, v in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_as_toml, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return str(value)


class _Raw(int):
    """TOML source that takes the place of a value."""

    source: str

    def __new__(cls, source: str) -> Self:
        self = super().__new__(cls)
        self.source = source
        return self

    def __str__(self) -> str:
        return self.source


def _render(document: dict[str, object]) -> str:
    return "".join(f'"{key}" = {_as_toml(value)}\n' for key, value in document.items())


def _replace(document: Any, place: Place, new: object) -> None:
    for key in place[:-1]:
        document = document[key]
    if new is None:
        del document[place[-1]]
    else:
        document[place[-1]] = new


def _load(folder: Path) -> RegisterError | None:
    """What `load` raised; a register that loads can also be linted."""
    try:
        lint(load(folder))
    except RegisterError as error:
        str(error).encode()
        return error
    return None


def _one_of_each_kind(file: str) -> list[Place]:
    """Where values stand in a document, each key once and not for every entry again."""
    kinds: dict[Place, Place] = {}
    for place in _places(tomllib.loads((EXAMPLE / file).read_text(encoding="utf-8"))):
        kind = tuple(0 if isinstance(key, int) else key for key in place)
        kinds.setdefault(kind if file == "register.toml" else kind[1:], place)
    return list(kinds.values())


OPTIONAL = {
    "address_days",
    "age_of_consent",
    "attribute",
    "attributes",
    "channels",
    "consent_per",
    "frequency",
    "gpc",
    "partners",
    "reminder_days",
    "privacy",
    "terms",
    "recipients",
    "validity_months",
    "direct_marketing",
    "profiling",
    "required",
    "required_purposes",
    "special",
    "safeguards",
    "material",
    "en",
}


def test_the_documents_of_the_example_survive_being_written_anew(folder: Path) -> None:
    for file in DOCUMENTS:
        document = tomllib.loads((folder / file).read_text(encoding="utf-8"))
        (folder / file).write_text(_render(document), encoding="utf-8")
    assert load(folder) == load(EXAMPLE)


@pytest.mark.parametrize("file", DOCUMENTS)
def test_a_value_of_a_wrong_type_in_any_field_is_a_register_error(folder: Path, file: str) -> None:
    _put_wrong_values(folder, file, every=6)


@pytest.mark.soak
@pytest.mark.parametrize("file", DOCUMENTS)
def test_each_value_of_a_wrong_type_in_each_field_is_a_register_error(
    folder: Path, file: str
) -> None:
    _put_wrong_values(folder, file, every=1)


def _put_wrong_values(folder: Path, file: str, *, every: int) -> None:
    """Put every n-th of the wrong values into each field, beginning with another one each time."""
    original = (folder / file).read_text(encoding="utf-8")
    for number, path in enumerate(_one_of_each_kind(file)):
        for source in WRONG[number % every :: every]:
            document = tomllib.loads(original)
            _replace(document, path, _Raw(source))
            (folder / file).write_text(_render(document), encoding="utf-8")
            _load(folder)
        document = tomllib.loads(original)
        _replace(document, path, _Raw("[{}, 1.5]"))
        (folder / file).write_text(_render(document), encoding="utf-8")
        error = _load(folder)
        assert error is not None, f"{file} {path} takes a list of anything"
        assert {each.file for each in error.problems} >= {file}


@pytest.mark.parametrize("file", DOCUMENTS)
def test_a_missing_field_is_a_register_error_unless_it_may_be_left_out(
    folder: Path, file: str
) -> None:
    original = (folder / file).read_text(encoding="utf-8")
    for path in _one_of_each_kind(file):
        document = tomllib.loads(original)
        _replace(document, path, None)
        (folder / file).write_text(_render(document), encoding="utf-8")
        error = _load(folder)
        if len(path) > 1 and path[-1] not in OPTIONAL and isinstance(path[-1], str):
            assert error is not None, f"{file} {path} may be left out"


@pytest.mark.parametrize("file", DOCUMENTS)
def test_an_unknown_key_in_any_table_is_a_register_error(folder: Path, file: str) -> None:
    original = (folder / file).read_text(encoding="utf-8")
    tables = {path[:-1] for path in _one_of_each_kind(file) if isinstance(path[-1], str)}
    for path in tables:
        document = tomllib.loads(original)
        _replace(document, (*path, "surprise"), "x")
        (folder / file).write_text(_render(document), encoding="utf-8")
        error = _load(folder)
        assert error is not None, f"{file} {path} takes an unknown key"


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe\x00\x01",
        b"\xef\xbb\xbfa = 1",
        b"\x00",
        b"a = " + b"[" * 100_000,
        b"a = " + b"9" * 10_000,
        b"a" * 1_100_000,
        b"a.b.c = 1\na.b = 2",
    ],
    ids=["empty", "binary", "byte-order-mark", "nul", "deep", "long-number", "large", "clash"],
)
def test_garbage_in_any_file_is_a_register_error(folder: Path, file: str, content: bytes) -> None:
    (folder / file).write_bytes(content)
    error = _load(folder)
    if content or not file.endswith((".lock.toml", "/2.toml")):
        assert error is not None


@pytest.mark.parametrize("file", [*FILES, "notices", "notices/newsletter"])
def test_a_folder_a_dead_link_or_a_pipe_in_place_of_a_file_is_a_register_error(
    folder: Path, file: str
) -> None:
    path = folder / file
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    optional = file == "notices.lock.toml"
    path.mkdir()
    assert _load(folder) is not None
    path.rmdir()
    path.symlink_to(path)
    assert optional or _load(folder) is not None
    path.unlink()
    os.mkfifo(path)
    assert _load(folder) is not None


@pytest.mark.parametrize("path", ["nowhere", "file", "nul\0nul"])
def test_a_register_that_is_not_there_is_a_register_error(tmp_path: Path, path: str) -> None:
    (tmp_path / "file").write_text("x")
    assert _load(tmp_path / path) is not None


def test_names_that_no_screen_can_show_are_told_all_the_same(folder: Path) -> None:
    for place in ("notices/", "notices/newsletter/", ""):
        name = os.fsencode(folder / place) + b"/\xff\x1b[2J\n.toml"
        Path(os.fsdecode(name)).write_bytes(b"")
    error = _load(folder)
    assert error is not None
    assert len(error.problems) == 3
    assert all(str(each).isprintable() for each in error.problems)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    file=st.sampled_from(FILES),
    at=st.floats(0, 1),
    cut=st.integers(0, 40),
    noise=st.binary(max_size=20),
)
def test_no_damage_to_any_file_raises_anything_else(
    file: str, at: float, cut: int, noise: bytes
) -> None:
    with tempfile.TemporaryDirectory() as temporary, contextlib.suppress(RegisterError):
        folder = Path(shutil.copytree(EXAMPLE, Path(temporary) / "register"))
        content = (folder / file).read_bytes()
        start = int(at * len(content))
        (folder / file).write_bytes(content[:start] + noise + content[start + cut :])
        load(folder)
