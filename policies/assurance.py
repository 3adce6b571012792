"""How sure a sign-in makes us that it is this person: from methods to a level and back to `acr`.

The levels have the meaning of NIST SP 800-63B, as far as the methods tell; that a device is
validated hardware (FIPS 140) is nothing a method value can prove, and is not claimed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from policies.errors import DomainError


class AssuranceLevel(StrEnum):
    """Authentication assurance level, weakest first. Source: NIST SP 800-63B s. 2."""

    AAL1 = "aal1"
    AAL2 = "aal2"
    AAL3 = "aal3"


ACR: Final[Mapping[AssuranceLevel, str]] = MappingProxyType(
    {level: f"urn:placet:acr:{level.value}" for level in AssuranceLevel}
)
"""The `acr` value of each level, agreed with our relying parties. Source: OIDC Core s. 2."""

_LEVEL_OF_ACR: Final = MappingProxyType({acr: level for level, acr in ACR.items()})
_RANK: Final = MappingProxyType({level: rank for rank, level in enumerate(AssuranceLevel)})

# RFC 8176 values. "hwk" says that the key cannot leave its device: a passkey that may be synced
# must be recorded as "swk". A code by mail has no value here: it is no factor.
_PASSWORD: Final = "pwd"  # noqa: S105 - a method's name
# Somebody else vouches for the person. RFC 8176 has no value for it; what they say of their own
# methods is not believed, so it is one factor of whatever kind.
_FEDERATED: Final = "fed"
_FIRST_FACTORS: Final = frozenset({_PASSWORD, _FEDERATED})
_SEVERAL_FACTORS: Final = "mfa"
_HARDWARE_KEYS: Final = frozenset({"hwk", "sc"})
_KEYS: Final = _HARDWARE_KEYS | {"swk"}
_DEVICES: Final = _KEYS | {"otp"}
_UNLOCKS_A_KEY: Final = frozenset({"pin", "fpt", "face", "iris", "retina"})


def level_of(methods: Collection[str]) -> AssuranceLevel | None:
    """The level that a sign-in by these methods reaches, or None if they authenticate nobody.

    A second factor is a device's code or key beside a password or an outside provider's word, a
    key unlocked by PIN or body, or an `mfa` value from a source that is believed. With a key bound to its hardware that is
    AAL3. Values that are not understood add nothing, nor do text messages (NIST: restricted) to
    a password.

    Args:
        methods: `amr` values.

    Source: NIST SP 800-63B s. 2.1 to 2.3; RFC 8176 s. 2.
    """
    used = frozenset(methods)
    two_factors = (
        _SEVERAL_FACTORS in used
        or (bool(used & _FIRST_FACTORS) and bool(used & _DEVICES))
        or bool(used & _KEYS and used & _UNLOCKS_A_KEY)
    )
    if two_factors:
        return AssuranceLevel.AAL3 if used & _HARDWARE_KEYS else AssuranceLevel.AAL2
    return AssuranceLevel.AAL1 if used & (_FIRST_FACTORS | _DEVICES) else None


def satisfies(have: AssuranceLevel | None, need: AssuranceLevel) -> bool:
    """Whether a session of one level may do what needs another; no level satisfies nothing."""
    return have is not None and _RANK[have] >= _RANK[need]


def level_of_acr(acr: str) -> AssuranceLevel | None:
    """The level that a requested `acr` value names, or None if it is not one of ours.

    Source: OIDC Core s. 3.1.2.1 (`acr_values`), s. 5.5.1.1.
    """
    return _LEVEL_OF_ACR.get(acr)


class Factor(StrEnum):
    """What an account can show to prove that it is this person. A mailed code is none."""

    PASSWORD = "password"  # noqa: S105 - a factor's name
    TOTP = "totp"
    PASSKEY = "passkey"
    RECOVERY_CODE = "recovery-code"
    FEDERATED = "federated"


METHODS_OF: Final[Mapping[Factor, frozenset[str]]] = MappingProxyType(
    {
        Factor.PASSWORD: frozenset({_PASSWORD}),
        Factor.TOTP: frozenset({"otp"}),
        # A passkey that verified the person (PIN or body): we cannot tell by which, so `mfa`.
        Factor.PASSKEY: frozenset({"swk", "user", _SEVERAL_FACTORS}),
        Factor.RECOVERY_CODE: frozenset({"otp"}),
        Factor.FEDERATED: frozenset({_FEDERATED}),
    }
)
"""The `amr` values that each factor adds. Source: RFC 8176 s. 2."""


class Action(StrEnum):
    """What being signed in is not enough for; a view names its own."""

    CHANGE_PASSWORD = "change-password"  # noqa: S105 - an action's name
    CHANGE_FACTORS = "change-factors"
    CHANGE_ADDRESS = "change-address"
    END_SESSIONS = "end-sessions"
    SEE_ALL_DATA = "see-all-data"
    ERASE_DATA = "erase-data"
    CLOSE_ACCOUNT = "close-account"
    DESK = "desk"
    ADMINISTRATION = "administration"


@dataclass(frozen=True, slots=True)
class Need:
    """The assurance that an action demands of the session.

    Attributes:
        level: at least this.
        best_of_account: and two factors, where the account has two.
        fresh_for: the person proved a factor no longer ago than this (half-open); None: whenever.
        phishing_resistant: a key bound to our address was used. Source: NIST SP 800-63B s. 3.2.5.
    """

    level: AssuranceLevel = AssuranceLevel.AAL1
    best_of_account: bool = True
    fresh_for: timedelta | None = None
    phishing_resistant: bool = False


FRESH_FOR: Final = timedelta(minutes=10)
"""For so long after a proof a sensitive change asks for no new one. Source: ASVS 5.0 7.5.1."""

_OWN: Final = Need(fresh_for=FRESH_FOR)
_OTHERS_DATA: Final = Need(level=AssuranceLevel.AAL2, phishing_resistant=True)

NEEDS: Final[Mapping[Action, Need]] = MappingProxyType(
    {
        Action.CHANGE_PASSWORD: _OWN,
        Action.CHANGE_FACTORS: _OWN,
        Action.CHANGE_ADDRESS: _OWN,
        Action.END_SESSIONS: _OWN,
        Action.SEE_ALL_DATA: _OWN,
        Action.ERASE_DATA: _OWN,
        Action.CLOSE_ACCOUNT: _OWN,
        Action.DESK: _OTHERS_DATA,
        Action.ADMINISTRATION: _OTHERS_DATA,
    }
)


class FactorNeeded(DomainError):
    """No factor of this account is enough for the action: one must be added first."""

    code = "factor-needed"


def is_phishing_resistant(methods: Collection[str]) -> bool:
    """Whether one of the methods is a key that answers to our own address alone.

    Source: NIST SP 800-63B s. 3.2.5; W3C WebAuthn L3 s. 13.4.
    """
    return bool(_KEYS & frozenset(methods))


def missing(
    need: Need,
    *,
    methods: Collection[str],
    authenticated_at: datetime | None,
    at: datetime,
    factors: Collection[Factor],
) -> frozenset[Factor]:
    """Which factors are missing, any one of which would do; empty where nothing is.

    Args:
        need: what the action demands.
        methods: `amr` values of the session.
        authenticated_at: when the person last proved a factor; None never did.
        at: now; both aware.
        factors: what the account has.

    Raises:
        FactorNeeded: nothing that the account has would be enough.

    Source: OWASP ASVS 5.0 7.5.1, 7.5.3; NIST SP 800-63B s. 2.2.3.
    """
    used, own = frozenset(methods), frozenset(factors)
    wanted = need.level
    if need.best_of_account and _can_reach(own, AssuranceLevel.AAL2):
        wanted = max(wanted, AssuranceLevel.AAL2, key=lambda level: _RANK[level])

    def enough(values: frozenset[str]) -> bool:
        resistant = not need.phishing_resistant or is_phishing_resistant(values)
        return resistant and satisfies(level_of(values), wanted)

    if enough(used):
        is_fresh = need.fresh_for is None or (
            authenticated_at is not None
            and at - authenticated_at < need.fresh_for
            and not _rests_on_others_word(used, own)
        )
        if is_fresh:
            return frozenset()
        # Any factor shows that it is still the same person; a recovery code is dear.
        again = _own_first(own - {Factor.RECOVERY_CODE} or own)
        if not again:
            raise FactorNeeded("the account has no factor left to be shown again")
        return again
    completing = frozenset(each for each in own if enough(used | METHODS_OF[each]))
    if not completing:
        raise FactorNeeded("no factor of this account is enough for this")
    return _own_first(completing)


def _rests_on_others_word(used: frozenset[str], own: frozenset[Factor]) -> bool:
    """Tell whether nothing but an outside provider's word was shown, and the account has more.

    The provider may have given it without asking the person anything, to whoever sits there.
    """
    has_own = bool(own - {Factor.FEDERATED, Factor.RECOVERY_CODE})
    return has_own and used <= METHODS_OF[Factor.FEDERATED]


def _own_first(factors: frozenset[Factor]) -> frozenset[Factor]:
    """Leave out the outside provider where something else would do: it may ask the person nothing."""
    return factors - {Factor.FEDERATED} or factors


def missing_for_level(
    level: AssuranceLevel, *, methods: Collection[str], factors: Collection[Factor]
) -> frozenset[Factor]:
    """Which factors lead a session to a level; any one is the next step, empty where it is there.

    One that is enough alone goes before two that only together are.

    Args:
        level: what is asked for.
        methods: `amr` values of the session.
        factors: what the account has.

    Raises:
        FactorNeeded: all that the account has together does not reach it.

    Source: OIDC Core s. 3.1.2.1 (`acr_values`); NIST SP 800-63B s. 2.1 to 2.3.
    """
    used, own = frozenset(methods), frozenset(factors)
    if satisfies(level_of(used), level):
        return frozenset()
    at_once = frozenset(f for f in own if satisfies(level_of(used | METHODS_OF[f]), level))
    if at_once:
        return _own_first(at_once)
    if not satisfies(level_of(used.union(*(METHODS_OF[f] for f in own))), level):
        raise FactorNeeded("the factors of this account do not reach this level")
    lasting = own - {Factor.RECOVERY_CODE}
    return _own_first(frozenset(each for each in lasting if not METHODS_OF[each] <= used))


def _can_reach(factors: frozenset[Factor], level: AssuranceLevel) -> bool:
    lasting = factors - {Factor.RECOVERY_CODE}
    methods = frozenset[str]().union(*(METHODS_OF[each] for each in lasting))
    return satisfies(level_of(methods), level)
