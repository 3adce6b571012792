"""Asking a provider: bounded, without redirects, and only what is one JSON object counts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Never
from urllib.parse import urlencode

from identity.sso.model import Refusal, UpstreamRefused
from privacy.outbound import Answer, Outbound

TIMEOUT_SECONDS: Final = 5.0
MAX_BYTES: Final = 256 * 1024
FORM: Final = "application/x-www-form-urlencoded"

JsonObject = dict[str, object]


@dataclass(frozen=True, slots=True)
class Told:
    """What a provider answered.

    Attributes:
        content: None where the answer is no JSON object.
        media_type: without its parameters.
    """

    status: int
    content: JsonObject | None = field(repr=False)
    media_type: str


class Outside:
    """Makes the calls.

    Args:
        outbound: decides which addresses may be called.
        timeout_seconds: for one call.
    """

    def __init__(self, outbound: Outbound, *, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._outbound = outbound
        self._timeout_seconds = timeout_seconds

    def get(self, url: str, *, bearer: str | None = None) -> Told:
        """Ask for a document.

        Raises:
            UpstreamRefused: `PROVIDER_UNREACHABLE`.
        """
        headers = {"Accept": "application/json"}
        if bearer is not None:
            headers["Authorization"] = f"Bearer {bearer}"
        return self._ask("GET", url, None, headers)

    def post(self, url: str, form: Mapping[str, str], *, basic: str | None = None) -> Told:
        """Send a form.

        Raises:
            UpstreamRefused: `PROVIDER_UNREACHABLE`.
        """
        headers = {"Accept": "application/json", "Content-Type": FORM}
        if basic is not None:
            headers["Authorization"] = f"Basic {basic}"
        return self._ask("POST", url, urlencode(form).encode(), headers)

    def _ask(self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> Told:
        try:
            answer = self._outbound.request(
                method,
                url,
                body=body,
                headers=headers,
                timeout_seconds=self._timeout_seconds,
                max_bytes=MAX_BYTES,
            )
        except OSError:  # refused or failed: neither the address nor the answer is written anywhere
            raise UpstreamRefused(Refusal.PROVIDER_UNREACHABLE) from None
        if answer.status >= 500 or answer.status == 429:
            raise UpstreamRefused(Refusal.PROVIDER_UNREACHABLE)
        media_type = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
        return Told(answer.status, _object(answer, media_type), media_type)


def _object(answer: Answer, media_type: str) -> JsonObject | None:
    if media_type != "application/json" and not media_type.endswith("+json"):
        return None
    return json_object(answer.body)


def json_object(content: bytes | str) -> JsonObject | None:
    """Return one JSON object, each member of which stands once; None for anything else."""
    try:
        found = json.loads(content, object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _once(pairs: list[tuple[str, object]]) -> JsonObject:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a member stands twice")
    return found


def _no_constant(name: str) -> Never:
    raise ValueError(name)
