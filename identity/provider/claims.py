"""What userinfo tells of a person: only what a purpose of the client may use at this instant.

An attribute may hang on a consent, and a token is a snapshot that no withdrawal reaches: so it is
read at each call, and stands in no ID token and in no access token. Source: GDPR Art. 5(1)(b),
5(1)(c), 7(3); OpenID Connect Core s. 5.3, 5.4.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final

from sqlalchemy.orm import Session

from identity.provider.bearer import actor_of
from identity.provider.claims_request import CLAIMS_OF_SCOPE
from identity.provider.model import Token
from policies.errors import InvalidInput
from policies.register.model import Purpose, Register
from policies.vocabulary import Attribute
from privacy.collection.model import purposes_wanting
from privacy.decisions.model import APPLICATION, PERSON, Question
from privacy.decisions.service import Decisions
from privacy.events import Json
from privacy.keys.blind_index import IdentifierKind
from privacy.pseudonyms.service import Pseudonyms
from privacy.subjects.service import Subjects

#: From which attributes each claim is made. Source: OpenID Connect Core s. 5.1.
ATTRIBUTES_OF_CLAIM: Final[Mapping[str, tuple[Attribute, ...]]] = MappingProxyType(
    {
        "name": (Attribute.GIVEN_NAME, Attribute.FAMILY_NAME),
        "given_name": (Attribute.GIVEN_NAME,),
        "family_name": (Attribute.FAMILY_NAME,),
        "birthdate": (Attribute.BIRTHDATE,),
        "locale": (Attribute.LOCALE,),
        "email": (Attribute.EMAIL,),
        "email_verified": (Attribute.EMAIL,),
        "phone_number": (Attribute.PHONE,),
        "phone_number_verified": (Attribute.PHONE,),
        "address": (Attribute.POSTAL_ADDRESS,),
    }
)


def claims_asked(scope: Collection[str], named: Collection[str]) -> frozenset[str]:
    """Return the claims that scopes and names ask for; unknown names are left out.

    Args:
        scope: scopes, also such as ask for no claim.
        named: what the `claims` parameter names for userinfo. Source: OIDC Core s. 5.5.
    """
    by_scope = {claim for each in scope for claim in CLAIMS_OF_SCOPE.get(each, ())}
    return frozenset(by_scope | (set(named) & ATTRIBUTES_OF_CLAIM.keys()))


def attributes_asked(scope: Collection[str], named: Collection[str]) -> tuple[Attribute, ...]:
    """Return the attributes behind the claims that are asked for, in the vocabulary's order."""
    wanted = {
        attribute
        for claim in claims_asked(scope, named)
        for attribute in ATTRIBUTES_OF_CLAIM[claim]
    }
    return tuple(each for each in Attribute if each in wanted)


def purposes_needing(
    register: Register, attributes: Collection[Attribute], among: Collection[str]
) -> dict[str, tuple[Purpose, tuple[Attribute, ...]]]:
    """Return, by purpose, which of the attributes it needs, in the register's order.

    Args:
        register: what the company declares.
        attributes: which.
        among: the client's purposes, as it was registered for them.
    """
    among = register.in_units(among)
    needed: dict[str, list[Attribute]] = {}
    for attribute in attributes:
        for purpose in purposes_wanting(register, attribute, among):
            needed.setdefault(purpose.id, []).append(attribute)
    return {
        purpose.id: (purpose, tuple(needed[purpose.id]))
        for purpose in register.purposes.values()
        if purpose.id in needed
    }


class Held:
    """What we hold of a person, as claims are made of it."""

    def __init__(self, subjects: Subjects) -> None:
        self._subjects = subjects

    def values(
        self, session: Session, subject_id: str, attributes: Collection[Attribute]
    ) -> dict[Attribute, tuple[str, bool]]:
        """Return, of these attributes, the ones we hold: each with whether it was proven.

        A number in the profile that is no E.164 number is held, and is no claim.

        Args:
            session: one snapshot.
            subject_id: the person, not an alias.
            attributes: no other one is opened.
        """
        found: dict[Attribute, tuple[str, bool]] = {}
        if set(attributes) - {Attribute.EMAIL}:
            profile = self._subjects.profile(session, subject_id)
            found |= {each: (profile[each], False) for each in attributes if each in profile}
        if Attribute.PHONE in found:
            found |= self._phone(session, subject_id, found.pop(Attribute.PHONE)[0])
        if Attribute.EMAIL in attributes:
            for known in self._subjects.identifiers.of(session, subject_id)[:1]:
                found[Attribute.EMAIL] = (known.identifier.value, known.verified_at is not None)
        return found

    def _phone(
        self, session: Session, subject_id: str, typed: str
    ) -> dict[Attribute, tuple[str, bool]]:
        """Return the profile's number in E.164, and whether it is one that the person proved."""
        identifiers = self._subjects.identifiers
        try:
            number = identifiers.read(IdentifierKind.PHONE, typed)
        except InvalidInput:
            return {}
        proven = any(
            known.identifier == number and known.verified_at is not None
            for known in identifiers.of(session, subject_id, IdentifierKind.PHONE)
        )
        return {Attribute.PHONE: (number.value, proven)}


class ReleasedClaims:
    """What a token yields at userinfo, beside `sub`."""

    def __init__(
        self,
        register: Register,
        *,
        subjects: Subjects,
        decisions: Decisions,
        pseudonyms: Pseudonyms,
    ) -> None:
        self._register = register
        self._subjects = subjects
        self._decisions = decisions
        self._pseudonyms = pseudonyms
        self._held = Held(subjects)

    def of(self, session: Session, token: Token, now: datetime) -> dict[str, Json]:
        """Return the claims that were asked for and that may be released at this instant.

        An attribute is released where a purpose of this client needs it and may use the person's
        data now; each such purpose is decided as `/access/v1/evaluation` would, and counted as a
        use that the person sees. What is not released is absent. OIDC Core s. 5.3.2.

        Args:
            session: a snapshot opened after the question arrived.
            token: a person's, found valid.
            now: aware UTC.
        """
        if token.subject_id is None:
            return {}
        # A scope that was taken from the client counts no more, also where `claims` asked for it.
        asked = claims_asked(token.scope, token.claims) & claims_asked(token.client.scopes, ())
        attributes = attributes_asked((), asked)
        subject_id = self._subjects.current(session, token.subject_id)
        pseudonym = self._pseudonyms.find(session, token.client.sector, subject_id)
        if not asked or pseudonym is None:
            return {}
        permitted: set[Attribute] = set()
        needing = purposes_needing(self._register, attributes, token.client.purposes)
        actor = actor_of(token, None, self._register)
        for purpose, needs in needing.values():
            question = Question(APPLICATION, token.client.client_id, purpose.id, PERSON, pseudonym)
            if self._decisions.evaluate(session, actor, question, now).decision.permit:
                permitted.update(needs)
        if not permitted:
            return {}
        return _claims(asked, self._held.values(session, subject_id, permitted))


def _claims(asked: Collection[str], held: Mapping[Attribute, tuple[str, bool]]) -> dict[str, Json]:
    """Return the claims made of values; a claim of which nothing is held is absent."""
    made: dict[str, Json] = {}
    for claim in ATTRIBUTES_OF_CLAIM:
        values = [held[each] for each in ATTRIBUTES_OF_CLAIM[claim] if each in held]
        if claim not in asked or not values:
            continue
        value, proven = values[0]
        if claim == "name":
            made[claim] = " ".join(each for each, _proven in values)
        elif claim == "address":
            made[claim] = {"formatted": value}
        else:
            made[claim] = proven if claim.endswith("_verified") else value
    return made
