"""How sure a sign-in makes us that it is this person: from methods to a level and back to `acr`.

The levels have the meaning of NIST SP 800-63B, as far as the methods tell; that a device is
validated hardware (FIPS 140) is nothing a method value can prove, and is not claimed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final


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
_SEVERAL_FACTORS: Final = "mfa"
_HARDWARE_KEYS: Final = frozenset({"hwk", "sc"})
_KEYS: Final = _HARDWARE_KEYS | {"swk"}
_DEVICES: Final = _KEYS | {"otp"}
_UNLOCKS_A_KEY: Final = frozenset({"pin", "fpt", "face", "iris", "retina"})


def level_of(methods: Collection[str]) -> AssuranceLevel | None:
    """The level that a sign-in by these methods reaches, or None if they authenticate nobody.

    A second factor is a device's code or key beside a password, a key unlocked by PIN or body,
    or an `mfa` value from a source that is believed. With a key bound to its hardware that is
    AAL3. Values that are not understood add nothing, nor do text messages (NIST: restricted) to
    a password.

    Args:
        methods: `amr` values.

    Source: NIST SP 800-63B s. 2.1 to 2.3; RFC 8176 s. 2.
    """
    used = frozenset(methods)
    two_factors = (
        _SEVERAL_FACTORS in used
        or (_PASSWORD in used and bool(used & _DEVICES))
        or bool(used & _KEYS and used & _UNLOCKS_A_KEY)
    )
    if two_factors:
        return AssuranceLevel.AAL3 if used & _HARDWARE_KEYS else AssuranceLevel.AAL2
    return AssuranceLevel.AAL1 if _PASSWORD in used or used & _DEVICES else None


def satisfies(have: AssuranceLevel | None, need: AssuranceLevel) -> bool:
    """Whether a session of one level may do what needs another; no level satisfies nothing."""
    return have is not None and _RANK[have] >= _RANK[need]


def level_of_acr(acr: str) -> AssuranceLevel | None:
    """The level that a requested `acr` value names, or None if it is not one of ours.

    Source: OIDC Core s. 3.1.2.1 (`acr_values`), s. 5.5.1.1.
    """
    return _LEVEL_OF_ACR.get(acr)
