"""Logout tokens of a provider: believed once, when fresh, and only as what they are."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from identity.sso.model import Refusal, UpstreamLogout, UpstreamRefused
from privacy.actor import ANONYMOUS
from privacy.unit_of_work import UnitOfWork
from tests.identity.sso.upstreams import PROVIDER, Bench, Kernel, bench, kernel_of
from tests.support.hostile_provider import BACKCHANNEL_EVENT, Fault, HostileProvider
from tests.support.world import World

AT_ONCE = 20


def receive(here: Bench, token: str) -> UpstreamLogout:
    """Hand a token over as the provider does, and return what was believed."""
    believed = list[UpstreamLogout]()

    def end(_uow: UnitOfWork, logout: UpstreamLogout) -> None:
        believed.append(logout)

    here.upstreams.receive_logout(PROVIDER, token, end, actor=ANONYMOUS)
    return believed[0]


def refused(here: Bench, token: str) -> Refusal:
    with pytest.raises(UpstreamRefused) as error:
        receive(here, token)
    return error.value.reason


def test_rp_back_channel_ok(upstream: Bench, provider: HostileProvider) -> None:
    assert receive(upstream, provider.logout_token()) == UpstreamLogout(
        provider=PROVIDER, issuer=provider.issuer, sub=provider.sub, sid="s-1", jti="j-1"
    )
    assert receive(upstream, provider.logout_token(jti="j-2", sub=None)).sub is None
    assert receive(upstream, provider.logout_token(jti="j-3", sid=None)).sid is None
    assert receive(upstream, provider.logout_token(jti="j-4", exp=None)).jti == "j-4"
    assert upstream.log() == []


#: By the names of the cases of OpenID's own suite, and ours.
BAD: dict[str, tuple[set[Fault], Callable[[int], dict[str, Any]], Refusal]] = {
    "AlgNone": ({Fault.ALG_NONE}, lambda _: {}, Refusal.ALGORITHM),
    "NoEvent": (set(), lambda _: {"events": None}, Refusal.LOGOUT_EVENT),
    "WithNonce": (set(), lambda _: {"nonce": "n"}, Refusal.LOGOUT_NONCE),
    "WrongAlg": ({Fault.ALG_NOT_CONFIGURED}, lambda _: {}, Refusal.ALGORITHM),
    "WrongAud": (set(), lambda _: {"aud": "somebody-else"}, Refusal.AUDIENCE),
    "WrongEvent": (set(), lambda _: {"events": {"http://a.example/e": {}}}, Refusal.LOGOUT_EVENT),
    "WrongIssuer": (set(), lambda _: {"iss": "https://a.example"}, Refusal.ISSUER),
    "HS256WithPublicKey": ({Fault.HS256_WITH_PUBLIC_KEY}, lambda _: {}, Refusal.ALGORITHM),
    "BadSignature": ({Fault.BAD_SIGNATURE}, lambda _: {}, Refusal.SIGNATURE),
    "EventNotAnObject": (
        set(),
        lambda _: {"events": {BACKCHANNEL_EVENT: "x"}},
        Refusal.LOGOUT_EVENT,
    ),
    "OrdinaryTyp": (set(), lambda _: {"typ": "JWT"}, Refusal.TOKEN_TYPE),
    "NeitherSubNorSid": (set(), lambda _: {"sub": None, "sid": None}, Refusal.SUBJECT),
    "NoJti": (set(), lambda _: {"jti": None}, Refusal.LOGOUT_JTI),
    "NoIat": (set(), lambda _: {"iat": None}, Refusal.ISSUED_AT),
    "OldIat": (set(), lambda now: {"iat": now - 301, "exp": now + 60}, Refusal.ISSUED_AT),
    "FutureIat": (set(), lambda now: {"iat": now + 61}, Refusal.ISSUED_AT),
    "Expired": (set(), lambda now: {"iat": now - 120, "exp": now - 60}, Refusal.EXPIRED),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_logout_token_ends_nothing_and_is_in_the_log(
    upstream: Bench, provider: HostileProvider, case: str
) -> None:
    faults, changes, reason = BAD[case]
    provider.faults = faults
    now = int(upstream.kernel.clock().timestamp())
    assert refused(upstream, provider.logout_token(**changes(now))) is reason
    told = {"tag": "sso:logout:refused", "provider": PROVIDER, "reason": reason.value}
    assert upstream.log() == [told]


def test_an_id_token_is_no_logout_token(upstream: Bench, provider: HostileProvider) -> None:
    assert refused(upstream, provider.id_token({"nonce": "n"})) is Refusal.TOKEN_TYPE


def test_a_logout_token_counts_once_for_as_long_as_it_is_fresh(
    upstream: Bench, provider: HostileProvider
) -> None:
    token = provider.logout_token(exp=None)
    receive(upstream, token)
    assert refused(upstream, token) is Refusal.LOGOUT_REPLAYED
    upstream.kernel.clock.advance(minutes=5)
    assert upstream.upstreams.run_due() == 0
    assert refused(upstream, token) is Refusal.LOGOUT_REPLAYED
    upstream.kernel.clock.advance(seconds=1)
    assert refused(upstream, token) is Refusal.ISSUED_AT
    upstream.kernel.clock.advance(minutes=2)
    assert upstream.upstreams.run_due() == 1


def test_a_logout_that_fails_may_be_sent_again(upstream: Bench, provider: HostileProvider) -> None:
    token = provider.logout_token()

    def fail(_uow: UnitOfWork, _logout: UpstreamLogout) -> None:
        raise OSError("the database is gone")

    with pytest.raises(OSError, match="gone"):
        upstream.upstreams.receive_logout(PROVIDER, token, fail, actor=ANONYMOUS)
    assert receive(upstream, token).jti == "j-1"


def test_a_provider_that_signs_nothing_ends_no_sessions(
    kernel: Kernel, provider: HostileProvider
) -> None:
    entry: dict[str, object] = {"kind": "oauth2", "attributes": [], "authoritative_domains": []}
    entry |= {f"{name}_endpoint": f"{provider.origin}/x" for name in ("authorization", "token")}
    here = bench(kernel, provider, other=entry | {"userinfo_endpoint": f"{provider.origin}/x"})
    assert refused(here, provider.logout_token()) is Refusal.TOKEN_TYPE
    assert provider.asked == []


def test_one_logout_token_sent_twenty_times_at_once_is_believed_once(
    world: World, provider: HostileProvider
) -> None:
    here = bench(kernel_of(world), provider)
    token = provider.logout_token()
    barrier = threading.Barrier(AT_ONCE, timeout=30)

    def run(_number: int) -> object:
        barrier.wait()
        try:
            return receive(here, token).jti
        except UpstreamRefused as error:
            return error.reason

    with ThreadPoolExecutor(AT_ONCE) as pool:
        results = list(pool.map(run, range(AT_ONCE)))
    assert results.count("j-1") == 1
    assert results.count(Refusal.LOGOUT_REPLAYED) == AT_ONCE - 1
