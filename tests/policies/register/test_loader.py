from __future__ import annotations

from pathlib import Path

import pytest

from policies.errors import DomainError
from policies.register.loader import RegisterError, load
from policies.register.model import AccountNotices, RecipientRole, RetentionStart
from policies.vocabulary import Attribute
from tests.policies.register.conftest import EXAMPLE, Edit


def _problems(folder: Path) -> list[str]:
    with pytest.raises(RegisterError) as caught:
        load(folder)
    return [str(each) for each in caught.value.problems]


def test_every_field_of_a_purpose_is_read() -> None:
    purpose = load(EXAMPLE).purposes["partner-advertising"]
    assert purpose.id == "partner-advertising"
    assert purpose.title["es"] == "Nuestros anuncios en otras webs"
    assert purpose.data_categories == ("contact", "purchases")
    assert purpose.recipients == ("advertising-partner",)
    assert (purpose.retention, purpose.notice) == ("until-withdrawal", "partner-advertising")
    assert purpose.validity_months == 12
    assert (purpose.direct_marketing, purpose.profiling) == (True, True)
    assert (purpose.explicit, purpose.solely_automated, purpose.special_aim) == (False,) * 3
    assert purpose.dpv_purpose == "dpv:TargetedAdvertising"


def test_the_other_entries_are_read_with_their_types(folder: Path, edit: Edit) -> None:
    edit("categories.toml", "[phone]\n", "[phone]\nspecial = true\n")
    register = load(folder)
    assert register.controller.region == "ES-MD"
    assert register.controller.age_of_consent == 14
    assert register.categories["phone"].special
    assert not register.categories["contact"].special
    assert register.retention["accounting"].period == 72
    assert register.retention["accounting"].starts is RetentionStart.LAST_ENTRY
    assert register.recipients["advertising-partner"].role is RecipientRole.CONTROLLER
    assert "2021/914" in register.recipients["measurement"].safeguards["en"]
    assert register.recipients["hosting"].safeguards == {}
    checkout = register.collection_points["checkout"]
    assert checkout.required_purposes == ("orders", "invoices")
    assert (checkout.fields[2].name, checkout.fields[2].required) == ("phone", False)
    assert checkout.fields[1].required


def test_a_consent_lasts_24_months_where_nothing_is_said(folder: Path, edit: Edit) -> None:
    edit("purposes.toml", "validity_months = 12\n", "")
    assert load(folder).purposes["partner-advertising"].validity_months == 24


def test_a_company_without_a_data_protection_officer_leaves_the_keys_out(
    folder: Path, edit: Edit
) -> None:
    edit("register.toml", 'dpo_name = "Delia Ferrer Quintana"\n', "")
    assert _problems(folder) == [
        "register.toml: [controller] dpo_name: and dpo_email stand together or not at all"
    ]
    edit("register.toml", 'dpo_email = "dpd@olivarysal.example"\n', "")
    assert load(folder).controller.dpo_name is None


@pytest.mark.parametrize(
    ("country", "age"), [("ES", 14), ("PT", 13), ("FR", 15), ("DE", 16), ("US", 16)]
)
def test_the_age_of_consent_is_the_countrys_where_nothing_is_said(
    folder: Path, edit: Edit, country: str, age: int
) -> None:
    edit("register.toml", "age_of_consent = 14\n", "")
    edit(
        "register.toml",
        'country = "ES"\nregion = "ES-MD"',
        f'country = "{country}"\nregion = "{country}"',
    )
    assert load(folder).controller.age_of_consent == age


def test_what_accounts_are_shown_is_read_and_may_be_left_out(folder: Path, edit: Edit) -> None:
    account = load(folder).account
    assert (account.terms, account.privacy) == ("terms", "account-privacy")
    edit("register.toml", 'terms = "terms"\n', 'terms = "term"\n')
    assert _problems(folder) == [
        'register.toml: [account] terms: term is not in notices; did you mean "terms"?'
    ]
    edit("register.toml", '[account]\nterms = "term"\nprivacy = "account-privacy"\n', "")
    assert load(folder).account == AccountNotices()


def test_an_attribute_is_one_that_people_can_be_asked_for(folder: Path, edit: Edit) -> None:
    assert load(folder).purposes["tastings"].attributes[-1] is Attribute.BIRTHDATE
    edit("purposes.toml", '"phone", "birthdate"]', '"phone", "birthday", "locale"]')
    edit("collection_points.toml", 'attribute = "birthdate"', 'attribute = "given_name"')
    names = "email, given_name, family_name, phone, postal_address, birthdate, locale"
    assert _problems(folder) == [
        "collection_points.toml: [tasting-booking] fields[1].attribute: given_name stands there twice",
        f'purposes.toml: [tastings] attributes[4]: birthday is not one of {names}; did you mean "birthdate"?',
    ]


