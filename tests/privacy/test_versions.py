"""What is marked, when, and what becomes of it where the writer dies. docs/decisions/0011."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from privacy.versions import (
    ANY,
    BUCKETS,
    CALLERS,
    EVERYONE,
    Touched,
    Versions,
    VersionsReplaced,
    bucket_of,
)
from tests.support.processes import ROOT
from tests.support.world import CountedIds

ANA, BRUNO = "a" * 32, "b" * 32


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "versions"


@pytest.fixture
def versions(path: Path) -> Versions:
    return Versions(path, CountedIds())


def settled(versions: Versions, bucket: int) -> int | None:
    """What a snapshot that is opened now would show."""
    return versions.settled_since(versions.moment(), bucket)


def test_a_change_is_under_way_from_before_the_commit_until_after_it(versions: Versions) -> None:
    ana, bruno = bucket_of(ANA), bucket_of(BRUNO)
    assert settled(versions, ana) == 0
    with versions.marking(Touched({ANA})):
        assert settled(versions, ana) is None
        assert settled(versions, bruno) == 0
    assert settled(versions, ana) == 1
    assert settled(versions, bruno) == settled(versions, EVERYONE) == 0


def test_what_has_ended_since_the_snapshot_was_opened_is_not_kept(versions: Versions) -> None:
    moment = versions.moment()
    with versions.marking(Touched({ANA})):
        pass
    assert versions.settled_since(moment, bucket_of(ANA)) is None
    assert versions.settled_since(moment, bucket_of(BRUNO)) is None  # nobody can tell, so no


def test_everyone_and_the_callers_are_marked_by_themselves(versions: Versions) -> None:
    with versions.marking(Touched(everyone=True)):
        assert settled(versions, EVERYONE) is None
        assert settled(versions, CALLERS) == 0
    with versions.marking(Touched(callers=True)):
        assert settled(versions, CALLERS) is None
    assert [settled(versions, each) for each in (EVERYONE, CALLERS)] == [1, 1]


def test_a_commit_that_the_database_refused_is_over(versions: Versions) -> None:
    refused = sa.exc.IntegrityError("", None, Exception())
    with pytest.raises(sa.exc.IntegrityError), versions.marking(Touched({ANA})):
        raise refused
    assert settled(versions, bucket_of(ANA)) == 1


@pytest.mark.parametrize("unknown", ["connection lost", "killed", "another error"])
def test_where_nobody_knows_what_became_of_the_commit_nothing_is_kept_again(
    versions: Versions, unknown: str
) -> None:
    errors: dict[str, BaseException] = {
        "connection lost": sa.exc.OperationalError(
            "", None, Exception(), connection_invalidated=True
        ),
        "killed": KeyboardInterrupt(),
        "another error": RuntimeError(),
    }
    with pytest.raises(type(errors[unknown])), versions.marking(Touched({ANA})):
        raise errors[unknown]
    with versions.marking(Touched({ANA, BRUNO})):
        pass
    assert settled(versions, bucket_of(ANA)) is None
    assert settled(versions, bucket_of(BRUNO)) == 1
    versions.renew(CountedIds("new"))
    assert settled(versions, bucket_of(ANA)) is not None


def test_renewing_makes_everything_remembered_old_and_ends_nothing_twice(
    versions: Versions, path: Path
) -> None:
    late = versions.marking(Touched({ANA}))
    before = {bucket: versions.begun[bucket] for bucket in (0, EVERYONE, CALLERS, ANY)}
    late.__enter__()
    old = versions.epoch
    versions.renew(CountedIds("new"))
    assert versions.epoch != old
    late.__exit__(None, None, None)  # it began before, and says that it has ended afterwards
    assert all(versions.begun[bucket] == versions.ended[bucket] for bucket in range(BUCKETS + 3))
    assert all(versions.begun[bucket] > count for bucket, count in before.items())
    assert Versions(path, CountedIds("x")).epoch == versions.epoch


def test_every_mark_of_threads_and_processes_counts(versions: Versions, path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from privacy.versions import Touched, Versions\n"
        "versions = Versions(Path(sys.argv[1]), None)\n"
        "for _ in range(200):\n"
        "    with versions.marking(Touched({'a' * 32})): pass\n"
    )
    command = [sys.executable, "-c", program, str(path)]
    with subprocess.Popen(command, cwd=ROOT, env={"PATH": os.environ["PATH"]}) as other:
        own = Versions(path, CountedIds())
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: own.marking(Touched({ANA})).__enter__(), range(200)))
        assert other.wait(30) == 0
    # Ours were begun and never ended.
    assert versions.begun[bucket_of(ANA)] == 400
    assert versions.ended[bucket_of(ANA)] == 200


def test_a_process_that_is_killed_while_it_marks_leaves_the_door_open(
    versions: Versions, path: Path
) -> None:
    program = (
        "import os, sys; from pathlib import Path; from privacy.versions import Touched, Versions\n"
        "with Versions(Path(sys.argv[1]), None).marking(Touched({'a' * 32})): os._exit(9)\n"
    )
    command = [sys.executable, "-c", program, str(path)]
    killed = subprocess.run(command, cwd=ROOT, env={"PATH": os.environ["PATH"]}, check=False)
    assert killed.returncode == 9
    assert settled(versions, bucket_of(ANA)) is None
    with versions.marking(Touched({BRUNO})):
        pass
    assert settled(versions, bucket_of(BRUNO)) == 1


def test_marks_that_nobody_would_see_are_refused(versions: Versions, path: Path) -> None:
    path.unlink()
    Versions(path, CountedIds("another file"))
    with pytest.raises(VersionsReplaced), versions.marking(Touched({ANA})):
        raise AssertionError("the commit was let through")


def test_who_opens_the_file_first_names_it_once(path: Path) -> None:
    barrier = threading.Barrier(8)

    def opened(number: int) -> str:
        barrier.wait(10)
        return Versions(path, CountedIds(str(number))).epoch

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(opened, range(8)))) == 1
