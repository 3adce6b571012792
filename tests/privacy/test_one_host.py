"""PostgreSQL that is served from one host: who writes from elsewhere is refused."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from app import begin_to_remember
from privacy.versions_store import SharedFactsRow
from tests.privacy.decisions.test_freshness import permits, reads
from tests.privacy.decisions.ways import shortcut
from tests.support.cast import application, give, introduce, withdraw
from tests.support.world import make_world

pytestmark = pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)


def test_only_who_marks_in_the_servers_file_changes_facts(
    database_url: str, instance: Path
) -> None:
    serving = make_world(database_url, instance, seed="serving", PLACET_ONE_HOST="1")
    elsewhere = make_world(database_url, instance, seed="elsewhere")
    begin_to_remember(serving.placet)
    ana = introduce(serving)
    give(serving, ana)
    way = shortcut(serving, application(), remembers=True)
    assert [permits(way, ana), permits(way, ana), reads(way)] == [True, True, 1]
    with pytest.raises(sa.exc.DBAPIError, match="PLACET_ONE_HOST"):
        withdraw(elsewhere, ana)
    assert permits(way, ana)
    withdraw(make_world(database_url, instance, seed="other", PLACET_ONE_HOST="1"), ana)
    assert not permits(way, ana)

    begin_to_remember(serving.placet)  # another `placet serve`: whoever was there before is late
    give(serving, ana)
    begin_to_remember(elsewhere.placet)  # and one that remembers nothing
    with elsewhere.placet.runtime.snapshot() as session:
        assert session.scalar(sa.select(SharedFactsRow.epoch)) is None
        assert session.scalar(sa.text("SHOW lock_timeout")) == "30s"  # nobody waits for ever
    withdraw(elsewhere, ana)


def test_a_process_of_an_earlier_start_is_refused(database_url: str, instance: Path) -> None:
    before = make_world(database_url, instance, seed="before", PLACET_ONE_HOST="1")
    ana = introduce(before)  # it has its connections
    give(before, ana)
    begin_to_remember(make_world(database_url, instance, seed="x", PLACET_ONE_HOST="1").placet)
    with pytest.raises(sa.exc.DBAPIError, match="PLACET_ONE_HOST"):
        withdraw(before, ana)
