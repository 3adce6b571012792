"""The script that we hand out: a real receipt is good, and none that differs in anything."""

import base64
import copy
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from joserfc import jws

from privacy.audit.sequencer import read_verifier
from privacy.consent.receipts import TYP
from privacy.keys.signing import KeyUse
from tests.privacy.consent.test_receipts import published_keys, unb64url
from tests.support.cast import Person, application, give
from tests.support.world import World

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)

SCRIPT = Path(__file__).resolve().parents[3] / "docs" / "verify_receipt.py"
Claims = dict[str, Any]


def leaves(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The path of each single value in a document."""
    children = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    empty = True
    for step, child in children:
        empty = False
        yield from leaves(child, (*path, step))
    if empty:
        yield path


def changed(claims: Claims, path: tuple[str | int, ...]) -> Claims:
    """The same claims with one value changed."""
    copied: Claims = copy.deepcopy(claims)
    inner: Any = copied
    for step in path[:-1]:
        inner = inner[step]
    old = inner[path[-1]]
    inner[path[-1]] = old + 1 if isinstance(old, int) and not isinstance(old, bool) else f"{old}x"
    return copied


def resealed(token: str, claims: Claims) -> str:
    """The token with other claims under the old signature."""
    header, _payload, signature = token.split(".")
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"{header}.{payload}.{signature}"


def signed_by_us(world: World, claims: Claims, **header: Any) -> str:
    """What an insider could sign who holds the receipts' key, and not the log's."""
    with world.placet.runtime.snapshot() as session:
        key = world.placet.signing_keys.current(session, KeyUse.RECEIPT)
    header |= {"alg": "Ed25519", "typ": TYP, "kid": key.kid}
    return jws.serialize_compact(header, json.dumps(claims), key, algorithms=["Ed25519"])


def with_leaf(member: str, value: str) -> Callable[[Claims], None]:
    """A forger's change of one member of the leaf."""

    def change(claims: Claims) -> None:
        leaf = json.loads(claims["log"]["leaf"])
        leaf[member] = value
        claims["log"]["leaf"] = json.dumps(leaf, separators=(",", ":"))

    return change


def in_proof(old: str, new: str) -> Callable[[Claims], None]:
    """A forger's change of the proof's text."""

    def change(claims: Claims) -> None:
        assert old in claims["log"]["proof"]
        claims["log"]["proof"] = claims["log"]["proof"].replace(old, new, 1)

    return change


def refused_instead(claims: Claims) -> None:
    claims["events"][0] |= {"action": "refused", "event_state": "dpv:ConsentRefused"}


def first_hash_changed(claims: Claims) -> None:
    lines = claims["log"]["proof"].split("\n")
    lines[2] = base64.b64encode(b"\0" * 32).decode()
    claims["log"]["proof"] = "\n".join(lines)


def one_hash_less(claims: Claims) -> None:
    lines = claims["log"]["proof"].split("\n")
    claims["log"]["proof"] = "\n".join([*lines[:2], *lines[3:]])


def pending(claims: Claims) -> None:
    claims["log"] |= {"status": "pending", "index": None, "proof": None}


#: Lies that the receipts' key has signed: only the log contradicts them.
LIES: dict[str, Callable[[Claims], None]] = {
    "another purpose": lambda c: c["processing"][0].update(purpose="analytics"),
    "another action": refused_instead,
    "another state": lambda c: c["events"][0].update(event_state="dpv:ConsentRefused"),
    "another time": lambda c: c["events"][0].update(recorded_time="2026-03-03T11:00:01.000Z"),
    "another register": lambda c: c.update(register_revision="0" * 64),
    "another record": lambda c: c.update(record_id="0" * 32),
    "another receipt": lambda c: c.update(receipt_id="0" * 32, record_id="0" * 32),
    "another place": lambda c: c["log"].update(index=c["log"]["index"] + 1),
    "leaf of another commitment": with_leaf("c", "A" * 43),
    "leaf of another kind": with_leaf("type", "consent:consent:refused"),
    "first hash changed": first_hash_changed,
    "a hash less": one_hash_less,
    "place changed in the proof alone": in_proof("\nindex ", "\nindex 1"),
    "signature of the checkpoint": in_proof("\u2014 ", "\u2014 other"),
    "name of the form": in_proof("tlog-proof@v1", "tlog-proof@v2"),
    "no proof": pending,
}


def test_a_real_receipt_is_good_and_one_changed_in_any_single_value_is_not(
    world: World, ana: Person, tmp_path: Path
) -> None:
    for _ in range(3):
        event = give(world, ana, actor=application())
    world.settle()
    answer = world.client.get(f"/v1/receipts/{event.event_id}").get_json()
    token, claims = answer["jws"], answer["claims"]
    linked = world.client.get(
        f"/v1/receipts/{event.event_id}", headers={"Accept": "application/ld+json"}
    ).text
    (tmp_path / "keys.json").write_text(json.dumps(published_keys(world)))
    (tmp_path / "key.txt").write_text(read_verifier(world.placet.keys_folder).vkey + "\n")

    def run(files: dict[str, str], log_key: str = "key.txt") -> subprocess.CompletedProcess[str]:
        for name, text in files.items():
            (tmp_path / name).write_bytes(text.encode(errors="surrogateescape"))
        command = [sys.executable, "-I", str(SCRIPT), "--keys", "keys.json", "--log-key", log_key]
        return subprocess.run(
            [*command, *files], cwd=tmp_path, capture_output=True, text=True, check=False
        )

    good = run({"mine.jws": token, "mine.jsonld": linked})
    assert (good.returncode, good.stderr) == (0, "")
    assert good.stdout.count(": good\n") == 2
    for said in ("newsletter: La carta del mes", "consent given", "Correo Almendro, S.L. (ES)"):
        assert said in good.stdout
    assert "  | # La carta del mes" in good.stdout  # the words shown, whole

    other = "another.log+" + (tmp_path / "key.txt").read_text().split("+", 1)[1]
    (tmp_path / "other.txt").write_text(other)
    forged = {
        f"{number}.jws": resealed(token, changed(claims, path))
        for number, path in enumerate(leaves(claims))
    }
    for name, lie in LIES.items():
        told = copy.deepcopy(claims)
        lie(told)
        forged[f"lie: {name}"] = signed_by_us(world, told)
    forged["cut"] = token[:-1]
    forged["tail"] = token[:-1] + ("B" if token[-1] != "B" else "C")
    forged["nothing"] = "{}"
    forged["no text"] = "\udcff"
    forged["deep"] = '{"a":' * 100_000
    forged["method with conditions"] = signed_by_us(world, claims, crit=["b64"], b64=True)
    header = json.loads(unb64url(token.split(".", maxsplit=1)[0]))
    assert header["typ"] == TYP
    bad = run(forged)
    assert bad.returncode == 1
    assert bad.stderr == ""
    lines = bad.stdout.splitlines()
    assert [line for line in lines if ": NOT GOOD: " not in line] == []
    assert len(lines) == len(forged) > 60
    assert run({"mine.jws": token}, log_key="other.txt").returncode == 1
    assert signed_by_us(world, claims) != ""
    assert (
        run({"again.jws": signed_by_us(world, claims)}).returncode == 0
    )  # the lies were the fault


def test_the_published_files_are_served_as_they_are(world: World) -> None:
    for name, start in (
        ("consent-receipt.schema.json", "{"),
        ("kantara-consent-receipt.schema.json", "{"),
        ("consent-receipt.shacl.ttl", "# Shapes"),
        ("consent-receipt.context.jsonld", "{"),
        ("verify_receipt.py", '"""Verify'),
    ):
        answer = world.client.get(f"/schema/{name}")
        assert answer.status_code == 200
        assert answer.text.startswith(start)
    for name in ("..%2fREADME.md", "receipt", "events.md"):
        assert world.client.get(f"/schema/{name}").status_code == 404
