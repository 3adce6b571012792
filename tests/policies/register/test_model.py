from __future__ import annotations

import hashlib
import re
import tomllib
from dataclasses import FrozenInstanceError, asdict
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import rfc8785

from policies.register.loader import load
from policies.register.model import Notice, NoticeRevision, Register, notice_digest
from tests.policies.register.conftest import EXAMPLE, Edit


def _revision(version: int, *, material: bool, published: date | None) -> NoticeRevision:
    texts = MappingProxyType({"es": f"Versión {version}", "en": f"Version {version}"})
    return NoticeRevision(
        notice="letter",
        version=version,
        material=material,
        texts=texts,
        digest=notice_digest("letter", version, texts),
        published=published,
    )


def test_a_notice_without_a_published_revision_has_none_in_force() -> None:
    notice = Notice("letter", (_revision(1, material=True, published=None),))
    assert notice.current is None
    assert notice.last_material_version() is None


def test_the_highest_published_revision_is_in_force_and_a_draft_is_not() -> None:
    day = date(2026, 1, 1)
    second = _revision(2, material=True, published=day)
    notice = Notice(
        "letter",
        (
            _revision(1, material=True, published=day),
            second,
            _revision(3, material=True, published=None),
        ),
    )
    assert notice.current == second
    assert notice.last_material_version() == 2


def test_an_immaterial_revision_leaves_the_last_material_version_where_it_was() -> None:
    day = date(2026, 1, 1)
    revisions = tuple(_revision(n, material=n < 3, published=day) for n in (1, 2, 3, 4))
    assert Notice("letter", revisions).last_material_version() == 2


def test_what_the_register_does_not_have_is_none(example: Register) -> None:
    assert example.purpose("telepathy") is None
    assert example.notice_of("telepathy") is None
    assert example.revision_of("telepathy", 1) is None
    assert example.revision_of("newsletter", 3) is None
    assert example.purpose("newsletter") is example.purposes["newsletter"]


def test_a_draft_is_no_revision_that_anybody_can_consent_to(folder: Path) -> None:
    (folder / "notices/newsletter/3.es.md").write_text("Otra carta", encoding="utf-8")
    register = load(folder)
    assert register.revision_of("newsletter", 3) is None
    assert register.notices["newsletter"].revisions[-1].version == 3
    current = register.notice_of("newsletter")
    assert current is not None
    assert current.version == 2


def test_a_register_cannot_be_changed(example: Register) -> None:
    with pytest.raises(FrozenInstanceError):
        example.purposes["newsletter"].profiling = True  # type: ignore[misc]  # the point of it
    for mapping in (example.purposes, example.notices, example.purposes["newsletter"].title):
        assert isinstance(mapping, MappingProxyType)


def test_the_digest_of_a_notice_is_sha256_of_its_canonical_json() -> None:
    texts = {"es": 'Año «ñ» 😀\n\ttab "y" \\ /', "en": "Plain\n"}
    content: Any = {"notice": "letter", "texts": texts, "version": 7}
    assert notice_digest("letter", 7, texts) == hashlib.sha256(rfc8785.dumps(content)).hexdigest()


def test_the_digest_of_a_notice_does_not_depend_on_the_order_of_languages() -> None:
    assert notice_digest("a", 1, {"es": "x", "en": "y"}) == notice_digest(
        "a", 1, {"en": "y", "es": "x"}
    )


@pytest.mark.parametrize(
    ("notice", "version", "texts"),
    [
        ("b", 1, {"es": "x"}),
        ("a", 2, {"es": "x"}),
        ("a", 1, {"es": "x "}),
        ("a", 1, {"ca": "x"}),
        ("a", 1, {"es": "x", "en": "x"}),
    ],
)
def test_the_digest_of_a_notice_covers_id_version_language_and_text(
    notice: str, version: int, texts: dict[str, str]
) -> None:
    assert notice_digest(notice, version, texts) != notice_digest("a", 1, {"es": "x"})


#: What every purpose has in the digest, where its file leaves it out.
UNSAID = {
    "recipients": [],
    "validity_months": 24,
    "direct_marketing": False,
    "profiling": False,
    "explicit": False,
    "solely_automated": False,
    "special_aim": False,
}


def _written(folder: Path, file: str) -> list[dict[str, Any]]:
    document = tomllib.loads((folder / file).read_text("utf-8"))
    return [{"id": name, **entry} for name, entry in document.items()]


