"""`/oauth/consent`: who asks, for what, yes or no, before an application gets a code.

It changes nothing that the privacy centre could not: each answer is an ordinary consent event in
the same words. Source: GDPR Art. 4(11), 7; CJEU C-673/17 (Planet49); OpenID Connect Core s. 3.1.2.4.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Final
from urllib.parse import urlencode

from authlib.oauth2.rfc6749.errors import OAuth2Error
from flask import Blueprint, current_app, redirect, render_template, request
from flask_babel import gettext
from itsdangerous import BadSignature, URLSafeSerializer
from werkzeug.wrappers import Response as BaseResponse

from identity.provider import discovery, grant_words
from identity.provider.authorization import AuthorizationRequest, NoDestination, Parameters
from identity.provider.claims import Held
from identity.provider.detours import Detour, Detours, own
from identity.provider.grant_model import Asking, OfferKind, Seen, SeenPurposes
from identity.provider.grants import Grants
from policies.errors import InvalidInput
from policies.register.model import Register
from policies.vocabulary import Scope
from privacy.consent import words
from privacy.consent.model import GuardianNeeded, StaleNotice
from privacy.http import current_actor, requires
from privacy.unit_of_work import Runtime

PAGE: Final = "/oauth/consent"


class ConsentPages:
    """What the browser sees of being asked.

    Args:
        runtime: the doors to the database.
        register: the purposes and their notices.
        understood: reads an authorization request again.
        grants: what people let applications have.
        held: what we hold of people.
        detours: marks what the person answered.
        key: signs what a page showed; for this use alone.
    """

    def __init__(
        self,
        *,
        runtime: Runtime,
        register: Register,
        understood: Callable[[Parameters], AuthorizationRequest],
        grants: Grants,
        held: Held,
        detours: Detours,
        key: bytes,
    ) -> None:
        self._runtime = runtime
        self._register = register
        self._understood = understood
        self._grants = grants
        self._held = held
        self._detours = detours
        self._signer = URLSafeSerializer(
            key, salt="placet.consent", signer_kwargs={"digest_method": hashlib.sha256}
        )

    @requires(Scope.SIGNED_IN)
    def show(self) -> BaseResponse:
        """Ask, or go on where there is nothing to ask."""
        return self._ask(_parameters())

    @requires(Scope.SIGNED_IN)
    def answer(self) -> BaseResponse:
        """Record what the person said, and go on."""
        parameters, person = _parameters(), current_actor()
        seen = self._seen(parameters, request.form.get("seen", ""))
        asked = self._read(parameters)
        if asked is None or seen is None or person.subject_id is None:
            return redirect(f"{PAGE}?{urlencode(parameters, doseq=True)}", code=303)
        action = request.form.get("action")
        if action == "cancel":
            with self._runtime.unit_of_work(person) as uow:
                self._grants.refuse(uow, asked, person)
            return self._go_on(parameters, Detour.REFUSED)
        if action != "continue":
            raise InvalidInput("continue or cancel", field="action")
        ticked = request.form.getlist("purpose")
        try:
            with self._runtime.unit_of_work(person) as uow:
                self._grants.answer(uow, asked, person, ticked=ticked, seen=seen)
        except (StaleNotice, GuardianNeeded):
            message = gettext(
                "Lo que te preguntamos ha cambiado y no hemos guardado nada. Léelo de nuevo y decide."
            )
            return self._ask(parameters, [(None, message)])
        return self._go_on(parameters, Detour.CONSENT)

    def _ask(
        self, parameters: Parameters, errors: Sequence[tuple[str | None, str]] = ()
    ) -> BaseResponse:
        asked, person, now = self._read(parameters), current_actor(), self._runtime.clock()
        if asked is None or person.subject_id is None:
            return _back(parameters)
        with self._runtime.snapshot() as session:
            asking = self._grants.asking(session, asked, person.subject_id, now)
            if asking is None:
                return _back(parameters)
            held = self._held.values(session, person.subject_id, asking.attributes)
        page = render_template(
            "provider/consent.html",
            errors=errors,
            asking=asking,
            again="consent" in asked.prompt,
            attributes=grant_words.attribute_rows(asking, held),
            asked=grant_words.cards(self._register, asking, OfferKind.ASKED, now),
            told=grant_words.cards(self._register, asking, OfferKind.TOLD, now),
            answered=grant_words.cards(self._register, asking, OfferKind.ANSWERED, now),
            attribute_names=grant_words.attribute_names,
            connected_days=grant_words.CONNECTED_DAYS,
            guardian_words=words.guardian_words(self._register) if asking.minor else None,
            seen=self._sign(parameters, asking),
            action=f"{PAGE}?{urlencode(parameters, doseq=True)}",
            kept_query=urlencode(parameters, doseq=True),
        )
        return current_app.make_response((page, 409 if errors else 200))

    def _read(self, parameters: Parameters) -> AuthorizationRequest | None:
        """Return the request; None where the authorization endpoint is to say what is wrong."""
        try:
            asked = self._understood(parameters)
        except (NoDestination, OAuth2Error):
            return None
        return None if "none" in asked.prompt else asked

    def _sign(self, parameters: Parameters, asking: Asking) -> str:
        """Return what this page shows, to whom, signed: so much can be agreed to, by them alone."""
        shown = {
            offer.purpose.id: [
                offer.notice_version,
                words.notice_language(offer.purpose, self._register),
                offer.stands,
            ]
            for offer in asking.of_kind(OfferKind.ASKED)
        }
        return str(self._signer.dumps([_whose(parameters), shown]))

    def _seen(self, parameters: Parameters, signed: str) -> SeenPurposes | None:
        """Return what the page showed; None where it was not for this request in this session."""
        try:
            whose, shown = self._signer.loads(signed)
        except BadSignature:
            return None
        if whose != _whose(parameters):
            return None
        return {purpose: Seen(*content) for purpose, content in shown.items()}

    def _go_on(self, parameters: Parameters, detour: Detour) -> BaseResponse:
        query = self._detours.away(parameters, detour, self._runtime.clock())
        return redirect(f"{discovery.AUTHORIZE}?{urlencode(query, doseq=True)}", code=303)


def _whose(parameters: Parameters) -> str:
    """Return what binds a page to its request, session and account."""
    person = current_actor()
    bound: Mapping[str, object] = {
        "request": own(parameters),
        "session": person.session_family or person.session_id,
        "account": person.account_id,
    }
    return hashlib.sha256(json.dumps(bound, sort_keys=True).encode()).hexdigest()


def _parameters() -> dict[str, list[str]]:
    """Return the parameters of the address; the choice of a language is none of the request."""
    found = request.args.to_dict(flat=False)
    return {name: values for name, values in found.items() if name != "lang"}


def _back(parameters: Parameters) -> BaseResponse:
    """Go back to the authorization endpoint, which answers whatever there is to answer."""
    query = urlencode({name: list(values) for name, values in parameters.items()}, doseq=True)
    return redirect(f"{discovery.AUTHORIZE}?{query}", code=303)


def blueprint(pages: ConsentPages) -> Blueprint:
    """Return the routes of this page."""
    routes = Blueprint("provider_consent", __name__)
    routes.get(PAGE)(pages.show)
    routes.post(PAGE)(pages.answer)
    return routes
