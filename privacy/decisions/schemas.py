"""AuthZEN's JSON for the OpenAPI document; `parsing` reads it. Unknown members are ignored."""

from __future__ import annotations

from marshmallow import EXCLUDE, Schema, fields, validate

from policies.decision import ObligationType
from privacy.decisions.model import Semantic
from privacy.decisions.parsing import (
    JWS,
    LONGEST_NAME,
    MOST_EVALUATIONS,
    MOST_LISTED,
    MOST_ON_PAGE,
    PAGE_SIZE,
)

_NAME = validate.Length(max=LONGEST_NAME)
_LISTED = validate.Length(max=MOST_LISTED)


class _Lenient(Schema):
    class Meta:
        """Source: AuthZEN Authorization API 1.0 s. 5: unknown members must be ignored."""

        unknown = EXCLUDE


class Properties(_Lenient):
    """Properties of no consequence."""


class EvaluationSubject(_Lenient):
    """The calling application."""

    type = fields.String(required=True, validate=_NAME, metadata={"description": "`application`"})
    id = fields.String(
        required=True, validate=_NAME, metadata={"description": "The caller's own client id."}
    )
    properties = fields.Nested(Properties)


class ActionProperties(_Lenient):
    """Which unit of the purpose."""

    channel = fields.String(
        validate=_NAME, metadata={"description": "Where it is asked for channel by channel."}
    )
    partner = fields.String(
        validate=_NAME, metadata={"description": "Where it is asked for partner by partner."}
    )


class EvaluationAction(_Lenient):
    """The purpose."""

    name = fields.String(
        required=True, validate=_NAME, metadata={"description": "A purpose of the register."}
    )
    properties = fields.Nested(ActionProperties)


class ResourceProperties(ActionProperties):
    """Which data, and which unit where the action does not say it."""

    categories = fields.List(
        fields.String(validate=_NAME),
        validate=_LISTED,
        metadata={"description": "The data categories wanted."},
    )


class EvaluationResource(_Lenient):
    """The person's data."""

    type = fields.String(required=True, validate=_NAME, metadata={"description": "`person`"})
    id = fields.String(
        required=True, validate=_NAME, metadata={"description": "The caller's own pseudonym."}
    )
    properties = fields.Nested(ResourceProperties)


class EvaluationQuery(_Lenient):
    """What the caller can do, and what it wants with the answer."""

    supported_obligations = fields.List(
        fields.String(validate=_NAME),
        validate=_LISTED,
        metadata={
            "description": "The duties that the caller fulfils; a permit with another denies."
        },
    )
    evidence = fields.Raw(metadata={"description": f"`{JWS}`: the answer signed, to keep."})


class EvaluationRequest(_Lenient):
    """May the application (subject) do this (action) with this person's data (resource)?"""

    subject = fields.Nested(EvaluationSubject, required=True)
    action = fields.Nested(EvaluationAction, required=True)
    resource = fields.Nested(EvaluationResource, required=True)
    context = fields.Nested(EvaluationQuery)


class PartialSubject(_Lenient):
    """The calling application, as far as the item itself does not say it."""

    type = fields.String(validate=_NAME)
    id = fields.String(validate=_NAME)
    properties = fields.Nested(Properties)


class PartialAction(_Lenient):
    """The purpose, as far as the item itself does not say it."""

    name = fields.String(validate=_NAME)
    properties = fields.Nested(ActionProperties)


class PartialResource(_Lenient):
    """The person's data, as far as the item itself does not say it."""

    type = fields.String(validate=_NAME)
    id = fields.String(validate=_NAME)
    properties = fields.Nested(ResourceProperties)


class BatchOptions(_Lenient):
    """How far the batch is answered."""

    evaluations_semantic = fields.String(
        load_default=Semantic.EXECUTE_ALL.value,
        validate=validate.OneOf([each.value for each in Semantic]),
    )


class EvaluationsRequest(_Lenient):
    """Many questions; what an item leaves out, the top level says."""

    subject = fields.Nested(PartialSubject)
    action = fields.Nested(PartialAction)
    resource = fields.Nested(PartialResource)
    context = fields.Nested(EvaluationQuery)
    evaluations = fields.List(
        fields.Raw(),
        validate=validate.Length(max=MOST_EVALUATIONS),
        metadata={"description": "Items like the top level; none: the top level is the question."},
    )
    options = fields.Nested(BatchOptions)


class Page(_Lenient):
    """Which page."""

    token = fields.String(metadata={"description": "`next_token` of the page before."})
    limit = fields.Integer(
        strict=True,
        load_default=PAGE_SIZE,
        validate=validate.Range(min=1),
        metadata={"description": f"The most to return; {MOST_ON_PAGE} where it is more."},
    )


class SearchedResource(_Lenient):
    """Whose data: an id is ignored."""

    type = fields.String(required=True, validate=_NAME, metadata={"description": "`person`"})
    id = fields.Raw(metadata={"description": "Ignored."})
    properties = fields.Nested(ResourceProperties)


