"""Declared purposes that are asked for channel by channel or partner by partner, as their units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from policies.register.model import (
    ConsentPer,
    Group,
    Localized,
    Purpose,
    Recipient,
    RecipientRole,
)
from policies.vocabulary import Attribute, ContactChannel

MAX_ID: Final = 64

_BY: Final[Mapping[ContactChannel, Localized]] = MappingProxyType(
    {
        ContactChannel.EMAIL: {"es": "por correo electrónico", "en": "by e-mail"},
        ContactChannel.PHONE: {"es": "por teléfono", "en": "by phone"},
        ContactChannel.POST: {"es": "por correo postal", "en": "by post"},
        ContactChannel.PUSH: {"es": "con avisos en el móvil", "en": "by notifications"},
    }
)


#: The profile field by which each channel reaches a person.
_ADDRESSES: Final[Mapping[ContactChannel, Attribute]] = MappingProxyType(
    {
        ContactChannel.EMAIL: Attribute.EMAIL,
        ContactChannel.PHONE: Attribute.PHONE,
        ContactChannel.POST: Attribute.POSTAL_ADDRESS,
    }
)


def default_gpc(purpose: Purpose, recipients: Mapping[str, Recipient]) -> bool:
    """Whether Global Privacy Control reaches a purpose of which the register does not say it.

    It does where happens what the signal is against: data goes to somebody who uses it on their
    own account, for advertising or to make profiles.

    Source: W3C GPC (sale or sharing); GDPR Art. 21(2), (3), (5).
    """
    shares = any(
        recipients[each].role is RecipientRole.CONTROLLER
        for each in (*purpose.recipients, *purpose.partners)
        if each in recipients
    )
    return shares and (purpose.direct_marketing or purpose.profiling)


def unit_id(declared: str, option: str) -> str:
    """The name of a unit on the wire."""
    return f"{declared}.{option}"


def expanded(
    declared: Mapping[str, Purpose], recipients: Mapping[str, Recipient]
) -> tuple[Mapping[str, Purpose], Mapping[str, Group]]:
    """The purposes as they are decided, and the declared ones that stand for several of them.

    A unit is an ordinary purpose: it has its own events, states, receipts and decisions. One of a
    channel has that channel alone, and of the addresses that it needs the channel's alone; one of a
    partner, that partner alone beside the other recipients.

    Source: GDPR Art. 4(11), 5(1)(c), recital 32.
    """
    purposes: dict[str, Purpose] = {}
    groups: dict[str, Group] = {}
    for purpose in declared.values():
        if purpose.consent_per is ConsentPer.PURPOSE:
            purposes[purpose.id] = purpose
            continue
        is_channel = purpose.consent_per is ConsentPer.CHANNEL
        made = _of_channels(purpose) if is_channel else _of_partners(purpose, recipients)
        purposes.update({unit.id: unit for unit in made})
        groups[purpose.id] = Group(
            id=purpose.id,
            title=purpose.title,
            summary=purpose.summary,
            consent_per=purpose.consent_per,
            units=tuple(unit.id for unit in made),
        )
    return MappingProxyType(purposes), MappingProxyType(groups)


def _of_channels(purpose: Purpose) -> list[Purpose]:
    return [
        replace(
            purpose,
            id=unit_id(purpose.id, channel.value),
            title=MappingProxyType(
                {
                    language: f"{title}, {_BY[channel].get(language, channel.value)}"
                    for language, title in purpose.title.items()
                }
            ),
            attributes=_needed(purpose, channel),
            channels=(channel,),
            part_of=purpose.id,
            option=channel.value,
        )
        for channel in purpose.channels
    ]


def _needed(purpose: Purpose, channel: ContactChannel) -> tuple[Attribute, ...]:
    """What the purpose needs, without the addresses of its other channels."""
    others = {_ADDRESSES.get(each) for each in purpose.channels if each is not channel}
    return tuple(each for each in purpose.attributes if each not in others)


def _of_partners(purpose: Purpose, recipients: Mapping[str, Recipient]) -> list[Purpose]:
    common = [each for each in purpose.recipients if each not in purpose.partners]
    return [
        replace(
            purpose,
            id=unit_id(purpose.id, partner),
            title=MappingProxyType(
                {
                    language: f"{title}, {recipients[partner].name}"
                    for language, title in purpose.title.items()
                }
            ),
            recipients=(*common, partner),
            partners=(partner,),
            part_of=purpose.id,
            option=partner,
        )
        for partner in purpose.partners
        if partner in recipients  # another one is told by the loader
    ]
