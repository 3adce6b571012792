"""One TOML table, read key by key: what is wrong is noted, and reading goes on.

A value at fault is answered with an empty one of the right type, so that one run finds every
problem. Nobody sees those values: the loader raises when anything was noted.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import TypeVar

from policies.register.model import Localized
from policies.register.problems import Problem

Choice = TypeVar("Choice", bound=StrEnum)

IDENTIFIER = re.compile(r"(?=.{1,64}\Z)[a-z][a-z0-9]*([-_][a-z0-9]+)*")
LANGUAGE = re.compile(
    r"[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?(-([a-z0-9]{5,8}|[0-9][a-z0-9]{3})){0,2}"
)
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff]")
"""What no line of text holds. PostgreSQL stores no NUL; the rest hides from who reads the file."""

PRIMARY_LANGUAGE = "es"


class Table:
    """The values of one entry.

    Args:
        problems: where to note what is wrong.
        file: its path inside the register's folder.
        entry: its id, or "".
        values: what TOML gave.
        prefix: path of this table inside the entry, "" or with a dot at its end.
    """

    def __init__(
        self,
        problems: list[Problem],
        file: str,
        entry: str,
        values: Mapping[str, object],
        prefix: str = "",
    ) -> None:
        self._problems = problems
        self._file = file
        self._entry = entry
        self._values = dict(values)
        self._prefix = prefix
        self._asked: set[str] = set()

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def text(self, key: str, pattern: re.Pattern[str] | None = None, form: str = "") -> str:
        """One line of text; `form` says in words what `pattern` demands."""
        value = self._take(key)
        if value is None:
            self.note(key, "is missing")
        elif isinstance(value, str):
            return self._line(key, value, pattern, form)
        else:
            self.note(key, "must be text in quotes")
        return ""

    def optional_text(
        self, key: str, pattern: re.Pattern[str] | None = None, form: str = ""
    ) -> str | None:
        """One line of text, or None where the key is not there."""
        self._asked.add(key)
        return self.text(key, pattern, form) if key in self._values else None

    def number(self, key: str, low: int, high: int, default: int | None = None) -> int:
        """A whole number from `low` to `high`, both allowed."""
        value = self._take(key)
        if value is None and default is not None:
            return default
        if value is None:
            self.note(key, "is missing")
        elif type(value) is not int or not low <= value <= high:
            self.note(key, f"must be a whole number from {low} to {high}")
        else:
            return value
        return low

    def flag(self, key: str, *, default: bool = False) -> bool:
        """True or false."""
        value = self.optional_flag(key)
        return default if value is None else value

    def optional_flag(self, key: str) -> bool | None:
        """True, false, or None where the key is not there."""
        value = self._take(key)
        if value is None or isinstance(value, bool):
            return value
        self.note(key, "must be true or false")
        return None

    def day(self, key: str) -> date:
        """A date without an hour."""
        value = self._take(key)
        if isinstance(value, date) and not isinstance(value, datetime):
            return value
        self.note(key, "is missing" if value is None else "must be a date such as 2026-03-02")
        return date.min

    def choice(self, key: str, choices: type[Choice]) -> Choice:
        """One of a closed set."""
        names = [each.value for each in choices]
        value = self._take(key)
        if isinstance(value, str) and value in names:
            return choices(value)
        if value is None:
            self.note(key, f"is missing; it is one of {', '.join(names)}")
        else:
            given = shown(value) if isinstance(value, str) else "this"
            self.note(key, f"{given} is not one of {', '.join(names)}{did_you_mean(value, names)}")
        return next(iter(choices))

    def identifiers(self, key: str, *, at_least: int = 0) -> tuple[str, ...]:
        """Ids in the order of the file, each once; `at_least` 0 lets the key be left out."""
        value = self._take(key)
        if value is None and at_least == 0:
            return ()
        if not isinstance(value, list):
            self.note(key, "is missing" if value is None else "must be a list of ids")
            return ()
        if len(value) < at_least:
            self.note(key, "must name at least one")
        names: dict[str, None] = {}
        for index, name in enumerate(value):
            if not isinstance(name, str):
                self.note(f"{key}[{index}]", "must be text in quotes")
            elif name in names:
                self.note(f"{key}[{index}]", f"{shown(name)} stands there twice")
            else:
                names[name] = None
        return tuple(names)

    def localized(self, key: str, *, optional: bool = False) -> Localized:
        """A line of text per language, Spanish among them."""
        if optional and key not in self._values:
            self._asked.add(key)
            return MappingProxyType({})
        texts = self.by_language(key)
        if texts is None:
            return MappingProxyType({})
        if PRIMARY_LANGUAGE not in texts:
            texts.note(PRIMARY_LANGUAGE, "is missing: Spanish is always there")
        return MappingProxyType({language: texts.text(language) for language in texts})

    def by_language(self, key: str) -> Table | None:
        """A table whose keys are languages, or None where there is none that can be read."""
        value = self._take(key)
        if not isinstance(value, dict):
            message = "is missing" if value is None else "must be a table of languages"
            self.note(key, f'{message}: {{ es = "…", en = "…" }}')
            return None
        table = Table(self._problems, self._file, self._entry, {}, f"{self._prefix}{key}.")
        for language, each in value.items():
            if LANGUAGE.fullmatch(language):
                table._values[language] = each
            else:
                table.note(shown(language), "is not a BCP 47 language such as es or pt-BR")
        return table

    def tables(self, key: str) -> Iterator[Table]:
        """A list of at least one table."""
        value = self._take(key)
        if not isinstance(value, list) or not value:
            self.note(key, "is missing" if value is None else "must be a list of tables")
            return
        for index, each in enumerate(value):
            place = f"{key}[{index}]"
            if isinstance(each, dict):
                yield Table(
                    self._problems, self._file, self._entry, each, f"{self._prefix}{place}."
                )
            else:
                self.note(place, "must be a table")

    def close(self) -> None:
        """Refuse every key that nobody asked for."""
        for key in self._values:
            if key not in self._asked:
                near = did_you_mean(key, self._asked)
                self.note(shown(key), f"is not a key that is known here{near}")

    def note(self, field: str, message: str) -> None:
        """Note a problem of a key; "" for the entry itself."""
        self._problems.append(Problem(self._file, self._entry, f"{self._prefix}{field}", message))

    def _take(self, key: str) -> object:
        self._asked.add(key)
        return self._values.get(key)

    def _line(self, key: str, value: str, pattern: re.Pattern[str] | None, form: str) -> str:
        if not value.strip():
            self.note(key, "is empty")
        elif value != value.strip():
            self.note(key, "begins or ends with a space")
        elif CONTROL.search(value):
            self.note(key, "must be one line without control characters")
        elif pattern and not pattern.fullmatch(value):
            self.note(key, f"{shown(value)} is not {form}")
        return value


def shown(text: str) -> str:
    """A name as it may stand in a message: short and printable."""
    cut = text if len(text) <= 60 else f"{text[:60]}…"
    return cut if cut.isprintable() and cut.strip() else ascii(cut)


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """The nearest known name as the end of a sentence, or ""."""
    if not isinstance(name, str):
        return ""
    near = difflib.get_close_matches(name[:64], sorted(known), n=1)
    return f'; did you mean "{near[0]}"?' if near else ""
