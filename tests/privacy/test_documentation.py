"""The documents tell what is served, no more and no less."""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
import shlex
from html import unescape
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from marshmallow import Schema
from openapi_spec_validator import OpenAPIV31SpecValidator

import identity
import policies
import privacy
from policies.errors import DomainError
from policies.vocabulary import DecisionReason, EventTag, Scope
from privacy.documentation import (
    DOCS,
    SCOPES,
    TAGS,
    api_operations,
    described_operations,
    openapi_document,
)
from privacy.documented_oauth import OAUTH_PATHS
from privacy.openapi import Operation
from privacy.problems import PROBLEMS
from tests.support.world import World

ROOT = Path(__file__).resolve().parents[2]
TESTS = "\n".join(
    path.read_text(encoding="utf-8")
    for path in sorted((ROOT / "tests").rglob("*.py"))
    if path != Path(__file__)
)


@pytest.fixture
def document(world: World) -> dict[str, Any]:
    found = world.client.get("/openapi.json").json
    assert found is not None
    return dict(found)


def operations_of(document: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (path, method): operation
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }


def modules(package: ModuleType) -> list[ModuleType]:
    names = [
        found.name for found in pkgutil.walk_packages(package.__path__, package.__name__ + ".")
    ]
    return [importlib.import_module(name) for name in names]


def errors() -> list[type[DomainError]]:
    """Every error class with a permanent code, wherever it is defined."""
    for package in (policies, privacy, identity):
        modules(package)
    found: list[type[DomainError]] = []
    left: list[type[DomainError]] = [DomainError]
    while left:
        below = left.pop().__subclasses__()
        left += below
        found += [each for each in below if "code" in vars(each)]
    return found


def test_the_document_is_valid_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"] == "3.1.0"
    OpenAPIV31SpecValidator(document).validate()