@pytest.mark.parametrize("attribute", ["email", "locale"])
def test_no_form_asks_for_what_is_proven_or_chosen(
    folder: Path, edit: Edit, attribute: str
) -> None:
    edit("collection_points.toml", 'attribute = "birthdate"', f'attribute = "{attribute}"')
    names = "given_name, family_name, phone, postal_address, birthdate"
    assert _problems(folder) == [
        f"collection_points.toml: [tasting-booking] fields[1].attribute: {attribute} is not one of {names}"
    ]


def test_every_problem_is_told_at_once_with_file_entry_and_field(folder: Path, edit: Edit) -> None:
    edit("purposes.toml", "validity_months = 12", 'validity_months = "a year"')
    edit("retention.toml", "period = 13", "period = -1")
    edit("register.toml", '"Europe/Madrid"', '"Europe/Atlantis"')
    (folder / "categories.toml").unlink()
    with pytest.raises(RegisterError) as caught:
        load(folder)
    assert [str(each) for each in caught.value.problems] == [
        "categories.toml: is missing",
        (
            "purposes.toml: [partner-advertising] validity_months: "
            "must be a whole number from 1 to 1200"
        ),
        "register.toml: [controller] time_zone: Europe/Atlantis is not one such as Europe/Madrid",
        "retention.toml: [visits] period: must be a whole number from 0 to 1200",
    ]
    problem = caught.value.problems[1]
    assert (problem.file, problem.entry) == ("purposes.toml", "partner-advertising")
    assert problem.field == "validity_months"


def test_the_error_is_a_domain_error_that_counts_and_lists(folder: Path) -> None:
    (folder / "categories.toml").unlink()
    (folder / "retention.toml").unlink()
    with pytest.raises(DomainError) as caught:
        load(folder)
    assert caught.value.code == "register-invalid"
    assert caught.value.detail == (
        "the register has 2 problems, first: categories.toml: is missing"
    )
    assert str(caught.value) == "categories.toml: is missing\nretention.toml: is missing"


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        (
            "purposes.toml",
            "validity_months = 12",
            "validity_month = 12",
            (
                "[partner-advertising] validity_month: is not a key that is known here; "
                'did you mean "validity_months"?'
            ),
        ),
        (
            "purposes.toml",
            'notice = "loyalty"',
            'notice = "loyality"',
            '[loyalty] notice: loyality is not in notices; did you mean "loyalty"?',
        ),
        (
            "purposes.toml",
            'retention = "visits"',
            'retention = "vists"',
            '[analytics] retention: vists is not in retention.toml; did you mean "visits"?',
        ),
        (
            "purposes.toml",
            '["bookkeeping", "tax-agency"]',
            '["bookkeeping", "taxagency"]',
            (
                "[invoices] recipients[1]: taxagency is not in recipients.toml; "
                'did you mean "tax-agency"?'
            ),
        ),
        (
            "purposes.toml",
            '["browsing"]',
            '["browsing", "browsing"]',
            "[analytics] data_categories[1]: browsing stands there twice",
        ),
        (
            "purposes.toml",
            '["browsing"]',
            "[]",
            "[analytics] data_categories: must name at least one",
        ),
        (
            "purposes.toml",
            '"legal-obligation"',
            '"legal_obligation"',
            (
                "[invoices] legal_basis: legal_obligation is not one of consent, contract, "
                "legal-obligation, vital-interests, public-task, legitimate-interests; "
                'did you mean "legal-obligation"?'
            ),
        ),
        (
            "purposes.toml",
            '"dpv:LegalCompliance"',
            '"LegalCompliance"',
            "[invoices] dpv_purpose: LegalCompliance is not a DPV term such as dpv:Marketing",
        ),
        (
            "purposes.toml",
            "[invoices]",
            "[Invoices]",
            "[Invoices]: is not an id: small letters and digits, parted by - or _, 64 at most",
        ),
        (
            "collection_points.toml",
            '{ name = "visited_pages", category = "browsing" }',
            '{ name = "visited_pages", category = "brows" }',
            (
                "[cookie-banner] fields[0].category: brows is not in categories.toml; "
                'did you mean "browsing"?'
            ),
        ),
        (
            "collection_points.toml",
            '{ name = "visited_pages", category = "browsing" }',
            '{ name = "pages", category = "browsing" }, { name = "pages", category = "browsing" }',
            "[cookie-banner] fields[1].name: pages stands there twice",
        ),
        (
            "collection_points.toml",
            'required_purposes = ["loyalty"]',
            'required_purposes = ["orders"]',
            "[loyalty-desk] required_purposes[0]: orders is not among its purposes",
        ),
        (
            "categories.toml",
            'title = { es = "Teléfono", en = "Telephone number" }',
            'title = { en = "Telephone number" }',
            "[phone] title.es: is missing: Spanish is always there",
        ),
        (
            "categories.toml",
            'title = { es = "Teléfono", en = "Telephone number" }',
            'title = { es = "Teléfono", english = "Telephone number" }',
            "[phone] title.english: is not a BCP 47 language such as es or pt-BR",
        ),
        (
            "categories.toml",
            'es = "Teléfono"',
            'es = "Telé\\u0000fono"',
            "[phone] title.es: must be one line without control characters",
        ),
        ("categories.toml", 'es = "Teléfono"', 'es = " "', "[phone] title.es: is empty"),
        (
            "register.toml",
            '"hola@olivarysal.example"',
            '"hola"',
            "[controller] email: hola is not an e-mail address",
        ),
        (
            "register.toml",
            '"ES-MD"',
            '"FR-75C"',
            "[controller] region: does not lie in the country",
        ),
        (
            "register.toml",
            "age_of_consent = 14",
            "age_of_consent = 12",
            "[controller] age_of_consent: must be a whole number from 13 to 16",
        ),
        (
            "recipients.toml",
            '"Nube Tramontana, S.L."\nrole = "processor"',
            '"Nube Tramontana, S.L."\nrole = "procesor"',
            (
                "[hosting] role: procesor is not one of processor, controller; "
                'did you mean "processor"?'
            ),
        ),
    ],
)
def test_a_slip_is_told_with_its_place_and_its_remedy(
    folder: Path, edit: Edit, file: str, old: str, new: str, expected: str
) -> None:
    edit(file, old, new)
    assert f"{file}: {expected}" in _problems(folder)


