"""May this purpose use this person's data, now? Deny by default; the one place that says permit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from policies.deadlines import aware, months_after
from policies.vocabulary import ConsentAction, DecisionReason, LegalBasis, SaidBy


class ObligationType(StrEnum):
    """What a caller must do with a permit. `docs/decisions-api.md` explains each.

    Source: AuthZEN obligations profile (draft), with types of our own.
    """

    HUMAN_REVIEW = "human-review"  # a human decides before the effect. GDPR Art. 22(1)
    PSEUDONYMISE = "pseudonymise"  # only under the pseudonym. GDPR Art. 4(5), 25(1)
    MASK = "mask"  # hide the categories named. GDPR Art. 5(1)(c)
    SHOW_NOTICE = "show-notice"  # show the notice named with the use. GDPR Art. 13, 21(4)
    KEEP_UNTIL = "keep-until"  # delete what was taken over in time. GDPR Art. 5(1)(e)


PERMIT_REASON: Final[Mapping[LegalBasis, DecisionReason]] = MappingProxyType(
    {
        LegalBasis.CONSENT: DecisionReason.CONSENT_GIVEN,
        LegalBasis.CONTRACT: DecisionReason.CONTRACT,
        LegalBasis.LEGAL_OBLIGATION: DecisionReason.LEGAL_OBLIGATION,
        LegalBasis.LEGITIMATE_INTERESTS: DecisionReason.LEGITIMATE_INTEREST,
    }
)
"""The reason that stands on a permit. A basis that is not here is never permitted by machine."""

_IN_FORCE: Final = frozenset({ConsentAction.GIVEN, ConsentAction.RENEWED})

_ENDED: Final[Mapping[ConsentAction, DecisionReason]] = MappingProxyType(
    {
        ConsentAction.REFUSED: DecisionReason.CONSENT_REFUSED,
        ConsentAction.WITHDRAWN: DecisionReason.CONSENT_WITHDRAWN,
        ConsentAction.EXPIRED: DecisionReason.CONSENT_EXPIRED,
        ConsentAction.REVOKED: DecisionReason.CONSENT_REVOKED,
        ConsentAction.INVALIDATED: DecisionReason.CONSENT_INVALIDATED,
    }
)

_OBJECTION_COUNTS: Final = frozenset(
    {LegalBasis.CONSENT, LegalBasis.LEGITIMATE_INTERESTS, LegalBasis.PUBLIC_TASK}
)
_OBLIGATION_SOURCE: Final[Mapping[ObligationType, str]] = MappingProxyType(
    {
        ObligationType.HUMAN_REVIEW: "GDPR Art. 22(1)",
        ObligationType.PSEUDONYMISE: "GDPR Art. 4(5), 25(1)",
        ObligationType.MASK: "GDPR Art. 5(1)(c)",
        ObligationType.SHOW_NOTICE: "GDPR Art. 13, 21(4)",
        ObligationType.KEEP_UNTIL: "GDPR Art. 5(1)(e)",
    }
)
_NEEDS_VERIFIED: Final = frozenset({LegalBasis.CONSENT, LegalBasis.CONTRACT})


@dataclass(frozen=True, slots=True)
class ObligationRule:
    """A duty that the register puts on every permit of a purpose.

    Attributes:
        categories: for MASK: ids of the data categories to hide.
    """

    type: ObligationType
    categories: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PurposeRule:
    """What a decision needs to know of a purpose.

    Attributes:
        id: the purpose's name in the register.
        legal_basis: why it is lawful. Source: GDPR Art. 6(1).
        last_material_version: lowest notice version whose consents still hold.
        validity_months: how long a consent lasts; None where it has no end by the clock.
        explicit: only an explicit consent counts. Source: GDPR Art. 9(2)(a).
        solely_automated: it decides alone and with significant effect. Source: GDPR Art. 22(1).
        direct_marketing: an objection ends it on any basis. Source: GDPR Art. 21(2), (3).
        categories: the data categories that it covers. Source: GDPR Art. 5(1)(c).
        obligations: duties on every permit of it, in the register's order.
        notice: id of its notice, and the version in force, for SHOW_NOTICE.
        keep_months: how long its data is kept, counted from `keep_from`; None: not said.
        keep_from: what the months are counted from ("collection", "withdrawal", ...).
    """

    id: str
    legal_basis: LegalBasis
    last_material_version: int
    validity_months: int | None
    explicit: bool = False
    solely_automated: bool = False
    direct_marketing: bool = False
    categories: tuple[str, ...] = ()
    obligations: tuple[ObligationRule, ...] = ()
    notice: str = ""
    notice_version: int = 0
    keep_months: int | None = None
    keep_from: str = ""


@dataclass(frozen=True, slots=True)
class ConsentFact:
    """The last word on one person and one purpose.

    Attributes:
        action: what happened last.
        at: when; aware.
        notice_version: of the notice that was shown.
        expires_at: aware, half-open: at this instant it is expired. None: no end by the clock.
        explicit: given by an express statement. Source: GDPR Art. 9(2)(a).
        said_by: whose word it is; a guardian's counts for a minor.
        by_minor: said, as we know by now, alone and below the age of consent: no birthday makes a
            consent of it. Source: GDPR Art. 8(1); LOPDGDD Art. 7(2).
    """

    action: ConsentAction
    at: datetime
    notice_version: int
    expires_at: datetime | None
    explicit: bool
    by_minor: bool = False
    said_by: SaidBy = SaidBy.PERSON

    def __post_init__(self) -> None:
        aware(self.at, "at")
        if self.expires_at is not None:
            aware(self.expires_at, "expires_at")


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of the person when the question is asked.

    Attributes:
        known: the pseudonym leads to a person.
        verified: False where the consent came with an address that nobody has proved.
        restricted: a restriction is in force. Source: GDPR Art. 18.
        blocked: their data is blocked. Source: LOPDGDD Art. 32.
        objected: their objection to this purpose is in force. Source: GDPR Art. 21.
        consent: the last consent event for this purpose, or None.
        readable: these facts could be read whole.
        minor_without_guardian: under the age of consent, with no guardian's grant.
            Source: GDPR Art. 8; LOPDGDD Art. 7.
        deceased: the person has died. Source: LOPDGDD Art. 3.
        suppressed_since: aware; since when an address of theirs has been on our own suppression
            list for this purpose, after an objection. Source: LOPDGDD Art. 15(2).
        excluded: an address of theirs is on an imported exclusion list. Source: LOPDGDD Art. 23.
    """

    known: bool
    verified: bool = True
    restricted: bool
    blocked: bool
    objected: bool
    consent: ConsentFact | None
    readable: bool = True
    minor_without_guardian: bool = False
    deceased: bool = False
    suppressed_since: datetime | None = None
    excluded: bool = False