class ResourceSearchRequest(_Lenient):
    """Whose data may the application use for a purpose?"""

    subject = fields.Nested(EvaluationSubject, required=True)
    action = fields.Nested(EvaluationAction, required=True)
    resource = fields.Nested(SearchedResource, required=True)
    context = fields.Nested(EvaluationQuery)
    page = fields.Nested(Page)


class ActionSearchRequest(_Lenient):
    """For which purposes may the application use this person's data?"""

    subject = fields.Nested(EvaluationSubject, required=True)
    resource = fields.Nested(EvaluationResource, required=True)
    context = fields.Nested(EvaluationQuery)
    page = fields.Nested(Page)


class ObligationAnswer(Schema):
    """A duty that goes with a permit; a caller that cannot fulfil it must not act."""

    id = fields.String(required=True)
    type = fields.String(
        required=True, validate=validate.OneOf([each.value for each in ObligationType])
    )
    properties = fields.Dict(required=True)


class CategoriesAnswer(Schema):
    """Which of the data categories asked about the purpose covers."""

    covered = fields.List(fields.String(), required=True)
    not_covered = fields.List(fields.String(), required=True)


class MayAsk(Schema):
    """The person may be asked, which could change the answer."""

    endpoint = fields.String(required=True)
    expires_at = fields.DateTime(required=True)


class ItemError(Schema):
    """Why an item of a batch could not be decided."""

    status = fields.Integer(required=True)
    message = fields.String(required=True)


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
    categories = fields.Nested(CategoriesAnswer)
    unsupported_obligations = fields.List(fields.String())
    access_request = fields.Nested(MayAsk)
    evidence = fields.String(metadata={"description": "JWS, `typ` `decision+jwt`."})


class EvaluationAnswer(Schema):
    """The decision."""

    decision = fields.Boolean(required=True)
    context = fields.Nested(EvaluationContext, required=True)


class ItemContext(EvaluationContext):
    """As of one evaluation, or the error alone."""

    reasons = fields.List(fields.String())
    obligations = fields.List(fields.Nested(ObligationAnswer))
    valid_until = fields.DateTime(allow_none=True)
    cache_seconds = fields.Integer()
    evidence_id = fields.String()
    error = fields.Nested(ItemError)


class ItemAnswer(Schema):
    """The decision about one item."""

    decision = fields.Boolean(required=True)
    context = fields.Nested(ItemContext, required=True)


class EvaluationsAnswer(Schema):
    """The decisions in the order of the items; of a request without items, the one decision."""

    evaluations = fields.List(fields.Nested(ItemAnswer))
    decision = fields.Boolean()
    context = fields.Nested(EvaluationContext)


class FoundContext(Schema):
    """The duties that go with a result."""

    obligations = fields.List(fields.Nested(ObligationAnswer), required=True)


class PageAnswer(Schema):
    """Where the next page begins."""

    next_token = fields.String(
        required=True, metadata={"description": "Empty at the end, and only there."}
    )
    count = fields.Integer(required=True)


class FoundPerson(Schema):
    """A person whose data the purpose may use."""

    type = fields.String(required=True)
    id = fields.String(required=True)
    context = fields.Nested(FoundContext)


class FoundAction(Schema):
    """A purpose that may use the person's data."""

    name = fields.String(required=True)
    context = fields.Nested(FoundContext)


class ResourceSearchAnswer(Schema):
    """A page of people; it may hold none and yet not be the last."""

    results = fields.List(fields.Nested(FoundPerson), required=True)
    page = fields.Nested(PageAnswer, required=True)


class ActionSearchAnswer(Schema):
    """Every purpose that may use the person's data."""

    results = fields.List(fields.Nested(FoundAction), required=True)
    page = fields.Nested(PageAnswer, required=True)


class Metadata(Schema):
    """Where the decision point is and what it can. Source: AuthZEN Authorization API 1.0 s. 9."""

    policy_decision_point = fields.String(required=True)
    access_evaluation_endpoint = fields.String(required=True)
    access_evaluations_endpoint = fields.String(required=True)
    search_resource_endpoint = fields.String(required=True)
    search_action_endpoint = fields.String(required=True)
    access_request_endpoint = fields.String(required=True)
    capabilities = fields.List(fields.String(), required=True)
    supported_obligations = fields.List(fields.String(), required=True)
    obligations_supported = fields.List(fields.String(), required=True)


class AccessRequestBody(EvaluationRequest):
    """The question that was denied, and where the person goes on afterwards."""

    return_to = fields.String(
        allow_none=True,
        metadata={"description": "Of an origin of the application's redirect URIs."},
    )


class AccessRequestAnswer(Schema):
    """Where to send the person."""

    form_url = fields.String(required=True, metadata={"description": "Send only that person."})
    expires_at = fields.DateTime(required=True)
    evaluation_id = fields.String(
        required=True, metadata={"description": "`evidence_id` of the denial behind it."}
    )
