"""Each rule: the example shop breaks it, and hears so with the place and the article."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from types import MappingProxyType
from typing import Any

import pytest

from policies.register.linter import Finding, lint
from policies.register.model import (
    AccountNotices,
    DataCategory,
    Field,
    Notice,
    NoticeRevision,
    Register,
    Security,
    notice_digest,
)
from policies.vocabulary import Attribute, LegalBasis

ANY_TERMS = {
    "es": "Acepto las condiciones generales y recibir la carta.",
    "en": "I accept the terms and conditions and to receive the letter.",
}


def _with(register: Register, part: str, name: str, **changes: Any) -> Register:
    """The register with other fields in one entry."""
    entries = dict(getattr(register, part))
    entries[name] = replace(entries[name], **changes)
    parts: Any = {part: MappingProxyType(entries)}
    return replace(register, **parts)


def _with_text(
    register: Register,
    notice: str,
    edit: Mapping[str, tuple[str, str]] | None = None,
    texts: Mapping[str, str] | None = None,
    *,
    bundles_terms: bool | None = None,
) -> Register:
    """The register with a new draft of a notice, made by replacing words in its newest version."""
    newest = register.notices[notice].revisions[-1]
    changed = dict(texts or newest.texts)
    for language, (old, new) in (edit or {}).items():
        assert old in changed[language]
        changed[language] = changed[language].replace(old, new)
    draft = NoticeRevision(
        notice=notice,
        version=newest.version + 1,
        material=True,
        texts=MappingProxyType(changed),
        digest=notice_digest(notice, newest.version + 1, changed),
        published=None,
        bundles_terms=bundles_terms,
    )
    notices = dict(register.notices)
    notices[notice] = Notice(notice, (*notices[notice].revisions, draft))
    return replace(register, notices=MappingProxyType(notices))


def _findings(register: Register) -> list[Finding]:
    """What the linter says, without its word that a draft is a draft."""
    return [each for each in lint(register) if "is a draft" not in each.message]


def _only(register: Register) -> tuple[str, str, str, str, str]:
    (finding,) = _findings(register)
    return finding.level, finding.file, finding.entry, finding.field, finding.article


def test_a_field_that_no_purpose_of_the_form_needs_is_an_error(example: Register) -> None:
    fields = (*example.collection_points["newsletter-form"].fields, Field("tel", "phone", False))
    register = _with(example, "collection_points", "newsletter-form", fields=fields)
    assert _only(register) == (
        "error",
        "collection_points.toml",
        "newsletter-form",
        "fields[1]",
        "GDPR Art. 5(1)(c), 25",
    )


@pytest.mark.parametrize(
    ("attribute", "article"),
    [
        (Attribute.FAMILY_NAME, "GDPR Art. 5(1)(c), 25(2)"),
        (Attribute.BIRTHDATE, "GDPR Art. 5(1)(c), 8(2)"),
    ],
)
def test_a_profile_field_that_no_purpose_of_the_form_needs_is_an_error(
    example: Register, attribute: Attribute, article: str
) -> None:
    fields = (Field("x", "contact", False, attribute),)
    register = _with(example, "collection_points", "newsletter-form", fields=fields)
    place = ("collection_points.toml", "newsletter-form", "fields[0].attribute")
    assert _only(register) == ("error", *place, article)
    attributes = (Attribute.GIVEN_NAME, attribute)
    needed = _with(register, "purposes", "newsletter", attributes=attributes)
    assert _findings(needed) == []


@pytest.mark.parametrize("name", ["birth_date", "dob", "age", "edad", "fecha_nacimiento"])
def test_an_age_under_another_name_is_a_warning(example: Register, name: str) -> None:
    fields = (Field(name, "contact", False), Field("language", "contact", False))
    register = _with(example, "collection_points", "newsletter-form", fields=fields)
    assert _only(register)[0] == "warning"
    assert _only(register)[3] == "fields[0].attribute"


def test_a_consent_under_the_accounts_terms_is_an_error(example: Register) -> None:
    register = replace(example, account=AccountNotices(terms="newsletter", privacy="newsletter"))
    assert [(f.level, f.entry, f.field, f.article) for f in _findings(register)] == [
        ("error", "newsletter", "notice", "GDPR Art. 7(2)"),
        ("error", "account", "privacy", "GDPR Art. 7(2), 12(1)"),
    ]


def test_another_age_than_the_countrys_is_a_warning_outside_spain(example: Register) -> None:
    controller = replace(example.controller, country="PT", region="PT")
    assert _only(replace(example, controller=controller))[0] == "warning"
    controller = replace(controller, age_of_consent=13)
    assert _findings(replace(example, controller=controller)) == []


def test_a_consent_that_a_form_requires_is_an_error(example: Register) -> None:
    required = ("orders", "invoices", "newsletter")
    register = _with(example, "collection_points", "checkout", required_purposes=required)
    assert _only(register) == (
        "error",
        "collection_points.toml",
        "checkout",
        "required_purposes[2]",
        "GDPR Art. 7(4); LOPDGDD Art. 6(3)",
    )


@pytest.mark.parametrize("months", [24, 25])
def test_a_consent_of_more_than_24_months_is_an_error(example: Register, months: int) -> None:
    register = _with(example, "purposes", "newsletter", validity_months=months)
    if months == 24:
        assert _findings(register) == []
    else:
        assert _only(register) == (
            "error",
            "purposes.toml",
            "newsletter",
            "validity_months",
            "AEPD cookie guide 3.2.8",
        )


def test_validity_matters_for_consents_alone(example: Register) -> None:
    assert _findings(_with(example, "purposes", "orders", validity_months=60)) == []


def test_a_special_aim_on_consent_alone_is_an_error(example: Register) -> None:
    assert _only(_with(example, "purposes", "newsletter", special_aim=True)) == (
        "error",
        "purposes.toml",
        "newsletter",
        "special_aim",
        "LOPDGDD Art. 9(1)",
    )
    assert _findings(_with(example, "purposes", "orders", special_aim=True)) == []


def _with_health(register: Register, purpose: str, **changes: Any) -> Register:
    categories = dict(register.categories)
    title = MappingProxyType({"es": "Alergias", "en": "Allergies"})
    categories["health"] = DataCategory("health", title, special=True)
    register = replace(register, categories=MappingProxyType(categories))
    return _with(register, "purposes", purpose, data_categories=("health",), **changes)


def test_special_data_without_an_explicit_consent_is_an_error(example: Register) -> None:
    assert _only(_with_health(example, "recommendations")) == (
        "error",
        "purposes.toml",
        "recommendations",
        "explicit",
        "GDPR Art. 9(2)(a)",
    )
    assert _findings(_with_health(example, "recommendations", explicit=True)) == []


def test_special_data_on_another_basis_is_a_warning(example: Register) -> None:
    basis = LegalBasis.LEGAL_OBLIGATION
    assert _only(_with_health(example, "recommendations", legal_basis=basis)) == (
        "warning",
        "purposes.toml",
        "recommendations",
        "data_categories",
        "GDPR Art. 9(2)",
    )


def test_a_purpose_without_retention_is_an_error(example: Register) -> None:
    assert _only(_with(example, "purposes", "newsletter", retention="")) == (
        "error",
        "purposes.toml",
        "newsletter",
        "retention",
        "GDPR Art. 13(2)(a)",
    )


def test_a_purpose_without_recipients_is_a_warning(example: Register) -> None:
    assert _only(_with(example, "purposes", "newsletter", recipients=())) == (
        "warning",
        "purposes.toml",
        "newsletter",
        "recipients",
        "GDPR Art. 13(1)(e)",
    )


@pytest.mark.parametrize(
    ("country", "objected"),
    [("NO", False), ("IS", False), ("LI", False), ("CH", True), ("GB", True), ("US", True)],
)
def test_a_recipient_outside_the_eea_without_safeguards_is_an_error(
    example: Register, country: str, objected: bool
) -> None:
    register = _with(example, "recipients", "mailing", country=country)
    if objected:
        assert _only(register) == (
            "error",
            "recipients.toml",
            "mailing",
            "safeguards",
            "GDPR Art. 13(1)(f), 44 to 46",
        )
    else:
        assert _findings(register) == []


@pytest.mark.parametrize(
    ("part", "name", "field", "file"),
    [
        ("purposes", "newsletter", "title", "purposes.toml"),
        ("purposes", "newsletter", "summary", "purposes.toml"),
        ("categories", "phone", "title", "categories.toml"),
        ("retention", "visits", "reason", "retention.toml"),
        ("recipients", "measurement", "title", "recipients.toml"),
        ("recipients", "measurement", "description", "recipients.toml"),
        ("recipients", "measurement", "safeguards", "recipients.toml"),
        ("collection_points", "checkout", "title", "collection_points.toml"),
    ],
)
def test_a_text_without_spanish_is_an_error_and_without_english_a_warning(
    example: Register, part: str, name: str, field: str, file: str
) -> None:
    english = _with(example, part, name, **{field: MappingProxyType({"en": "x"})})
    spanish = _with(example, part, name, **{field: MappingProxyType({"es": "x"})})
    assert _only(english) == ("error", file, name, f"{field}.es", "GDPR Art. 12(1)")
    assert _only(spanish) == ("warning", file, name, f"{field}.en", "GDPR Art. 12(1)")


def test_a_notice_without_english_is_a_warning(example: Register) -> None:
    spanish = {"es": example.notices["loyalty"].revisions[0].texts["es"]}
    assert _only(_with_text(example, "loyalty", texts=spanish)) == (
        "warning",
        "notices/loyalty/2",
        "",
        "en",
        "GDPR Art. 12(1)",
    )


@pytest.mark.parametrize("language", ["es", "en"])
@pytest.mark.parametrize(
    ("bundles_terms", "level"), [(None, "error"), (False, "warning")], ids=["unsaid", "denied"]
)
def test_a_consent_notice_that_asks_for_terms_is_an_error_unless_its_author_denies_it(
    example: Register, language: str, bundles_terms: bool | None, level: str
) -> None:
    texts = dict(example.notices["newsletter"].revisions[-1].texts)
    texts[language] += ANY_TERMS[language]
    register = _with_text(example, "newsletter", texts=texts, bundles_terms=bundles_terms)
    file = f"notices/newsletter/3.{language}.md"
    assert _only(register) == (level, file, "", "", "GDPR Art. 7(2)")


@pytest.mark.parametrize(
    ("language", "sentence", "objected"),
    [
        ("es", "Al continuar aceptas los términos del servicio.", True),
        ("es", "Consiento el envío y acepto las condiciones de venta.", True),
        ("es", "Estás de acuerdo con nuestras condiciones de uso.", True),
        ("es", "Acepto el aviso legal.", True),
        ("es", "Si lo aceptas, te escribimos en buenas condiciones.", False),
        ("es", "Puedes aceptarlo o no. Las condiciones de venta están aparte.", False),
        ("en", "By continuing you agree to our terms.", True),
        ("en", "I agree to the Terms of Service.", True),
        ("en", "I consent, and accept the conditions of sale.", True),
        ("en", "If you agree, we write to you in plain terms.", False),
        ("en", "You may accept or not. The terms of sale stand elsewhere.", False),
    ],
)
def test_asking_for_terms_is_told_from_mentioning_them(
    example: Register, language: str, sentence: str, objected: bool
) -> None:
    texts = dict(example.notices["newsletter"].revisions[-1].texts)
    texts[language] += sentence
    findings = _findings(_with_text(example, "newsletter", texts=texts))
    assert [each.article for each in findings] == ["GDPR Art. 7(2)"] * objected


def test_a_consent_notice_whose_author_says_that_it_bundles_terms_is_an_error(
    example: Register,
) -> None:
    assert _only(_with_text(example, "newsletter", bundles_terms=True)) == (
        "error",
        "notices/newsletter/3.toml",
        "",
        "bundles_terms",
        "GDPR Art. 7(2)",
    )


def test_a_contract_may_speak_of_its_terms(example: Register) -> None:
    texts = dict(example.notices["purchases"].revisions[-1].texts)
    texts["es"] += ANY_TERMS["es"]
    assert _findings(_with_text(example, "purchases", texts=texts)) == []


@pytest.mark.parametrize(
    ("language", "element", "old", "new"),
    [
        ("es", "controller", "Olivar y Sal", "La tienda"),
        ("en", "controller", "Olivar y Sal", "The shop"),
        ("es", "purpose", "Para qué", "Asunto"),
        ("en", "purpose", "What for", "Subject"),
        ("es", "rights", "Tus derechos", "Además"),
        ("en", "rights", "Your rights", "Besides"),
    ],
)
def test_a_notice_without_an_element_of_the_first_layer_is_a_warning(
    example: Register, language: str, element: str, old: str, new: str
) -> None:
    register = _with_text(example, "loyalty", {language: (old, new)})
    assert _only(register) == (
        "warning",
        f"notices/loyalty/2.{language}.md",
        "",
        "",
        "GDPR Art. 13; LOPDGDD Art. 11(2)",
    )
    assert element in _findings(register)[0].message


@pytest.mark.parametrize(
    ("language", "old", "new"), [("es", "retir", "dej"), ("en", "withdraw", "leav")]
)
def test_a_consent_notice_that_does_not_tell_of_withdrawal_is_a_warning(
    example: Register, language: str, old: str, new: str
) -> None:
    assert _only(_with_text(example, "newsletter", {language: (old, new)})) == (
        "warning",
        f"notices/newsletter/3.{language}.md",
        "",
        "",
        "GDPR Art. 7(3), 13(2)(c)",
    )


@pytest.mark.parametrize("language", ["es", "en"])
def test_profiling_that_the_notice_never_mentions_is_an_error(
    example: Register, language: str
) -> None:
    word = {"es": "perfil", "en": "profile"}[language]
    register = _with_text(example, "recommendations", {language: (word, "X")})
    assert _only(register) == (
        "error",
        f"notices/recommendations/2.{language}.md",
        "",
        "",
        "GDPR Art. 13(2)(f); LOPDGDD Art. 11(2)",
    )


def test_an_unpublished_newest_version_is_a_warning(example: Register) -> None:
    (finding,) = lint(_with_text(example, "loyalty"))
    assert (finding.level, finding.file) == ("warning", "notices/loyalty/2")
    assert str(finding) == (
        "warning: notices/loyalty/2: is a draft: nobody is shown it before it is published "
        "(GDPR Art. 7(1))"
    )


def test_a_published_revision_that_does_not_match_its_digest_is_an_error(
    example: Register,
) -> None:
    first, second = example.notices["newsletter"].revisions
    texts = MappingProxyType({**first.texts, "es": first.texts["es"] + "."})
    notices = dict(example.notices)
    notices["newsletter"] = Notice("newsletter", (replace(first, texts=texts), second))
    assert _only(replace(example, notices=MappingProxyType(notices))) == (
        "error",
        "notices/newsletter/1",
        "",
        "",
        "GDPR Art. 7(1)",
    )


def test_the_age_of_consent_in_spain_is_14(example: Register) -> None:
    spain = replace(example, controller=replace(example.controller, age_of_consent=16))
    assert _only(spain) == (
        "error",
        "register.toml",
        "controller",
        "age_of_consent",
        "GDPR Art. 8(1); LOPDGDD Art. 7(1)",
    )
    ireland = replace(spain.controller, country="IE", region="IE")
    assert _findings(replace(spain, controller=ireland)) == []


def test_an_old_published_version_is_not_judged_by_its_words_any_more(example: Register) -> None:
    first, second = example.notices["newsletter"].revisions
    texts = MappingProxyType(ANY_TERMS)
    bad = NoticeRevision(
        notice="newsletter",
        version=1,
        material=True,
        texts=texts,
        digest=notice_digest("newsletter", 1, texts),
        published=date(2025, 1, 1),
    )
    notices = dict(example.notices)
    notices["newsletter"] = Notice("newsletter", (bad, second))
    assert first != bad
    assert _findings(replace(example, notices=MappingProxyType(notices))) == []


def test_errors_stand_before_warnings(example: Register) -> None:
    register = _with(example, "purposes", "newsletter", recipients=(), special_aim=True)
    assert [each.level for each in lint(register)] == ["error", "warning"]


def test_full_addresses_for_more_than_half_a_year_are_a_warning(example: Register) -> None:
    assert lint(replace(example, security=Security(address_days=180))) == lint(example)
    found = set(lint(replace(example, security=Security(address_days=181)))) - set(lint(example))
    assert [(each.level, each.entry, each.field) for each in found] == [
        ("warning", "security", "address_days")
    ]
