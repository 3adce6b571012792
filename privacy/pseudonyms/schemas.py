"""The JSON of `/v1/pseudonyms`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate

from privacy.keys.blind_index import IdentifierKind

MAX_IDENTIFIERS = 1000
MAX_LENGTH = 320
MAX_ALIASES = 100


class IdentifierField(fields.Field[Any]):
    """An e-mail address as text, or `{"email": …}` or `{"phone": …}`; (kind, text) when loaded."""

    def _deserialize(
        self,
        value: Any,  # noqa: ANN401 - marshmallow's own signature
        attr: str | None,  # noqa: ARG002 - marshmallow's signature
        data: Mapping[str, Any] | None,  # noqa: ARG002 - marshmallow's signature
        **kwargs: Any,  # noqa: ANN401, ARG002 - marshmallow's signature
    ) -> tuple[IdentifierKind, str]:
        named = {"email": value} if isinstance(value, str) else value
        if isinstance(named, Mapping) and len(named) == 1:
            [(name, text)] = named.items()
            if name in set(IdentifierKind) and isinstance(text, str) and len(text) <= MAX_LENGTH:
                return IdentifierKind(name), text
        raise ValidationError('Must be an e-mail address, {"email": …} or {"phone": …}.')


def _one_member(name: str, form: str) -> dict[str, Any]:
    """Return the JSON schema of an object with one member."""
    return {
        "type": "object",
        "required": [name],
        "additionalProperties": False,
        "properties": {name: {"type": "string", "format": form, "maxLength": MAX_LENGTH}},
    }


class PseudonymsRequest(Schema):
    """An application's own list of people."""

    identifiers = fields.List(
        IdentifierField(
            required=True,
            metadata={
                "oneOf": [
                    {"type": "string", "maxLength": MAX_LENGTH},
                    _one_member("email", "email"),
                    _one_member("phone", "phone"),
                ]
            },
        ),
        required=True,
        validate=validate.Length(min=1, max=MAX_IDENTIFIERS),
        metadata={
            "description": "E-mail addresses and telephone numbers, at most 1,000. A number "
            "without a country code lies in the controller's country.",
            "example": ["ana@example.com", {"phone": "+34 600 111 222"}],
        },
    )


class PseudonymsAnswer(Schema):
    """The calling application's pseudonyms, in the order of the request."""

    pseudonyms = fields.List(fields.String(), required=True)


class AliasesQuery(Schema):
    """From where the list goes on."""

    after = fields.Integer(
        load_default=0,
        validate=validate.Range(0, 2**31 - 1),
        metadata={"description": "`next` of the last answer; without it from the beginning."},
    )


class AliasAnswer(Schema):
    """Of two pseudonyms of one person, which stays."""

    old = fields.String(required=True, metadata={"description": "Still answers."})
    new = fields.String(required=True, metadata={"description": "The one that stays."})
    at = fields.DateTime(required=True)


class AliasesAnswer(Schema):
    """A page of aliases, oldest first; fewer than 100 and there are no more for now."""

    aliases = fields.List(fields.Nested(AliasAnswer), required=True)
    next = fields.Integer(required=True, metadata={"description": "`after` of the next call."})
