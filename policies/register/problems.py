"""What is wrong with a register, told to the person who wrote it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from policies.errors import DomainError

Level: TypeAlias = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, and where.

    Attributes:
        file: path inside the register's folder.
        entry: id of the entry in that file; "" for the file itself.
        field: the key at fault, as a dotted path; "" for the entry itself.
        message: what is wrong and what to do.
    """

    file: str
    entry: str
    field: str
    message: str

    def __str__(self) -> str:
        return f"{location(self.file, self.entry, self.field)}: {self.message}"


@dataclass(frozen=True, slots=True)
class Finding:
    """What stands against the law, or near to it.

    Attributes:
        level: an error keeps the register from being published; a warning is for a human to weigh.
        article: the law that asks for it.
    """

    level: Level
    file: str
    entry: str
    field: str
    message: str
    article: str

    def __str__(self) -> str:
        place = location(self.file, self.entry, self.field)
        return f"{self.level}: {place}: {self.message} ({self.article})"


class RegisterError(DomainError):
    """The register cannot be used; every problem is told at once."""

    code = "register-invalid"

    def __init__(self, problems: Sequence[Problem]) -> None:
        count = len(problems)
        super().__init__(
            f"the register has {count} problem{'s' if count != 1 else ''}, first: {problems[0]}"
        )
        self.problems = tuple(problems)

    def __str__(self) -> str:
        return "\n".join(map(str, self.problems))


def location(file: str, entry: str, field: str) -> str:
    """Where something stands, in words: `purposes.toml: [newsletter] legal_basis`."""
    place = " ".join(filter(None, (f"[{entry}]" if entry else "", field)))
    return f"{file}: {place}" if place else file
