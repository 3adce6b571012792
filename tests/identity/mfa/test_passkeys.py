"""Passkeys on the server's side, against an authenticator of our own."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric import ec

from identity.accounts.model import Account
from identity.mfa.factors import factors_of, has_second_factor
from identity.mfa.model import (
    CeremonyEnded,
    CeremonyKind,
    FactorStillNeeded,
    PasskeyRefused,
    PasskeySuspended,
)
from identity.mfa.passkeys import Passkeys
from identity.mfa.relying_party import MAX_RESPONSE, RelyingParty
from identity.mfa.store import CeremonyRow, PasskeyRow, RecoveryCodeRow, UserHandleRow
from identity.sessions.model import SignInSucceeded
from policies.assurance import AssuranceLevel, Factor, is_phishing_resistant, level_of
from policies.errors import Conflict, InvalidInput, NotFound
from policies.vocabulary import Role
from privacy.actor import ANONYMOUS, SYSTEM
from tests.support.authenticator import ORIGIN, Authenticator, Says
from tests.support.smtp import MailServer
from tests.support.world import World

ANA, BRUNO = "ana@example.com", "bruno@example.com"
ON_SQLITE = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
ON_BOTH = pytest.mark.parametrize("database_kind", ["sqlite", "postgresql"], indirect=True)


def passkeys(world: World) -> Passkeys:
    return world.placet.identity.passkeys


def person(world: World, email: str = ANA, *, password: str | None = None) -> Account:
    """An account without any way in but, where given, a password's hash."""
    placet = world.placet
    with placet.runtime.unit_of_work(SYSTEM) as uow:
        subject_id = placet.subjects.by_email(uow, email, keep=True)
        account = placet.identity.accounts.open(uow, subject_id, role=Role.PERSON, language="es")
        placet.subjects.verify_email(uow, subject_id, email)
        if password is not None:
            placet.identity.passwords.keep(uow, account, password)
        uow.commit()
    return account


def add(world: World, account: Account, key: Authenticator, says: Says | None = None) -> str:
    """Register a passkey and return its id."""
    runtime = world.placet.runtime
    with runtime.unit_of_work(ANONYMOUS) as uow:
        begun = passkeys(world).begin_registration(uow, account, ANA)
    response = key.create(begun.options, says)
    with runtime.unit_of_work(ANONYMOUS) as uow:
        made, _codes = passkeys(world).register(uow, account, begun.ceremony_id, response, "Móvil")
    return made.passkey_id


def begin(world: World, account: Account | None = None) -> tuple[str, str]:
    """Begin to ask for a passkey; return the ceremony's id and options."""
    purpose = CeremonyKind.SIGN_IN if account is None else CeremonyKind.STEP_UP
    with world.placet.runtime.unit_of_work(ANONYMOUS) as uow:
        begun = passkeys(world).begin_assertion(uow, account, purpose=purpose)
    return begun.ceremony_id, begun.options


def accept(
    world: World, ceremony_id: str, response: str, account: Account | None = None
) -> tuple[str, ...]:
    """Show a passkey and record the sign-in that it buys; return its methods."""
    placet = world.placet
    with placet.runtime.unit_of_work(ANONYMOUS) as uow:
        asserted = passkeys(world).accept(uow, ceremony_id, response, account=account)
        owner = placet.identity.accounts.find(uow.session, asserted.account_id)
        assert owner is not None
        uow.record(SignInSucceeded(subject_id=owner.subject_id, account_id=owner.account_id))
        uow.commit()
    return asserted.methods


def show(world: World, key: Authenticator, says: Says | None = None) -> tuple[str, ...]:
    """Sign in with a passkey."""
    ceremony_id, options = begin(world)
    return accept(world, ceremony_id, key.get(options, says))


def row_of(world: World) -> PasskeyRow:
    with world.placet.runtime.snapshot() as session:
        return session.scalars(sa.select(PasskeyRow)).one()


# ---- what is asked of authenticators, and what is stored ----


@ON_SQLITE
def test_a_passkey_is_asked_to_be_discoverable_and_to_verify_the_person(world: World) -> None:
    ana = person(world)
    key = Authenticator()
    add(world, ana, key)
    with world.placet.runtime.unit_of_work(ANONYMOUS) as uow:
        asked = json.loads(passkeys(world).begin_registration(uow, ana, ANA).options)
    assert asked["rp"]["id"] == "localhost"
    assert asked["attestation"] == "none"
    assert asked["authenticatorSelection"]["residentKey"] == "required"
    assert asked["authenticatorSelection"]["userVerification"] == "required"
    assert [each["alg"] for each in asked["pubKeyCredParams"]] == [-7, -8, -257]
    assert len(asked["excludeCredentials"]) == 1
    assert len(asked["challenge"]) >= 43  # 256 bits
    asked = json.loads(begin(world)[1])
    assert (asked["rpId"], asked["userVerification"]) == ("localhost", "required")
    assert asked["allowCredentials"] == []  # nobody's keys are named to a stranger
    assert len(json.loads(begin(world, ana)[1])["allowCredentials"]) == 1


