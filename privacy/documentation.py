"""The API's documents, made from what is served: OpenAPI, readable pages, problems, reasons."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from flask import Blueprint, Flask, Response, current_app, jsonify, render_template
from markdown_it import MarkdownIt
from markupsafe import Markup
from marshmallow import Schema

from policies.errors import NotFound
from policies.vocabulary import DecisionReason, Scope
from privacy.documented_oauth import FORM, OAUTH_PATHS
from privacy.http import is_api, requires
from privacy.openapi import Operation
from privacy.problems import PROBLEMS

DOCS: Final = Path(__file__).resolve().parent.parent / "docs"
VERSION: Final = "1"
PROBLEM_TYPE: Final = "application/problem+json"
TAGS: Final = {
    "decisions": "Ask before using a person's data (AuthZEN 1.0).",
    "consent": "Record what a person said, and read how their consents stand.",
    "collection": "Ask people for attributes that a purpose needs.",
    "pseudonyms": "Know people under the application's own pseudonyms.",
    "rights": "File a person's request under GDPR Art. 15 to 22.",
    "audit": "Check the log without trusting us (RFC 9162, C2SP).",
    "reports": "Take evidence out.",
    "provider": "Sign people in, and get access tokens (OpenID Connect, OAuth 2.0).",
}
#: Scopes that an application's token can carry, and what for.
SCOPES: Final = {
    Scope.CONSENTS_READ: "Read how consents stand, and receipts.",
    Scope.CONSENTS_WRITE: "Record consents.",
    Scope.DECISIONS_EVALUATE: "Ask for decisions.",
    Scope.PSEUDONYMS_READ: "Learn which of its pseudonyms turned out to name one person.",
    Scope.PSEUDONYMS_WRITE: "Turn addresses into pseudonyms.",
    Scope.PROFILE_REQUEST: "Ask people for attributes, and read what they gave.",
    Scope.PURPOSES_READ: "Read the application's purposes and their notices.",
    Scope.RIGHTS_READ: "Read how rights requests stand.",
    Scope.RIGHTS_WRITE: "File rights requests.",
    Scope.AUDIT_READ: "Read the log's tiles and proofs.",
    Scope.REPORTS_READ: "Export evidence; it names people by subject id, so it is the DPO's.",
}
_PROBLEM_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "description": "What went wrong. Source: RFC 9457.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "description": "`/problems/<code>`: a page that says more."},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "One sentence for the developer."},
        "errors": {
            "type": "array",
            "description": "The members of the input at fault.",
            "items": {
                "type": "object",
                "required": ["field", "detail"],
                "properties": {"field": {"type": "string"}, "detail": {"type": "string"}},
            },
        },
    },
}
_ARGUMENT: Final = re.compile(r"<(?:[^<>:]+:)?([A-Za-z_]\w*)>")
_MARKDOWN: Final = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")


def blueprint(base_url: str) -> Blueprint:
    """Return the routes of the documents."""
    routes = Blueprint("documentation", __name__)

    @lru_cache(maxsize=1)
    def document() -> dict[str, Any]:
        return openapi_document(current_app, base_url)

    @routes.get("/openapi.json")
    @requires(Scope.PUBLIC)
    def openapi() -> Response:
        """Return the OpenAPI document."""
        return jsonify(document())

    @routes.get("/docs")
    @requires(Scope.PUBLIC)
    def docs() -> str:
        """Show the OpenAPI document as a page."""
        operations = list(described_operations(document()))
        sections = [
            (tag, text, [each for each in operations if each.tag == tag])
            for tag, text in TAGS.items()
        ]
        return render_template(
            "docs/api.html",
            base_url=base_url,
            sections=[section for section in sections if section[2]],
            scopes=[(scope.value, text) for scope, text in SCOPES.items()],
            problems=sorted((code, *problem) for code, problem in PROBLEMS.items()),
            form=FORM,
        )

    @routes.get("/problems/<code>")
    @requires(Scope.PUBLIC)
    def problem(code: str) -> str:
        """Explain a problem."""
        if code not in PROBLEMS:
            raise NotFound("there is no such problem")
        return _page(DOCS / "problems" / f"{code}.md", code, f"Problem {code}")

    @routes.get("/reasons/<code>")
    @requires(Scope.PUBLIC)
    def reason(code: str) -> str:
        """Explain a decision's reason."""
        if code not in set(DecisionReason):
            raise NotFound("there is no such reason")
        return _page(DOCS / "reasons" / f"{code}.md", code, f"Reason {code}")

    return routes


