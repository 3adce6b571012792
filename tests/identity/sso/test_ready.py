"""The ready entries, each against a provider that behaves like the real one; and wrong files."""

import json
import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc import jwt

from identity.sso.configuration import load
from identity.sso.model import (
    HANDLE,
    ProviderKind,
    Refusal,
    ResponseMode,
)
from identity.sso.ready import READY
from policies.vocabulary import Attribute
from privacy.actor import ANONYMOUS
from privacy.settings import SettingsError, settings_from
from tests.identity.sso.upstreams import PROVIDER, Bench, Kernel, bench
from tests.support.hostile_provider import Fault, HostileProvider, ec_key
from tests.support.processes import ROOT

TENANT = "72f988bf-86f1-41af-91ab-2d7cd011db47"
OTHER_TENANT = "00000000-1111-2222-3333-444444444444"
NOBODY: dict[str, object] = {"authoritative_domains": []}


# ---- Google


@pytest.mark.parametrize(
    ("email", "hosted", "proven"),
    [
        ("ana@example.org", "example.org", True),
        ("ana@example.org", None, False),
        ("ana@example.org", "example.com", False),
        ("ana@gmail.com", None, True),
        ("ana@example.com", "example.com", False),
    ],
)
def test_google_proves_addresses_of_declared_domains_that_are_its_own(
    kernel: Kernel, provider: HostileProvider, email: str, hosted: str | None, proven: bool
) -> None:
    declared = ["example.org", "gmail.com"]
    here = bench(kernel, provider, other={"kind": "google", "authoritative_domains": declared})
    provider.claims = {"email": email, "email_verified": True, "hd": hosted, "at_hash": None}
    provider.claims |= {"given_name": "Ana", "locale": "es"}
    arrived = here.sign_in()
    assert (arrived.email_verified, arrived.address_proven) == (True, proven)
    assert provider.count("/userinfo") == 0


# ---- Microsoft


def _microsoft(kernel: Kernel, provider: HostileProvider, tenant: str) -> Bench:
    provider.issuer = f"{provider.origin}/{{tenantid}}/v2.0"
    entry: dict[str, object] = {"kind": "microsoft", "tenant": tenant, "attributes": []}
    return bench(kernel, provider, other=entry | NOBODY)


def test_microsoft_s_one_tenant_is_its_issuer(kernel: Kernel, provider: HostileProvider) -> None:
    here = _microsoft(kernel, provider, TENANT)
    provider.issuer = provider.issuer.replace("{tenantid}", TENANT)
    provider.claims = {"tid": TENANT}
    provider.metadata = {"authorization_response_iss_parameter_supported": None}
    arrived = here.sign_in()
    assert arrived.issuer == f"{provider.origin}/{TENANT}/v2.0"
    assert provider.asked[0][1] == f"/{TENANT}/v2.0/.well-known/openid-configuration"
    provider.claims = {"tid": OTHER_TENANT, "iss": f"{provider.origin}/{OTHER_TENANT}/v2.0"}
    assert here.refused(provider.authorize(here.begin())) is Refusal.ISSUER


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"tid": TENANT, "iss": "{origin}/{other}/v2.0"}, Refusal.ISSUER),
        ({"tid": "common", "iss": "{origin}/common/v2.0"}, Refusal.ISSUER),
        ({"tid": f"{TENANT}/v2.0/..", "iss": "{origin}/{tenant}/v2.0/../v2.0"}, Refusal.ISSUER),
        ({"iss": "{origin}/{tenant}/v2.0"}, Refusal.ISSUER),
        ({"tid": TENANT, "iss": "{origin}/{{tenantid}}/v2.0"}, Refusal.ISSUER),
        ({"tid": TENANT, "iss": "{origin}/{tenant}/v2.0"}, None),
    ],
)
def test_microsoft_s_many_tenants_are_many_issuers_each_exact(
    kernel: Kernel, provider: HostileProvider, claims: dict[str, str], reason: Refusal | None
) -> None:
    here = _microsoft(kernel, provider, "common")
    provider.metadata = {"authorization_response_iss_parameter_supported": None}
    provider.faults = {Fault.MISSING_ISS_PARAMETER}  # it sends none
    names = {"origin": provider.origin, "tenant": TENANT, "other": OTHER_TENANT}
    provider.claims = {name: value.format(**names) for name, value in claims.items()}
    answer = provider.authorize(here.begin())
    if reason is None:
        assert here.finish(answer).issuer == f"{provider.origin}/{TENANT}/v2.0"
    else:
        assert here.refused(answer) is reason
    assert provider.asked[0][1] == "/common/v2.0/.well-known/openid-configuration"


