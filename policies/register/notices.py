"""Reads `notices/` and holds it against the lock: what is published never changes.

Source: GDPR Art. 7(1): who relies on a consent shows the words that the person was shown.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from policies.register import files, lock
from policies.register.lock import LOCK_FILE, Seal
from policies.register.model import Notice, NoticeRevision, notice_digest, text_digest
from policies.register.problems import Problem
from policies.register.table import IDENTIFIER, LANGUAGE, PRIMARY_LANGUAGE, Table, shown

NOTICES_FOLDER = "notices"

_FILE_NAME = re.compile(r"(?P<version>[1-9][0-9]{0,4})\.(?:(?P<language>[A-Za-z0-9-]+)\.md|toml)")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff]")

Seals = Mapping[tuple[str, int], Seal]


@dataclass(slots=True)
class _Files:
    """The files of one version."""

    texts: dict[str, str] = field(default_factory=dict)
    settings: str | None = None


def read_notices(folder: Path, problems: list[Problem]) -> Mapping[str, Notice] | None:
    """The notices by id; what is wrong goes to `problems`. None where there is no such folder."""
    seals = _read_seals(folder, problems)
    try:
        ids = files.names(folder / NOTICES_FOLDER)
    except (OSError, ValueError):
        problems.append(Problem(NOTICES_FOLDER, "", "", "is not a folder that can be read"))
        return None
    notices = {}
    for notice in ids:
        if IDENTIFIER.fullmatch(notice):
            notices[notice] = _read_notice(folder, notice, seals, problems)
        else:
            place = f"{NOTICES_FOLDER}/{shown(notice)}"
            message = "is not the id of a notice: small letters and digits, parted by - or _"
            problems.append(Problem(place, "", "", message))
    _refuse_lost_revisions(notices, seals, problems)
    return MappingProxyType(notices)


def _read_seals(folder: Path, problems: list[Problem]) -> Seals:
    try:
        if not (folder / LOCK_FILE).exists():
            return {}
    except (OSError, ValueError):
        return {}  # the folder itself cannot be read, which others tell
    return lock.read(files.document(folder, LOCK_FILE, problems) or {}, problems)


def _read_notice(folder: Path, notice: str, seals: Seals, problems: list[Problem]) -> Notice:
    place = f"{NOTICES_FOLDER}/{notice}"
    versions = _list_versions(folder, place, problems)
    if not versions:
        problems.append(Problem(place, "", "", "has no text such as 1.es.md"))
    for version in range(1, max(versions, default=0)):
        if version not in versions:
            message = f"version {version} is missing: versions count from 1 without gaps"
            problems.append(Problem(place, notice, "", message))
    return Notice(
        id=notice,
        revisions=tuple(
            _read_revision(folder, notice, version, versions[version], seals, problems)
            for version in sorted(versions)
        ),
    )


def _list_versions(folder: Path, place: str, problems: list[Problem]) -> dict[int, _Files]:
    try:
        present = files.names(folder / place)
    except OSError:
        return {}
    versions: dict[int, _Files] = {}
    for name in present:
        match = _FILE_NAME.fullmatch(name)
        language = match["language"] if match else None
        if not match or (language and not LANGUAGE.fullmatch(language)):
            message = "is neither a text such as 1.es.md nor settings such as 1.toml"
            problems.append(Problem(f"{place}/{shown(name)}", "", "", message))
            continue
        found = versions.setdefault(int(match["version"]), _Files())
        if language:
            found.texts[language] = f"{place}/{name}"
        else:
            found.settings = f"{place}/{name}"
    return versions


def _read_revision(
    folder: Path,
    notice: str,
    version: int,
    found: _Files,
    seals: Seals,
    problems: list[Problem],
) -> NoticeRevision:
    if PRIMARY_LANGUAGE not in found.texts:
        file = f"{NOTICES_FOLDER}/{notice}/{version}.{PRIMARY_LANGUAGE}.md"
        problems.append(Problem(file, "", "", "is missing: Spanish is always there"))
    texts = {
        language: text
        for language, file in sorted(found.texts.items())
        if (text := _read_text(folder, file, problems)) is not None
    }
    material, bundles_terms = _read_settings(folder, version, found.settings, problems)
    seal = seals.get((notice, version))
    revision = NoticeRevision(
        notice=notice,
        version=version,
        material=material,
        texts=MappingProxyType(texts),
        digest=notice_digest(notice, version, texts),
        published=seal.published if seal else None,
        bundles_terms=bundles_terms,
    )
    if seal:
        _refuse_changes(revision, seal, problems)
    return revision


def _read_text(folder: Path, file: str, problems: list[Problem]) -> str | None:
    text = files.text(folder, file, problems)
    if text is None:
        return None
    if not text.strip():
        problems.append(Problem(file, "", "", "is empty"))
    elif control := _CONTROL.search(text):
        line = text.count("\n", 0, control.start()) + 1
        message = f"line {line} has the control character U+{ord(control[0]):04X}"
        problems.append(Problem(file, "", "", message))
    return text


def _read_settings(
    folder: Path, version: int, file: str | None, problems: list[Problem]
) -> tuple[bool, bool | None]:
    """Material, and what its author says about terms. Without the file: material, not said."""
    document = files.document(folder, file, problems) if file else None
    if file is None or document is None:
        return True, None
    table = Table(problems, file, "", document)
    material = table.flag("material", default=True)
    bundles_terms = table.optional_flag("bundles_terms")
    table.close()
    if version == 1 and not material:
        table.note("material", "cannot be false: there was no version before this one")
    return material, bundles_terms


def _refuse_changes(revision: NoticeRevision, seal: Seal, problems: list[Problem]) -> None:
    place = f"{NOTICES_FOLDER}/{revision.notice}/{revision.version}"
    since = f"is published since {seal.published.isoformat()}"
    remedy = "restore it, and write the change as a new version"
    before = len(problems)
    for language in sorted(seal.texts.keys() | revision.texts.keys()):
        text = revision.texts.get(language)
        if text is None:
            message = f"{since} and has been removed; {remedy}"
        elif language not in seal.texts:
            message = f"version {revision.version} {since} without it; add it in a new version"
        elif text_digest(text) != seal.texts[language]:
            message = f"{since} and its text has changed; {remedy}"
        else:
            continue
        problems.append(Problem(f"{place}.{language}.md", "", "", message))
    if revision.material != seal.material:
        message = f"{since} as {'true' if seal.material else 'false'}; {remedy}"
        problems.append(Problem(f"{place}.toml", "", "material", message))
    if len(problems) == before and revision.digest != seal.digest:
        message = "does not match the texts; restore the lock file"
        problems.append(Problem(LOCK_FILE, revision.notice, f"version {revision.version}", message))


def _refuse_lost_revisions(
    notices: Mapping[str, Notice], seals: Seals, problems: list[Problem]
) -> None:
    present = {(each.notice, each.version) for n in notices.values() for each in n.revisions}
    for (notice, version), seal in seals.items():
        if (notice, version) not in present:
            message = f"is published since {seal.published.isoformat()} and is missing; restore it"
            place = f"{NOTICES_FOLDER}/{shown(notice)}/{version}.{PRIMARY_LANGUAGE}.md"
            problems.append(Problem(place, "", "", message))