def test_every_api_route_is_in_the_document_and_every_documented_one_is_served(
    world: World, document: dict[str, Any]
) -> None:
    served = {
        (re.sub(r"<(?:[^<>:]+:)?(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in world.app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    api = {(path, method) for path, method in served if path.startswith(("/v1/", "/access/v1/"))}
    told = set(operations_of(document))
    assert api - told == set()
    assert told - served == set()
    undocumented = [
        (rule, method)
        for rule, method, _scope, operation in api_operations(world.app)
        if operation is None
    ]
    assert undocumented == []


#: Pages between us and the person; no application calls them.
PAGES = {"/oauth/consent", "/oauth/select"}


def test_every_oauth_route_is_in_the_document(world: World, document: dict[str, Any]) -> None:
    oauth = {rule.rule for rule in world.app.url_map.iter_rules() if "/oauth/" in rule.rule}
    assert oauth - set(document["paths"]) == PAGES
    assert set(OAUTH_PATHS) <= set(document["paths"])


def test_each_operation_tells_its_scope_its_problems_and_a_known_tag(
    world: World, document: dict[str, Any]
) -> None:
    told = operations_of(document)
    for rule, method, scope, operation in api_operations(world.app):
        assert operation is not None
        described = told[re.sub(r"<(?:[^<>:]+:)?(\w+)>", r"{\1}", rule), method]
        assert described["tags"] == [operation.tag]
        assert operation.tag in TAGS
        if scope is Scope.PUBLIC:
            assert described["security"] == []
        else:
            assert described["security"] == [{"oauth2": [scope.value]}]
            assert scope in SCOPES
            assert "unauthenticated" in described["responses"]["401"]["description"]
            assert "insufficient-scope" in described["responses"]["403"]["description"]
        for code in operation.problems:
            assert code in described["responses"][str(PROBLEMS[code].status)]["description"]


def test_every_scope_that_a_token_can_carry_is_explained() -> None:
    assert set(SCOPES) == {scope for scope in Scope if ":" in scope.value}


def with_example(world: World) -> list[tuple[str, Operation, type[Schema]]]:
    return [
        (rule, operation, operation.request)
        for rule, _method, _scope, operation in api_operations(world.app)
        if operation is not None and operation.request is not None
    ]


def test_each_request_has_an_example_that_its_own_schema_accepts(world: World) -> None:
    found = with_example(world)
    assert found
    for rule, operation, schema in found:
        assert operation.example is not None, rule
        schema().load(operation.example)  # type: ignore[arg-type]  # raises where it is wrong


def test_the_problem_schema_fits_a_real_problem(world: World, document: dict[str, Any]) -> None:
    import jsonschema  # noqa: PLC0415 - for this test alone

    world.app.extensions["placet.bearer"] = lambda: None
    answer = world.client.get("/v1/audit/proof")
    assert answer.status_code == 401
    jsonschema.validate(answer.json, document["components"]["schemas"]["Problem"])


def test_docs_show_every_operation_without_javascript(world: World) -> None:
    answer = world.client.get("/docs")
    assert answer.status_code == 200
    page = unescape(answer.text)
    document = openapi_document(world.app, world.placet.settings.base_url)
    described = list(described_operations(document))
    assert {each.tag for each in described} <= set(TAGS)
    for each in described:
        assert f'<h3 id="{each.anchor}"' in page
        assert each.summary in page
        assert each.curl in page
        for member in (*each.parameters, *each.request):
            assert f"<code>{member.name}</code>" in page
        for each_answer in each.answers:
            for code in each_answer.problems:
                assert f'href="/problems/{code}"' in page
    assert len({each.anchor for each in described}) == len(described)


def test_each_curl_line_is_a_whole_command(document: dict[str, Any]) -> None:
    for each in described_operations(document):
        words = shlex.split(each.curl.replace("\\\n", " "))
        assert words[:2] == ["curl", "-sS"]
        if each.request and each.path.startswith(("/v1/", "/access/")):
            json.loads(words[words.index("-d") + 1])
        if ":" in each.scope:
            assert "Authorization: Bearer $TOKEN" in words


def test_nested_members_are_shown_with_dotted_names(document: dict[str, Any]) -> None:
    [purposes] = [each for each in described_operations(document) if each.path == "/v1/purposes"]
    names = {member.name for answer in purposes.answers for member in answer.members}
    assert {"purposes", "purposes[].id", "purposes[].notice.version"} <= names


# ---- problems, reasons


def test_every_domain_error_has_its_row() -> None:
    assert {each.code for each in errors()} - set(PROBLEMS) == set()


def test_every_problem_has_its_page_and_every_page_its_problem() -> None:
    pages = {path.stem for path in (DOCS / "problems").glob("*.md")}
    assert pages == set(PROBLEMS)


def test_every_problem_is_mentioned_in_a_test_by_its_code_or_its_class() -> None:
    names: dict[str, list[str]] = {code: [rf"""["'/]{code}["'\b]"""] for code in PROBLEMS}
    for each in errors():
        names[each.code].append(rf"\b{each.__name__}\b")
    unmentioned = {
        code for code, patterns in names.items() if not re.search("|".join(patterns), TESTS)
    }
    assert unmentioned == set()


@pytest.mark.parametrize("code", sorted(PROBLEMS))
def test_a_problems_page_says_whether_anything_changed(code: str) -> None:
    text = (DOCS / "problems" / f"{code}.md").read_text(encoding="utf-8")
    assert text.startswith("# ")
    assert re.search(r"changed|recorded|stored|kept|happened|done", text)


def test_problem_and_reason_pages_are_served(world: World) -> None:
    for code in PROBLEMS:
        page = world.client.get(f"/problems/{code}")
        assert page.status_code == 200
        assert "<h1>" in page.text
    for reason in DecisionReason:
        assert world.client.get(f"/reasons/{reason.value}").status_code == 200


@pytest.mark.parametrize(
    "path", ["problems/nothing", "problems/..", "reasons/x", "problems/%2e%2e"]
)
def test_a_page_that_is_not_there_is_not_found(world: World, path: str) -> None:
    assert world.client.get(f"/{path}").status_code == 404


def test_every_event_is_explained_once() -> None:
    text = (DOCS / "events.md").read_text(encoding="utf-8")
    told = re.findall(r"^\| `([a-z:-]+)` \| \S", text, re.MULTILINE)
    assert sorted(told) == sorted(tag.value for tag in EventTag)


def test_every_setting_is_explained() -> None:
    source = (ROOT / "privacy" / "settings.py").read_text(encoding="utf-8")
    names = set(re.findall(r'(?:text|number|switch)\(\s*"([A-Z0-9_]+)"', source))
    names |= {name.removeprefix("PLACET_") for name in re.findall(r'"(PLACET_[A-Z_]+)"', source)}
    names -= {"HTTPS"}  # Flask's own configuration, worked out from the base address
    text = (DOCS / "operations.md").read_text(encoding="utf-8")
    told = set(re.findall(r"^\| `PLACET_([A-Z0-9_]+)` \|", text, re.MULTILINE))
    assert len(names) > 15
    assert told == names