@ON_SQLITE
def test_an_account_is_known_to_authenticators_by_one_random_name(world: World) -> None:
    ana = person(world)
    first, second = Authenticator(), Authenticator("EdDSA")
    for key in (first, second):
        add(world, ana, key)
    assert first.handle == second.handle
    assert len(first.handle) == 32
    for known in (ana.account_id, ana.subject_id):
        assert bytes.fromhex(known) not in first.handle
    with world.placet.runtime.snapshot() as session:
        assert session.scalars(sa.select(UserHandleRow.user_handle)).all() == [first.handle]
        row = session.scalars(sa.select(PasskeyRow)).first()
        assert row is not None
        assert "Móvil".encode() not in row.name_sealed


@ON_SQLITE
@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA", "RS256"])
def test_a_passkey_of_each_algorithm_signs_in_as_two_factors(world: World, algorithm: str) -> None:
    ana = person(world)
    key = Authenticator(algorithm)
    passkey_id = add(world, ana, key, Says(be=True))
    methods = show(world, key, Says(be=True, bs=True))
    assert level_of(methods) is AssuranceLevel.AAL2
    assert is_phishing_resistant(methods)
    with world.placet.runtime.snapshot() as session:
        (found,) = passkeys(world).of_account(session, ana.account_id)
        assert Factor.PASSKEY in factors_of(session, ana.account_id)
    assert (found.passkey_id, found.name, found.synced) == (passkey_id, "Móvil", True)
    assert found.last_used_at == world.clock()


# ---- what is refused ----

BAD: dict[str, Says] = {
    "another origin": Says(origin="http://localhost:8001"),
    "another scheme": Says(origin="https://localhost:8000"),
    "another site": Says(rp_id="example.com"),
    "another ceremony's type": Says(type="payment.get"),
    "nobody present": Says(up=False),
    "nobody verified": Says(uv=False),
    "another challenge": Says(challenge=b"x" * 32),
    "a frame of another page": Says(client={"crossOrigin": True}),
    "a page above ours": Says(client={"topOrigin": "https://evil.example"}),
    "backed up but not eligible": Says(be=False, bs=True),
}


@ON_SQLITE
def test_what_was_made_elsewhere_or_without_the_person_is_refused(world: World) -> None:
    ana, key = person(world), Authenticator()
    runtime = world.placet.runtime
    for says in BAD.values():
        with pytest.raises(PasskeyRefused):
            add(world, ana, Authenticator(), says)
    add(world, ana, key)
    for says in (*BAD.values(), Says(be=True), Says(handle=b"y" * 32), Says(no_handle=True)):
        with pytest.raises(PasskeyRefused):
            show(world, key, says)
    with runtime.snapshot() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(PasskeyRow)) == 1
    assert show(world, key)  # all of that changed nothing


@ON_SQLITE
def test_a_signature_that_does_not_fit_is_refused(world: World) -> None:
    ana, key = person(world), Authenticator()
    add(world, ana, key)
    ceremony_id, options = begin(world)
    stranger = Authenticator(credential_id=key.credential_id, handle=key.handle)
    with pytest.raises(PasskeyRefused):
        accept(world, ceremony_id, stranger.get(options))
    with pytest.raises(PasskeyRefused):
        show(world, Authenticator())  # registered nowhere


@ON_SQLITE
def test_a_passkey_opens_its_own_account_alone(world: World) -> None:
    ana, bruno = person(world, ANA), person(world, BRUNO)
    hers, his = Authenticator(), Authenticator()
    add(world, ana, hers)
    add(world, bruno, his)
    ceremony_id, options = begin(world, ana)
    with pytest.raises(PasskeyRefused):
        accept(world, ceremony_id, his.get(options), ana)
    with pytest.raises(CeremonyEnded):  # Ana's ceremony is not Bruno's
        accept(world, ceremony_id, his.get(options), bruno)
    with pytest.raises(CeremonyEnded):  # nor a stranger's
        accept(world, ceremony_id, hers.get(options), None)
    assert accept(world, ceremony_id, hers.get(options), ana)
    with pytest.raises(Conflict):  # one credential, one account
        add(world, bruno, Authenticator(credential_id=hers.credential_id))
    with world.placet.runtime.unit_of_work(ANONYMOUS) as uow:
        begun = passkeys(world).begin_registration(uow, ana, ANA)
    with (
        pytest.raises(CeremonyEnded),
        world.placet.runtime.unit_of_work(ANONYMOUS) as uow,
    ):
        response = Authenticator().create(begun.options)
        passkeys(world).register(uow, bruno, begun.ceremony_id, response, "Móvil")


