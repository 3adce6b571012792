"""AuthZEN's JSON read by its own rules: unknown members are ignored, anything else is 400.

Written out and not as a schema: a page view in somebody's shop waits for it. `schemas` says the same
for the OpenAPI document. Source: AuthZEN Authorization API 1.0 s. 5 to 8.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from privacy.decisions.model import Question, Refused, Semantic
from privacy.http import InvalidFields

#: Questions in one batch, at most.
MOST_EVALUATIONS: Final = 1_000
#: People on one page of a search: so many if nothing is said, and at most.
PAGE_SIZE: Final = 100
MOST_ON_PAGE: Final = 10_000
#: Characters of a name (of a type, a purpose, a person, a category, a duty), at most. Beside
#: `MOST_LISTED` it keeps an answer, which repeats some of them for each item of a batch, within bounds.
LONGEST_NAME: Final = 256
#: Data categories, or duties, of one question.
MOST_LISTED: Final = 100
#: What `context.evidence` says where the answer is wanted signed.
JWS: Final = "jws"

Json = Mapping[str, Any]
Errors = list[tuple[str, str]]
_NO_OBJECT: Final[Json] = {}
_REQUIRED: Final = {"subject": ("type", "id"), "action": ("name",), "resource": ("type", "id")}
#: What the published profile calls it, and what its latest draft does.
_SUPPORTED: Final = ("supported_obligations", "obligations_supported")


class MalformedEvaluation(InvalidFields):
    """The request is not an access evaluation: AuthZEN answers 400 to all of it."""

    code = "malformed-evaluation"


@dataclass(frozen=True, slots=True)
class Batch:
    """Several questions at once; some may have been impossible to read."""

    questions: Sequence[Question | Refused]
    semantic: Semantic


@dataclass(frozen=True, slots=True)
class Search:
    """A search: the question without what is searched for, and which page.

    Attributes:
        question: what is searched for is empty in it.
        token: where the page begins; "" for the first.
        limit: the most to return.
    """

    question: Question
    token: str
    limit: int


def read_json(body: bytes) -> Json:
    """Return the JSON object of a body.

    Raises:
        MalformedEvaluation: it is none, or not in UTF-8; NaN and infinities are not JSON.
    """
    try:
        value = _DECODER.decode(body.decode())
    except (ValueError, RecursionError):
        raise MalformedEvaluation([("(body)", "is not one JSON value in UTF-8")]) from None
    if not isinstance(value, dict):
        raise MalformedEvaluation([("(body)", "is no JSON object")])
    return value


def evaluation(body: Json) -> Question:
    """Return what is asked.

    Raises:
        MalformedEvaluation: names every member that is missing or of another type.
    """
    errors: Errors = []
    question = _question(body, _NO_OBJECT, _REQUIRED, errors)
    if errors:
        raise MalformedEvaluation(errors)
    return question


def evaluations(body: Json) -> Batch | Question:
    """Return a batch; one question where there is no list of them, or an empty one.

    What an item leaves out is the top level's: each entity as a whole, and of an entity that the
    item has, the required members alone. Source: AuthZEN s. 7.1.1; certification scenario 3.2.7.

    Raises:
        MalformedEvaluation: the whole of it cannot be read; an item that cannot be is refused alone.
    """
    errors: Errors = []
    listed = body.get("evaluations", [])
    semantic = _semantic(body, errors)
    if not isinstance(listed, list):
        errors.append(("evaluations", "is no list"))
    elif len(listed) > MOST_EVALUATIONS:
        errors.append(("evaluations", f"holds more than {MOST_EVALUATIONS}"))
    errors += [
        (name, "is no object")
        for name in (*_REQUIRED, "context")
        if name in body and not isinstance(body[name], dict)
    ]
    if errors:
        raise MalformedEvaluation(errors)
    if not listed:
        return evaluation(body)
    return Batch([_item(each, body) for each in listed], semantic)


def resource_search(body: Json) -> Search:
    """Return a search for people. Source: AuthZEN s. 8.5.

    Raises:
        MalformedEvaluation: names every member that is missing or of another type.
    """
    return _search(body, {**_REQUIRED, "resource": ("type",)})


def action_search(body: Json) -> Search:
    """Return a search for purposes. Source: AuthZEN s. 8.6.

    Raises:
        MalformedEvaluation: names every member that is missing or of another type.
    """
    return _search(body, {name: _REQUIRED[name] for name in ("subject", "resource")})


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


_DECODER: Final = json.JSONDecoder(parse_constant=_refuse_constant)


def _semantic(body: Json, errors: Errors) -> Semantic:
    options = body.get("options", _NO_OBJECT)
    if not isinstance(options, dict):
        errors.append(("options", "is no object"))
        return Semantic.EXECUTE_ALL
    try:
        return Semantic(options.get("evaluations_semantic", Semantic.EXECUTE_ALL))
    except (ValueError, TypeError):
        errors.append(("options.evaluations_semantic", f"is none of {', '.join(Semantic)}"))
        return Semantic.EXECUTE_ALL


def _item(item: object, defaults: Json) -> Question | Refused:
    if not isinstance(item, dict):
        return Refused(400, "is no object")
    errors: Errors = []
    question = _question(item, defaults, _REQUIRED, errors)
    if errors:
        return Refused(400, "; ".join(f"{member}: {wrong}" for member, wrong in errors))
    return question


def _search(body: Json, required: Mapping[str, Sequence[str]]) -> Search:
    errors: Errors = []
    question = _question(body, _NO_OBJECT, required, errors)
    page = body.get("page", _NO_OBJECT)
    if not isinstance(page, dict):
        errors.append(("page", "is no object"))
        page = _NO_OBJECT
    token = page.get("token", "")
    if not isinstance(token, str):
        errors.append(("page.token", "is no string"))
    limit = page.get("limit", PAGE_SIZE)
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
        errors.append(("page.limit", "is no whole number above 0"))
    if errors:
        raise MalformedEvaluation(errors)
    return Search(question, token, min(limit, MOST_ON_PAGE))


def _question(
    body: Json, defaults: Json, required: Mapping[str, Sequence[str]], errors: Errors
) -> Question:
    entities = {
        name: _entity(name, members, body, defaults, errors) for name, members in required.items()
    }
    subject, resource = entities["subject"], entities["resource"]
    action = entities.get("action", _NO_OBJECT)
    context = body.get("context", defaults.get("context", _NO_OBJECT))
    if not isinstance(context, dict):
        errors.append(("context", "is no object"))
        context = _NO_OBJECT
    of_action = _properties("action", action, errors)
    of_resource = _properties("resource", resource, errors)
    _properties("subject", subject, errors)
    supported = _texts("context", context, _SUPPORTED, errors)
    return Question(
        subject_type=subject.get("type", ""),
        subject_id=subject.get("id", ""),
        action=action.get("name", ""),
        resource_type=resource.get("type", ""),
        resource_id=resource.get("id", "") if "id" in required["resource"] else "",
        channel=_option("channel", of_action, of_resource, errors),
        partner=_option("partner", of_action, of_resource, errors),
        categories=_texts("resource.properties", of_resource, ("categories",), errors),
        supported_obligations=None if supported is None else frozenset(supported),
        want_jws=context.get("evidence") == JWS,
    )


def _entity(name: str, required: Sequence[str], body: Json, defaults: Json, errors: Errors) -> Json:
    default = defaults.get(name)
    entity = body.get(name, default)
    if entity is None and name not in body:
        errors.append((name, "is missing"))
        return _NO_OBJECT
    if not isinstance(entity, dict):
        errors.append((name, "is no object"))
        return _NO_OBJECT
    for member in required:
        if member not in entity and default and member in default:
            entity = {**entity, member: default[member]}
        if member not in entity:
            errors.append((f"{name}.{member}", "is missing"))
        elif (wrong := _wrong_name(entity[member])) is not None:
            errors.append((f"{name}.{member}", wrong))
    return entity


def _wrong_name(value: object) -> str | None:
    """Say what keeps a value from being a name; None: nothing."""
    if not isinstance(value, str):
        return "is no string"
    return None if len(value) <= LONGEST_NAME else f"is longer than {LONGEST_NAME} characters"


def _properties(name: str, entity: Json, errors: Errors) -> Json:
    properties = entity.get("properties", _NO_OBJECT)
    if not isinstance(properties, dict):
        errors.append((f"{name}.properties", "is no object"))
        return _NO_OBJECT
    return properties


def _option(name: str, of_action: Json, of_resource: Json, errors: Errors) -> str | None:
    for where, properties in (("action", of_action), ("resource", of_resource)):
        if name in properties:
            if (wrong := _wrong_name(properties[name])) is None:
                return str(properties[name])
            errors.append((f"{where}.properties.{name}", wrong))
    return None


def _texts(
    where: str, members: Json, names: Sequence[str], errors: Errors
) -> tuple[str, ...] | None:
    for name in names:
        if name in members:
            listed = members[name]
            if not isinstance(listed, list) or not all(isinstance(each, str) for each in listed):
                errors.append((f"{where}.{name}", "is no list of strings"))
            elif len(listed) > MOST_LISTED or any(len(each) > LONGEST_NAME for each in listed):
                most = f"{MOST_LISTED} names of at most {LONGEST_NAME} characters"
                errors.append((f"{where}.{name}", f"holds more than {most}"))
            else:
                return tuple(listed)
    return None