def test_microsoft_s_keys_sign_for_the_tenant_that_they_name_alone(
    kernel: Kernel, provider: HostileProvider
) -> None:
    here = _microsoft(kernel, provider, "organizations")
    provider.metadata = {"authorization_response_iss_parameter_supported": None}
    provider.faults = {Fault.MISSING_ISS_PARAMETER}
    provider.claims = {"tid": TENANT, "iss": f"{provider.origin}/{TENANT}/v2.0"}
    provider.key_members = {"issuer": f"{provider.origin}/{OTHER_TENANT}/v2.0"}
    assert here.refused(provider.authorize(here.begin())) is Refusal.ISSUER
    here.kernel.clock.advance(minutes=5)
    provider.key_members = {"issuer": f"{provider.origin}/{{tenantid}}/v2.0"}
    assert here.sign_in().sub == provider.sub


def test_what_microsoft_says_of_an_address_means_nothing(
    kernel: Kernel, provider: HostileProvider
) -> None:
    """The attack called nOAuth: a tenant's administrator writes any address into an account."""
    here = _microsoft(kernel, provider, TENANT)
    provider.issuer = provider.issuer.replace("{tenantid}", TENANT)
    provider.claims = {"tid": TENANT, "email": "victim@example.org", "email_verified": True}
    provider.claims["xms_edov"] = True
    arrived = here.sign_in()
    assert arrived.email == "victim@example.org"
    assert not arrived.email_verified
    assert not arrived.address_proven


# ---- Apple


@pytest.fixture
def apple(kernel: Kernel, provider: HostileProvider, tmp_path: Path) -> Bench:
    """Apple: no userinfo, the answer by form, the name the first time alone, a signed secret."""
    (tmp_path / "apple.p8").write_bytes(ec_key("apple").as_pem(private=True))
    entry = {
        "kind": "apple",
        "title": "Apple",
        "issuer": provider.issuer,
        "client_id": "org.example.placet",
        "team_id": "TEAM",
        "key_id": "KEY",
        "private_key_file": "apple.p8",
        "attributes": ["given_name", "family_name"],
        "authoritative_domains": ["example.org"],
    }
    provider.client_id = "org.example.placet"
    provider.metadata = {
        "userinfo_endpoint": None,
        "authorization_response_iss_parameter_supported": None,
    }
    provider.claims = {"email": "ana@example.org", "email_verified": "true"}
    provider.secret_is_right = lambda secret: secret.count(".") == 2
    here = bench(kernel, provider)
    here.upstreams._providers[PROVIDER] = load(_file(tmp_path, other=entry))[0]
    return here


def _file(folder: Path, **entries: object) -> Path:
    """Write a file of providers."""
    lines = list[str]()
    for name, entry in entries.items():
        lines.append(f"[{name}]")
        assert isinstance(entry, dict)
        lines += [f"{field} = {json.dumps(value)}" for field, value in entry.items()]
    path = folder / "providers.toml"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_apple_gets_a_secret_that_we_sign_and_gives_the_name_once(
    apple: Bench, provider: HostileProvider
) -> None:
    secrets = list[str]()

    def is_right(secret: str) -> bool:
        secrets.append(secret)
        return secret.count(".") == 2

    provider.secret_is_right = is_right

    def sign_in() -> dict[Attribute, str]:
        answer = provider.authorize(apple.begin())
        handle = apple.upstreams.park(PROVIDER, answer, actor=ANONYMOUS)
        arrived = apple.finish({HANDLE: [handle]})
        assert arrived.email_verified  # written as a string
        assert arrived.address_proven
        return dict(arrived.attributes)

    name = {"firstName": "Ana", "lastName": "García"}
    provider.user = json.dumps({"name": name, "email": "forged@example.org"})
    assert sign_in() == {Attribute.GIVEN_NAME: "Ana", Attribute.FAMILY_NAME: "García"}
    provider.user = None
    assert sign_in() == {}
    read = jwt.decode(secrets[0], ec_key("apple"), ["ES256"])
    now = int(apple.kernel.clock().timestamp())
    assert read.header == {"alg": "ES256", "kid": "KEY", "typ": "JWT"}
    assert read.claims == {
        "iss": "TEAM",
        "iat": now,
        "exp": now + 300,
        "aud": provider.issuer,
        "sub": "org.example.placet",
    }


