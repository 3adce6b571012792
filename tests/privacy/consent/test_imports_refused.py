"""The file of refused rows is the only copy of them: no import writes over another's."""

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from privacy.consent import imports_store
from privacy.consent.exports import ConsentExports
from privacy.consent.import_commands import Bulk, group
from tests.privacy.consent.test_imports import HEADER, ROW, events, refusals, refused_of, run
from tests.support.world import World

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


def command(world: World, *arguments: str) -> Result:
    bulk = Bulk(world.placet.imports, ConsentExports(world.placet.runtime), world.clock)
    return CliRunner().invoke(group(lambda: bulk), ["import", *arguments])


def written(path: Path, *people: str) -> Path:
    path.write_text("\n".join((HEADER, *(ROW.format(email=each) for each in people))))
    return path


@pytest.mark.parametrize("named", [True, False])
def test_an_import_that_begins_writes_over_no_report_of_another(
    world: World, tmp_path: Path, named: bool
) -> None:
    path = written(tmp_path / "old.csv", "ana@example.com", "nobody")
    report = refused_of(path)
    assert run(world, path).refused == 1
    report.chmod(0o640)  # whoever may read it still may
    kept = report.read_bytes()
    if named:
        path = tmp_path / "next.csv"
    written(path, "bea@example.com", "no one")
    option = ["--refused", str(report)] if named else []
    for going_on in ([], ["--resume"]):  # which begins as well
        told = command(world, str(path), *option, *going_on)
        assert told.exit_code == 1
        assert f"{report}: holds refused rows already" in told.output
        assert "name another file with --refused" in told.output
    assert report.read_bytes() == kept
    assert report.stat().st_mode & 0o777 == 0o640
    assert len(events(world)) == 1
    fresh = tmp_path / "fresh.csv"
    told = command(world, str(path), "--refused", str(fresh))  # nothing had begun
    assert told.exit_code == 0, told.output
    assert "no one" in fresh.read_text()
    assert report.read_bytes() == kept


class Killed(BaseException):
    """The process dies here."""


def broken_off(path: Path, world: World) -> bytes:
    """Import two rows, die before the next two are committed, and return what the report holds."""
    advance, calls = imports_store.advance, list[None]()

    def die(*arguments: Any) -> bool:
        calls.append(None)
        if len(calls) == 2:
            raise Killed
        moved: bool = advance(*arguments)
        return moved

    with pytest.MonkeyPatch.context() as patched, pytest.raises(Killed):
        patched.setattr(imports_store, "advance", die)
        run(world, path, size=2)
    return refused_of(path).read_bytes()


def test_an_import_that_goes_on_cuts_off_the_rows_that_nobody_committed(
    world: World, tmp_path: Path
) -> None:
    for number, lost in enumerate((0, 1, 12, 60, 90)):  # bytes that never reached the disk
        path = tmp_path / f"{number}.csv"
        good, later = f"a{number}@example.com", f"b{number}@example.com"
        written(path, f"one {number}", good, 'two,"')
        with path.open("a") as file:
            file.write(f"\nthree\rand\n{ROW.format(email=later)}")
        held = broken_off(path, world)
        assert held.count(b"\n") == 3
        refused_of(path).write_bytes(held[: len(held) - lost] + b"\0" * lost * (number % 2))
        done = run(world, path, resume=True)
        assert (done.recorded, done.refused) == (2, 3)
        assert [row[0] for row in refusals(path)] == ["2", "4", "5"]
        assert [row[3].partition(",,,")[0] for row in refusals(path)] == [
            f"one {number}",
            'two,"',
            "three\rand",
        ]


def test_an_import_that_goes_on_writes_over_no_report_of_another(
    world: World, tmp_path: Path
) -> None:
    path = written(tmp_path / "old.csv", "one", "ana@example.com", "two", "three")
    broken_off(path, world)
    begun = len(events(world))
    kept = refused_of(path).read_bytes()
    other = written(tmp_path / "other.csv", "bea@example.com", "x", "one", "nobody", "three")
    assert run(world, other).refused == 4
    taken = [refused_of(other).read_bytes()]
    taken += [taken[0] + b"5,email,is none,three", b"my diary\n" * 40, b"my diary " * 40]
    for number, held in enumerate(taken):
        named = tmp_path / f"{number}.txt"
        named.write_bytes(held)
        told = command(world, str(path), "--resume", "--refused", str(named))
        assert told.exit_code == 1
        assert f"{named}: holds refused rows of another import" in told.output
        assert named.read_bytes() == held
    assert refused_of(path).read_bytes() == kept
    assert len(events(world)) == begun + 1
    assert run(world, path, resume=True).refused == 3
