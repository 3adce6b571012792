"""The JSON of consents, receipts and purposes, and the portal's one form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import Schema, ValidationError, fields, post_load, validate, validates_schema

from policies.register.lock import MAX_VERSION
from policies.vocabulary import ConsentAction, ConsentChannel, LegalBasis
from privacy.consent.applications import Word
from privacy.consent.model import Status
from privacy.keys.blind_index import MAX_PHONE_LENGTH, IdentifierKind

MAX_NAME = 64
MAX_PSEUDONYM = 64
MAX_EMAIL = 320
MAX_LANGUAGE = 16

#: What an application may say that a person did; the rest of the vocabulary is our own doing.
SAID = (ConsentAction.GIVEN, ConsentAction.REFUSED, ConsentAction.WITHDRAWN)
#: How an application may have heard it; `import` is the batch import's own.
HEARD = tuple(channel for channel in ConsentChannel if channel is not ConsentChannel.IMPORT)


def _name(limit: int = MAX_NAME) -> validate.Length:
    return validate.Length(min=1, max=limit)


class TrueOrFalse(fields.Boolean):
    """A JSON boolean and nothing that merely looks like one."""

    def _deserialize(
        self,
        value: Any,  # noqa: ANN401 - marshmallow's own signature
        attr: str | None,
        data: Mapping[str, Any] | None,
        **kwargs: Any,  # noqa: ANN401 - marshmallow's signature
    ) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return bool(super()._deserialize(value, attr, data, **kwargs))


class FoundBy(Schema):
    """A person by address or telephone number."""

    email = fields.String(validate=_name(MAX_EMAIL))
    phone = fields.String(validate=_name(MAX_PHONE_LENGTH))

    @validates_schema(skip_on_field_errors=True)
    def _just_one(self, data: Mapping[str, Any], **_kwargs: object) -> None:
        if not data:
            raise ValidationError({"email": ["Missing data for required field."]})
        if len(data) > 1:
            raise ValidationError("Name the person by one of email and phone.")


class PersonName(fields.Field[Any]):
    """A person: the application's pseudonym, or what finds one it has none for yet."""

    def _deserialize(
        self,
        value: Any,  # noqa: ANN401 - marshmallow's own signature
        attr: str | None,  # noqa: ARG002 - marshmallow's signature
        data: Mapping[str, Any] | None,  # noqa: ARG002 - marshmallow's signature
        **kwargs: Any,  # noqa: ANN401, ARG002 - marshmallow's signature
    ) -> dict[str, str | tuple[IdentifierKind, str]]:
        if isinstance(value, str) and 0 < len(value) <= MAX_PSEUDONYM:
            return {"pseudonym": value}
        if isinstance(value, Mapping):
            [(kind, text)] = FoundBy().load(value).items()
            return {"found_by": (IdentifierKind(kind), text)}
        raise ValidationError('Must be a pseudonym, {"email": …} or {"phone": …}.')


class ConsentRequest(Schema):
    """What a person said, told by an application."""

    subject = PersonName(
        required=True,
        metadata={
            "description": "The calling application's pseudonym for the person, or an e-mail "
            "address or telephone number of somebody it has none for yet. A number without a "
            "country code lies in the controller's country.",
            "oneOf": [
                {"type": "string", "maxLength": MAX_PSEUDONYM},
                {
                    "type": "object",
                    "required": ["email"],
                    "additionalProperties": False,
                    "properties": {"email": {"type": "string", "format": "email"}},
                },
                {
                    "type": "object",
                    "required": ["phone"],
                    "additionalProperties": False,
                    "properties": {"phone": {"type": "string", "format": "phone"}},
                },
            ],
        },
    )
    purpose = fields.String(required=True, validate=_name())
    action = fields.Enum(
        ConsentAction,
        by_value=True,
        load_default=ConsentAction.GIVEN,
        validate=validate.OneOf(SAID),
        metadata={"enum": [each.value for each in SAID]},
    )
    notice_version = fields.Integer(
        strict=True,
        load_default=None,
        validate=validate.Range(1, MAX_VERSION),
        metadata={"description": "Of the notice that was shown. Needed unless withdrawn."},
    )
    language = fields.String(
        load_default=None,
        validate=_name(MAX_LANGUAGE),
        metadata={"description": "In which the notice was shown. Needed unless withdrawn."},
    )
    channel = fields.Enum(
        ConsentChannel,
        by_value=True,
        required=True,
        validate=validate.OneOf(HEARD),
        metadata={"enum": [each.value for each in HEARD]},
    )
    explicit = TrueOrFalse(
        load_default=False,
        metadata={"description": "Said by an express statement (GDPR Art. 9(2)(a))."},
    )

    @validates_schema(skip_on_field_errors=True)
    def _say_what_was_shown(self, data: Mapping[str, Any], **_kwargs: object) -> None:
        if data["action"] is ConsentAction.WITHDRAWN:
            return
        missing = {n: ["Missing data for required field."] for n in _SHOWN if data[n] is None}
        if missing:
            raise ValidationError(missing)

    @post_load
    def _word(self, data: dict[str, Any], **_kwargs: object) -> Word:
        return Word(**data.pop("subject"), **data)