def _page(path: Path, code: str, title: str) -> str:
    text = path.read_text(encoding="utf-8")
    html = Markup(_MARKDOWN.render(text))  # noqa: S704 - our own file; raw HTML is off
    return render_template("docs/page.html", code=code, title=title, html=html)


# ---- the document


def api_operations(app: Flask) -> Iterator[tuple[str, str, Scope, Operation | None]]:
    """Yield (address rule, method, scope, operation) of all that the document must describe.

    That is every view below an API prefix, and whatever else carries `@documented`. The operation
    is None where somebody forgot it.
    """
    for rule in sorted(app.url_map.iter_rules(), key=lambda rule: rule.rule):
        view = app.view_functions[rule.endpoint]
        operation: Operation | None = getattr(view, "operation", None)
        if operation is None and not is_api(rule.rule):
            continue
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            scope: Scope = getattr(view, "required_scope", Scope.PUBLIC)
            yield rule.rule, method.lower(), scope, operation


def openapi_document(app: Flask, base_url: str) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of what `app` serves. Source: OpenAPI 3.1.0."""
    spec = APISpec(
        title="Placet",
        version=VERSION,
        openapi_version="3.1.0",
        plugins=[MarshmallowPlugin(schema_name_resolver=_schema_name)],
        info={"description": "May I do this, with this person's data, now?"},
        servers=[{"url": base_url}],
        tags=[{"name": name, "description": text} for name, text in TAGS.items()],
        externalDocs={"url": f"{base_url}/docs", "description": "The same, to be read"},
    )
    spec.components.schema("Problem", _PROBLEM_SCHEMA)
    spec.components.security_scheme(
        "oauth2",
        {
            "type": "oauth2",
            "description": "A bearer token. Client credentials stand for the application itself.",
            "flows": {
                "clientCredentials": {
                    "tokenUrl": f"{base_url}/oauth/token",
                    "scopes": {scope.value: text for scope, text in SCOPES.items()},
                },
                "authorizationCode": {
                    "authorizationUrl": f"{base_url}/oauth/authorize",
                    "tokenUrl": f"{base_url}/oauth/token",
                    "scopes": {"openid": "Sign a person in."},
                },
            },
        },
    )
    spec.components.security_scheme(
        "clientBasic",
        {"type": "http", "scheme": "basic", "description": "The application's id and secret."},
    )
    for rule, method, scope, operation in api_operations(app):
        if operation is not None:
            path = _ARGUMENT.sub(r"{\1}", rule)
            spec.path(path, operations={method: _operation(rule, scope, operation)})
    for path, operations in OAUTH_PATHS.items():
        spec.path(path, operations={m: _copy(operation) for m, operation in operations.items()})
    document: dict[str, Any] = spec.to_dict()
    return document


def _copy(operation: dict[str, Any]) -> dict[str, Any]:
    copied: dict[str, Any] = json.loads(json.dumps(operation))  # apispec completes it in place
    return copied


def _schema_name(schema: Any) -> str:  # noqa: ANN401 - a schema, its class or its name
    return (schema if isinstance(schema, type) else type(schema)).__name__


def _operation(rule: str, scope: Scope, operation: Operation) -> dict[str, Any]:
    parameters: list[dict[str, Any]] = [
        {"in": "path", "name": name, "required": True, "schema": {"type": "string"}}
        for name in _ARGUMENT.findall(rule)
    ]
    if operation.query:
        parameters.append({"in": "query", "schema": operation.query})
    parameters += [
        {"in": "header", "name": name, "description": text, "schema": {"type": "string"}}
        for name, text in operation.headers.items()
    ]
    described: dict[str, Any] = {
        "summary": operation.summary,
        "tags": [operation.tag],
        "security": [] if scope is Scope.PUBLIC else [{"oauth2": [scope.value]}],
        "parameters": parameters,
        "responses": _responses(scope, operation),
    }
    if operation.request:
        content: dict[str, Any] = {"schema": operation.request}
        if operation.example is not None:
            content["example"] = operation.example
        described["requestBody"] = {"required": True, "content": {"application/json": content}}
    return described


def _responses(scope: Scope, operation: Operation) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    for status, schema in operation.answers.items():
        responses[str(status)] = {"description": _first_line(schema) or operation.summary}
        if schema:
            responses[str(status)]["content"] = {"application/json": {"schema": schema}}
        elif operation.media_type:
            responses[str(status)]["content"] = {operation.media_type: {}}
        if status == HTTPStatus.OK and operation.other_media_types:
            content = responses[str(status)].setdefault("content", {})
            content |= {media_type: {} for media_type in operation.other_media_types}
    by_status: dict[int, list[str]] = {}
    for code in sorted(problems_of(scope, operation)):
        by_status.setdefault(PROBLEMS[code].status, []).append(code)
    for status, codes in sorted(by_status.items()):
        responses[str(status)] = {
            "description": ", ".join(f"`{code}`" for code in codes),
            "content": {PROBLEM_TYPE: {"schema": "Problem"}},
        }
    return responses


def problems_of(scope: Scope, operation: Operation) -> set[str]:
    """Which problems an operation can answer with: its own, and those of whatever it takes."""
    codes = {*operation.problems, "internal-error"}
    if scope is not Scope.PUBLIC:
        codes |= {"unauthenticated", "insufficient-scope"}
    if operation.request:
        codes.add("body-too-large")
        if "malformed-evaluation" not in codes:  # AuthZEN has one answer for all of these
            codes |= {"malformed-json", "unsupported-media-type", "invalid-input"}
    if operation.query:
        codes |= {"invalid-input", "bad-request"}  # the latter for a null character
    return codes


def _first_line(schema: type[Schema] | None) -> str:
    return (schema.__doc__ or "").split("\n")[0] if schema else ""


# ---- the same, for people


@dataclass(frozen=True, slots=True)
class Member:
    """One member of a body, or one parameter."""

    name: str
    type: str
    required: bool
    text: str


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: status, words, members of its body, codes of its problems."""

    status: str
    text: str
    members: tuple[Member, ...]
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Described:
    """One operation as the page shows it.

    Attributes:
        scope: what the token needs; empty where anybody may ask.
        curl: a command that works where `$TOKEN` (or `$SECRET`) is set.
    """

    anchor: str
    method: str
    path: str
    tag: str
    summary: str
    scope: str
    parameters: tuple[Member, ...]
    request: tuple[Member, ...]
    answers: tuple[Answer, ...]
    curl: str