@ON_SQLITE
def test_a_challenge_is_answered_once_and_within_five_minutes(world: World) -> None:
    key = Authenticator()
    add(world, person(world), key)
    ceremony_id, options = begin(world)
    response = key.get(options)
    assert accept(world, ceremony_id, response)
    with pytest.raises(CeremonyEnded):
        accept(world, ceremony_id, response)
    ceremony_id, options = begin(world)
    world.clock.advance(minutes=5)
    with pytest.raises(CeremonyEnded):
        accept(world, ceremony_id, key.get(options))
    world.clock.now -= timedelta(microseconds=1)
    assert accept(world, ceremony_id, key.get(options))
    for made_up in ("", "nonsense", "é" * 5000):
        with pytest.raises(CeremonyEnded):
            accept(world, made_up, key.get(options))
    world.clock.advance(minutes=5)
    world.placet.identity.housekeeping.run_due()
    with world.placet.runtime.snapshot() as session:
        assert session.scalars(sa.select(CeremonyRow)).all() == []


def _shapes(good: str) -> list[str]:
    """Responses that are none, or are nearly one."""
    whole = json.loads(good)

    texts = ["", "null", "[]", "{}", "7", '"\\ud800"', "[" * 20_000, good[:-1], good + "x" * 10]
    values: list[object] = [None, 7, "AAAA", {}]
    for name in whole["response"]:
        for value in [*values, "", "á", "A" * 20_000, []]:
            texts += [json.dumps(whole | {"response": whole["response"] | {name: value}})]
    for name in ("id", "rawId", "type", "response"):
        texts += [json.dumps(whole | {name: value}) for value in values]
    return texts


@ON_SQLITE
def test_garbage_is_refused_and_nothing_fails(world: World) -> None:
    relying_party, challenge = RelyingParty(ORIGIN, "Tienda"), b"c" * 32
    key = Authenticator()
    options = relying_party.creation_options(
        challenge=challenge, handle=b"h" * 32, label=ANA, known=()
    )
    made = relying_party.verify_creation(key.create(options), challenge=challenge)
    asked = relying_party.request_options(challenge=challenge, allowed=())
    harmless = 0
    for response in _shapes(key.create(options)):
        try:
            relying_party.verify_creation(response, challenge=challenge)
            harmless += 1
        except PasskeyRefused:
            continue
    for response in _shapes(key.get(asked)):
        try:
            relying_party.credential_of(response)
            relying_party.verify_assertion(
                response, challenge=challenge, public_key=made.public_key
            )
            harmless += 1
        except PasskeyRefused:
            continue
    assert harmless == 8 + 4  # `transports` may be anything, and `userHandle` is judged elsewhere
    for text in ("x" * (MAX_RESPONSE + 1), json.dumps({"id": "x" * MAX_RESPONSE})):
        with pytest.raises(PasskeyRefused):
            relying_party.verify_creation(text, challenge=challenge)
        with pytest.raises(PasskeyRefused):
            relying_party.credential_of(text)


def test_a_key_that_is_weaker_than_its_name_or_unusable_is_refused() -> None:
    relying_party, challenge = RelyingParty(ORIGIN, "Tienda"), b"c" * 32
    options = relying_party.creation_options(
        challenge=challenge, handle=b"h" * 32, label=ANA, known=()
    )
    off_curve = Authenticator()
    point = off_curve.cose() | {-2: b"\1" * 32}
    object.__setattr__(off_curve, "cose", lambda: point)
    for key in (
        Authenticator("RS256", rsa_bits=1024),
        Authenticator(curve=ec.SECP384R1()),
        off_curve,
        Authenticator(credential_id=b"i" * 1024),
    ):
        with pytest.raises(PasskeyRefused):
            relying_party.verify_creation(key.create(options), challenge=challenge)


