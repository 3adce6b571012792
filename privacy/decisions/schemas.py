"""AuthZEN's JSON, as its own rules read it: unknown members are ignored, anything else is 400."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import EXCLUDE, Schema, fields, post_load

from privacy.decisions.model import Question


class _Lenient(Schema):
    class Meta:
        """Source: AuthZEN Authorization API 1.0: unknown fields must be ignored."""

        unknown = EXCLUDE


class JsonObject(fields.Field[Mapping[str, Any]]):
    """Any JSON object."""

    def _deserialize(
        self,
        value: Any,  # noqa: ANN401 - marshmallow's own signature
        attr: str | None,  # noqa: ARG002 - marshmallow's signature
        data: Mapping[str, Any] | None,  # noqa: ARG002 - marshmallow's signature
        **kwargs: Any,  # noqa: ANN401, ARG002 - marshmallow's signature
    ) -> Mapping[str, Any]:
        if not isinstance(value, Mapping):
            raise self.make_error("validator_failed")
        return value


class _Entity(_Lenient):
    type = fields.String(required=True)
    id = fields.String(required=True)
    properties = JsonObject()


class _Action(_Lenient):
    name = fields.String(required=True)
    properties = JsonObject()


class EvaluationRequest(_Lenient):
    """May the application (subject) do this (action) with this person's data (resource)?"""

    subject = fields.Nested(_Entity, required=True)
    action = fields.Nested(_Action, required=True)
    resource = fields.Nested(_Entity, required=True)
    context = JsonObject()

    @post_load
    def _question(self, data: dict[str, Any], **_kwargs: object) -> Question:
        return Question(
            subject_type=data["subject"]["type"],
            subject_id=data["subject"]["id"],
            action=data["action"]["name"],
            resource_type=data["resource"]["type"],
            resource_id=data["resource"]["id"],
        )


class ObligationAnswer(Schema):
    """A duty that goes with a permit; a caller that cannot fulfil it must not act."""

    id = fields.String(required=True)
    type = fields.String(required=True)
    properties = fields.Dict(required=True)


class EvaluationContext(Schema):
    """Why, with which duties, until when, and the evidence."""

    reasons = fields.List(fields.String(), required=True)
    obligations = fields.List(fields.Nested(ObligationAnswer), required=True)
    valid_until = fields.DateTime(
        required=True,
        allow_none=True,
        metadata={"description": "When the permit ends by the clock; no licence to cache."},
    )
    cache_seconds = fields.Integer(required=True)
    evidence_id = fields.String(required=True)


class EvaluationAnswer(Schema):
    """The decision."""

    decision = fields.Boolean(required=True)
    context = fields.Nested(EvaluationContext, required=True)


class Metadata(Schema):
    """Where the decision point is. Source: AuthZEN Authorization API 1.0 s. 9."""

    policy_decision_point = fields.String(required=True)
    access_evaluation_endpoint = fields.String(required=True)