def described_operations(document: Mapping[str, Any]) -> Iterator[Described]:
    """Yield the document's operations, made ready for reading."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            security = operation.get("security") or []
            body: Mapping[str, Any] = next(
                iter(operation.get("requestBody", {}).get("content", {}).values()), {}
            )
            yield Described(
                anchor=re.sub(r"[^a-z0-9]+", "-", f"{method}{path}".lower()).strip("-"),
                method=method.upper(),
                path=path,
                tag=operation["tags"][0],
                summary=operation["summary"],
                scope=" ".join(s for scheme in security for names in scheme.values() for s in names)
                or ("client secret" if security else ""),
                parameters=tuple(_parameter(each) for each in operation.get("parameters", ())),
                request=tuple(_members(document, body.get("schema", {}))),
                answers=tuple(
                    _answer(document, status, response)
                    for status, response in sorted(operation["responses"].items())
                ),
                curl=_curl(document, method, path, operation),
            )


def _answer(document: Mapping[str, Any], status: str, response: Mapping[str, Any]) -> Answer:
    content = response.get("content", {})
    if PROBLEM_TYPE in content:
        codes = tuple(code.strip("`") for code in response["description"].split(", "))
        return Answer(status, "", (), codes)
    body: Mapping[str, Any] = next(iter(content.values()), {})
    text = response["description"]
    if content and "application/json" not in content:
        text = f"{text} ({next(iter(content))})"
    return Answer(status, text, tuple(_members(document, body.get("schema", {}))), ())


def _parameter(parameter: Mapping[str, Any]) -> Member:
    place = "" if parameter["in"] == "query" else f" ({parameter['in']})"
    schema = parameter.get("schema", {})
    text = parameter.get("description") or schema.get("description", "")
    return Member(
        f"{parameter['name']}{place}",
        _type(schema),
        bool(parameter.get("required")),
        _with_values(text, schema),
    )


def _members(
    document: Mapping[str, Any], schema: Mapping[str, Any], prefix: str = "", depth: int = 0
) -> Iterator[Member]:
    """Yield the members of an object, those of nested objects with dotted names."""
    schema = _resolved(document, schema)
    required = set(schema.get("required", ()))
    for name, inner in schema.get("properties", {}).items():
        found = _resolved(document, inner)
        yield Member(
            prefix + name,
            _type(found),
            name in required,
            _with_values(inner.get("description") or found.get("description", ""), found),
        )
        if depth < 3:
            items = _resolved(document, found.get("items", {}))
            if "properties" in items:
                yield from _members(document, items, f"{prefix}{name}[].", depth + 1)
            elif "properties" in found:
                yield from _members(document, found, f"{prefix}{name}.", depth + 1)


def _resolved(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema itself, or what its reference points to (also one of several choices)."""
    for choice in (schema, *schema.get("allOf", ()), *schema.get("anyOf", ())):
        if "$ref" in choice:
            name = choice["$ref"].rsplit("/", 1)[1]
            found: Mapping[str, Any] = document["components"]["schemas"][name]
            return found
    return schema