_SHOWN = ("notice_version", "language")


class ConsentAnswer(Schema):
    """What was recorded."""

    event_id = fields.String(required=True)
    entry_id = fields.String(required=True)
    subject = fields.String(
        required=True, metadata={"description": "The calling application's pseudonym."}
    )
    receipt = fields.String(required=True, metadata={"description": "Where the receipt is."})
    pending = fields.String(
        validate=validate.Equal("confirmation"),
        metadata={
            "description": "The purpose is confirmed by mail: the event is the request, and the "
            "person consents with the link of a letter. The same for every address, known or not; "
            "left out where the purpose needs no confirmation, or the person is signed in."
        },
    )
    log = fields.String(required=True, validate=validate.OneOf(("pending", "logged")))


class ConsentsQuery(Schema):
    """Whose consents."""

    subject = fields.String(
        required=True,
        validate=_name(MAX_PSEUDONYM),
        metadata={"description": "The calling application's pseudonym for the person."},
    )


class ConsentState(Schema):
    """How one purpose stands with one person."""

    purpose = fields.String(required=True)
    status = fields.Enum(Status, by_value=True, required=True)
    since = fields.DateTime(required=True, allow_none=True)
    expires_at = fields.DateTime(required=True, allow_none=True)
    notice_version = fields.Integer(required=True, allow_none=True)
    explicit = fields.Boolean(required=True)
    objected_since = fields.DateTime(required=True, allow_none=True)
    event_id = fields.String(required=True, allow_none=True)


class ConsentsAnswer(Schema):
    """How the application's consent purposes stand with one person."""

    subject = fields.String(required=True)
    consents = fields.List(fields.Nested(ConsentState), required=True)


class NoticeInForce(Schema):
    """The notice to show, in every language in which it was published."""

    id = fields.String(required=True)
    version = fields.Integer(required=True)
    digest = fields.String(required=True)
    published = fields.Date(required=True)
    texts = fields.Dict(keys=fields.String(), values=fields.String(), required=True)


class PurposeAnswer(Schema):
    """A purpose of the calling application."""

    id = fields.String(required=True)
    title = fields.Dict(keys=fields.String(), values=fields.String(), required=True)
    summary = fields.Dict(keys=fields.String(), values=fields.String(), required=True)
    legal_basis = fields.Enum(LegalBasis, by_value=True, required=True)
    explicit = fields.Boolean(required=True)
    validity_months = fields.Integer(required=True, allow_none=True)
    notice = fields.Nested(NoticeInForce, required=True, allow_none=True)


class PurposesAnswer(Schema):
    """The calling application's purposes, in the register's order."""

    register_revision = fields.String(required=True)
    purposes = fields.List(fields.Nested(PurposeAnswer), required=True)


class ReceiptAnswer(Schema):
    """A receipt: its claims, and the same signed."""

    event_id = fields.String(required=True)
    entry_id = fields.String(required=True)
    log = fields.Dict(required=True)
    claims = fields.Dict(required=True)
    jws = fields.String(required=True, metadata={"description": "JWS, compact, Ed25519."})


class KeysAnswer(Schema):
    """A JWK set. Source: RFC 7517 s. 5."""

    keys = fields.List(fields.Dict(), required=True)


class DecisionForm(Schema):
    """What a person's card sends."""

    csrf_token = fields.String(load_default="")
    purpose = fields.String(required=True, validate=_name())
    action = fields.String(
        required=True,
        validate=validate.OneOf(
            ("grant", "refuse", "withdraw", "renew", "object", "lift-objection")
        ),
    )
    notice_version = fields.Integer(load_default=0, validate=validate.Range(0, MAX_VERSION))
    language = fields.String(load_default="", validate=validate.Length(max=16))


class GroupForm(DecisionForm):
    """What the buttons for every channel or partner of a purpose send."""

    action = fields.String(required=True, validate=validate.OneOf(("grant", "refuse", "withdraw")))