@pytest.mark.parametrize(
    ("base_url", "origin", "rp_id"),
    [
        ("https://privacidad.example", "https://privacidad.example", "privacidad.example"),
        ("https://privacidad.example:443", "https://privacidad.example", "privacidad.example"),
        ("https://Tienda.Example:8443", "https://tienda.example:8443", "tienda.example"),
    ],
)
def test_the_origin_is_our_base_address_as_a_browser_writes_it(
    base_url: str, origin: str, rp_id: str
) -> None:
    relying_party = RelyingParty(base_url, "Tienda")
    options = relying_party.creation_options(challenge=b"c", handle=b"h", label=ANA, known=())
    says = Says(origin=origin, rp_id=rp_id)
    assert relying_party.verify_creation(Authenticator().create(options, says), challenge=b"c")


# ---- the counter ----


@ON_SQLITE
def test_a_counter_that_goes_backwards_suspends_the_passkey_until_its_owner_confirms_it(
    world: World, mail_server: MailServer
) -> None:
    ana, key = person(world), Authenticator(count=5)
    passkey_id = add(world, ana, key)
    assert show(world, key)
    assert row_of(world).sign_count == 7
    ceremony_id, options = begin(world)
    with pytest.raises(PasskeyRefused):  # unsigned, it raises no alarm
        accept(
            world,
            ceremony_id,
            Authenticator(credential_id=key.credential_id, handle=key.handle).get(options),
        )
    assert row_of(world).flagged_at is None
    for count in (7, 3):
        with pytest.raises(PasskeySuspended):
            show(world, key, Says(count=count))
    with pytest.raises(PasskeySuspended):  # the right counter does not help any more
        show(world, key)
    row = row_of(world)
    assert (row.flagged_at, row.flagged_count, row.sign_count) == (world.clock(), 7, 7)
    with world.placet.runtime.snapshot() as session:
        assert factors_of(session, ana.account_id) == {Factor.RECOVERY_CODE}
        assert has_second_factor(session, ana.account_id)  # it goes on being asked for
    assert json.loads(begin(world, ana)[1])["allowCredentials"] == []
    world.settle()
    told = [str(each["Subject"]) for each in mail_server.messages_to(ANA)]
    assert len(told) == 2  # added, flagged once
    assert world.verify().ok

    runtime = world.placet.runtime
    with runtime.unit_of_work(ANONYMOUS) as uow:
        passkeys(world).confirm(uow, ana, passkey_id)
    key.count = 7
    assert show(world, key)
    with pytest.raises(Conflict), runtime.unit_of_work(ANONYMOUS) as uow:
        passkeys(world).confirm(uow, ana, passkey_id)


@ON_SQLITE
def test_an_alarm_keeps_nothing_of_what_the_passkey_was_to_buy(world: World) -> None:
    ana, key = person(world), Authenticator(count=5)
    passkey_id = add(world, ana, key)
    ceremony_id, options = begin(world)
    with (
        pytest.raises(PasskeySuspended),
        world.placet.runtime.unit_of_work(ANONYMOUS) as uow,
    ):
        row = uow.session.get_one(PasskeyRow, passkey_id)
        row.transports = "usb"  # the caller changed something first
        uow.session.flush()
        passkeys(world).accept(uow, ceremony_id, key.get(options, Says(count=1)), account=None)
    assert row_of(world).transports == "internal hybrid"
    assert row_of(world).flagged_at == world.clock()


# ---- side by side ----


@ON_BOTH
def test_one_answer_sent_twenty_times_side_by_side_signs_in_once(world: World) -> None:
    key = Authenticator()
    add(world, person(world), key)
    ceremony_id, options = begin(world)
    response = key.get(options)
    barrier = Barrier(20)

    def send(_number: int) -> bool:
        barrier.wait()
        try:
            accept(world, ceremony_id, response)
        except CeremonyEnded:
            return False
        return True

    with ThreadPoolExecutor(20) as pool:
        assert sum(pool.map(send, range(20))) == 1


@ON_BOTH
def test_one_registration_sent_twenty_times_side_by_side_adds_one_passkey(world: World) -> None:
    ana = person(world)
    runtime = world.placet.runtime
    with runtime.unit_of_work(ANONYMOUS) as uow:
        begun = passkeys(world).begin_registration(uow, ana, ANA)
    response = Authenticator().create(begun.options)
    barrier = Barrier(20)

    def send(_number: int) -> bool:
        barrier.wait()
        try:
            with runtime.unit_of_work(ANONYMOUS) as uow:
                passkeys(world).register(uow, ana, begun.ceremony_id, response, "Móvil")
        except CeremonyEnded:
            return False
        return True

    with ThreadPoolExecutor(20) as pool:
        assert sum(pool.map(send, range(20))) == 1
    assert row_of(world)


# ---- looking after them ----