def test_a_syntax_error_is_told_with_its_line_and_without_a_flood_of_consequences(
    folder: Path, edit: Edit
) -> None:
    edit("categories.toml", "[phone]", "[phone")
    (problem,) = _problems(folder)
    assert problem.startswith("categories.toml: is not TOML: ")
    line = EXAMPLE.joinpath("categories.toml").read_text().split("[phone]")[0].count("\n") + 1
    assert f"line {line}" in problem


def test_a_file_that_is_not_utf_8_is_told_with_the_byte(folder: Path) -> None:
    (folder / "categories.toml").write_bytes("[contact]\n# Teléfono\n".encode("latin-1"))
    assert _problems(folder) == ["categories.toml: is not UTF-8: byte 16 cannot be read"]


def test_a_document_under_a_wrong_name_is_not_overlooked(folder: Path) -> None:
    (folder / "retention.toml").rename(folder / "retentions.toml")
    assert _problems(folder) == [
        "retention.toml: is missing",
        'retentions.toml: is not a file that is known here; did you mean "retention.toml"?',
    ]


def test_other_files_in_the_folder_are_left_alone(folder: Path) -> None:
    (folder / "README.md").write_text("Ours")
    (folder / ".git").mkdir()
    (folder / "notices" / ".DS_Store").write_bytes(b"\0")
    load(folder)


def test_a_gap_between_versions_is_refused(folder: Path) -> None:
    (folder / "notices/newsletter/4.es.md").write_text("Cuarta", encoding="utf-8")
    assert _problems(folder) == [
        "notices/newsletter: [newsletter]: version 3 is missing: versions count from 1 without gaps"
    ]


def test_a_notice_is_always_there_in_spanish(folder: Path) -> None:
    (folder / "notices/newsletter/3.en.md").write_text("Third", encoding="utf-8")
    assert _problems(folder) == ["notices/newsletter/3.es.md: is missing: Spanish is always there"]


@pytest.mark.parametrize(
    "name", ["03.es.md", "3.md", "3.ES.md", "3.es.txt", "es.md", "3.es.md.bak"]
)
def test_a_stray_file_among_the_notices_is_refused(folder: Path, name: str) -> None:
    (folder / "notices/newsletter" / name).write_text("Texto", encoding="utf-8")
    assert _problems(folder) == [
        f"notices/newsletter/{name}: is neither a text such as 1.es.md nor settings such as 1.toml"
    ]


