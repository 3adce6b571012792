"""Reads the file of outside providers. What is wrong in it is said at start, by entry and field."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import urlsplit

from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from identity.sso.discovery import is_safe_endpoint
from identity.sso.model import (
    TENANT,
    PlainOAuth,
    ProviderKind,
    ResponseMode,
    SecretSigner,
    TokenAuthMethod,
    UpstreamProvider,
)
from identity.sso.ready import ANY_TENANT, CONSUMERS, PLAIN, READY, UNTRUSTED_EMAIL, Entry
from identity.sso.signed import KEY_TYPES
from identity.sso.told import CLAIMS
from policies.vocabulary import Attribute
from privacy.settings import SettingsError

MAX_TEXT: Final = 2000
MAX_SECRET_FILE_BYTES: Final = 16 * 1024
_ID: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?")
_TENANT: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_DOMAIN: Final = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}")

#: Issuers of the ready entries, which as `oidc` would be believed more than they should be.
_HOSTS: Final = {
    urlsplit(str(entry["issuer"])).hostname: kind.value
    for kind, entry in READY.items()
    if "issuer" in entry
}

E = TypeVar("E", ProviderKind, ResponseMode, TokenAuthMethod, Attribute)


def load(path: Path | None) -> tuple[UpstreamProvider, ...]:
    """Return the providers of a file, in its order; none where there is no file.

    Raises:
        SettingsError: names the entry and the field.
    """
    if path is None:
        return ()
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"PLACET_PROVIDERS: {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path.name}: {error}") from None
    return tuple(read(name, entry, path) for name, entry in content.items())


def read(name: str, entry: object, path: Path) -> UpstreamProvider:
    """Return the provider that one table of the file describes.

    Raises:
        SettingsError: names the entry and the field.
    """
    if not _ID.fullmatch(name):
        raise SettingsError(
            f"{path.name}: [{name}]: a provider's name has 1 to 32 small letters, digits and hyphens"
        )
    if not isinstance(entry, dict):
        raise SettingsError(f"{path.name}: {name}: each provider is a table, [{name}]")
    fields = _Fields(name, entry, path)
    kind = fields.one_of("kind", ProviderKind)
    fields.lay_under(READY[kind])
    provider = _provider(name, kind, fields)
    fields.refuse_others()
    return provider


def _provider(name: str, kind: ProviderKind, fields: _Fields) -> UpstreamProvider:
    issuer, discovery = _issuer(kind, fields)
    signer = _signer(fields) if kind is ProviderKind.APPLE else None
    scopes = fields.texts("scopes")
    if kind not in PLAIN and "openid" not in scopes:
        raise fields.wrong("scopes", "must hold openid")
    plain = _plain(fields) if kind in PLAIN else None
    domains = frozenset(fields.texts("authoritative_domains", ()))
    for domain in domains:
        if not _DOMAIN.fullmatch(domain):
            raise fields.wrong(
                "authoritative_domains", f"not a domain in small letters: {domain!r}"
            )
    untrusted = kind in UNTRUSTED_EMAIL or (plain is not None and not plain.verified_member)
    if domains and untrusted:
        raise fields.wrong(
            "authoritative_domains", "this provider's word proves no address (docs/sso.md)"
        )
    algorithms = ("RS256",) if plain else fields.texts("algorithms", ("RS256",))
    for algorithm in algorithms:
        if algorithm not in KEY_TYPES:
            raise fields.wrong("algorithms", f"{algorithm!r} is none of {', '.join(KEY_TYPES)}")
    attributes = frozenset(
        fields.member("attributes", text, Attribute) for text in fields.texts("attributes", ())
    )
    known = CLAIMS.keys() if plain is None else plain.attribute_members.keys()
    if attributes - known:
        raise fields.wrong(
            "attributes", f"not told by this provider: {', '.join(sorted(attributes - known))}"
        )
    return UpstreamProvider(
        id=name,
        kind=kind,
        title=fields.text("title"),
        issuer=issuer,
        discovery=discovery,
        client_id=fields.text("client_id"),
        client_secret="" if signer else fields.secret("client_secret"),
        secret_signer=signer,
        scopes=scopes,
        algorithms=algorithms,
        response_mode=fields.one_of("response_mode", ResponseMode, ResponseMode.QUERY),
        token_endpoint_auth_method=fields.one_of(
            "token_endpoint_auth_method", TokenAuthMethod, TokenAuthMethod.BASIC
        ),
        trusts_email=not untrusted,
        authoritative_domains=domains,
        attributes=attributes,
        plain=plain,
    )


def _issuer(kind: ProviderKind, fields: _Fields) -> tuple[str, str]:
    """Return the issuer, and the address that discovery is asked at."""
    issuer = fields.text("issuer")
    if not is_safe_endpoint(issuer.replace(TENANT, "t")) or "?" in issuer:
        raise fields.wrong("issuer", "must be https (http on this machine alone), without a query")
    if kind is ProviderKind.OIDC and _host(issuer) in _HOSTS:
        ready = _HOSTS[_host(issuer)]
        raise fields.wrong("kind", f"must be {ready}: there it is known whose addresses it proves")
    if kind is not ProviderKind.MICROSOFT:
        if TENANT in issuer:
            raise fields.wrong("issuer", f"only kind microsoft has {TENANT}")
        return issuer, issuer.removesuffix("/")
    tenant = fields.text("tenant")
    tenant = CONSUMERS if tenant == "consumers" else tenant
    if issuer.count(TENANT) != 1:
        raise fields.wrong("issuer", f"must hold {TENANT} once")
    address = issuer.replace(TENANT, tenant)
    if tenant in ANY_TENANT:
        return issuer, address
    if not _TENANT.fullmatch(tenant):
        raise fields.wrong(
            "tenant", "the tenant's id in small letters, or consumers, organizations or common"
        )
    return address, address


def _host(issuer: str) -> str | None:
    return urlsplit(issuer).hostname


def _signer(fields: _Fields) -> SecretSigner:
    pem = fields.file("private_key_file")
    try:
        key = ECKey.import_key(pem)
        fits = key.is_private and key.curve_name == "P-256"
    except (JoseError, ValueError, TypeError):
        fits = False
    if not fits:
        raise fields.wrong("private_key_file", "not a private P-256 key in PEM (Apple's .p8 file)")
    return SecretSigner(fields.text("team_id"), fields.text("key_id"), pem)


def _plain(fields: _Fields) -> PlainOAuth:
    endpoints = {
        name: fields.text(name)
        for name in ("authorization_endpoint", "token_endpoint", "userinfo_endpoint")
    }
    for name, address in endpoints.items():
        if not is_safe_endpoint(address):
            raise fields.wrong(name, "must be https (http on this machine alone)")
    members = fields.table("attribute_members")
    return PlainOAuth(
        **endpoints,
        subject_member=fields.text("subject_member"),
        email_member=fields.text("email_member", ""),
        verified_member=fields.text("verified_member", ""),
        attribute_members={
            fields.member("attribute_members", attribute, Attribute): member
            for attribute, member in members.items()
        },
        appsecret_proof=fields.switch("appsecret_proof"),
    )


class _Fields:
    """The fields of one entry, each taken once."""

    def __init__(self, name: str, entry: Mapping[str, object], path: Path) -> None:
        self._name = name
        self._own = dict(entry)
        self._path = path
        self._ready: Entry = {}

    def lay_under(self, ready: Entry) -> None:
        """Let what the entry leaves out be what is ready for its kind."""
        self._ready = ready

    def wrong(self, field: str, why: str) -> SettingsError:
        """Return the error that names the entry and the field."""
        return SettingsError(f"{self._path.name}: [{self._name}] {field}: {why}")

    def refuse_others(self) -> None:
        """Refuse what nobody asked for."""
        if self._own:
            raise self.wrong(min(self._own), "there is no such field for this kind of provider")

    def _take(self, field: str) -> object:
        return self._own.pop(field, self._ready.get(field))

    def text(self, field: str, default: str | None = None) -> str:
        value = self._take(field)
        if value is None and default is not None:
            return default
        if value is None:
            raise self.wrong(field, "is missing")
        if not isinstance(value, str) or not 0 < len(value) <= MAX_TEXT or not value.isprintable():
            raise self.wrong(field, "must be a text in quotation marks")
        return value

    def texts(self, field: str, default: tuple[str, ...] | None = None) -> tuple[str, ...]:
        value = self._take(field)
        if value is None and default is not None:
            return default
        if value is None:
            raise self.wrong(field, "is missing")
        if not isinstance(value, list) or not all(
            isinstance(each, str) and re.fullmatch(r"[!-~]{1,200}", each) for each in value
        ):
            raise self.wrong(field, 'must be a list of words, ["…", "…"]')
        return tuple(value)

    def table(self, field: str) -> dict[str, str]:
        value = self._take(field) or {}
        if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
            raise self.wrong(field, "must be a table of texts")
        return value

    def switch(self, field: str) -> bool:
        value = self._take(field) or False
        if not isinstance(value, bool):
            raise self.wrong(field, "must be true or false")
        return value

    def one_of(self, field: str, kind: type[E], default: E | None = None) -> E:
        value = self._take(field)
        if value is None and default is not None:
            return default
        if value is None:
            raise self.wrong(field, f"is missing: one of {', '.join(kind)}")
        return self.member(field, value, kind)

    def member(self, field: str, value: object, kind: type[E]) -> E:
        for each in kind:
            if each.value == value:
                return each
        raise self.wrong(field, f"{value!r} is none of {', '.join(kind)}")

    def secret(self, field: str) -> str:
        """Return a secret that stands in the file, or in a file of its own."""
        named = f"{field}_file"
        if (field in self._own) == (named in self._own):
            raise self.wrong(field, f"either this or {named} must be set")
        if field in self._own:
            return self.text(field)
        secret = self.file(named).decode("utf-8", "replace").strip()
        if not secret or not secret.isprintable():
            raise self.wrong(named, "the file must hold one secret in one line")
        return secret

    def file(self, field: str) -> bytes:
        """Return the content of a file whose name is relative to the configuration's folder."""
        path = self._path.parent / self.text(field)
        try:
            with path.open("rb") as file:
                content = file.read(MAX_SECRET_FILE_BYTES + 1)
        except OSError as error:
            raise self.wrong(field, f"{path}: {error.strerror}") from None
        if len(content) > MAX_SECRET_FILE_BYTES:
            raise self.wrong(field, f"{path}: longer than {MAX_SECRET_FILE_BYTES} bytes")
        return content
