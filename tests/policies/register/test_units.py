"""What is asked for each channel or each partner, as the units that everything else knows."""

from __future__ import annotations

from pathlib import Path

import pytest

from policies.register.linter import lint
from policies.register.loader import RegisterError, load
from policies.register.model import ConsentPer, Register
from policies.vocabulary import Attribute, ContactChannel
from tests.policies.register.conftest import Edit


def _problems(folder: Path) -> list[str]:
    with pytest.raises(RegisterError) as caught:
        load(folder)
    return [str(each) for each in caught.value.problems]


def test_a_purpose_asked_for_each_channel_stands_there_as_its_units(example: Register) -> None:
    units = ("offers.email", "offers.phone", "offers.post")
    assert "offers" not in example.purposes
    assert example.units_of("offers") == units
    assert example.units_of("offers.phone") == ("offers.phone",)
    assert example.units_of("newsletter") == ("newsletter",)
    assert example.units_of("nonsense") == ()
    assert example.in_units(["offers", "newsletter", "gone"]) == {*units, "newsletter", "gone"}
    group = example.groups["offers"]
    assert (group.units, group.consent_per) == (units, ConsentPer.CHANNEL)
    phone = example.purposes["offers.phone"]
    assert (phone.part_of, phone.option) == ("offers", "phone")
    assert phone.channels == (ContactChannel.PHONE,)
    assert phone.title["es"] == "Ofertas de la tienda, por teléfono"
    assert phone.title["en"] == "Offers of the shop, by phone"
    assert (phone.summary, phone.notice) == (group.summary, "offers")
    revision = example.notice_of("offers.phone")
    assert revision is not None
    assert revision.notice == "offers"


def test_a_unit_needs_no_address_of_another_channel(example: Register) -> None:
    given = Attribute.GIVEN_NAME
    assert {id_: set(example.purposes[id_].attributes) for id_ in example.units_of("offers")} == {
        "offers.email": {Attribute.EMAIL, given},
        "offers.phone": {Attribute.PHONE, given},
        "offers.post": {Attribute.POSTAL_ADDRESS, given},
    }


def test_a_unit_of_a_partner_gives_the_data_to_that_partner_alone(example: Register) -> None:
    assert example.units_of("partner-offers") == (
        "partner-offers.winery",
        "partner-offers.cookware",
    )
    winery = example.purposes["partner-offers.winery"]
    assert winery.recipients == ("hosting", "winery")
    assert winery.partners == ("winery",)
    assert winery.title["es"] == "Ofertas de casas amigas, Bodegas Cierzo Alto, S.L."


def test_partners_that_are_not_asked_for_apart_receive_the_data_together(
    folder: Path, edit: Edit
) -> None:
    edit("purposes.toml", 'consent_per = "partner"\n', "")
    register = load(folder)
    assert register.purposes["partner-offers"].recipients == ("hosting", "winery", "cookware")
    assert [(each.level, each.field) for each in lint(register)] == [("warning", "consent_per")]


def test_a_place_that_asks_for_a_group_asks_for_its_units(example: Register) -> None:
    purposes = example.collection_points["privacy-choices"].purposes
    assert purposes[:5] == ("newsletter", *example.units_of("offers"), "recommendations")


def test_a_place_may_ask_for_one_unit_of_a_group(folder: Path, edit: Edit) -> None:
    edit(
        "collection_points.toml",
        'purposes = ["newsletter"]\nfields = [{ name = "email"',
        'purposes = ["newsletter", "offers.email"]\nfields = [{ name = "email"',
    )
    assert load(folder).collection_points["newsletter-form"].purposes == (
        "newsletter",
        "offers.email",
    )


def test_global_privacy_control_reaches_what_is_shared_for_advertising(
    folder: Path, edit: Edit, example: Register
) -> None:
    assert {id_ for id_, each in example.purposes.items() if each.gpc} == {
        "partner-advertising",
        "partner-offers.winery",
        "partner-offers.cookware",
    }
    edit("purposes.toml", "gpc = true", "gpc = false")
    assert not load(folder).purposes["partner-offers.winery"].gpc
    edit("purposes.toml", 'notice = "recommendations"', 'notice = "recommendations"\ngpc = true')
    assert load(folder).purposes["recommendations"].gpc


