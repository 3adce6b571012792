"""`docs/register.md` tells the truth: its register works, and it names every key and rule."""

from __future__ import annotations

import dataclasses
import re
from datetime import date
from pathlib import Path

import pytest

import policies
from policies.register import linter, model, wording
from policies.register.linter import lint
from policies.register.loader import load
from policies.register.publication import publish

PAGE = (Path(policies.__file__).parents[1] / "docs/register.md").read_text(encoding="utf-8")


@pytest.fixture
def documented(tmp_path: Path) -> Path:
    """The register that the page shows, file by file."""
    for name, content in re.findall(r"```(?:toml|markdown) (\S+)\n(.*?)```", PAGE, re.DOTALL):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return tmp_path


def test_the_register_on_the_page_loads_and_can_be_published(documented: Path) -> None:
    assert {each.message.split(":")[0] for each in lint(load(documented))} == {"is a draft"}
    assert len(publish(documented, date(2026, 3, 2))) == 4
    register = load(documented)
    assert lint(register) == ()
    assert register.notice_of("newsletter.post") is not None


@pytest.mark.parametrize(
    "kind",
    [
        model.Controller,
        model.AccountNotices,
        model.DataCategory,
        model.RetentionRule,
        model.Recipient,
        model.Purpose,
        model.CollectionPoint,
        model.Field,
    ],
)
def test_the_page_names_every_key(kind: type[model.Purpose]) -> None:
    for field in dataclasses.fields(kind):
        if field.name != "id":
            assert f"`{field.name}" in PAGE, field.name


def test_the_page_names_every_value_of_the_closed_sets() -> None:
    for each in (*model.RetentionStart, *model.RecipientRole):
        assert f'`"{each.value}"`' in PAGE, each


def test_the_page_names_every_article_of_the_linter() -> None:
    sources = [
        Path(str(module.__file__)).read_text(encoding="utf-8") for module in (linter, wording)
    ]
    articles = set(re.findall(r'"((?:GDPR|LOPDGDD|AEPD)[^"]*)"', "".join(sources)))
    assert len(articles) > 10
    for article in articles:
        assert f"| {article} |" in PAGE, article