def test_a_first_version_cannot_be_immaterial(folder: Path) -> None:
    notice = folder / "notices/survey"
    notice.mkdir()
    (notice / "1.es.md").write_text("Encuesta", encoding="utf-8")
    (notice / "1.toml").write_text("material = false", encoding="utf-8")
    assert _problems(folder) == [
        "notices/survey/1.toml: material: cannot be false: there was no version before this one"
    ]


def test_a_hidden_character_in_a_notice_is_told_with_its_line(folder: Path) -> None:
    (folder / "notices/newsletter/3.es.md").write_text("Uno\nDos\x00\n", encoding="utf-8")
    assert _problems(folder) == [
        "notices/newsletter/3.es.md: line 2 has the control character U+0000"
    ]


def test_line_ends_of_another_system_do_not_change_a_published_text(folder: Path) -> None:
    path = folder / "notices/newsletter/1.es.md"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert load(folder) == load(EXAMPLE)


def test_a_changed_published_text_keeps_the_register_from_loading(folder: Path, edit: Edit) -> None:
    edit("notices/newsletter/1.es.md", "una vez al mes", "dos veces al mes")
    assert _problems(folder) == [
        (
            "notices/newsletter/1.es.md: is published since 2025-09-15 and its text has changed; "
            "restore it, and write the change as a new version"
        )
    ]


def test_a_removed_translation_keeps_the_register_from_loading(folder: Path) -> None:
    (folder / "notices/newsletter/1.en.md").unlink()
    assert _problems(folder) == [
        (
            "notices/newsletter/1.en.md: is published since 2025-09-15 and has been removed; "
            "restore it, and write the change as a new version"
        )
    ]


def test_an_added_translation_of_a_published_version_is_refused(folder: Path) -> None:
    (folder / "notices/newsletter/1.ca.md").write_text("La carta", encoding="utf-8")
    assert _problems(folder) == [
        (
            "notices/newsletter/1.ca.md: version 1 is published since 2025-09-15 without it; "
            "add it in a new version"
        )
    ]


def test_whether_a_published_version_is_material_cannot_change(folder: Path, edit: Edit) -> None:
    edit("notices/newsletter/2.toml", "material = false", "material = true")
    assert _problems(folder) == [
        (
            "notices/newsletter/2.toml: material: is published since 2026-02-02 as false; "
            "restore it, and write the change as a new version"
        )
    ]


def test_a_removed_published_version_keeps_the_register_from_loading(folder: Path) -> None:
    for path in (folder / "notices/newsletter").glob("2.*"):
        path.unlink()
    assert _problems(folder) == [
        "notices/newsletter/2.es.md: is published since 2026-02-02 and is missing; restore it"
    ]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "published = 2026-02-02",
            "published = 2025-09-14",
            "[newsletter] version 2: is published before version 1",
        ),
        (
            "published = 2026-02-02",
            "published = 2026-02-02T10:00:00Z",
            "revision[4].published: must be a date such as 2026-03-02",
        ),
        (
            'notice = "newsletter"\nversion = 2',
            'notice = "newsletter"\nversion = 1',
            "revision[4].version: newsletter 1 stands there twice",
        ),
        (
            'notice = "loyalty"\nversion = 1',
            'notice = "loyalty"\nversion = 2',
            "[loyalty] version 2: is published, and version 1 is not",
        ),
    ],
)
def test_a_lock_that_contradicts_itself_is_refused(
    folder: Path, edit: Edit, old: str, new: str, expected: str
) -> None:
    edit("notices.lock.toml", old, new)
    assert f"notices.lock.toml: {expected}" in _problems(folder)


def test_a_digest_changed_in_the_lock_is_noticed(folder: Path, edit: Edit) -> None:
    digest = load(folder).notices["loyalty"].revisions[0].digest
    edit("notices.lock.toml", digest, "0" * 64)
    assert _problems(folder) == [
        "notices.lock.toml: [loyalty] version 1: does not match the texts; restore the lock file"
    ]


def test_without_a_lock_nothing_is_in_force(folder: Path) -> None:
    (folder / "notices.lock.toml").unlink()
    register = load(folder)
    assert all(register.notice_of(purpose) is None for purpose in register.purposes)


def test_for_how_long_addresses_are_kept_is_read_and_has_a_default(
    folder: Path, edit: Edit
) -> None:
    assert load(folder).security.address_days == 30
    edit("register.toml", "address_days = 30", "address_days = 366")
    assert _problems(folder) == [
        "register.toml: [security] address_days: must be a whole number from 0 to 365"
    ]
    edit("register.toml", "address_days = 366", "address_days = 0")
    assert load(folder).security.address_days == 0
    edit("register.toml", "[security]\naddress_days = 0\n", "")
    assert load(folder).security.address_days == 30
