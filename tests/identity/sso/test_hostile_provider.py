"""A provider that does one thing wrong: refused, with the reason in the audit log, and nothing else."""

import pytest

from identity.sso.model import Refusal, UpstreamRefused
from tests.identity.sso.upstreams import PROVIDER, Bench
from tests.support.hostile_provider import Fault, HostileProvider

#: By the names of the cases of OpenID's own suite for relying parties.
CONFORMANCE = {
    "InvalidIssuer": (Fault.WRONG_ISS, Refusal.ISSUER),
    "MissingSub": (Fault.MISSING_SUB, Refusal.SUBJECT),
    "InvalidAud": (Fault.WRONG_AUD, Refusal.AUDIENCE),
    "MissingIat": (Fault.MISSING_IAT, Refusal.ISSUED_AT),
    "KidAbsentMultiple": (Fault.KID_ABSENT_SEVERAL_KEYS, Refusal.KEY_AMBIGUOUS),
    "SigAlgNone": (Fault.ALG_NONE, Refusal.ALGORITHM),
    "InvalidSignature": (Fault.BAD_SIGNATURE, Refusal.SIGNATURE),
    "InvalidSubInUserinfo": (Fault.WRONG_USERINFO_SUB, Refusal.USERINFO_SUBJECT),
    "NonceInvalid": (Fault.WRONG_NONCE, Refusal.NONCE),
}
OTHERS = {
    Fault.HS256_WITH_PUBLIC_KEY: Refusal.ALGORITHM,
    Fault.ALG_NOT_CONFIGURED: Refusal.ALGORITHM,
    Fault.SEVERAL_AUD_WITHOUT_AZP: Refusal.AUTHORIZED_PARTY,
    Fault.WRONG_AZP: Refusal.AUTHORIZED_PARTY,
    Fault.MISSING_NONCE: Refusal.NONCE,
    Fault.EXPIRED: Refusal.EXPIRED,
    Fault.MISSING_EXP: Refusal.EXPIRED,
    Fault.FUTURE_IAT: Refusal.ISSUED_AT,
    Fault.OLD_IAT: Refusal.ISSUED_AT,
    Fault.EMPTY_SUB: Refusal.SUBJECT,
    Fault.LONG_SUB: Refusal.SUBJECT,
    Fault.WRONG_AT_HASH: Refusal.TOKEN_HASH,
    Fault.UNKNOWN_KID: Refusal.KEY_UNKNOWN,
    Fault.SHORT_KEY: Refusal.KEY_UNKNOWN,
    Fault.CRITICAL_HEADER: Refusal.TOKEN_MALFORMED,
    Fault.NOT_A_TOKEN: Refusal.TOKEN_MALFORMED,
    Fault.LOGOUT_TOKEN_AS_ID_TOKEN: Refusal.TOKEN_TYPE,
    Fault.MISSING_USERINFO_SUB: Refusal.USERINFO_SUBJECT,
    Fault.USERINFO_SIGNED: Refusal.USERINFO_SIGNED,
    Fault.USERINFO_HTML: Refusal.USERINFO_MALFORMED,
    Fault.JWKS_REDIRECT: Refusal.PROVIDER_UNREACHABLE,
    Fault.JWKS_HUGE: Refusal.PROVIDER_UNREACHABLE,
    Fault.JWKS_SLOW: Refusal.PROVIDER_UNREACHABLE,
    Fault.JWKS_HTML: Refusal.PROVIDER_UNREACHABLE,
    Fault.JWKS_500: Refusal.PROVIDER_UNREACHABLE,
    Fault.TOKEN_ERROR: Refusal.CODE_REFUSED,
    Fault.TOKEN_HTML: Refusal.TOKEN_ANSWER_MALFORMED,
    Fault.TOKEN_500: Refusal.PROVIDER_UNREACHABLE,
    Fault.TOKEN_WITHOUT_ID_TOKEN: Refusal.TOKEN_ANSWER_MALFORMED,
    Fault.TOKEN_NOT_BEARER: Refusal.TOKEN_ANSWER_MALFORMED,
    Fault.DENIED: Refusal.DENIED,
    Fault.SERVER_ERROR: Refusal.PROVIDER_ERROR,
    Fault.OTHER_ISS_PARAMETER: Refusal.MIXED_UP,
    Fault.MISSING_ISS_PARAMETER: Refusal.MIXED_UP,
    Fault.MISSING_STATE: Refusal.STATE_MISSING,
    Fault.OTHER_STATE: Refusal.STATE_UNKNOWN,
    Fault.STATE_TWICE: Refusal.RESPONSE_MALFORMED,
    Fault.MISSING_CODE: Refusal.RESPONSE_MALFORMED,
}
AT_DISCOVERY = {
    Fault.DISCOVERY_OTHER_ISSUER: Refusal.DISCOVERY_WRONG,
    Fault.DISCOVERY_ISSUER_WITH_SLASH: Refusal.DISCOVERY_WRONG,
    Fault.DISCOVERY_FOREIGN_HTTP: Refusal.DISCOVERY_WRONG,
    Fault.DISCOVERY_HTML: Refusal.PROVIDER_UNREACHABLE,
    Fault.DISCOVERY_REDIRECT: Refusal.PROVIDER_UNREACHABLE,
}
#: Whose code must not have gone anywhere.
BEFORE_THE_CODE = {
    Fault.DENIED,
    Fault.SERVER_ERROR,
    Fault.OTHER_ISS_PARAMETER,
    Fault.MISSING_ISS_PARAMETER,
    Fault.MISSING_STATE,
    Fault.OTHER_STATE,
    Fault.STATE_TWICE,
}


