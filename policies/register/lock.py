"""`notices.lock.toml`: which notice revisions are published, since when, and in what words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType

from policies.register.model import NoticeRevision, text_digest
from policies.register.problems import Problem
from policies.register.table import IDENTIFIER, Table, shown

LOCK_FILE = "notices.lock.toml"
MAX_VERSION = 99_999

_SHA256 = re.compile(r"[0-9a-f]{64}")
_HEX = "a SHA-256 of 64 hexadecimal digits"
_HEADER = """\
# Which notice revisions are in force. Written by publishing; never edited by hand.
# Keep it with the notices: it is the proof that a published text has not changed.
"""


@dataclass(frozen=True, slots=True)
class Seal:
    """What was published. `texts` is SHA-256 in hex per language."""

    notice: str
    version: int
    material: bool
    published: date
    digest: str
    texts: Mapping[str, str]


def seal(revision: NoticeRevision, published: date) -> Seal:
    """The seal of a revision that comes into force on a day."""
    return Seal(
        notice=revision.notice,
        version=revision.version,
        material=revision.material,
        published=published,
        digest=revision.digest,
        texts={language: text_digest(text) for language, text in revision.texts.items()},
    )


def read(document: Mapping[str, object], problems: list[Problem]) -> dict[tuple[str, int], Seal]:
    """The seals by notice and version; what is wrong goes to `problems`."""
    root = Table(problems, LOCK_FILE, "", document)
    seals: dict[tuple[str, int], Seal] = {}
    for table in root.tables("revision") if document else ():
        entry = Seal(
            notice=table.text("notice", IDENTIFIER, "an id"),
            version=table.number("version", 1, MAX_VERSION),
            material=table.flag("material"),
            published=table.day("published"),
            digest=table.text("digest", _SHA256, _HEX),
            texts=_texts(table),
        )
        table.close()
        if (entry.notice, entry.version) in seals:
            table.note("version", f"{shown(entry.notice)} {entry.version} stands there twice")
        seals[entry.notice, entry.version] = entry
    root.close()
    _refuse_disorder(seals, problems)
    return seals


def render(seals: Iterable[Seal]) -> str:
    """The file's text, by notice and version; the same seals always give the same bytes."""
    blocks = [_HEADER]
    for each in sorted(seals, key=lambda each: (each.notice, each.version)):
        texts = "".join(f'{lang} = "{each.texts[lang]}"\n' for lang in sorted(each.texts))
        blocks.append(
            "\n[[revision]]\n"
            f'notice = "{each.notice}"\n'
            f"version = {each.version}\n"
            f"material = {'true' if each.material else 'false'}\n"
            f"published = {each.published.isoformat()}\n"
            f'digest = "{each.digest}"\n'
            f"[revision.texts]\n{texts}"
        )
    return "".join(blocks)


def _texts(table: Table) -> Mapping[str, str]:
    texts = table.by_language("texts")
    if texts is None:
        return MappingProxyType({})
    return MappingProxyType({language: texts.text(language, _SHA256, _HEX) for language in texts})


def _refuse_disorder(seals: Mapping[tuple[str, int], Seal], problems: list[Problem]) -> None:
    for (notice, version), each in seals.items():
        if version == 1:
            continue
        before = seals.get((notice, version - 1))
        if before is None:
            message = f"is published, and version {version - 1} is not"
        elif before.published > each.published:
            message = f"is published before version {version - 1}"
        else:
            continue
        problems.append(Problem(LOCK_FILE, shown(notice), f"version {version}", message))
