"""What every deployment of a test process would make anew and alike: made once.

Hundreds of deployments are wired of the same routes, templates, documents and statements. Werkzeug
parses each route and compiles two functions of it, Jinja compiles one module a template, SQLAlchemy
one text a statement, which took most of the time of the short tests.
"""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket
from sqlalchemy.engine import Connection, Engine
from werkzeug.routing import BaseConverter, Rule
from werkzeug.routing.rules import RulePart

import foundation
from policies.register.loader import load
from policies.register.model import Register
from privacy.engine import prepare_engine


class TemplateCode(BytecodeCache):
    """Compiled templates, kept in memory by name and digest of their source."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        found = self._kept.get((bucket.key, bucket.checksum))
        if found is not None:
            bucket.bytecode_from_string(found)

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._kept[bucket.key, bucket.checksum] = bucket.bytecode_to_string()


TEMPLATE_CODE = TemplateCode()

_Builder = Callable[..., tuple[str, str]]


@dataclass(frozen=True, slots=True)
class _Compiled:
    """What `Rule.compile` leaves on a rule; none of it changes afterwards."""

    parts: list[RulePart]
    trace: list[tuple[bool, str]]
    converters: dict[str, BaseConverter]
    arguments: frozenset[str]
    build: _Builder
    build_unknown: _Builder


def reuse_what_is_alike() -> None:
    """Have all deployments of this process share what they would make alike."""
    _compile_each_route_once()
    instead = pytest.MonkeyPatch()  # which fails where there is nothing of the name
    instead.setattr(foundation, "load_register", load_kept)
    instead.setattr(foundation, "prepare_engine", _prepare_engine)


def _compile_each_route_once() -> None:
    """Let equal routes share what matches them and what builds their addresses."""
    make = Rule.compile
    kept: dict[tuple[Any, ...], _Compiled] = {}

    def compile_rule(rule: Rule) -> None:
        defaults = tuple(sorted((rule.defaults or {}).items()))
        key = (rule.rule, rule.subdomain, rule.host, rule.merge_slashes, defaults)
        found = kept.get(key)
        if found is None:
            make(rule)
            kept[key] = _Compiled(
                rule._parts,
                rule._trace,
                rule._converters,
                frozenset(rule.arguments),
                rule._build.__func__,  # type: ignore[attr-defined]  # a bound method
                rule._build_unknown.__func__,  # type: ignore[attr-defined]  # a bound method
            )
            return
        rule._parts, rule._trace = found.parts, found.trace
        rule._converters, rule.arguments = found.converters, set(found.arguments)
        rule._build = found.build.__get__(rule, None)
        rule._build_unknown = found.build_unknown.__get__(rule, None)

    Rule.compile = compile_rule  # type: ignore[assignment, method-assign]  # the point


def load_kept(folder: Path) -> Register:
    """Return the register of a folder, read again where any file of it changed."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return _load(
        folder,
        tuple((str(path), (found := path.stat()).st_mtime_ns, found.st_size) for path in files),
    )


@cache
def _load(folder: Path, _state: tuple[tuple[str, int, int], ...]) -> Register:
    return load(folder)


#: kind of database -> an engine of this process that was in use: all others share its statements.
_ENGINES: dict[str, Engine] = {}


def share_statements_of(engine: Engine) -> None:
    """Let engines of the same kind use what this one, in use already, has compiled."""
    _ENGINES.setdefault(engine.dialect.name, engine)


def _prepare_engine(engine: Engine) -> None:
    """Attach the product's rules; let the engine share the text of statements with its kind."""
    shared = _ENGINES.get(engine.dialect.name)
    if shared is not None:  # the dialect is a part of the key that a statement is kept under
        engine.dialect.initialize = _know_already  # type: ignore[assignment, method-assign]  # asked once
        engine.dialect = engine.pool._dialect = shared.dialect
        engine._compiled_cache = shared._compiled_cache
    prepare_engine(engine)
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", _forget_at_a_power_cut)


def _forget_at_a_power_cut(connection: sqlite3.Connection, _record: object) -> None:
    """Wait for no disk, as the tests' PostgreSQL does not; programs of their own still do."""
    connection.execute("PRAGMA synchronous=OFF")


def _know_already(_connection: Connection) -> None:
    """Ask the server nothing: the shared dialect has asked it."""
