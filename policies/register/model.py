"""What a register is. Values only; `loader` makes them from files.

Digests are SHA-256 in lower-case hex over the canonical JSON (RFC 8785) of the content, so that
anybody can compute them again with another program.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from types import MappingProxyType
from typing import TypeAlias

from policies.decision import ObligationRule
from policies.register import canonical
from policies.vocabulary import Attribute, ContactChannel, LegalBasis

Localized: TypeAlias = Mapping[str, str]
"""BCP 47 language -> text. "es" is always there, "en" is expected."""

MAX_CONSENT_MONTHS = 24
"""How long a consent may last before it is asked again. Source: AEPD cookie guide (2024) 3.2.8."""


class RecipientRole(StrEnum):
    """On whose account somebody receives the data. Source: GDPR Art. 4(7), 4(8)."""

    PROCESSOR = "processor"
    CONTROLLER = "controller"


class RetentionStart(StrEnum):
    """What the months of a retention rule are counted from."""

    COLLECTION = "collection"
    LAST_USE = "last-use"
    WITHDRAWAL = "withdrawal"
    END_OF_CONTRACT = "end-of-contract"
    LAST_ENTRY = "last-entry"


class ConsentPer(StrEnum):
    """What a consent of its own is asked for. Source: GDPR recital 32, 43; LOPDGDD Art. 6(2)."""

    PURPOSE = "purpose"
    CHANNEL = "channel"
    PARTNER = "partner"


@dataclass(frozen=True, slots=True)
class Controller:
    """Who answers for the data. Source: GDPR Art. 13(1)(a), (b).

    Attributes:
        region: ISO 3166-2 code whose public holidays move the deadlines ("ES-MD"), or the country.
        time_zone: IANA name; legal dates are dates there.
        age_of_consent: years; from this age on a person consents alone. Source: GDPR Art. 8(1).
        dpo_name: None where the company has no data protection officer.
    """

    name: str
    tax_id: str
    address: str
    email: str
    privacy_email: str
    dpo_name: str | None
    dpo_email: str | None
    country: str
    region: str
    time_zone: str
    age_of_consent: int


@dataclass(frozen=True, slots=True)
class AccountNotices:
    """What a person is shown when they open an account; ids of notices, or None.

    Attributes:
        terms: what they accept by opening it. Source: Código Civil Art. 1262; GDPR Art. 7(2).
        privacy: what they are told, which is no consent. Source: GDPR Art. 13.
    """

    terms: str | None = None
    privacy: str | None = None


DEFAULT_ADDRESS_DAYS = 30
"""For so long full network addresses help against an attack. Source: GDPR Art. 5(1)(e)."""

MAX_ADDRESS_DAYS = 365
"""No longer than the security trail. Source: CNIL deliberation 2021-122 (at most a year)."""

LONG_ADDRESS_DAYS = 180
"""From here on the length needs a reason. Source: CNIL deliberation 2021-122 (six months)."""


@dataclass(frozen=True, slots=True)
class Security:
    """What the company keeps to guard the accounts. Source: GDPR Art. 5(1)(e), 32(1), recital 49.

    Attributes:
        address_days: for so long the full network address of a sign-in is kept; after that, as
            from the first instant with 0, only its network (IPv4 /24, IPv6 /48).
    """

    address_days: int = DEFAULT_ADDRESS_DAYS


@dataclass(frozen=True, slots=True)
class DataCategory:
    """A kind of data. `special`: of those of GDPR Art. 9(1)."""

    id: str
    title: Localized
    special: bool


@dataclass(frozen=True, slots=True)
class Recipient:
    """Somebody outside the company who receives data. Source: GDPR Art. 13(1)(e), (f).

    Attributes:
        country: ISO 3166-1 alpha-2, where the data is received.
        safeguards: what protects the data outside the EEA, in words; empty where nothing is needed.
    """

    id: str
    name: str
    role: RecipientRole
    country: str
    title: Localized
    description: Localized
    safeguards: Localized


@dataclass(frozen=True, slots=True)
class RetentionRule:
    """How long data is kept, and under which law. Source: GDPR Art. 5(1)(e), 13(2)(a).

    Attributes:
        period: whole months from `starts` on; 0: it ends with the event itself.
        article: the article that allows or orders the period.
    """

    id: str
    period: int
    starts: RetentionStart
    reason: Localized
    article: str


@dataclass(frozen=True, slots=True)
class NoticeRevision:
    """One exact wording of a notice. Once published it never changes. Source: GDPR Art. 7(1).

    Attributes:
        version: counted from 1 without gaps.
        material: whether who accepted an earlier version must be asked again.
        texts: the exact Markdown per language.
        digest: `notice_digest` of the above.
        published: the day it came into force, in the controller's time zone; None for a draft.
        bundles_terms: whether its author says that it also asks to accept terms; None: not said.
            Source: GDPR Art. 7(2).
    """

    notice: str
    version: int
    material: bool
    texts: Localized
    digest: str
    published: date | None
    bundles_terms: bool | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """A notice with its history, oldest revision first."""

    id: str
    revisions: tuple[NoticeRevision, ...]

    @property
    def current(self) -> NoticeRevision | None:
        """The revision in force: the highest published one, or None."""
        published = [each for each in self.revisions if each.published]
        return published[-1] if published else None

    def last_material_version(self) -> int | None:
        """The published version below which a consent must be asked again, or None.

        Source: AEPD cookie guide (2024) 3.2.7.
        """
        return max((r.version for r in self.revisions if r.published and r.material), default=None)


@dataclass(frozen=True, slots=True)
class Purpose:
    """One thing the company does with people's data. Source: GDPR Art. 5(1)(b), 6.

    Attributes:
        id: the name on the wire ("newsletter").
        title: a few words.
        summary: one plain sentence, shown on the person's card.
        data_categories: ids, in the order of the file.
        recipients: ids, in the order of the file.
        retention: id of its rule.
        notice: id of its notice.
        validity_months: for a consent: after this it is asked again. Source: AEPD 3.2.8.
        direct_marketing: an objection ends it without reasons. Source: GDPR Art. 21(2), (3).
        profiling: it evaluates the person. Source: GDPR Art. 4(4).
        explicit: the consent must be explicit. Source: GDPR Art. 9(2)(a).
        solely_automated: decides with significant effect and no human. Source: GDPR Art. 22(1).
        special_aim: its main aim is to identify ideology, union membership, religion, sexual
            orientation, beliefs or origin. Source: LOPDGDD Art. 9(1).
        dpv_purpose: the W3C Data Privacy Vocabulary term ("dpv:DirectMarketing") or an IRI.
        attributes: the profile fields that it needs; no other is asked for in its name.
            Source: GDPR Art. 5(1)(c).
        channels: by which ways people are reached for it; empty where nobody is reached.
        partners: ids of recipients who use the data for themselves, told by name.
        frequency: how often, in a few words; None where it says nothing to a person.
        double_opt_in: unless the person is signed in, the address is written to first, and the
            consent counts from the answer on.
        consent_per: for what of it a consent is asked by itself.
        gpc: a browser's signal (Global Privacy Control) is an objection to it.
            Source: GDPR Art. 21(5).
        reminder_days: so many days before a consent ends the person is told by mail; 0: never.
        obligations: duties on every permit, in the order of the file.
        part_of: the declared purpose that this one is a unit of; None where it stands for itself.
        option: which channel or partner of `part_of` it is.
    """

    id: str
    title: Localized
    summary: Localized
    legal_basis: LegalBasis
    data_categories: tuple[str, ...]
    recipients: tuple[str, ...]
    retention: str
    notice: str
    validity_months: int
    direct_marketing: bool
    profiling: bool
    explicit: bool
    solely_automated: bool
    special_aim: bool
    dpv_purpose: str
    attributes: tuple[Attribute, ...] = ()
    channels: tuple[ContactChannel, ...] = ()
    partners: tuple[str, ...] = ()
    consent_per: ConsentPer = ConsentPer.PURPOSE
    frequency: Localized | None = None
    double_opt_in: bool = False
    gpc: bool = False
    reminder_days: int = 0
    obligations: tuple[ObligationRule, ...] = ()
    part_of: str | None = None
    option: str | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """A declared purpose that is asked for channel by channel, or partner by partner.

    Attributes:
        id: the declared name; no purpose has it, each unit is one.
        units: ids of the purposes, `<id>.<option>`, in the order of the file.
    """

    id: str
    title: Localized
    summary: Localized
    consent_per: ConsentPer
    units: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Field:
    """One thing that a form asks for, and the kind of data that it is.

    Attributes:
        attribute: the profile field that it fills; None where it fills none of ours.
    """

    name: str
    category: str
    required: bool
    attribute: Attribute | None = None


@dataclass(frozen=True, slots=True)
class CollectionPoint:
    """A place where data is asked for: a form, a till, a banner. Source: GDPR Art. 13(1), 25(2).

    Attributes:
        purposes: ids of what may be done with what is collected here.
        required_purposes: those of them without which the form cannot be sent.
    """

    id: str
    title: Localized
    purposes: tuple[str, ...]
    fields: tuple[Field, ...]
    required_purposes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Register:
    """Everything that the company declares. Mappings go by id, in the order of the files.

    Attributes:
        revision: `digests.register_digest` of what is declared.
        groups: the declared purposes that are asked for unit by unit; `purposes` has the units.
    """

    controller: Controller
    purposes: Mapping[str, Purpose]
    categories: Mapping[str, DataCategory]
    recipients: Mapping[str, Recipient]
    retention: Mapping[str, RetentionRule]
    notices: Mapping[str, Notice]
    collection_points: Mapping[str, CollectionPoint]
    revision: str
    account: AccountNotices = AccountNotices()
    security: Security = Security()
    groups: Mapping[str, Group] = field(default_factory=lambda: MappingProxyType({}))

    def units_of(self, name: str) -> tuple[str, ...]:
        """The purposes that a declared name stands for; () where it is unknown.

        A purpose stands for itself; a group, for all its units.
        """
        if name in self.purposes:
            return (name,)
        group = self.groups.get(name)
        return group.units if group else ()

    def in_units(self, names: Iterable[str]) -> frozenset[str]:
        """The purposes that declared names stand for; one that is unknown stands for itself."""
        return frozenset(unit for name in names for unit in self.units_of(name) or (name,))

    def purpose(self, purpose_id: str) -> Purpose | None:
        """The purpose of that name, or None."""
        return self.purposes.get(purpose_id)

    def notice_of(self, purpose_id: str) -> NoticeRevision | None:
        """The notice revision in force for a purpose; None if unknown or not yet published."""
        purpose = self.purposes.get(purpose_id)
        notice = self.notices.get(purpose.notice) if purpose else None
        return notice.current if notice else None

    def revision_of(self, notice_id: str, version: int) -> NoticeRevision | None:
        """The published revision of a notice; None for a draft, which nobody may be shown."""
        notice = self.notices.get(notice_id)
        for revision in notice.revisions if notice else ():
            if revision.version == version and revision.published:
                return revision
        return None


def text_digest(text: str) -> str:
    """SHA-256 in hex of a text's UTF-8 bytes."""
    return hashlib.sha256(text.encode()).hexdigest()


def notice_digest(notice: str, version: int, texts: Localized) -> str:
    """What identifies an exact wording: SHA-256 in hex of its canonical JSON.

    The JSON is `{"notice": id, "texts": {language: text}, "version": n}` after RFC 8785.
    """
    return canonical.digest({"notice": notice, "texts": dict(texts), "version": version})