def _is_refused(upstream: Bench, provider: HostileProvider, fault: Fault, reason: Refusal) -> None:
    provider.faults = {fault}
    assert upstream.refused(provider.authorize(upstream.begin())) is reason
    told = {"tag": "sso:sign-in:refused", "provider": PROVIDER, "reason": reason.value}
    assert upstream.log() == [told]
    if fault in BEFORE_THE_CODE:
        assert provider.count("/token") == 0


def test_every_fault_of_the_provider_has_a_test() -> None:
    assert {fault for fault, _ in CONFORMANCE.values()} | {*OTHERS} | {*AT_DISCOVERY} == {*Fault}


@pytest.mark.parametrize("case", CONFORMANCE)
def test_the_conformance_case_is_refused(
    upstream: Bench, provider: HostileProvider, case: str
) -> None:
    _is_refused(upstream, provider, *CONFORMANCE[case])


@pytest.mark.parametrize("fault", OTHERS)
def test_what_is_wrong_is_refused_with_its_reason_in_the_log(
    upstream: Bench, provider: HostileProvider, fault: Fault
) -> None:
    _is_refused(upstream, provider, fault, OTHERS[fault])


@pytest.mark.parametrize("fault", AT_DISCOVERY)
def test_a_wrong_discovery_document_sends_nobody_away_and_is_not_kept(
    upstream: Bench, provider: HostileProvider, fault: Fault
) -> None:
    provider.faults = {fault}
    with pytest.raises(UpstreamRefused) as refused:
        upstream.begin()
    assert refused.value.reason is AT_DISCOVERY[fault]
    told = {"tag": "sso:sign-in:refused", "provider": PROVIDER, "reason": refused.value.reason}
    assert upstream.log() == [told]
    provider.faults = set()
    assert upstream.sign_in().sub == provider.sub


@pytest.mark.parametrize(
    ("fault", "claims"),
    [
        (Fault.EXPIRED, {"exp": 59}),
        (Fault.FUTURE_IAT, {"iat": -60}),
        (Fault.OLD_IAT, {"iat": 660}),
    ],
)
def test_clocks_may_differ_by_a_minute_and_no_more(
    upstream: Bench, provider: HostileProvider, fault: Fault, claims: dict[str, int]
) -> None:
    """The other side of each limit, one second away from what is refused above."""
    now = int(upstream.kernel.clock().timestamp())
    provider.claims = {name: now - ago for name, ago in claims.items()}
    assert upstream.sign_in().sub == provider.sub
    provider.faults = {fault}
    assert upstream.refused(provider.authorize(upstream.begin())) is OTHERS[fault]


def test_a_provider_that_is_down_is_said_to_be_and_nothing_is_changed(
    upstream: Bench, provider: HostileProvider
) -> None:
    provider.faults = {Fault.JWKS_500}
    assert upstream.refused(provider.authorize(upstream.begin())) is Refusal.PROVIDER_UNREACHABLE
    provider.faults = set()
    assert upstream.sign_in().sub == provider.sub  # no failure was kept


def test_a_code_is_never_sent_twice(upstream: Bench, provider: HostileProvider) -> None:
    provider.faults = {Fault.TOKEN_500}
    answer = provider.authorize(upstream.begin())
    assert upstream.refused(answer) is Refusal.PROVIDER_UNREACHABLE
    provider.faults = set()
    assert upstream.refused(answer) is Refusal.STATE_USED
    assert provider.count("/token") == 1
