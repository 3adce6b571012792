"""What an answer carries beside the decision: categories, duties, and a signed copy to keep."""

import base64
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from privacy.settings import EXAMPLE_REGISTER
from tests.support.cast import Person, application, calls_as, give, introduce, withdraw
from tests.support.world import NOON, World, make_world

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


@pytest.fixture
def world(database_url: str, instance: Path, tmp_path: Path) -> World:
    """A deployment whose newsletter has duties; the shop is calling."""
    folder = Path(shutil.copytree(EXAMPLE_REGISTER, tmp_path / "register"))
    file = folder / "purposes.toml"
    duties = '[{ type = "pseudonymise" }, { type = "mask", categories = ["contact"] }]'
    file.write_text(file.read_text().replace("reminder_days = 30", f"obligations = {duties}", 1))
    world = make_world(database_url, instance, PLACET_REGISTER=str(folder))
    calls_as(world, application())
    return world


@pytest.fixture
def ana(world: World) -> Person:
    """Ana, who gets the newsletter."""
    person = introduce(world)
    give(world, person)
    return person


def ask(
    world: World, person: Person, categories: Any = None, context: Any = None
) -> dict[str, Any]:
    resource: dict[str, Any] = {"type": "person", "id": person.pseudonym}
    if categories is not None:
        resource["properties"] = {"categories": categories}
    body = {
        "subject": {"type": "application", "id": "shop"},
        "action": {"name": "newsletter"},
        "resource": resource,
        "context": context or {},
    }
    answer: dict[str, Any] = world.client.post("/access/v1/evaluation", json=body).get_json()
    return answer


def test_the_answer_says_which_categories_the_purpose_covers(world: World, ana: Person) -> None:
    answer = ask(world, ana, ["purchases", "contact", "contact", "nonsense"])
    assert answer["decision"] is True
    assert answer["context"]["categories"] == {
        "covered": ["contact"],
        "not_covered": ["purchases", "nonsense"],
    }
    answer = ask(world, ana, ["purchases"])
    assert answer["decision"] is False
    assert answer["context"]["reasons"] == ["category-not-covered"]
    assert answer["context"]["categories"]["covered"] == []
    assert "categories" not in ask(world, ana)["context"]
    withdraw(world, ana)
    reasons = ask(world, ana, ["purchases"])["context"]["reasons"]
    assert reasons == ["consent-withdrawn", "category-not-covered"]


def test_a_permit_whose_duty_the_caller_does_not_fulfil_is_a_deny(
    world: World, ana: Person
) -> None:
    duties = ask(world, ana)["context"]["obligations"]
    assert [(each["type"], each["id"]) for each in duties] == [
        ("pseudonymise", "newsletter:pseudonymise"),
        ("mask", "newsletter:mask"),
    ]
    assert duties[1]["properties"]["categories"] == "contact"
    for name in ("supported_obligations", "obligations_supported"):
        able = {name: ["mask", "pseudonymise", "dance"]}
        assert ask(world, ana, context=able)["decision"] is True
        answer = ask(world, ana, context={name: ["pseudonymise"]})
        assert answer["decision"] is False
        assert answer["context"]["reasons"] == ["obligation-not-supported"]
        assert answer["context"]["unsupported_obligations"] == ["mask"]
        assert answer["context"]["obligations"] == []
    search: dict[str, Any] = {
        "subject": {"type": "application", "id": "shop"},
        "action": {"name": "newsletter"},
        "resource": {"type": "person"},
    }
    [found] = world.client.post("/access/v1/search/resource", json=search).get_json()["results"]
    assert found["context"]["obligations"] == duties
    search["context"] = {"supported_obligations": []}
    unable = world.client.post("/access/v1/search/resource", json=search).get_json()
    assert unable["results"] == []
    wrong = {"supported_obligations": "mask"}
    assert "type" in ask(world, ana, context=wrong)  # a problem, no answer


def test_an_answer_can_be_kept_verified_offline_and_computed_again(
    world: World, ana: Person
) -> None:
    answer = ask(world, ana, ["contact"], {"evidence": "jws"})
    signed = answer["context"].pop("evidence")
    [jwk] = world.client.get("/v1/receipts/keys").get_json()["keys"]
    world.clock.advance(hours=1)
    withdraw(world, ana)

    def raw(text: str) -> bytes:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))

    header, payload, signature = signed.split(".")
    assert json.loads(raw(header)) == {"alg": "Ed25519", "typ": "decision+jwt", "kid": jwk["kid"]}
    key = Ed25519PublicKey.from_public_bytes(raw(jwk["x"]))
    key.verify(raw(signature), f"{header}.{payload}".encode())
    with pytest.raises(InvalidSignature):
        key.verify(raw(signature), f"{header}.{payload[:-1]}".encode())
    claims = json.loads(raw(payload))
    assert claims == {
        "iss": "http://localhost:8000",
        "aud": "shop",
        "iat": int(NOON.timestamp()),
        "evidence_id": answer["context"]["evidence_id"],
        "unit": "newsletter",
        "request": {
            "subject": {"type": "application", "id": "shop"},
            "action": {"name": "newsletter"},
            "resource": {
                "type": "person",
                "id": ana.pseudonym,
                "properties": {"categories": ["contact"]},
            },
        },
        "response": answer,
    }
    placet = world.placet
    with placet.runtime.snapshot() as session:
        moment = placet.decisions.decide_at(session, ana.subject_id, "newsletter", NOON)
        assert moment.event is not None
        event, revision, at = claims["evidence_id"].split(":", 2)
        assert event == placet.pseudonyms.of_event("shop", moment.event.event_id)
        assert (revision, at) == (moment.register_revision, "2026-03-03T11:00:00.000Z")
        assert moment.decision.permit is claims["response"]["decision"] is True
        now = placet.decisions.decide_at(session, ana.subject_id, "newsletter", world.clock())
        assert now.decision.permit is False
    assert "evidence" not in ask(world, ana, context={"evidence": "xml"})["context"]