def test_a_name_that_is_no_name_does_no_harm(apple: Bench, provider: HostileProvider) -> None:
    for user in ("{", "[]", '{"name": 1}', '{"name": {"firstName": ["x"]}}', "9" * 8000):
        provider.user = user
        answer = provider.authorize(apple.begin())
        handle = apple.upstreams.park(PROVIDER, answer, actor=ANONYMOUS)
        assert apple.finish({HANDLE: [handle]}).attributes == {}


# ---- Facebook, and OAuth 2.0 without OpenID Connect


def _plain(provider: HostileProvider) -> dict[str, object]:
    provider.plain = True
    return {
        "authorization_endpoint": f"{provider.origin}/authorize",
        "token_endpoint": f"{provider.origin}/token",
        "userinfo_endpoint": f"{provider.origin}/userinfo?fields=id,email,first_name",
        "attributes": ["given_name"],
    }


def test_facebook_s_answer_names_the_person_and_proves_no_address(
    kernel: Kernel, provider: HostileProvider
) -> None:
    here = bench(kernel, provider, other={"kind": "facebook"} | _plain(provider) | NOBODY)
    provider.info = {"id": "1020", "email": "ana@example.org", "first_name": "Ana"}
    provider.info["email_verified"] = True
    url = here.begin()
    assert "nonce" not in url
    arrived = here.finish(provider.authorize(url))
    assert (arrived.issuer, arrived.sub) == (provider.issuer, "1020")
    assert (arrived.email, arrived.email_verified) == ("ana@example.org", False)
    assert arrived.attributes == {Attribute.GIVEN_NAME: "Ana"}
    [asked] = [path for _, path, *_ in provider.asked if path.startswith("/userinfo")]
    proof = parse_qs(urlsplit(asked).query)["appsecret_proof"]
    assert len(proof[0]) == 64  # the provider compared it
    assert provider.count("/jwks") == 0


@pytest.mark.parametrize(
    ("member", "verified", "proven"),
    [("", True, False), ("sure", True, True), ("sure", "1", False)],
)
def test_plain_oauth_proves_an_address_only_where_a_member_says_so(
    kernel: Kernel, provider: HostileProvider, member: str, verified: object, proven: bool
) -> None:
    entry = _plain(provider) | {"kind": "oauth2", "email_member": "mail", "subject_member": "uid"}
    entry |= {"verified_member": member} if member else NOBODY
    here = bench(kernel, provider, other=entry)
    provider.info = {"uid": 1020, "mail": "ana@example.org", "sure": verified, "given_name": "Ana"}
    arrived = here.sign_in()
    assert (arrived.sub, arrived.address_proven) == ("1020", proven)
    assert arrived.attributes == {Attribute.GIVEN_NAME: "Ana"}


@pytest.mark.parametrize("named", [None, True, "", ["1"], "\u00e9"])
def test_plain_oauth_without_a_subject_is_refused(
    kernel: Kernel, provider: HostileProvider, named: object
) -> None:
    here = bench(kernel, provider, other=_plain(provider) | {"kind": "oauth2"} | NOBODY)
    provider.info = {"id": named}
    assert here.refused(provider.authorize(here.begin())) is Refusal.SUBJECT


# ---- the file

GOOD: dict[str, object] = {
    "kind": "oidc",
    "title": "Acme",
    "issuer": "https://id.example.org",
    "client_id": "placet",
    "client_secret": "s3cret",
}


def test_several_providers_stand_in_the_order_of_the_file_and_show_no_secret(
    tmp_path: Path,
) -> None:
    (tmp_path / "google.secret").write_text("from-a-file\n", encoding="utf-8")
    google = {"kind": "google", "client_id": "g", "client_secret_file": "google.secret"}
    second, first = load(_file(tmp_path, second=GOOD, first=google))
    assert (second.id, first.id) == ("second", "first")
    assert (first.title, first.issuer) == ("Google", "https://accounts.google.com")
    assert first.client_secret == "from-a-file"
    assert first.scopes == ("openid", "email", "profile")
    assert first.response_mode is ResponseMode.QUERY
    assert "s3cret" not in repr(second)


def test_without_a_file_there_are_no_providers(tmp_path: Path) -> None:
    assert load(None) == ()
    assert settings_from({}, tmp_path).providers is None
    path = _file(tmp_path, acme=GOOD)
    assert settings_from({}, tmp_path).providers == path
    other = {"PLACET_PROVIDERS": str(tmp_path / "missing.toml")}
    with pytest.raises(SettingsError, match=r"PLACET_PROVIDERS.*missing\.toml"):
        load(settings_from(other, tmp_path).providers)


