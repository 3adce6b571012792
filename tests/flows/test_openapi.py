"""Schemathesis over `/openapi.json`: what the document promises is what the application does.

Every operation gets requests made from its own schema, right and wrong ones. None is answered 5xx, and
every answer has a status, a media type and a body that the document names.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Err
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from policies.vocabulary import Scope
from tests.support.cast import PURPOSES, application, calls_as, give, introduce
from tests.support.sample import SOAK
from tests.support.world import World

Operation = schemathesis.APIOperation[Any, Any, Any, Any]
Case = schemathesis.Case[Any]

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


def _every_operation(world: World, examples: int) -> list[str]:
    """Send so many requests to each operation; return what was not as the document says."""
    ana = introduce(world)
    give(world, ana)
    world.settle()
    calls_as(
        world,
        application(purposes=PURPOSES, scopes=frozenset(s for s in Scope if ":" in s.value)),
    )
    world.app.testing = False  # what is unexpected is answered as it would be
    document = schemathesis.openapi.from_wsgi("/openapi.json", world.app)
    found = []
    for result in document.get_all_operations():
        if isinstance(result, Err):
            found.append(str(result.err()))
            continue
        operation = result.ok()
        try:
            _asking(operation, examples)()
        except Exception as error:  # noqa: BLE001 - every operation is tried, all are reported
            found.append(f"{operation.label}: {error}")
    return found


def _asking(operation: Operation, examples: int) -> Callable[[], None]:
    @seed(20261122)
    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def ask(case: Case) -> None:
        case.call_and_validate(checks=CHECKS)

    return ask


def test_each_operation_answers_as_its_document_says(world: World) -> None:
    found = _every_operation(world, examples=6)
    assert not found, "\n\n".join(found)


@SOAK
def test_each_operation_answers_hundreds_as_its_document_says(world: World) -> None:
    found = _every_operation(world, examples=300)
    assert not found, "\n\n".join(found)