def _type(schema: Mapping[str, Any]) -> str:
    types = schema.get("type", "any" if "oneOf" not in schema else "one of several")
    words = " or ".join(types) if isinstance(types, list) else str(types)
    if "items" in schema:
        inner = schema["items"].get("type", "object")
        words = f"array of {inner}"
    return f"{words} ({schema['format']})" if "format" in schema else words


def _with_values(text: str, schema: Mapping[str, Any]) -> str:
    values = [str(value) for value in schema.get("enum", ()) if value is not None]
    if not values:
        return text
    listed = "One of " + ", ".join(f"`{value}`" for value in values) + "."
    return f"{text} {listed}".strip()


def _curl(document: Mapping[str, Any], method: str, path: str, operation: Mapping[str, Any]) -> str:
    """A command line that calls the operation with the document's own examples."""
    base_url = document["servers"][0]["url"]
    query = {
        parameter["name"]: _example(parameter)
        for parameter in operation.get("parameters", ())
        if parameter["in"] == "query" and parameter.get("required")
    }
    address = f"{base_url}{path}" + (f"?{urlencode(query)}" if query else "")
    lines = [f"curl -sS '{address}'"]
    if method != "get":
        lines[0] = f"curl -sS -X {method.upper()} '{address}'"
    schemes = {name for scheme in operation.get("security") or () for name in scheme}
    if "oauth2" in schemes:
        lines.append('-H "Authorization: Bearer $TOKEN"')
    if "clientBasic" in schemes:
        lines.append('-u "shop:$SECRET"')
    for media_type, body in operation.get("requestBody", {}).get("content", {}).items():
        example = body.get("example", {})
        if media_type == FORM:
            lines += [f"-d '{urlencode({name: value})}'" for name, value in example.items()]
        else:
            lines.append(f"-H 'Content-Type: {media_type}'")
            text = json.dumps(example, ensure_ascii=False).replace("'", "'\\''")
            lines.append(f"-d '{text}'")
    return " \\\n  ".join(lines)


def _example(parameter: Mapping[str, Any]) -> str:
    schema = parameter.get("schema", {})
    named = [parameter.get("example"), schema.get("example"), *schema.get("examples", ())]
    return str(next((each for each in named if each is not None), f"<{parameter['name']}>"))
