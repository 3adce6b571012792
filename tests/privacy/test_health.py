"""Up, ready, measured; whom to tell of a weakness; the front page."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from privacy.actor import SYSTEM
from privacy.heartbeat import Heartbeat, last_beat
from tests.support.cast import ANA, Person, give, introduce, signed_in_as
from tests.support.deployment import PLACET, Deployment
from tests.support.processes import closed_port, program, wait_until
from tests.support.tampering import behind_our_back
from tests.support.world import World, make_world


def checks(world: World) -> tuple[int, dict[str, str]]:
    answer = world.client.get("/readyz")
    assert answer.json is not None
    assert answer.json["ready"] == (answer.status_code == 200)
    return answer.status_code, answer.json["checks"]


def failing(world: World) -> set[str]:
    return {name for name, result in checks(world)[1].items() if result != "ok"}


@pytest.fixture
def ready(world: World) -> World:
    """A deployment whose worker has just been seen."""
    Heartbeat(world.placet.runtime).beat()
    return world


def test_a_running_process_says_so(world: World) -> None:
    assert world.client.get("/healthz").json == {"status": "ok"}


def test_a_deployment_with_everything_in_place_is_ready(ready: World) -> None:
    status, found = checks(ready)
    assert status == 200
    assert found == dict.fromkeys(("database", "migrations", "register", "worker"), "ok")


def test_without_a_living_worker_it_is_not_ready(world: World) -> None:
    assert failing(world) == {"worker"}
    heartbeat = Heartbeat(world.placet.runtime)
    heartbeat.beat()
    world.clock.advance(seconds=29)
    assert failing(world) == set()
    world.clock.advance(seconds=1)
    assert failing(world) == {"worker"}
    heartbeat.beat()
    assert failing(world) == set()


def test_a_heartbeat_writes_at_most_every_five_seconds(world: World) -> None:
    heartbeat = Heartbeat(world.placet.runtime)
    for _ in range(9):
        assert heartbeat.beat() == 0
        world.clock.advance(seconds=1)
    with world.placet.runtime.snapshot() as session:
        assert last_beat(session) == world.clock.now - timedelta(seconds=4)


def test_a_database_behind_the_code_is_not_ready(ready: World) -> None:
    with behind_our_back(ready.placet.settings.database_url) as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '0000'"))
    assert failing(ready) == {"migrations"}


def test_a_register_that_was_not_published_is_not_ready(ready: World) -> None:
    with behind_our_back(ready.placet.settings.database_url) as connection:
        connection.execute(sa.text("DELETE FROM register_revision"))
    assert failing(ready) == {"register"}


def test_without_a_database_it_answers_all_the_same(
    database_kind: str, world: World, tmp_path: Path
) -> None:
    with closed_port() as port:
        url = {
            "sqlite": f"sqlite:///{tmp_path}/missing/placet.sqlite3",
            "postgresql": f"postgresql+psycopg://nobody@127.0.0.1:{port}/none",
        }[database_kind]
        broken = make_world(url, world.placet.settings.instance)
        status, found = checks(broken)
        assert status == 503
        assert all("does not answer" in result for result in found.values())
        assert broken.client.get("/healthz").status_code == 200
        broken.placet.runtime.database.engine.dispose()


def figures(world: World) -> dict[str, float]:
    answer = world.client.get("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert answer.text.endswith("\n")
    return {
        name: float(value)
        for name, value in re.findall(r"^(\w+) (\S+)$", answer.text, re.MULTILINE)
    }


def test_metrics_tell_how_log_outbox_and_consents_fare(world: World) -> None:
    world.settle()
    entries = figures(world)["placet_log_entries"]
    give(world, introduce(world))
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.outbox.put(uow, "mail", {})
        uow.commit()
    world.clock.advance(seconds=3, milliseconds=500)
    found = figures(world)
    assert found["placet_consent_events_total"] == 1
    assert found["placet_log_entries"] == entries
    assert found["placet_log_pending"] > 0
    assert found["placet_log_oldest_pending_seconds"] == 3.5
    assert (found["placet_outbox_waiting"], found["placet_outbox_failed"]) == (1, 0)
    assert "placet_worker_heartbeat_age_seconds" not in found
    Heartbeat(world.placet.runtime).beat()
    assert figures(world)["placet_worker_heartbeat_age_seconds"] == 0


@pytest.mark.parametrize(
    ("address", "headers"),
    [
        ("192.0.2.1", {}),
        ("127.0.0.1", {"X-Forwarded-For": "192.0.2.1"}),
        ("127.0.0.1", {"X-Forwarded-For": "127.0.0.1"}),
        ("127.0.0.1", {"Forwarded": "for=192.0.2.1"}),
        ("127.0.0.1", {"X-Real-IP": "192.0.2.1"}),
    ],
)
def test_metrics_are_for_this_machine_alone(
    world: World, address: str, headers: dict[str, str]
) -> None:
    answer = world.client.get(
        "/metrics", headers=headers, environ_overrides={"REMOTE_ADDR": address}
    )
    assert answer.status_code == 404


def test_whoever_finds_a_weakness_is_told_whom_to_write_to(world: World) -> None:
    answer = world.client.get("/.well-known/security.txt")
    assert answer.mimetype == "text/plain"
    lines = dict(line.split(": ", 1) for line in answer.text.splitlines())
    controller = world.placet.register.controller
    assert lines["Contact"] == f"mailto:{controller.privacy_email}"
    expires = datetime.fromisoformat(lines["Expires"])
    assert expires.tzinfo == UTC
    assert timedelta(days=30) < expires - world.clock.now < timedelta(days=365)
    assert lines["Canonical"].endswith("/.well-known/security.txt")


def test_the_front_page_says_what_this_is_and_leads_a_person_home(world: World) -> None:
    world.app.extensions["placet.session"] = lambda: None
    page = world.client.get("/").text
    for target in ("/login", "/register", "/rights"):
        assert f'href="{target}"' in page
    assert world.placet.register.controller.name in page
    ana: Person = introduce(world, ANA)
    signed_in_as(world, ana)
    answer = world.client.get("/")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/privacy")


@pytest.mark.parametrize("path", ["/", "/healthz", "/login", "/nothing"])
def test_no_page_is_for_search_engines(world: World, path: str) -> None:
    assert world.client.get(path).headers["X-Robots-Tag"] == "noindex, nofollow"


def test_a_real_worker_makes_the_deployment_ready(world: World, tmp_path: Path) -> None:
    settings = world.placet.settings
    deployment = Deployment(settings.database_url, settings.instance)

    def beats() -> bool:
        with world.placet.runtime.snapshot() as session:
            return last_beat(session) is not None

    env = deployment.environment
    with program([PLACET, "worker"], log=tmp_path / "worker.log", env=env) as worker:
        wait_until(beats, "the worker gives a sign of life", seconds=30)
        assert worker.stop() == 0
