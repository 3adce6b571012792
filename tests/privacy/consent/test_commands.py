"""`placet register`, run as an operator runs it."""

import json
from pathlib import Path

import pytest

from tests.support.deployment import Deployment


def _next_version(folder: Path, notice: str) -> None:
    for language in ("es", "en"):
        before = folder / "notices" / notice / f"1.{language}.md"
        before.with_name(f"2.{language}.md").write_text(before.read_text() + "\nMás.\n")


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_the_example_lints_clean(database_url: str, instance: Path) -> None:
    done = Deployment(database_url, instance).command("register", "lint", "--json")
    assert done.returncode == 0, done.stderr
    assert [f for f in json.loads(done.stdout)["findings"] if f["level"] == "error"] == []


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_what_the_law_objects_to_is_named_and_the_command_fails(
    database_url: str, instance: Path, register_folder: Path
) -> None:
    purposes = register_folder / "purposes.toml"
    purposes.write_text(
        purposes.read_text().replace("validity_months = 12", "validity_months = 60")
    )
    done = Deployment(database_url, instance).command("register", "lint", str(register_folder))
    assert done.returncode == 1
    assert "error: purposes.toml: [partner-advertising] validity_months: is 60" in done.stdout
    assert "1 errors" in done.stdout


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_a_register_that_does_not_load_is_refused_with_every_problem(
    database_url: str, instance: Path, register_folder: Path
) -> None:
    (register_folder / "categories.toml").write_text("nonsense")
    for command in ("lint", "publish"):
        done = Deployment(database_url, instance).command("register", command, str(register_folder))
        assert done.returncode == 1
        assert "categories.toml" in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_publishing_puts_drafts_in_force_once(
    database_url: str, instance: Path, register_folder: Path
) -> None:
    _next_version(register_folder, "analytics")
    command = ("register", "publish", str(register_folder), "--json")
    done = Deployment(database_url, instance).command(*command)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert [(p["notice"], p["version"]) for p in answer["published"]] == [("analytics", 2)]
    assert answer["new"]
    again = json.loads(Deployment(database_url, instance).command(*command).stdout)
    assert again == answer | {"new": False, "published": []}


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_a_published_text_that_changed_is_refused(
    database_url: str, instance: Path, register_folder: Path
) -> None:
    text = register_folder / "notices" / "analytics" / "1.es.md"
    text.write_text(text.read_text() + "\nOtra cosa.\n")
    done = Deployment(database_url, instance).command("register", "publish", str(register_folder))
    assert done.returncode == 1
    assert "notices/analytics/1" in done.stderr