PER = 'consent_per = "channel"'


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (
            '["email", "phone", "post"]',
            '["email", "phone", "phone"]',
            "[offers] channels[2]: phone stands there twice",
        ),
        (
            '["email", "phone", "post"]',
            '["e-mail", "phone"]',
            '[offers] channels[0]: e-mail is not one of email, phone, post, push; did you mean "email"?',
        ),
        (
            'channels = ["email", "phone", "post"]\n',
            "",
            "[offers] consent_per: asks for each channel, and channels names none",
        ),
        (
            PER,
            'consent_per = "partner"',
            "[offers] consent_per: asks for each partner, and partners names none",
        ),
        (PER, 'consent_per = "kanal"', "[offers] consent_per: kanal is not one of "),
        (PER, f"{PER}\nreminder_days = 91", "[offers] reminder_days: must be a whole number"),
        (
            "validity_months = 18",
            "validity_months = 1\nreminder_days = 28",
            "[partner-offers] reminder_days: is as long as the consent itself",
        ),
        (
            '["winery", "cookware"]',
            '["winery", "mailing"]',
            "[partner-offers] partners[1]: mailing is a processor: a partner uses the data on its ",
        ),
        (
            '["winery", "cookware"]',
            '["winery", "wine"]',
            '[partner-offers] partners[1]: wine is not in recipients.toml; did you mean "winery"?',
        ),
        (
            'recipients = ["hosting"]\npartners',
            'recipients = ["hosting", "winery"]\npartners',
            "[partner-offers] partners[0]: winery stands among the recipients, too",
        ),
        (
            'notice = "loyalty"',
            'notice = "loyalty"\nchannels = ["email"]\nconsent_per = "channel"',
            "[loyalty] consent_per: is for purposes that rest on consent",
        ),
        (
            'notice = "loyalty"',
            'notice = "loyalty"\ndouble_opt_in = true',
            "[loyalty] double_opt_in: is for purposes that rest on consent",
        ),
        (
            'notice = "loyalty"',
            'notice = "loyalty"\ngpc = true',
            "[loyalty] gpc: is for purposes that a person can object to",
        ),
        (
            'notice = "loyalty"',
            'notice = "loyalty"\nobligations = [{ type = "mask" }]',
            "[loyalty] obligations[0].categories: stand with mask, and with mask alone",
        ),
        (
            'notice = "loyalty"',
            'notice = "loyalty"\nobligations = [{ type = "mask", categories = ["health"] }]',
            "[loyalty] obligations[0].categories[0]: health is not in categories.toml",
        ),
        (
            'notice = "loyalty"',
            'notice = "loyalty"\nobligations = [{ type = "keep-until" }, { type = "keep-until" }]',
            "[loyalty] obligations[1].type: keep-until stands there twice",
        ),
        (
            "[offers]",
            '["offers.email"]',
            "[offers.email]: is not an id: small letters and digits, parted by - or _, 64 at most; a ",
        ),
    ],
)
def test_each_wrong_use_is_told_where_it_stands(
    folder: Path, edit: Edit, old: str, new: str, problem: str
) -> None:
    edit("purposes.toml", old, new)
    told = _problems(folder)
    assert told[0].startswith("collection_points.toml: ") or len(told) == 1
    assert any(each.startswith(f"purposes.toml: {problem}") for each in told), told


def test_an_option_that_makes_too_long_an_id_is_told(folder: Path, edit: Edit) -> None:
    name = "o" * 60
    edit("purposes.toml", "[offers]", f"[{name}]")
    edit("collection_points.toml", '"offers", "recommendations"', '"recommendations"')
    assert _problems(folder) == [
        f"purposes.toml: [{name}] consent_per: makes with {option} an id "
        "longer than 64: shorten one of them"
        for option in ("email", "phone", "post")
    ]


def test_what_is_asked_by_itself_can_be_no_condition(folder: Path, edit: Edit) -> None:
    edit(
        "collection_points.toml",
        'purposes = ["tastings"]\nrequired_purposes = ["tastings"]',
        'purposes = ["tastings", "offers", "offers.email"]\nrequired_purposes = ["offers"]',
    )
    place = "collection_points.toml: [tasting-booking]"
    assert _problems(folder) == [
        f"{place} purposes[2]: offers.email is a part of offers",
        f"{place} required_purposes[0]: offers is asked for by itself",
    ]


def test_what_is_wrong_with_a_group_is_told_once_under_its_declared_name(
    folder: Path, edit: Edit
) -> None:
    edit("purposes.toml", 'consent_per = "channel"', 'consent_per = "channel"\nspecial_aim = true')
    assert [(each.entry, each.field) for each in lint(load(folder))] == [("offers", "special_aim")]