def test_every_kind_has_its_ready_entry() -> None:
    assert set(READY) == set(ProviderKind)


def _changed(**changes: object) -> dict[str, object]:
    return {name: value for name, value in (GOOD | changes).items() if value is not None}


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (_changed(kind=None), r"\[acme\] kind: is missing"),
        (_changed(kind="saml"), r"\[acme\] kind: 'saml' is none of"),
        (_changed(issuer=None), r"\[acme\] issuer: is missing"),
        (_changed(issuer="http://id.example.org"), r"\[acme\] issuer: must be https"),
        (_changed(issuer="https://a@id.example.org"), r"\[acme\] issuer: must be https"),
        (_changed(issuer="https://id.example.org?x=1"), r"\[acme\] issuer: must be https"),
        (_changed(issuer="https://id.example.org/{tenantid}"), r"only kind microsoft"),
        (_changed(title=7), r"\[acme\] title: must be a text"),
        (_changed(client_secret=None), r"client_secret: either this or client_secret_file"),
        (_changed(client_secret_file="x"), r"client_secret: either this or client_secret_file"),
        (_changed(client_secret=None, client_secret_file="x"), r"client_secret_file: .*No such"),
        (_changed(scopes=["email"]), r"\[acme\] scopes: must hold openid"),
        (_changed(scopes="openid"), r"\[acme\] scopes: must be a list"),
        (_changed(algorithms=["none"]), r"\[acme\] algorithms: 'none' is none of RS256"),
        (_changed(algorithms=["HS256"]), r"\[acme\] algorithms: 'HS256' is none of"),
        (_changed(response_mode="fragment"), r"\[acme\] response_mode: 'fragment' is none of"),
        (_changed(authoritative_domains=["*"]), r"authoritative_domains: not a domain"),
        (_changed(attributes=["postal_address"]), r"attributes: not told by this provider"),
        (_changed(attributes=["iban"]), r"attributes: 'iban' is none of"),
        (_changed(tenant="common"), r"\[acme\] tenant: there is no such field"),
        (_changed(colour="red"), r"\[acme\] colour: there is no such field"),
        (_changed(kind="microsoft", issuer=None), r"\[acme\] tenant: is missing"),
        (_changed(kind="microsoft", tenant=TENANT), r"\[acme\] issuer: must hold"),
        (_changed(kind="microsoft", issuer=None, tenant="acme"), r"\[acme\] tenant: the tenant"),
        (
            _changed(kind="microsoft", issuer=None, tenant=TENANT, authoritative_domains=["a.org"]),
            r"authoritative_domains: this provider's word proves no address",
        ),
        (_changed(kind="facebook", token_endpoint="http://a.org/t"), r"token_endpoint: must be"),
        (_changed(kind="oauth2"), r"\[acme\] authorization_endpoint: is missing"),
        (_changed(kind="apple", client_secret=None), r"\[acme\] private_key_file: is missing"),
        (
            _changed(kind="apple", client_secret=None, private_key_file="providers.toml"),
            r"private_key_file: not a private P-256 key",
        ),
    ],
)
def test_a_wrong_file_is_refused_by_entry_and_field(
    tmp_path: Path, entry: dict[str, object], said: str
) -> None:
    with pytest.raises(SettingsError, match=said):
        load(_file(tmp_path, acme=entry))


@pytest.mark.parametrize("content", ["acme = 1", "[UPPER]", "[acme", "[a.b]", "['']"])
def test_a_file_of_another_shape_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "providers.toml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(SettingsError, match=r"providers\.toml"):
        load(path)


def test_the_examples_of_the_documentation_are_a_file_that_works(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "sso.md").read_text(encoding="utf-8")
    example = "\n".join(re.findall(r"```toml\n(.*?)```", text, re.DOTALL))
    for name in re.findall(r'client_secret_file = "(.+)"', example):
        (tmp_path / name).write_text("s3cret", encoding="utf-8")
    (tmp_path / "AuthKey_FGHIJ67890.p8").write_bytes(ec_key("apple").as_pem(private=True))
    path = tmp_path / "providers.toml"
    path.write_text(example, encoding="utf-8")
    assert {each.kind for each in load(path)} == set(ProviderKind)


def test_every_reason_is_in_the_documentation() -> None:
    text = (ROOT / "docs" / "sso.md").read_text(encoding="utf-8")
    assert [reason for reason in Refusal if f"`{reason.value}`" not in text] == []
