from __future__ import annotations

import time
from datetime import date

from policies.register.linter import lint
from policies.register.loader import load
from policies.register.model import Register
from policies.vocabulary import Attribute, LegalBasis
from tests.policies.register.conftest import EXAMPLE


def test_the_example_shop_has_nothing_that_the_linter_objects_to(example: Register) -> None:
    assert lint(example) == ()


def test_every_notice_of_the_example_is_in_force_in_spanish_and_english(example: Register) -> None:
    for purpose in example.purposes:
        notice = example.notice_of(purpose)
        assert notice is not None
        assert set(notice.texts) == {"es", "en"}


def test_the_example_has_consents_contracts_and_a_legal_obligation(example: Register) -> None:
    bases = {name: purpose.legal_basis for name, purpose in example.purposes.items()}
    assert bases == {
        "newsletter": LegalBasis.CONSENT,
        "offers.email": LegalBasis.CONSENT,
        "offers.phone": LegalBasis.CONSENT,
        "offers.post": LegalBasis.CONSENT,
        "recommendations": LegalBasis.CONSENT,
        "partner-advertising": LegalBasis.CONSENT,
        "partner-offers.winery": LegalBasis.CONSENT,
        "partner-offers.cookware": LegalBasis.CONSENT,
        "analytics": LegalBasis.CONSENT,
        "loyalty": LegalBasis.CONTRACT,
        "tastings": LegalBasis.CONTRACT,
        "orders": LegalBasis.CONTRACT,
        "invoices": LegalBasis.LEGAL_OBLIGATION,
    }


def test_purposes_stand_in_the_order_of_the_file(example: Register) -> None:
    assert list(example.purposes)[:2] == ["newsletter", "offers.email"]
    assert list(example.purposes)[-1] == "invoices"


def test_the_second_newsletter_notice_is_in_force_and_asks_nobody_again(example: Register) -> None:
    current = example.notice_of("newsletter")
    assert current is not None
    assert (current.version, current.material) == (2, False)
    assert current.published == date(2026, 2, 2)
    assert example.notices["newsletter"].last_material_version() == 1
    first = example.revision_of("newsletter", 1)
    assert first is not None
    assert first.texts["es"] != current.texts["es"]


def test_the_example_loads_in_fifty_milliseconds() -> None:
    durations = []
    for _ in range(5):
        start = time.perf_counter()
        load(EXAMPLE)
        durations.append(time.perf_counter() - start)
    assert min(durations) < 0.05


def test_an_address_goes_to_what_writes_to_people_and_no_form_asks_for_it_again(
    example: Register,
) -> None:
    needing = {p.id for p in example.purposes.values() if Attribute.EMAIL in p.attributes}
    assert needing == {
        "newsletter",
        "offers.email",
        "partner-offers.winery",
        "partner-offers.cookware",
        "loyalty",
        "tastings",
        "orders",
    }
    points = example.collection_points.values()
    assert Attribute.EMAIL not in {field.attribute for point in points for field in point.fields}
