"""The register's folder: its files as text and as TOML, whatever state they are in."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path

from policies.register.problems import Problem
from policies.register.table import shown

MAX_BYTES = 1_048_576
"""No document of a company comes near 1 MiB; a larger file is a mistake."""


def names(folder: Path) -> list[str]:
    """What a folder holds, in order, without hidden files. Raises OSError."""
    return sorted(each.name for each in folder.iterdir() if not each.name.startswith("."))


def text(folder: Path, file: str, problems: list[Problem]) -> str | None:
    """A file's text, line ends as line feeds; None and a problem where it cannot be read."""
    path = folder / file
    try:
        if not path.exists():
            message = "is missing"
        elif not path.is_file():
            message = "is not a file"
        elif path.stat().st_size > MAX_BYTES:
            message = f"is larger than {MAX_BYTES} bytes"
        else:
            return path.read_bytes().decode().replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        message = f"is not UTF-8: byte {error.start + 1} cannot be read"
    except (OSError, ValueError) as error:
        message = f"cannot be read: {_cause(error)}"
    problems.append(Problem(shown(file), "", "", message))
    return None


def document(folder: Path, file: str, problems: list[Problem]) -> Mapping[str, object] | None:
    """A TOML file's content; None and a problem where it cannot be read."""
    content = text(folder, file, problems)
    if content is None:
        return None
    try:
        return tomllib.loads(content)
    except ValueError as error:  # TOMLDecodeError, and int() of a number with too many digits
        message = f"is not TOML: {error}"
    except RecursionError:
        message = "is not TOML that can be read: nested too deep"
    problems.append(Problem(shown(file), "", "", message))
    return None


def _cause(error: OSError | ValueError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
