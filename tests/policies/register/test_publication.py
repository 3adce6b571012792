from __future__ import annotations

import subprocess
import sys
import threading
from datetime import date
from pathlib import Path

import pytest

from policies.register.loader import RegisterError, load
from policies.register.publication import publish
from tests.policies.register.conftest import EXAMPLE, Edit

LOCK = "notices.lock.toml"
TODAY = date(2026, 3, 2)


def _draft(folder: Path, notice: str = "newsletter", version: int = 3) -> None:
    """A next version that says the same, with a line more."""
    place = folder / "notices" / notice
    for language, line in (("es", "Gracias por leer."), ("en", "Thank you for reading.")):
        before = (place / f"{version - 1}.{language}.md").read_text(encoding="utf-8")
        (place / f"{version}.{language}.md").write_text(f"{before}\n{line}\n", encoding="utf-8")


def test_publishing_puts_every_draft_in_force_from_today(folder: Path) -> None:
    _draft(folder)
    _draft(folder, "loyalty", 2)
    published = publish(folder, TODAY)
    assert [(each.notice, each.version, each.published) for each in published] == [
        ("loyalty", 2, TODAY),
        ("newsletter", 3, TODAY),
    ]
    register = load(folder)
    assert register.notice_of("newsletter") == published[1]
    assert register.revision_of("loyalty", 2) == published[0]


def test_publishing_keeps_what_was_published_as_it_was(folder: Path) -> None:
    before = load(EXAMPLE)
    _draft(folder)
    publish(folder, TODAY)
    assert load(folder).notices["newsletter"].revisions[:2] == (
        before.notices["newsletter"].revisions
    )


def test_publishing_again_changes_nothing(folder: Path) -> None:
    _draft(folder)
    publish(folder, TODAY)
    before = (folder / LOCK).read_bytes()
    assert publish(folder, date(2027, 1, 1)) == ()
    assert (folder / LOCK).read_bytes() == before


def test_publishing_all_anew_gives_the_lock_that_the_example_ships(folder: Path) -> None:
    newsletter = folder / "notices/newsletter"
    (folder / LOCK).unlink()
    later = {each: each.read_bytes() for each in newsletter.glob("2.*")}
    for path in later:
        path.unlink()
    publish(folder, date(2025, 9, 15))
    for path, content in later.items():
        path.write_bytes(content)
    publish(folder, date(2026, 2, 2))
    assert (folder / LOCK).read_bytes() == (EXAMPLE / LOCK).read_bytes()


def test_a_draft_may_change_until_it_is_published(folder: Path, edit: Edit) -> None:
    _draft(folder)
    edit("notices/newsletter/3.es.md", "Gracias por leer.", "Gracias.")
    publish(folder, TODAY)
    edit("notices/newsletter/3.es.md", "Gracias.", "Gracias por leer.")
    with pytest.raises(RegisterError, match="since 2026-03-02 and its text has changed"):
        load(folder)


@pytest.mark.parametrize("change", ["changed", "removed", "gap"])
def test_publishing_refuses_a_changed_a_removed_and_a_skipped_version(
    folder: Path, edit: Edit, change: str
) -> None:
    before = (folder / LOCK).read_bytes()
    if change == "changed":
        edit("notices/loyalty/1.es.md", "un regalo", "dos regalos")
        _draft(folder)
    elif change == "removed":
        (folder / "notices/loyalty/1.en.md").unlink()
        _draft(folder)
    else:
        _draft(folder)
        for path in (folder / "notices/newsletter").glob("3.*"):
            path.rename(path.with_name(path.name.replace("3.", "4.")))
    with pytest.raises(RegisterError, match=r"has changed|has been removed|version 3 is missing"):
        publish(folder, TODAY)
    assert (folder / LOCK).read_bytes() == before


def test_publishing_refuses_what_the_linter_calls_an_error(folder: Path, edit: Edit) -> None:
    before = (folder / LOCK).read_bytes()
    _draft(folder)
    edit("purposes.toml", "validity_months = 12", "validity_months = 36")
    with pytest.raises(RegisterError) as caught:
        publish(folder, TODAY)
    assert [str(each) for each in caught.value.problems] == [
        (
            "purposes.toml: [partner-advertising] validity_months: "
            "is 36; a consent is asked again after 24 (AEPD cookie guide 3.2.8)"
        )
    ]
    assert (folder / LOCK).read_bytes() == before


def test_publishing_refuses_a_day_before_the_version_it_follows(folder: Path) -> None:
    _draft(folder)
    with pytest.raises(RegisterError, match="before the version it follows"):
        publish(folder, date(2026, 2, 1))
    assert publish(folder, date(2026, 2, 2))


def test_a_disk_that_fills_up_while_publishing_leaves_the_lock_whole(folder: Path) -> None:
    before = (folder / LOCK).read_bytes()
    _draft(folder)
    program = (
        "import datetime, pathlib, resource, sys\n"
        "from policies.register.publication import publish\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (512, 512))\n"
        "publish(pathlib.Path(sys.argv[1]), datetime.date(2026, 3, 2))\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program, str(folder)],
        cwd=EXAMPLE.parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "RegisterError: notices.lock.toml: cannot be written: File too large" in run.stderr
    assert (folder / LOCK).read_bytes() == before
    assert len(publish(folder, TODAY)) == 1


def test_what_a_killed_publication_left_is_told(folder: Path) -> None:
    _draft(folder)
    (folder / f".{LOCK}.new").write_bytes(b"half")
    with pytest.raises(RegisterError, match="another publication is running"):
        publish(folder, TODAY)


def test_of_many_publications_at_once_one_publishes(folder: Path) -> None:
    _draft(folder)
    start = threading.Barrier(8)
    outcomes: list[int] = []

    def run() -> None:
        start.wait()
        try:
            outcomes.append(len(publish(folder, TODAY)))
        except RegisterError:
            outcomes.append(0)

    threads = [threading.Thread(target=run) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(outcomes) == [0] * 7 + [1]
    assert load(folder).notices["newsletter"].current == load(folder).revision_of("newsletter", 3)


def test_a_lock_that_cannot_be_written_is_a_register_error(folder: Path) -> None:
    _draft(folder)
    (folder / LOCK).unlink()
    (folder / f".{LOCK}.new").mkdir()
    with pytest.raises(RegisterError):
        publish(folder, TODAY)
