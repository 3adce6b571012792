"""A receipt is verified by somebody who has `cryptography` and nothing of ours."""

import base64
import json
from dataclasses import replace
from typing import Any, cast

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from privacy.audit.proof import TlogProof
from privacy.audit.sequencer import read_verifier
from privacy.consent.receipts import Receipts
from tests.support.cast import Person, application, calls_as, give, introduce, refuse
from tests.support.world import World


def unb64url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def verify_jws(token: str, keys: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return header and claims of a JWS that one of the keys signed. Source: RFC 7515, 8037."""
    header_part, payload_part, signature_part = token.split(".")
    header = json.loads(unb64url(header_part))
    [jwk] = [key for key in keys["keys"] if key["kid"] == header["kid"]]
    public = Ed25519PublicKey.from_public_bytes(unb64url(jwk["x"]))
    public.verify(unb64url(signature_part), f"{header_part}.{payload_part}".encode())
    return header, json.loads(unb64url(payload_part))


def published_keys(world: World) -> dict[str, Any]:
    return dict(world.client.get("/v1/receipts/keys").get_json())


def test_the_published_keys_are_public_halves_alone(world: World, ana: Person) -> None:
    world.app.extensions["placet.bearer"] = lambda: None
    response = world.client.get("/v1/receipts/keys")
    assert response.status_code == 200
    [key] = response.get_json()["keys"]
    assert (key["kty"], key["crv"], key["alg"], key["use"]) == ("OKP", "Ed25519", "Ed25519", "sig")
    assert "d" not in key


def test_a_receipt_verifies_with_cryptography_alone_and_says_what_was_agreed(
    world: World, ana: Person
) -> None:
    event = give(world, ana, actor=application())
    world.clock.advance(seconds=30)
    answer = world.client.get(f"/v1/receipts/{event.event_id}").get_json()
    header, claims = verify_jws(answer["jws"], published_keys(world))
    assert header["alg"] == "Ed25519"
    assert header["typ"] == "consent-receipt+jwt"
    assert claims == answer["claims"]
    assert claims["receipt_id"] == claims["jti"] == event.event_id
    assert claims["iss"] == "http://localhost:8000"
    assert claims["iat"] == int(world.clock().timestamp())
    assert claims["pii_principal_id"] == ana.pseudonym
    revision = world.placet.register.revision_of("newsletter", 2)
    assert revision
    assert claims["notice"] == {
        "id": "newsletter",
        "version": 2,
        "digest": revision.digest,
        "language": "es",
        "text": revision.texts["es"],
    }
    [processing] = claims["processing"]
    assert processing["purpose"] == "newsletter"
    assert processing["purpose_type"] == "dpv:DirectMarketing"
    assert processing["lawful_basis"] == "eu-gdpr:A6-1-a"
    assert processing["withdrawal_method"] == "http://localhost:8000/privacy#newsletter"
    [party] = claims["parties"]
    assert party["name"] == "Olivar y Sal, S.L."
    [said] = claims["events"]
    assert said["event_state"] == "dpv:ConsentGiven"
    assert said["event_time"] == "2026-03-03T11:00:00.000Z"
    assert said["valid_until"] == "2028-03-03T11:00:00.000Z"
    assert claims["entry_id"] == event.entry_id
    assert ana.subject_id not in json.dumps(claims)


def test_a_refusal_says_so_in_its_receipt(world: World, ana: Person) -> None:
    event = refuse(world, ana, actor=application())
    claims = world.client.get(f"/v1/receipts/{event.event_id}").get_json()["claims"]
    [said] = claims["events"]
    assert (said["event_state"], said["valid_until"]) == ("dpv:ConsentRefused", None)


def test_a_receipt_that_somebody_altered_does_not_verify(world: World, ana: Person) -> None:
    event = give(world, ana, actor=application())
    token: str = world.client.get(f"/v1/receipts/{event.event_id}").get_json()["jws"]
    header, payload, signature = token.split(".")
    claims = json.loads(unb64url(payload))
    claims["processing"][0]["purpose"] = "partner-advertising"
    forged = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    with pytest.raises(InvalidSignature):
        verify_jws(f"{header}.{forged}.{signature}", published_keys(world))


def test_a_receipt_is_pending_until_the_log_holds_it_and_then_proves_it(
    world: World, ana: Person
) -> None:
    event = give(world, ana, actor=application())
    address = f"/v1/receipts/{event.event_id}"
    log = world.client.get(address).get_json()["log"]
    assert (log["status"], log["index"], log["proof"]) == ("pending", None, None)
    world.settle()
    give(world, ana, actor=application())
    world.settle()
    answer = world.client.get(address).get_json()
    log = answer["log"]
    assert log["status"] == "logged"
    verifier = read_verifier(world.placet.keys_folder)
    proof = TlogProof.parse(log["proof"])
    checkpoint = proof.verify(log["leaf"].encode(), [verifier], verifier.name)
    assert proof.index == log["index"] < checkpoint.size
    leaf = json.loads(log["leaf"])
    assert (leaf["type"], leaf["purpose"]) == ("consent:consent:given", "newsletter")
    _header, claims = verify_jws(answer["jws"], published_keys(world))
    assert claims["log"] == log


@pytest.mark.parametrize(
    ("client_id", "purposes"),
    [
        ("shop", frozenset({"analytics"})),  # not its purpose
        ("insurer", frozenset({"newsletter"})),  # does not know the person
        ("agency", frozenset({"newsletter"})),  # knows the person, and did not record the event
    ],
)
def test_a_receipt_is_shown_only_to_the_application_that_recorded_the_event(
    world: World, ana: Person, client_id: str, purposes: frozenset[str]
) -> None:
    event = give(world, ana, actor=application())
    introduce(world, "bruno@example.com", domain="insurer")
    introduce(world, domain="agency")
    calls_as(world, application(client_id, purposes=purposes))
    hidden = world.client.get(f"/v1/receipts/{event.event_id}")
    absent = world.client.get(f"/v1/receipts/{'0' * 32}")
    assert hidden.status_code == absent.status_code == 404
    assert hidden.get_json() == absent.get_json()


def test_an_event_id_that_is_none_is_not_found(world: World, ana: Person) -> None:
    for name in ("x", "%00" * 32, "A" * 32, "0" * 33):
        assert world.client.get(f"/v1/receipts/{name}").status_code == 404


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_an_application_gets_the_form_that_it_reads(world: World, ana: Person) -> None:
    yes, no = give(world, ana, actor=application()), refuse(world, ana, actor=application())

    def get(event_id: str, accept: str = "*/*", query: str = "") -> Any:
        return world.client.get(f"/v1/receipts/{event_id}{query}", headers={"Accept": accept})

    signed = get(yes.event_id, "application/jwt")
    assert signed.mimetype == "application/jwt"
    assert verify_jws(signed.text, published_keys(world))[1]["receipt_id"] == yes.event_id
    linked = get(yes.event_id, "application/ld+json, application/json;q=0.5")
    assert linked.mimetype == "application/ld+json"
    document = json.loads(linked.text)
    assert document["@type"] == "dpv:ConsentReceipt"
    assert verify_jws(document["placet:signedReceipt"], published_keys(world))
    assert "Accept" in linked.headers["Vary"]
    for accept in ("*/*", "application/json", "text/html"):
        assert get(yes.event_id, accept).mimetype == "application/json"
    assert get(yes.event_id, query="?format=kantara").get_json()["version"] == "KI-CR-v1.1.0"
    for event_id, query in ((no.event_id, "?format=kantara"), (yes.event_id, "?format=xml")):
        answer = get(event_id, query=query)
        assert answer.status_code == 422
        assert answer.get_json()["errors"][0]["field"] == "format"


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_a_receipt_describes_the_purpose_as_it_was_at_the_event(world: World, ana: Person) -> None:
    event = give(world, ana, actor=application())
    # The register of a later day, which has the purpose no more.
    purposes = {k: v for k, v in world.placet.register.purposes.items() if k != "newsletter"}
    later = replace(world.placet.register, purposes=purposes, revision="0" * 64)
    receipts = Receipts(later, world.placet.signing_keys, "https://consent.example")
    with world.placet.runtime.snapshot() as session:
        words = world.placet.consents.words_of(session, event)
        issued = receipts.issue(session, event, words, person=None, at=world.clock())
    [processing] = cast("list[dict[str, Any]]", issued.claims["processing"])
    assert processing["title"] == "La carta del mes"
    assert [each["name"] for each in processing["recipient_third_parties"]] == [
        "Nube Tramontana, S.L.",
        "Correo Almendro, S.L.",
    ]
