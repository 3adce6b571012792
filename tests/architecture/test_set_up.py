"""The lock files and commands that set a machine up."""

import json
import os
import re
import subprocess
import tomllib

import pytest

from tests.support.processes import ROOT

LOCKS = ["requirements.lock", "requirements-dev.lock"]


def _normalised(requirement: str) -> str:
    name = re.split(r"[\[<>=~! ;]", requirement, maxsplit=1)[0]
    return re.sub(r"[-_.]+", "-", name).lower()


def _locked(lock: str) -> dict[str, str]:
    text = (ROOT / lock).read_text()
    return dict(re.findall(r"^([a-z0-9-]+)(?:\[[a-z,]+\])?==(\S+)", text, flags=re.MULTILINE))


def test_every_dependency_is_locked() -> None:
    configuration = tomllib.loads((ROOT / "pyproject.toml").read_text())
    project = configuration["project"]
    needed = [*project["dependencies"], *configuration["build-system"]["requires"]]
    development = project["optional-dependencies"]["dev"]
    assert {_normalised(item) for item in needed} <= set(_locked(LOCKS[0]))
    assert {_normalised(item) for item in [*needed, *development]} <= set(_locked(LOCKS[1]))


def test_tests_run_on_the_versions_that_production_runs_on() -> None:
    production = _locked(LOCKS[0])
    assert production.items() <= _locked(LOCKS[1]).items()


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_pins_every_package_by_hash_and_names_no_place(lock: str) -> None:
    text = (ROOT / lock).read_text()
    for entry in re.split(r"\n(?=\S)", text):
        assert entry.startswith("#") or "--hash=sha256:" in entry, entry
    assert not re.search(r"https?:|index|find-links|^\s*#.*/", text, flags=re.MULTILINE)


def test_the_node_lock_pins_every_package_by_hash_and_names_no_registry() -> None:
    lock = json.loads((ROOT / "package-lock.json").read_text())
    installed = {name: item for name, item in lock["packages"].items() if name}
    assert installed
    assert all(item["integrity"].startswith("sha512-") for item in installed.values())
    assert not any("resolved" in item for item in installed.values())


def test_an_ordinary_user_is_told_the_exact_line_for_what_is_missing() -> None:
    script = (ROOT / "make.d" / "system-packages").read_text()
    ended = subprocess.run(
        ["/bin/bash", "-s", "bench"],
        input=script,
        env={"PATH": "/nonexistent"},
        user=65534 if os.geteuid() == 0 else None,
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert ended.returncode == 1
    assert (
        "sudo apt-get update && "
        "sudo apt-get install --no-install-recommends python3 python3-venv wrk\n" in ended.stderr
    )


def test_make_alone_lists_every_command() -> None:
    commands = re.findall(r"^\.PHONY: ([a-z-]+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    listed = subprocess.run(
        ["make"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},  # as a person calls it, not as make's own child
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    ).stdout
    assert {"run", "test", "check", "soak", "bench"} <= set(commands)
    assert [line.split()[1] for line in listed.splitlines()] == commands


def test_every_module_beside_the_packages_is_installed_with_them() -> None:
    configuration = tomllib.loads((ROOT / "pyproject.toml").read_text())
    installed = configuration["tool"]["setuptools"]["py-modules"]
    assert sorted(installed) == sorted(path.stem for path in ROOT.glob("*.py"))