@ON_SQLITE
def test_a_person_renames_and_removes_their_own_passkeys_alone(world: World) -> None:
    ana, bruno = person(world, ANA), person(world, BRUNO)
    first, second = Authenticator(), Authenticator()
    passkey_id, other = add(world, ana, first), add(world, ana, second)
    runtime = world.placet.runtime
    change = passkeys(world)
    with pytest.raises(NotFound), runtime.unit_of_work(ANONYMOUS) as uow:
        change.rename(uow, bruno, passkey_id, "Mío")
    for act in (change.remove, change.confirm):
        with pytest.raises(NotFound), runtime.unit_of_work(ANONYMOUS) as uow:
            act(uow, bruno, passkey_id)
    for wrong in ("", "   ", "x" * 61, "a\u202eb", "a\0b"):
        with pytest.raises(InvalidInput), runtime.unit_of_work(ANONYMOUS) as uow:
            passkeys(world).rename(uow, ana, passkey_id, wrong)
    with runtime.unit_of_work(ANONYMOUS) as uow:
        passkeys(world).rename(uow, ana, passkey_id, "  Portátil   de casa ")
    with runtime.unit_of_work(ANONYMOUS) as uow:
        passkeys(world).remove(uow, ana, other)
    with runtime.snapshot() as session:
        assert [p.name for p in passkeys(world).of_account(session, ana.account_id)] == [
            "Portátil de casa"
        ]
    with pytest.raises(PasskeyRefused):
        show(world, second)
    assert show(world, first)


@ON_SQLITE
def test_the_last_way_in_cannot_be_removed(world: World) -> None:
    ana, key = person(world), Authenticator()
    passkey_id = add(world, ana, key)
    runtime = world.placet.runtime
    with pytest.raises(FactorStillNeeded) as refused, runtime.unit_of_work(ANONYMOUS) as uow:
        passkeys(world).remove(uow, ana, passkey_id)
    assert not refused.value.by_password
    assert show(world, key)
    with runtime.unit_of_work(ANONYMOUS) as uow:
        world.placet.identity.passwords.keep(uow, ana, "$hash", long_enough_alone=False)
        uow.commit()
    with pytest.raises(FactorStillNeeded) as refused, runtime.unit_of_work(ANONYMOUS) as uow:
        passkeys(world).remove(uow, ana, passkey_id)
    assert refused.value.by_password
    with runtime.unit_of_work(ANONYMOUS) as uow:
        world.placet.identity.passwords.keep(uow, ana, "$hash")
        uow.commit()
    with runtime.unit_of_work(ANONYMOUS) as uow:
        passkeys(world).remove(uow, ana, passkey_id)
    with runtime.snapshot() as session:
        assert session.scalars(sa.select(RecoveryCodeRow)).all() == []


@ON_SQLITE
def test_recovery_codes_are_of_any_account_with_a_second_factor(world: World) -> None:
    ana, codes = person(world, password="$hash"), world.placet.identity.recovery_codes
    runtime = world.placet.runtime
    with pytest.raises(Conflict), runtime.unit_of_work(ANONYMOUS) as uow:
        codes.replace(uow, ana)
    add(world, ana, Authenticator())
    with runtime.snapshot() as session:
        assert codes.left(session, ana.account_id) == 10
        assert factors_of(session, ana.account_id) == {Factor.PASSKEY, Factor.RECOVERY_CODE}
    with runtime.unit_of_work(ANONYMOUS) as uow:
        old = codes.replace(uow, ana)
    with runtime.unit_of_work(ANONYMOUS) as uow:
        new = codes.replace(uow, ana)
    second_factor = world.placet.identity.second_factor
    with runtime.unit_of_work(ANONYMOUS) as uow:
        assert not codes.claim(uow, ana.account_id, old[0])
        assert second_factor.accept(uow, ana, new[0].lower()) == "recovery-code"
        assert not codes.claim(uow, ana.account_id, new[0])


@ON_SQLITE
def test_a_closed_account_keeps_no_passkey(world: World) -> None:
    ana, key = person(world), Authenticator()
    add(world, ana, key)
    ceremony_id, options = begin(world)
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.identity.accounts.close(uow, ana.account_id)
        uow.commit()
    with pytest.raises(PasskeyRefused):
        accept(world, ceremony_id, key.get(options))
    with world.placet.runtime.snapshot() as session:
        for table in (PasskeyRow, UserHandleRow):
            assert session.scalar(sa.select(sa.func.count()).select_from(table)) == 0


def test_says_changes_one_thing_at_a_time() -> None:
    """Each wrong answer above is wrong in one way alone, so each check is held by itself."""
    for says in BAD.values():
        honest = Says()
        different = [name for name in vars(honest) if getattr(says, name) != getattr(honest, name)]
        assert len(different) == 1
