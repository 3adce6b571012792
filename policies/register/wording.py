"""What the texts of a register say, judged by their words.

A rule of thumb in Spanish and English that finds what was forgotten, and no lawyer. Of each notice
the newest revision is read: the one that its author can still change, or follow by a better one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from policies.register.entries import (
    CATEGORIES_FILE,
    COLLECTION_POINTS_FILE,
    PURPOSES_FILE,
    RECIPIENTS_FILE,
    RETENTION_FILE,
)
from policies.register.model import (
    Localized,
    NoticeRevision,
    Purpose,
    Register,
    notice_digest,
)
from policies.register.notices import NOTICES_FOLDER
from policies.register.problems import Finding, Level
from policies.vocabulary import LegalBasis

_TERMS = {
    "es": re.compile(
        r"\b(acept|consient|est\w+ de acuerdo con|estoy conforme con)[^.\n]{0,80}"
        r"\b(condiciones (generales|de uso|de venta|del? servicio|de compra|de contrataci[oó]n)"
        r"|t[eé]rminos|aviso legal)\b",
        re.IGNORECASE,
    ),
    "en": re.compile(
        r"\b(accept|agree|consent)[^.\n]{0,80}"
        r"\b(terms (and conditions|of (use|service|sale))|(our|the|these) terms"
        r"|conditions of (use|sale|service))\b",
        re.IGNORECASE,
    ),
}
_PROFILES = {
    "es": re.compile(r"\bperfil", re.IGNORECASE),
    "en": re.compile(r"\bprofil", re.IGNORECASE),
}
_WITHDRAWAL = {
    "es": re.compile(r"\b(retir|revoc)(ar|a|as|o|es)", re.IGNORECASE),
    "en": re.compile(r"\b(withdr[ae]w|revoke)", re.IGNORECASE),
}
_PURPOSE = {
    "es": re.compile(r"\bpara qué\b|\bfinalidad|\b(usa|utiliza)(mos|remos)\b", re.IGNORECASE),
    "en": re.compile(r"\bpurpose|\bwhat for\b|\bwe (will )?use\b", re.IGNORECASE),
}
_RIGHTS = {
    "es": re.compile(r"\bderechos?\b", re.IGNORECASE),
    "en": re.compile(r"\brights?\b", re.IGNORECASE),
}


def languages(register: Register) -> Iterator[Finding]:
    """Every text in Spanish, and in English too. Source: GDPR Art. 12(1)."""
    expected: tuple[tuple[str, str, Level], ...] = (
        ("es", "Spanish", "error"),
        ("en", "English", "warning"),
    )
    for file, entry, field, texts in _texts(register):
        for language, name, level in expected:
            if language not in texts:
                place = f"{field}.{language}" if field else language
                yield Finding(level, file, entry, place, f"has no {name} text", "GDPR Art. 12(1)")


def bundled_terms(register: Register) -> Iterator[Finding]:
    """A consent is asked apart from everything else. Source: GDPR Art. 7(2)."""
    article = "GDPR Art. 7(2)"
    for revision in _newest_of(register, _consent_purposes(register)):
        if revision.bundles_terms:
            message = "a consent is asked apart from the acceptance of terms"
            yield Finding("error", f"{_file(revision)}.toml", "", "bundles_terms", message, article)
            continue
        level: Level = "error" if revision.bundles_terms is None else "warning"
        for language, text in revision.texts.items():
            match = _TERMS[language].search(text) if language in _TERMS else None
            if match:
                message = (
                    f'seems to ask for terms as well ("{match[0]}"): part the two, or say '
                    "bundles_terms = false in its settings if it does not"
                )
                yield Finding(level, _file(revision, language), "", "", message, article)


def first_layer(register: Register) -> Iterator[Finding]:
    """A notice tells who, what for, and the rights. Source: LOPDGDD Art. 11(2)."""
    notices = {each.notice for each in register.purposes.values()} | {register.account.privacy}
    for revision in (each for each in _newest(register) if each.notice in notices):
        for language, text in revision.texts.items():
            missing = [
                element
                for element, words in (("purpose", _PURPOSE), ("rights", _RIGHTS))
                if language in words and not words[language].search(text)
            ]
            if register.controller.name.casefold() not in text.casefold():
                missing.insert(0, "controller")
            for element in missing:
                yield Finding(
                    "warning",
                    _file(revision, language),
                    "",
                    "",
                    f"does not seem to name the {element}",
                    "GDPR Art. 13; LOPDGDD Art. 11(2)",
                )


def withdrawal_told(register: Register) -> Iterator[Finding]:
    """A consent notice tells that consent can be withdrawn. Source: GDPR Art. 7(3), 13(2)(c)."""
    for revision in _newest_of(register, _consent_purposes(register)):
        for language in _without(revision, _WITHDRAWAL):
            yield Finding(
                "warning",
                _file(revision, language),
                "",
                "",
                "does not seem to tell that consent can be withdrawn",
                "GDPR Art. 7(3), 13(2)(c)",
            )


def profiling_told(register: Register) -> Iterator[Finding]:
    """Who makes profiles says so. Source: GDPR Art. 13(2)(f); LOPDGDD Art. 11(2)."""
    profiling = [each for each in register.purposes.values() if each.profiling]
    for revision in _newest_of(register, profiling):
        for language in _without(revision, _PROFILES):
            yield Finding(
                "error",
                _file(revision, language),
                "",
                "",
                "never mentions the profiles that are made",
                "GDPR Art. 13(2)(f); LOPDGDD Art. 11(2)",
            )


def drafts(register: Register) -> Iterator[Finding]:
    """A draft is in force for nobody. Source: GDPR Art. 7(1)."""
    for revision in _newest(register):
        if revision.published is None:
            message = "is a draft: nobody is shown it before it is published"
            yield Finding("warning", _file(revision), "", "", message, "GDPR Art. 7(1)")


def unchanged(register: Register) -> Iterator[Finding]:
    """A published text stays as it was. Source: GDPR Art. 7(1)."""
    for notice in register.notices.values():
        for each in notice.revisions:
            if each.published and each.digest != notice_digest(
                each.notice, each.version, each.texts
            ):
                message = f"is published since {each.published.isoformat()} and has changed"
                yield Finding("error", _file(each), "", "", message, "GDPR Art. 7(1)")


def _texts(register: Register) -> Iterator[tuple[str, str, str, Localized]]:
    """Every text that a person may read, with file, entry and field."""
    for category in register.categories.values():
        yield CATEGORIES_FILE, category.id, "title", category.title
    for rule in register.retention.values():
        yield RETENTION_FILE, rule.id, "reason", rule.reason
    for recipient in register.recipients.values():
        yield RECIPIENTS_FILE, recipient.id, "title", recipient.title
        yield RECIPIENTS_FILE, recipient.id, "description", recipient.description
        if recipient.safeguards:
            yield RECIPIENTS_FILE, recipient.id, "safeguards", recipient.safeguards
    for purpose in register.purposes.values():
        declared = register.groups.get(purpose.part_of or "") or purpose
        yield PURPOSES_FILE, declared.id, "title", declared.title
        yield PURPOSES_FILE, declared.id, "summary", declared.summary
        if purpose.frequency:
            yield PURPOSES_FILE, declared.id, "frequency", purpose.frequency
    for point in register.collection_points.values():
        yield COLLECTION_POINTS_FILE, point.id, "title", point.title
    for revision in _newest(register):
        yield _file(revision), "", "", revision.texts


def _consent_purposes(register: Register) -> list[Purpose]:
    return [p for p in register.purposes.values() if p.legal_basis is LegalBasis.CONSENT]


def _newest(register: Register) -> Iterator[NoticeRevision]:
    return (each.revisions[-1] for each in register.notices.values() if each.revisions)


def _newest_of(register: Register, purposes: Iterable[Purpose]) -> Iterator[NoticeRevision]:
    """The newest revision of each notice that one of the purposes uses."""
    notices = {each.notice for each in purposes}
    return (each for each in _newest(register) if each.notice in notices)


def _without(revision: NoticeRevision, words: dict[str, re.Pattern[str]]) -> list[str]:
    """The languages whose text has none of the words; those without a list are not judged."""
    return [
        language
        for language, text in revision.texts.items()
        if language in words and not words[language].search(text)
    ]


def _file(revision: NoticeRevision, language: str | None = None) -> str:
    stem = f"{NOTICES_FOLDER}/{revision.notice}/{revision.version}"
    return f"{stem}.{language}.md" if language else stem
