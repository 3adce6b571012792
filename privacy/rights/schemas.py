"""The JSON of `/v1/rights-requests`."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from policies.vocabulary import Right
from privacy.languages import LANGUAGES
from privacy.rights.model import MAX_MESSAGE_LENGTH, RECTIFIABLE
from privacy.subjects.model import MAX_VALUE_LENGTH


class RightsRequestBody(Schema):
    """What an application files for its person."""

    subject = fields.String(
        required=True,
        validate=validate.Length(max=64),
        metadata={"description": "The calling application's pseudonym of the person."},
    )
    right = fields.String(required=True, validate=validate.OneOf([each.value for each in Right]))
    message = fields.String(
        load_default="",
        validate=validate.Length(max=MAX_MESSAGE_LENGTH),
        metadata={"description": "The person's own words."},
    )
    attribute = fields.String(
        validate=validate.OneOf([each.value for each in RECTIFIABLE]),
        metadata={"description": "For a rectification: which datum."},
    )
    value = fields.String(
        validate=validate.Length(max=MAX_VALUE_LENGTH),
        metadata={"description": "For a rectification: what it should say."},
    )
    purpose = fields.String(
        validate=validate.Length(max=100),
        metadata={"description": "For an objection: which purpose of the register."},
    )
    language = fields.String(load_default=LANGUAGES[0], validate=validate.OneOf(LANGUAGES))


class RightsRequestAnswer(Schema):
    """Where a request stands."""

    reference = fields.String(required=True)
    right = fields.String(required=True)
    state = fields.String(required=True)
    received_at = fields.String(required=True, metadata={"format": "date-time"})
    due_nominal = fields.String(required=True, metadata={"format": "date"})
    due_effective = fields.String(required=True, metadata={"format": "date"})
    due_at = fields.String(
        required=True,
        metadata={"format": "date-time", "description": "At this instant the answer is late."},
    )
    closed_at = fields.String(allow_none=True, metadata={"format": "date-time"})
