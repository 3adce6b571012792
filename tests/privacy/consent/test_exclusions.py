"""Exclusion lists: imported whole or not at all, resumable, and checked before each marketing."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import nullcontext
from io import BytesIO
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from policies.errors import InvalidInput, NotFound
from privacy.actor import SYSTEM
from privacy.consent import exclusions as module
from privacy.consent.exclusion_commands import group
from privacy.consent.exclusion_files import MAX_LINE, lines_of, read_lines
from privacy.consent.exclusion_store import begin
from privacy.consent.exclusions import Imported, Progress
from privacy.consent.suppression_store import ExclusionListRow, ExclusionRow
from privacy.keys.blind_index import IdentifierKind
from privacy.subjects.identifiers import Identifier
from tests.privacy.consent.test_suppression import reasons
from tests.support.cast import ANA, Person, give
from tests.support.processes import wait_until
from tests.support.world import World

on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


@pytest.fixture
def list_file(tmp_path: Path) -> Path:
    return tmp_path / "robinson.txt"


def run(world: World, *arguments: str) -> Result:
    people = world.placet.people
    commands = group(lambda: (world.placet.runtime, people.exclusions))
    return CliRunner().invoke(commands, list(arguments))


def stored(world: World) -> int:
    with world.placet.runtime.snapshot() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(ExclusionRow)) or 0


class Killed(BaseException):
    """The process dies here."""


def test_an_import_replaces_the_list_at_its_end_and_goes_on_where_it_was_killed(
    world: World, ana: Person, list_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PORTION", 2)
    lines = [f"p{number}@example.org" for number in range(6)]
    list_file.write_text("\n".join([*lines, ANA.upper()]))
    exclusions, told = world.placet.people.exclusions, list[int]()

    def die(progress: Progress) -> None:
        told.append(progress.line)
        if progress.line == 4:
            raise Killed

    assert "excluded" not in reasons(world, ana)
    with pytest.raises(Killed):
        exclusions.import_file("robinson", list_file, die)
    with world.placet.runtime.snapshot() as session:
        assert exclusions.lists(session) == []  # not in force before its end
    done = exclusions.import_file("robinson", list_file, lambda each: told.append(each.line))
    assert told == [2, 4, 6, 7]
    assert (done.addresses, done.refused) == (7, 0)
    assert "suppressed" in reasons(world, ana)
    again = exclusions.import_file("robinson", list_file, lambda _each: None)
    assert (again.addresses, stored(world)) == (7, 7)  # none doubled, the old ones gone
    give(world, ana)
    assert reasons(world, ana) == ["consent-given"]  # LOPDGDD Art. 23.4
    list_file.write_text("somebody.else@example.org")
    exclusions.import_file("robinson", list_file, lambda _each: None)
    assert stored(world) == 1
    world.settle()
    assert world.verify().findings == []


@pytest.mark.parametrize(
    "texts", [("a@b.org\nc@d.org", "a@b.org\nc@d.org"), ("a@b.org", "c@d.org")]
)
def test_two_first_imports_of_a_list_at_once_leave_one_whole_list(
    world: World, tmp_path: Path, texts: tuple[str, str]
) -> None:
    files = [tmp_path / name for name in ("first.txt", "second.txt")]
    together, outcomes = threading.Barrier(2), list[object]()

    def import_file(path: Path) -> None:
        together.wait(30)
        try:
            world.placet.people.exclusions.import_file("robinson", path, lambda _each: None)
            outcomes.append("done")
        except NotFound as error:  # of two files, the later one took the list over
            outcomes.append(error.detail)

    for path, text in zip(files, texts, strict=True):
        path.write_text(text)
    threads = [threading.Thread(target=import_file, args=(path,)) for path in files]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    taken_over = "another import of this list began meanwhile"
    assert len(outcomes) == 2
    assert set(outcomes) <= {"done", taken_over}
    assert "done" in outcomes
    assert outcomes.count("done") == 2 or texts[0] != texts[1]
    with world.placet.runtime.snapshot() as session:
        [in_force] = world.placet.people.exclusions.lists(session)
    assert in_force.addresses == stored(world) == len(texts[0].split())


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_who_begins_a_list_while_another_begins_it_goes_on_with_the_first(
    world: World, list_file: Path
) -> None:
    list_file.write_text("a@example.org\nb@example.org")
    digest = hashlib.sha256(list_file.read_bytes()).hexdigest()
    runtime, outcomes = world.placet.runtime, list[object]()

    def import_file() -> None:
        try:
            outcomes.append(
                world.placet.people.exclusions.import_file(
                    "robinson", list_file, lambda _each: None
                )
            )
        except Exception as error:  # noqa: BLE001 - told below
            outcomes.append(error)

    def is_waiting() -> bool:
        waits = (
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        with runtime.snapshot() as session:
            return bool(session.scalar(sa.text(waits)))

    second = threading.Thread(target=import_file)
    with runtime.unit_of_work(SYSTEM) as uow:
        begin(uow.session, "robinson", "f" * 32, digest, uow.now)
        second.start()
        wait_until(is_waiting, "the second waits for the first")
        uow.commit()
    second.join(60)
    assert outcomes == [Imported("robinson", addresses=2, lines=2, refused=0)]
    with runtime.snapshot() as session:
        assert session.get_one(ExclusionListRow, "robinson").in_force == "f" * 32


@on_sqlite
@pytest.mark.parametrize(("at_line", "ended"), [(1, False), (2, False), (1, True)])
def test_an_import_whose_list_another_file_took_over_says_so_and_disturbs_it_no_more(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_line: int, ended: bool
) -> None:
    monkeypatch.setattr(module, "PORTION", 1)
    first, second = tmp_path / "first.txt", tmp_path / "second.txt"
    first.write_text("a@example.org\nb@example.org")
    second.write_text("c@example.org\nd@example.org\ne@example.org")
    exclusions = world.placet.people.exclusions

    def die(_progress: Progress) -> None:
        if not ended:
            raise Killed

    def take_over(progress: Progress) -> None:
        if progress.line == at_line:
            with nullcontext() if ended else pytest.raises(Killed):
                exclusions.import_file("robinson", second, die)

    with pytest.raises(NotFound, match="another import"):
        exclusions.import_file("robinson", first, take_over)
    with world.placet.runtime.snapshot() as session:
        assert [each.addresses for each in exclusions.lists(session)] == [3] * ended
    done = list[int]()
    exclusions.import_file("robinson", second, lambda each: done.append(each.line))
    assert done == ([1, 2, 3] if ended else [2, 3])
    assert stored(world) == 3


@on_sqlite
def test_the_command_tells_each_refused_line_by_number_and_never_the_address(
    world: World, ana: Person, list_file: Path
) -> None:
    list_file.write_text(
        f"nombre;correo;teléfono\nAna;{ANA};600 111 222\nX;not an address;\nY;{'ab' * 32};\n\nZ;;\n"
    )
    done = run(world, "import", str(list_file), "--list", "robinson", "--json")
    assert done.exit_code == 0, done.output
    assert "line 3: not an address\nline 4: a hash" in done.stderr
    assert "line 6: no address and no number" in done.stderr
    assert "@" not in done.stderr
    answer = {"list": "robinson", "addresses": 2, "lines": 6, "refused": 3}
    assert json.loads(done.stdout) == answer
    assert "suppressed" in reasons(world, ana)
    listed = run(world, "list").output
    assert listed == "robinson  2  2026-03-03T11:00:00.000Z\n"
    assert run(world, "drop", "robinson").exit_code == 0
    assert "suppressed" not in reasons(world, ana)
    assert stored(world) == 0
    assert run(world, "drop", "robinson").exit_code == 1


@on_sqlite
def test_a_file_without_one_usable_line_leaves_the_list_as_it_was(
    world: World, ana: Person, list_file: Path
) -> None:
    exclusions = world.placet.people.exclusions
    list_file.write_text(ANA)
    exclusions.import_file("robinson", list_file, lambda _each: None)
    list_file.write_text("nothing\n")
    with pytest.raises(InvalidInput):
        exclusions.import_file("robinson", list_file, lambda _each: None)
    assert "suppressed" in reasons(world, ana)
    with pytest.raises(InvalidInput):
        exclusions.import_file("Robinson!", list_file, lambda _each: None)


def test_a_million_lines_pass_through_bounded_memory() -> None:
    def lines() -> Iterator[bytes]:
        for number in range(1_000_000):
            yield b"x%d@example.org\n" % number
            assert number - read < 3, "the file is read ahead of what is dealt with"

    read = 0
    kind = IdentifierKind.EMAIL
    for line in read_lines(lines(), lambda _kind, text: Identifier(kind, text)):
        read = line.number
        if read == 20_000:
            break
    assert read == 20_000


def test_no_line_stops_an_import_or_fills_the_memory() -> None:
    held = BytesIO(b"x" * (3 * MAX_LINE * 4) + b"\na@example.org\rb@example.org\n\0\nc@example.org")
    assert max(map(len, lines_of(held))) < 5 * MAX_LINE
    held.seek(0)
    read = list(read_lines(lines_of(held), Identifier))
    assert [(each.number, bool(each.refused)) for each in read][:2] == [(1, True), (2, True)]
    assert (read[-1].number, read[-1].found[0].value) == (4, "c@example.org")


@pytest.mark.parametrize(
    "lines",
    [
        ["email,nombre", f'{ANA},"Pérez; Ana"', f"{ANA},Pérez; Ana"],
        ["nombre;email", f'"Pérez, Ana";{ANA}', f"Pérez, Ana;{ANA}"],
        ["Apellidos, nombre;email", f"Pérez, Ana;{ANA}"],
        ['"Apellidos; nombre",email', f'"Pérez; Ana",{ANA}'],
        [f'{ANA},"Pérez; Ana"', f"{ANA},Pérez; Ana"],
        [f"{ANA};Pérez, Ana", f"{ANA};1,5"],
        [ANA, f"{ANA},Pérez; Ana", f"{ANA},Ana"],
    ],
)
def test_what_separates_the_cells_is_told_by_the_first_line_for_the_whole_file(
    lines: list[str],
) -> None:
    raw = [f"{each}\n".encode() for each in lines]
    begins = 0 if ANA in lines[0] else 1
    found = [(each.found, each.refused) for each in read_lines(raw, read_address)]
    assert found == [((Identifier(IdentifierKind.EMAIL, ANA),), None)] * (len(lines) - begins)


def read_address(kind: IdentifierKind, text: str) -> Identifier:
    """Only what the list is about: anything else is refused."""
    if (kind, text) != (IdentifierKind.EMAIL, ANA):
        raise InvalidInput("none", field="email")
    return Identifier(kind, text)
