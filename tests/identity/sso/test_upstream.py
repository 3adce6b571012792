"""Going to a provider and coming back: once, in one browser, to the provider that was asked."""

import base64
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from identity.sso.model import HANDLE, Arrived, AttemptPurpose, Refusal, UpstreamRefused
from policies.vocabulary import Attribute
from privacy.actor import ANONYMOUS, Actor, ActorKind
from tests.identity.sso.upstreams import PROVIDER, Bench, Kernel, bench, kernel_of
from tests.support.hostile_provider import (
    ACCESS_TOKEN,
    Fault,
    HostileProvider,
    hostile_provider,
    rsa_key,
)
from tests.support.world import World

AT_ONCE = 20


def _query(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


# ---- what the provider is asked


def test_each_way_has_its_own_state_nonce_and_pkce_challenge_and_nothing_else(
    upstream: Bench,
) -> None:
    first, second = _query(upstream.begin()), _query(upstream.begin())
    assert first.keys() == {
        *("response_type", "client_id", "redirect_uri", "scope", "state", "nonce"),
        *("code_challenge", "code_challenge_method"),
    }
    assert first["redirect_uri"] == "http://localhost:8000/sso/other/callback"
    assert first["code_challenge_method"] == "S256"
    for name in ("state", "nonce", "code_challenge"):
        assert len(first[name]) == 43
        assert first[name] != second[name]
    assert len({first[name] for name in ("state", "nonce", "code_challenge")}) == 3


def test_nothing_that_is_kept_tells_state_nonce_verifier_or_the_browser(
    upstream: Bench, provider: HostileProvider, tmp_path: Path
) -> None:
    url = upstream.begin(onward="/account")
    upstream.finish(provider.authorize(url))
    [(_, _, _, body)] = [asked for asked in provider.asked if asked[1] == "/token"]
    secrets = [_query(url)["state"], _query(url)["nonce"], parse_qs(body)["code_verifier"][0]]
    with sqlite3.connect(tmp_path / "small.sqlite3") as file:
        [row] = file.execute("SELECT * FROM sso_attempt").fetchall()
    file.close()
    assert "/account" in row  # it is the right table
    for secret in [*secrets, str(upstream.browser), provider.client_secret]:
        assert not any(secret in str(value) for value in row)


# ---- who comes back: the conformance cases that go well


def test_rs256_client_secret_basic_and_userinfo_by_header(
    upstream: Bench, provider: HostileProvider
) -> None:
    """RP basic: RS256, ClientSecretBasic, Userinfo header, ScopeUserInfoClaims."""
    provider.info |= {"given_name": "Ana", "locale": "es", "birthdate": "1990-01-01"}
    arrived = upstream.sign_in(onward="/privacy")
    assert arrived == Arrived(
        provider=PROVIDER,
        issuer=provider.issuer,
        sub=provider.sub,
        email="ana@example.org",
        email_verified=True,
        address_proven=True,
        attributes={Attribute.GIVEN_NAME: "Ana", Attribute.LOCALE: "es"},
        purpose=AttemptPurpose.SIGN_IN,
        next="/privacy",
    )
    assert provider.count("/userinfo") == 1
    [headers] = [headers for _, path, headers, _ in provider.asked if path == "/token"]
    pair = base64.b64decode(headers["authorization"].removeprefix("Basic ")).decode()
    assert pair == "placet:s3cret%2Fwith%2Bsigns"  # RFC 6749 s. 2.3.1
    assert upstream.log() == []
    assert not any(ACCESS_TOKEN in path for _, path, *_ in provider.asked)


def test_kid_absent_single(upstream: Bench, provider: HostileProvider) -> None:
    """RP basic: KidAbsentSingle. With one key there is no choice to make."""
    provider.header = {"kid": None}
    assert upstream.sign_in().sub == provider.sub


def test_userinfo_is_asked_only_for_what_the_id_token_lacks(
    upstream: Bench, provider: HostileProvider
) -> None:
    provider.claims = provider.info | {"given_name": "Ana", "locale": "es"}
    provider.info = {"email": "other@example.org"}
    assert upstream.sign_in().email == "ana@example.org"
    assert provider.count("/userinfo") == 0


def test_one_source_s_word_is_not_taken_for_the_other_s_address(
    upstream: Bench, provider: HostileProvider
) -> None:
    """An ID token with an address of its own is not verified by what userinfo says of another."""
    provider.claims = {"email": "ana@example.org"}
    arrived = upstream.sign_in()
    assert (arrived.email, arrived.email_verified) == ("ana@example.org", False)
    assert provider.count("/userinfo") == 1


@pytest.mark.parametrize("said", ["true", 1, None, "yes"])
def test_only_a_true_makes_an_address_verified(
    upstream: Bench, provider: HostileProvider, said: object
) -> None:
    provider.info["email_verified"] = said
    arrived = upstream.sign_in()
    assert not arrived.email_verified
    assert not arrived.address_proven


def test_a_verified_address_of_another_domain_proves_nothing(
    upstream: Bench, provider: HostileProvider
) -> None:
    provider.info["email"] = "ana@sub.example.org"
    arrived = upstream.sign_in()
    assert arrived.email_verified
    assert not arrived.address_proven


def test_what_is_no_name_or_date_is_left_out(kernel: Kernel, provider: HostileProvider) -> None:
    here = bench(kernel, provider, other={"attributes": ["given_name", "birthdate", "locale"]})
    provider.info |= {
        "email": "no address\n",
        "given_name": "\ud800",
        "birthdate": "1990-13-01",
        "locale": ["es"],
    }
    arrived = here.sign_in()
    assert arrived.attributes == {}
    assert arrived.email is None


# ---- keys


def test_rp_key_rotation_is_followed_at_once(upstream: Bench, provider: HostileProvider) -> None:
    upstream.sign_in()
    provider.signing = rsa_key("k2")
    provider.published = [rsa_key("k1"), rsa_key("k2")]
    upstream.kernel.clock.advance(seconds=10)
    assert upstream.sign_in().sub == provider.sub
    assert provider.count("/jwks") == 2


def test_keys_are_asked_for_every_five_minutes_and_an_unknown_one_every_ten_seconds(
    upstream: Bench, provider: HostileProvider
) -> None:
    upstream.sign_in()
    upstream.kernel.clock.advance(seconds=299)
    upstream.sign_in()
    assert provider.count("/jwks") == 1
    provider.faults = {Fault.UNKNOWN_KID}
    for _ in range(3):
        assert upstream.refused(provider.authorize(upstream.begin())) is Refusal.KEY_UNKNOWN
    assert provider.count("/jwks") == 2  # for all three
    upstream.kernel.clock.advance(seconds=10)
    assert upstream.refused(provider.authorize(upstream.begin())) is Refusal.KEY_UNKNOWN
    assert provider.count("/jwks") == 3
    provider.faults = set()
    upstream.kernel.clock.advance(seconds=300)
    upstream.sign_in()
    assert provider.count("/jwks") == 4


def test_of_twenty_who_need_the_keys_at_once_one_asks(
    upstream: Bench, provider: HostileProvider
) -> None:
    answers = [provider.authorize(upstream.begin()) for _ in range(AT_ONCE)]
    results = at_once(lambda: upstream.finish(answers.pop()))
    assert all(isinstance(each, Arrived) for each in results)
    assert provider.count("/jwks") == 1


def test_a_withdrawn_key_is_refused_after_five_minutes(
    upstream: Bench, provider: HostileProvider
) -> None:
    upstream.sign_in()
    provider.published = [rsa_key("k2")]
    upstream.kernel.clock.advance(seconds=300)
    assert upstream.refused(provider.authorize(upstream.begin())) is Refusal.KEY_UNKNOWN


# ---- state


def test_an_answer_counts_once_in_its_browser_within_ten_minutes(
    upstream: Bench, provider: HostileProvider
) -> None:
    answer, owner = provider.authorize(upstream.begin()), upstream.browser
    for stranger in ("B" * 43, None, ""):
        upstream.browser = stranger
        assert upstream.refused(answer) is Refusal.OTHER_BROWSER
    upstream.browser = owner
    upstream.kernel.clock.advance(minutes=10, microseconds=-1)
    assert upstream.finish(answer).sub == provider.sub  # strangers used nothing up
    assert upstream.refused(answer) is Refusal.STATE_USED
    late = provider.authorize(upstream.begin())
    upstream.kernel.clock.advance(minutes=10)
    assert upstream.refused(late) is Refusal.STATE_EXPIRED
    assert sorted(each["reason"] for each in upstream.log()) == [
        *("other-browser", "other-browser", "other-browser"),
        *("state-expired", "state-used"),
    ]


def test_two_tabs_of_one_browser_do_not_undo_one_another(
    upstream: Bench, provider: HostileProvider
) -> None:
    first, second = upstream.begin(onward="/1"), upstream.begin(onward="/2")
    assert upstream.finish(provider.authorize(second)).next == "/2"
    assert upstream.finish(provider.authorize(first)).next == "/1"


def test_a_cookie_that_we_did_not_make_is_replaced(upstream: Bench) -> None:
    upstream.browser = "chosen-by-somebody"
    upstream.begin()
    assert upstream.browser != "chosen-by-somebody"


def test_a_link_is_bound_to_the_account_that_asked(
    upstream: Bench, provider: HostileProvider
) -> None:
    ana = Actor(kind=ActorKind.PERSON, account_id="a" * 32)
    arrived = upstream.sign_in(purpose=AttemptPurpose.LINK, actor=ana)
    assert (arrived.purpose, arrived.account_id) == (AttemptPurpose.LINK, "a" * 32)
    assert upstream.sign_in(actor=ana).account_id is None


def test_what_has_run_out_is_deleted(upstream: Bench, provider: HostileProvider) -> None:
    upstream.begin()
    assert upstream.upstreams.run_due() == 0
    upstream.kernel.clock.advance(minutes=10)
    assert upstream.upstreams.run_due() == 1


# ---- mix-up: one provider's answer at another's address


def test_one_provider_s_answer_at_another_s_address_is_refused(
    kernel: Kernel, provider: HostileProvider
) -> None:
    with hostile_provider() as attacker:
        attacker.clock = kernel.clock
        here = bench(
            kernel,
            provider,
            honest={},
            attacker={"issuer": attacker.issuer, "client_id": attacker.client_id},
        )
        # The person chose the attacker, which hands the request on to the honest provider.
        url = here.begin("attacker")
        answer = provider.authorize(url)
        assert here.refused(answer, "attacker") is Refusal.MIXED_UP
        assert attacker.count("/token") == provider.count("/token") == 0  # the code went nowhere
        # The same at the honest provider's own address.
        answer = provider.authorize(here.begin("attacker"))
        assert here.refused(answer, "honest") is Refusal.MIXED_UP


# ---- form_post


@pytest.fixture
def posting(kernel: Kernel, provider: HostileProvider) -> Bench:
    return bench(kernel, provider, other={"response_mode": "form_post"})


def _park(here: Bench, answer: dict[str, list[str]]) -> dict[str, list[str]]:
    return {HANDLE: [here.upstreams.park(PROVIDER, answer, actor=ANONYMOUS)]}


def test_an_answer_by_form_waits_for_the_browser_s_cookie(
    posting: Bench, provider: HostileProvider, tmp_path: Path
) -> None:
    url = posting.begin()
    assert _query(url)["response_mode"] == "form_post"
    answer = provider.authorize(url)
    handle = _park(posting, answer)
    assert handle[HANDLE][0] not in str(answer)
    assert answer["code"][0].encode() not in (tmp_path / "small.sqlite3-wal").read_bytes()
    owner, posting.browser = posting.browser, None
    assert posting.refused(handle) is Refusal.OTHER_BROWSER
    posting.browser = owner
    assert posting.finish(handle).sub == provider.sub
    assert posting.refused(handle) is Refusal.STATE_USED


def test_an_answer_by_form_is_kept_for_a_waiting_attempt_alone_and_once(
    posting: Bench, provider: HostileProvider
) -> None:
    answer = provider.authorize(posting.begin())
    _park(posting, answer)
    for wrong, reason in [
        (answer, Refusal.STATE_USED),
        ({"state": ["A" * 43], "code": ["c"]}, Refusal.STATE_UNKNOWN),
        ({"code": ["c"]}, Refusal.STATE_MISSING),
        (answer | {HANDLE: ["x"]}, Refusal.RESPONSE_MALFORMED),
    ]:
        with pytest.raises(UpstreamRefused) as refused:
            _park(posting, wrong)
        assert refused.value.reason is reason
    late = provider.authorize(posting.begin())
    posting.kernel.clock.advance(minutes=10)
    with pytest.raises(UpstreamRefused) as refused:
        _park(posting, late)
    assert refused.value.reason is Refusal.STATE_EXPIRED


def test_who_answers_by_form_is_not_believed_by_address_nor_the_other_way_round(
    posting: Bench, kernel: Kernel, provider: HostileProvider
) -> None:
    assert posting.refused(provider.authorize(posting.begin())) is Refusal.RESPONSE_MALFORMED
    asking = bench(kernel, provider)
    answer = provider.authorize(asking.begin())
    with pytest.raises(UpstreamRefused) as refused:
        _park(asking, answer)
    assert refused.value.reason is Refusal.RESPONSE_MALFORMED


# ---- races, on both databases


def at_once(act: Callable[[], object]) -> list[object]:
    """Return what twenty threads got that began together: a value, or the reason of a refusal."""
    barrier = threading.Barrier(AT_ONCE, timeout=30)

    def run() -> object:
        barrier.wait()
        try:
            return act()
        except UpstreamRefused as refused:
            return refused.reason

    with ThreadPoolExecutor(AT_ONCE) as pool:
        running = [pool.submit(run) for _ in range(AT_ONCE)]
        return [each.result(60) for each in running]


def test_one_answer_sent_twenty_times_at_once_counts_once(
    world: World, provider: HostileProvider
) -> None:
    here = bench(kernel_of(world), provider)
    answer = provider.authorize(here.begin())
    results = at_once(lambda: here.finish(answer))
    assert sum(isinstance(each, Arrived) for each in results) == 1
    assert results.count(Refusal.STATE_USED) == AT_ONCE - 1
    assert provider.count("/token") == 1


def test_one_answer_by_form_sent_twenty_times_at_once_is_kept_once(
    world: World, provider: HostileProvider
) -> None:
    here = bench(kernel_of(world), provider, other={"response_mode": "form_post"})
    answer = provider.authorize(here.begin())
    results = at_once(lambda: here.upstreams.park(PROVIDER, answer, actor=ANONYMOUS))
    assert results.count(Refusal.STATE_USED) == AT_ONCE - 1


def test_the_clock_s_step_back_does_not_keep_keys_for_ever(
    upstream: Bench, provider: HostileProvider
) -> None:
    upstream.sign_in()
    upstream.kernel.clock.now -= timedelta(hours=2)
    upstream.sign_in()
    assert provider.count("/jwks") == 2
