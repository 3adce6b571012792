"""The JSON of `/v1/pseudonyms`."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

MAX_IDENTIFIERS = 1000


class PseudonymsRequest(Schema):
    """An application's own list of addresses."""

    identifiers = fields.List(
        fields.String(required=True, validate=validate.Length(max=320)),
        required=True,
        validate=validate.Length(min=1, max=MAX_IDENTIFIERS),
        metadata={
            "description": "E-mail addresses, at most 1,000.",
            "example": ["ana@example.com", "luis@example.com"],
        },
    )


class PseudonymsAnswer(Schema):
    """The calling application's pseudonyms, in the order of the request."""

    pseudonyms = fields.List(fields.String(), required=True)
