"""What the first pages tell a newcomer to type exists, and their links lead somewhere."""

import re
from pathlib import Path

import click
import pytest

import app

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "CHANGELOG.md"]
MAKEFILE = (ROOT / "Makefile").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_to_a_file_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text())
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_make_target_named_exists(page: Path) -> None:
    targets = set(re.findall(r"`make ([a-z-]+)", page.read_text()))
    targets |= set(re.findall(r"^make ([a-z-]+)", page.read_text(), re.MULTILINE))
    assert [name for name in targets if not re.search(rf"^{name}:", MAKEFILE, re.MULTILINE)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_placet_command_named_exists(page: Path) -> None:
    for words in re.findall(r"(?:`|bin/)placet ((?:[a-z][a-z-]*\s?)+)", page.read_text()):
        command: click.Command = app.main
        for word in words.split():
            if not isinstance(command, click.Group):
                break
            found = command.commands.get(word)
            assert found is not None, f"{page.name}: placet {words}"
            command = found
