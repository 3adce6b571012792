"""What an operation of the JSON API says of itself, beside the view that serves it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from marshmallow import Schema

from privacy.events import Json

View = TypeVar("View", bound=Callable[..., object])


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the OpenAPI document.

    Attributes:
        summary: what it does, one line.
        tag: the capability it belongs to.
        answers: status -> what the body looks like; None for no body or a body that is no JSON.
        request: the JSON body.
        query: the query string.
        problems: codes of the problems it can answer with, beyond authentication.
        example: a request body that works on the example register.
        headers: request headers that matter, name -> what for.
        media_type: of the answers' bodies where they are no JSON.
        other_media_types: in which the 200 can be had too, by `Accept`.
    """

    summary: str
    tag: str
    answers: Mapping[int, type[Schema] | None]
    request: type[Schema] | None = None
    query: type[Schema] | None = None
    problems: tuple[str, ...] = ()
    example: Json = None
    headers: Mapping[str, str] = field(default_factory=dict)
    media_type: str | None = None
    other_media_types: tuple[str, ...] = ()


def documented(operation: Operation) -> Callable[[View], View]:
    """Attach `operation` to a view; every view below an API prefix has one."""

    def attach(view: View) -> View:
        view.operation = operation  # type: ignore[attr-defined]  # read by the document's builder
        return view

    return attach