@dataclass(frozen=True, slots=True)
class Obligation:
    """A duty that goes with a permit; a caller that cannot fulfil it must not act.

    Source: AuthZEN obligations profile (draft).
    """

    id: str
    type: str
    properties: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer.

    Attributes:
        permit: whether the purpose may use the data at the instant that was asked about.
        reasons: at least one: the ground of a permit, or every reason that denies, most
            important first.
        obligations: duties that go with a permit; empty on a deny.
        valid_until: UTC, half-open: when this permit ends by the clock if nothing else happens;
            None on a deny or where no clock runs. It is no licence to remember the answer.
    """

    permit: bool
    reasons: tuple[DecisionReason, ...]
    obligations: tuple[Obligation, ...] = ()
    valid_until: datetime | None = None


def decide(purpose: PurposeRule | None, facts: Facts, at: datetime) -> Decision:
    """Whether the purpose may use the person's data at an instant.

    Denying reasons come in this order, all that apply: state-unreadable (alone, as nothing else
    can be believed); unknown-purpose, unknown-person (with nothing after them: the caller learns
    nothing of a person through a purpose that does not exist); blocked, deceased, restricted,
    minor-without-guardian, unverified-person, objected, suppressed; then the consent's: no-consent,
    consent-refused, consent-withdrawn, consent-revoked, consent-invalidated, consent-expired,
    notice-changed.

    Args:
        purpose: its rule, or None if the register has no such purpose.
        facts: the person's state.
        at: aware; the instant asked about.

    Raises:
        ValueError: `at` is naive.

    Source: GDPR Art. 5(2), 6(1), 7, 8, 9, 18, 21, 22; LOPDGDD Art. 3, 6, 7, 15(2), 23, 32.
    """
    aware(at, "at")
    if not facts.readable:
        return Decision(permit=False, reasons=(DecisionReason.STATE_UNREADABLE,))
    unknown: tuple[DecisionReason, ...] = ()
    if purpose is None or purpose.legal_basis not in PERMIT_REASON:
        unknown += (DecisionReason.UNKNOWN_PURPOSE,)
    if not facts.known:
        unknown += (DecisionReason.UNKNOWN_PERSON,)
    if purpose is None or unknown:
        return Decision(permit=False, reasons=unknown)

    of_consent = tuple(_of_consent(purpose, facts.consent, at))
    denying = (*_of_person(purpose, facts, in_force=not of_consent), *of_consent)
    if denying:
        return Decision(permit=False, reasons=denying)
    return Decision(
        permit=True,
        reasons=(PERMIT_REASON[purpose.legal_basis],),
        obligations=_obligations(purpose, facts.consent),
        valid_until=_valid_until(purpose, facts.consent),
    )


def consent_expiry(given_at: datetime, validity_months: int, zone: tzinfo) -> datetime:
    """When a consent given now ends by the clock: UTC, half-open, at that instant it is expired.

    The controller's clocks show the same time on the same day number; a change of clocks never
    makes it longer.

    Args:
        given_at: aware.
        validity_months: at least 1.
        zone: the controller's.

    Raises:
        ValueError: `given_at` is naive, or `validity_months` is below 1.

    Source: AEPD cookie guide s. 3.2.8 (24 months as good practice); LOPDGDD DA 3.a (c).
    """
    if validity_months < 1:
        msg = f"a consent lasts at least one month, not {validity_months}"
        raise ValueError(msg)
    return months_after(given_at, validity_months, zone)


def covered_categories(purpose: PurposeRule, asked: Iterable[str]) -> tuple[str, ...]:
    """Which of the data categories asked about the purpose covers, in the order asked.

    Source: GDPR Art. 5(1)(c).
    """
    return tuple(each for each in dict.fromkeys(asked) if each in purpose.categories)


def _of_person(purpose: PurposeRule, facts: Facts, *, in_force: bool) -> Iterator[DecisionReason]:
    basis = purpose.legal_basis
    if facts.blocked:
        yield DecisionReason.BLOCKED
    if facts.deceased:
        yield DecisionReason.DECEASED
    if facts.restricted:
        yield DecisionReason.RESTRICTED
    if facts.minor_without_guardian and basis is not LegalBasis.LEGAL_OBLIGATION:
        yield DecisionReason.MINOR_WITHOUT_GUARDIAN
    if not facts.verified and basis in _NEEDS_VERIFIED:
        yield DecisionReason.UNVERIFIED_PERSON
    if facts.objected and (basis in _OBJECTION_COUNTS or purpose.direct_marketing):
        yield DecisionReason.OBJECTED
    if purpose.direct_marketing and _is_suppressed(purpose, facts, in_force=in_force):
        yield DecisionReason.SUPPRESSED


def _is_suppressed(purpose: PurposeRule, facts: Facts, *, in_force: bool) -> bool:
    """Whether an address of the person is on a list, and no consent since lets us write to it.

    Source: LOPDGDD Art. 15(2), 23(4): a consent to this very sender prevails.
    """
    consent = facts.consent
    by_consent = in_force and consent is not None and purpose.legal_basis is LegalBasis.CONSENT
    if facts.suppressed_since is not None:
        since = facts.suppressed_since
        return not (by_consent and consent is not None and consent.at >= since)
    return facts.excluded and not by_consent


def _of_consent(
    purpose: PurposeRule, consent: ConsentFact | None, at: datetime
) -> Iterator[DecisionReason]:
    if purpose.legal_basis is not LegalBasis.CONSENT:
        return
    if consent is None:
        yield DecisionReason.NO_CONSENT
        return
    if consent.action not in _IN_FORCE:
        # One that was only asked for, revoked by others or found invalid is none.
        yield _ENDED.get(consent.action, DecisionReason.NO_CONSENT)
        return
    if at < consent.at or consent.by_minor or (purpose.explicit and not consent.explicit):
        yield DecisionReason.NO_CONSENT
    if _is_expired(purpose, consent, at):
        yield DecisionReason.CONSENT_EXPIRED
    if consent.notice_version < purpose.last_material_version:
        yield DecisionReason.NOTICE_CHANGED


def _is_expired(purpose: PurposeRule, consent: ConsentFact, at: datetime) -> bool:
    if consent.expires_at is None:
        # An end that should be there and is not counts as past.
        return purpose.validity_months is not None
    return at >= consent.expires_at


def _obligations(purpose: PurposeRule, consent: ConsentFact | None) -> tuple[Obligation, ...]:
    named = tuple(_obligation(purpose, rule, consent) for rule in purpose.obligations)
    if not _needs_human(purpose, consent):
        return named
    if any(each.type == ObligationType.HUMAN_REVIEW for each in named):
        return named
    review = ObligationRule(ObligationType.HUMAN_REVIEW)
    return (_obligation(purpose, review, consent), *named)


def _needs_human(purpose: PurposeRule, consent: ConsentFact | None) -> bool:
    """Source: GDPR Art. 22(2)."""
    if not purpose.solely_automated:
        return False
    if purpose.legal_basis in (LegalBasis.CONTRACT, LegalBasis.LEGAL_OBLIGATION):
        return False
    is_consent = purpose.legal_basis is LegalBasis.CONSENT
    return not (is_consent and consent is not None and consent.explicit)


def _obligation(
    purpose: PurposeRule, rule: ObligationRule, consent: ConsentFact | None
) -> Obligation:
    properties = {"source": _OBLIGATION_SOURCE[rule.type]}
    if rule.type is ObligationType.MASK:
        properties["categories"] = " ".join(rule.categories)
    elif rule.type is ObligationType.SHOW_NOTICE:
        properties |= {"notice": purpose.notice, "notice_version": str(purpose.notice_version)}
    elif rule.type is ObligationType.KEEP_UNTIL and purpose.keep_months is not None:
        properties |= {"months": str(purpose.keep_months), "from": purpose.keep_from}
        if purpose.keep_from == "collection" and consent is not None and purpose.keep_months:
            until = months_after(consent.at, purpose.keep_months, UTC)
            properties["until"] = until.date().isoformat()
    return Obligation(
        id=f"{purpose.id}:{rule.type.value}",
        type=rule.type.value,
        properties=MappingProxyType(properties),
    )


def _valid_until(purpose: PurposeRule, consent: ConsentFact | None) -> datetime | None:
    if purpose.legal_basis is not LegalBasis.CONSENT or consent is None:
        return None
    return None if consent.expires_at is None else consent.expires_at.astimezone(UTC)
