"""What every deployment of a test process would make anew and alike: made once.

Hundreds of deployments are wired of the same routes and templates. Werkzeug compiles two functions
a route and Jinja one module a template, which took most of the time of the short tests.
"""

from collections.abc import Callable, Mapping
from typing import Any

from jinja2 import BytecodeCache
from jinja2.bccache import Bucket
from werkzeug.routing import Rule


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


def compile_each_route_once() -> None:
    """Let equal routes share the functions that build their addresses."""
    make: Callable[[Rule, bool], _Builder] = Rule._compile_builder
    kept: dict[tuple[Any, ...], _Builder] = {}

    def of_rule(rule: Rule, append_unknown: bool = True) -> _Builder:
        defaults: Mapping[str, Any] = rule.defaults or {}
        trace = tuple(rule._trace)
        key = (trace, tuple(sorted(defaults.items())), append_unknown)
        if key not in kept:
            kept[key] = make(rule, append_unknown)
        return kept[key]

    Rule._compile_builder = of_rule  # type: ignore[assignment, method-assign]  # the point
