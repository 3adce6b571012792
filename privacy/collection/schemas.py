"""The JSON of `/v1/attribute-requests`."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from policies.register.loader import ASKABLE
from privacy.collection.model import FieldAnswer, RequestState

MAX_URI_LENGTH = 2000
MAX_NAME_LENGTH = 64


class AttributeRequestBody(Schema):
    """Whom to ask, with which form, and where the person goes on afterwards."""

    subject = fields.String(
        required=True,
        validate=validate.Length(max=MAX_NAME_LENGTH),
        metadata={"description": "The calling application's pseudonym of the person."},
    )
    collection_point = fields.String(
        required=True,
        validate=validate.Length(max=MAX_NAME_LENGTH),
        metadata={"description": "Id of the form in the register."},
    )
    return_to = fields.String(
        required=True,
        validate=validate.Length(max=MAX_URI_LENGTH),
        metadata={
            "description": "Where the person goes on, with `status=answered` or `status=refused` "
            "added; of an origin of the application's redirect URIs."
        },
    )


class AskedFieldAnswer(Schema):
    """One attribute, and what the person said."""

    attribute = fields.String(
        required=True, validate=validate.OneOf([each.value for each in ASKABLE])
    )
    required = fields.Boolean(required=True)
    answer = fields.String(
        required=True,
        allow_none=True,
        validate=validate.OneOf([each.value for each in FieldAnswer]),
        metadata={"description": "Null until the person answers."},
    )
    value = fields.String(
        metadata={
            "description": "What was given, as long as a purpose of the application may use it "
            "and the person has not removed it; otherwise the member is missing."
        }
    )


class AttributeRequestAnswer(Schema):
    """How a request stands."""

    id = fields.String(required=True)
    url = fields.String(
        required=True, metadata={"description": "Where to send the person.", "format": "uri"}
    )
    state = fields.String(
        required=True, validate=validate.OneOf([each.value for each in RequestState])
    )
    collection_point = fields.String(required=True)
    expires_at = fields.String(required=True, metadata={"format": "date-time"})
    answered_at = fields.String(required=True, allow_none=True, metadata={"format": "date-time"})
    fields_ = fields.List(
        fields.Nested(AskedFieldAnswer),
        required=True,
        data_key="fields",
        attribute="fields",
    )
