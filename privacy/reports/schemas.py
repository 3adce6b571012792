"""The query strings of the reports, and the JSON of the export."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, ValidationError, fields, post_load, validate, validates_schema

from policies.vocabulary import ConsentAction, ConsentChannel
from privacy.reports.model import Filters

MAX_LIMIT = 1_000
MAX_ORDINAL = 2**63 - 1


class FiltersQuery(Schema):
    """Which consent events."""

    purpose = fields.String(
        validate=validate.Length(min=1, max=64),
        metadata={"description": "Id of a purpose.", "example": "newsletter"},
    )
    action = fields.Enum(ConsentAction, by_value=True, metadata={"example": "given"})
    channel = fields.Enum(ConsentChannel, by_value=True, metadata={"example": "web"})
    first_day = fields.Date(
        data_key="from",
        metadata={
            "description": "First day, in the controller's time zone.",
            "example": "2026-01-01",
        },
    )
    last_day = fields.Date(
        data_key="to",
        metadata={"description": "Last day, included.", "example": "2026-12-31"},
    )
    person = fields.String(
        validate=validate.Regexp(r"\A[0-9a-f]{32}\Z", error="32 hexadecimal digits"),
        metadata={"description": "Subject id, as the payloads name it."},
    )

    @validates_schema
    def check_days(self, data: dict[str, Any], **_: object) -> None:
        """Refuse a period that ends before it begins, or at the end of the calendar."""
        first, last = data.get("first_day"), data.get("last_day")
        for name, day in (("from", first), ("to", last)):
            if day and not 2000 <= day.year < 3000:
                raise ValidationError("a year from 2000 to 2999", name)
        if first and last and last < first:
            raise ValidationError("ends before it begins", "to")

    @post_load
    def make(self, data: dict[str, Any], **_: object) -> Filters | tuple[Filters, dict[str, Any]]:
        """Return the filters."""
        return Filters(**data)


class PageQuery(FiltersQuery):
    """A page of the desk's table: the filters and where it begins."""

    after = fields.Integer(validate=validate.Range(min=0, max=MAX_ORDINAL))
    before = fields.Integer(validate=validate.Range(min=0, max=MAX_ORDINAL))

    @post_load
    def make(self, data: dict[str, Any], **_: object) -> tuple[Filters, dict[str, Any]]:
        """Return the filters and the place."""
        place = {name: data.pop(name, None) for name in ("after", "before")}
        return Filters(**data), place


class ReportQuery(FiltersQuery):
    """A page of the export: the filters, how many events, and after which."""

    limit = fields.Integer(
        load_default=100,
        validate=validate.Range(min=1, max=MAX_LIMIT),
        metadata={"description": "Events in one answer, at most 1,000."},
    )
    after = fields.Integer(
        load_default=None,
        validate=validate.Range(min=0, max=MAX_ORDINAL),
        metadata={"description": "`meta.next` of the answer before."},
    )

    @post_load
    def make(self, data: dict[str, Any], **_: object) -> tuple[Filters, dict[str, Any]]:
        """Return the filters and the place."""
        place = {name: data.pop(name) for name in ("limit", "after")}
        return Filters(**data), place


class ExportEntryAnswer(Schema):
    """One entry of the log with what proves it."""

    index = fields.Integer(required=True, metadata={"description": "Place in the log, from 0."})
    entry_id = fields.String(required=True)
    leaf = fields.String(required=True, metadata={"description": "The leaf's exact text."})
    proof = fields.List(fields.String(), required=True, metadata={"description": "RFC 9162."})
    payload = fields.Dict(required=True, allow_none=True)
    nonce = fields.String(required=True, allow_none=True)
    opening = fields.Dict(required=True, allow_none=True)


class ExportAnswer(Schema):
    """A `placet-export@1`: check it with `placet audit verify --export FILE`."""

    format = fields.String(required=True, metadata={"example": "placet-export@1"})
    origin = fields.String(required=True)
    vkey = fields.String(required=True)
    checkpoint = fields.String(required=True)
    entries = fields.List(fields.Nested(ExportEntryAnswer), required=True)
    meta = fields.Dict(
        required=True,
        metadata={"description": "Who, when, which filters, what is pending, and `next`."},
    )
    register = fields.Dict(metadata={"description": "The wordings that the entries name."})