def _as_documented(register: Register, folder: Path) -> bytes:
    """The content of a register as `docs/register.md` describes it, by other means."""

    def entries(values: object) -> list[dict[str, object]]:
        assert isinstance(values, MappingProxyType)
        return [
            {
                name: dict(value) if isinstance(value, MappingProxyType) else value
                for name in each.__dataclass_fields__
                for value in [getattr(each, name)]
            }
            for each in values.values()
        ]

    points = [
        {
            "required_purposes": [],
            **point,
            "fields": [{"required": False} | field for field in point["fields"]],
        }
        for point in _written(folder, "collection_points.toml")
    ]
    purposes: list[dict[str, Any]] = [
        UNSAID | purpose for purpose in _written(folder, "purposes.toml")
    ]
    for purpose in purposes:
        purpose["recipients"] = [*purpose["recipients"], *purpose.get("partners", [])]
        purpose.pop("gpc", None)  # in the example it is what it would be unsaid
    account = {name: value for name, value in asdict(register.account).items() if value}
    days = register.security.address_days
    content: Any = {
        **({"account": account} if account else {}),
        **({"security": {"address_days": days}} if days != 30 else {}),
        "controller": asdict(register.controller),
        "categories": entries(register.categories),
        "collection_points": points,
        "purposes": purposes,
        "recipients": entries(register.recipients),
        "retention": entries(register.retention),
        "notices": [
            {
                "id": notice.id,
                "revisions": [
                    {
                        "digest": each.digest,
                        "material": each.material,
                        "published": str(each.published),
                        "version": each.version,
                    }
                    for each in notice.revisions
                ],
            }
            for notice in register.notices.values()
        ],
    }
    return rfc8785.dumps(content)


def test_the_revision_of_a_register_is_sha256_of_its_canonical_json(example: Register) -> None:
    assert example.revision == hashlib.sha256(_as_documented(example, EXAMPLE)).hexdigest()


def test_a_register_that_does_not_use_what_came_later_keeps_its_revision(folder: Path) -> None:
    """The revision of `example` stands in evidence: a new version of Placet must not change it."""
    later = re.compile(
        r"^(attributes|channels|partners|consent_per|frequency|reminder_days|gpc) = .*\n"
        r"|, attribute = \"[a-z_]+\"",
        re.MULTILINE,
    )
    for file in ("purposes.toml", "collection_points.toml"):
        path = folder / file
        path.write_text(later.sub("", path.read_text("utf-8")), "utf-8")
    path = folder / "register.toml"
    path.write_text(re.split(r"(?m)^# .*\n\[account\]|^\[account\]", path.read_text("utf-8"))[0])
    content = _as_documented(load(folder), folder)
    assert load(folder).revision == hashlib.sha256(content).hexdigest()
    for word in (b'"account"', b'"security"', b'"attribute"', b'"attributes"', b'"channels"'):
        assert word not in content


def test_a_channel_more_is_another_register(folder: Path, edit: Edit, example: Register) -> None:
    edit("purposes.toml", '"phone", "post"]', '"phone", "post", "push"]')
    assert load(folder).revision != example.revision


@pytest.mark.parametrize(("said", "is_another"), [("true", False), ("false", True)])
def test_only_a_gpc_that_is_not_what_it_would_be_unsaid_is_another_register(
    folder: Path, edit: Edit, example: Register, said: str, is_another: bool
) -> None:
    edit(
        "purposes.toml",
        'notice = "partner-advertising"',
        f'notice = "partner-advertising"\ngpc = {said}',
    )
    register = load(folder)
    assert register.purposes["partner-advertising"].gpc is (said == "true")
    assert (register.revision != example.revision) is is_another


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("register.toml", '"ES-MD"', '"ES-CT"'),
        ("register.toml", 'terms = "terms"\n', ""),
        ("purposes.toml", '"phone", "postal_address"]', '"postal_address"]'),
        (
            "collection_points.toml",
            'category = "phone", attribute = "phone" },\n    { name = "delivery_address"',
            'category = "phone" },\n    { name = "delivery_address"',
        ),
        ("categories.toml", "Teléfono", "Móvil"),
        ("retention.toml", "period = 13", "period = 12"),
        ("recipients.toml", "Correo Almendro, S.L.", "Correo Avellano, S.L."),
        ("purposes.toml", "La carta del mes", "La carta"),
        ("purposes.toml", "validity_months = 12", "validity_months = 11"),
        ("collection_points.toml", "Aviso de cookies", "Aviso"),
        ("notices.lock.toml", "published = 2026-02-02", "published = 2026-02-03"),
    ],
)
def test_any_change_of_content_changes_the_revision(
    folder: Path, edit: Edit, example: Register, file: str, old: str, new: str
) -> None:
    edit(file, old, new)
    assert load(folder).revision != example.revision


def test_comments_and_drafts_do_not_change_the_revision(
    folder: Path, edit: Edit, example: Register
) -> None:
    edit("purposes.toml", "[newsletter]", "# the letter\n[newsletter]")
    (folder / "notices/newsletter/3.es.md").write_text("Borrador", encoding="utf-8")
    (folder / "notices/survey").mkdir()
    (folder / "notices/survey/1.es.md").write_text("Borrador", encoding="utf-8")
    assert load(folder).revision == example.revision
