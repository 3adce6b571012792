"""What an operator may decide of a client, and the one place where every setting is checked."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import urlsplit

from identity.provider.client_keys import public_jwks, thumbprints
from identity.provider.model import (
    API_SCOPES,
    KNOWN_SCOPES,
    MAX_NAME_LENGTH,
    MAX_URI_LENGTH,
    OFFLINE_ACCESS,
    OPENID,
    Client,
    ClientAuthMethod,
    GrantType,
    TokenFormat,
    ordered,
    redirect_uri_fault,
)
from policies.errors import InvalidInput
from policies.register.model import Register
from privacy.events import Json

#: Addresses of one kind.
MAX_URIS: Final = 20
MAX_SECTOR_LENGTH: Final = 100
_SECTOR: Final = re.compile(r"[A-Za-z0-9._-]*")

WITH_SECRET: Final = frozenset({ClientAuthMethod.BASIC.value, ClientAuthMethod.POST.value})


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSettings:
    """What an operator decides of a client; `Client` tells what each member means.

    Attributes:
        sector: empty for the usual case, a sector of the client's own. It never changes.
        refresh: may get refresh tokens, where a person's sign-in asked for `offline_access`.
        client_credentials: may act in its own name; None: where it has scopes of the JSON API.
        jwks: its public keys as JSON, a JWK set.
    """

    name: str
    redirect_uris: Sequence[str] = ()
    post_logout_redirect_uris: Sequence[str] = ()
    scopes: Collection[str] = ()
    purposes: Collection[str] = ()
    sector: str = ""
    require_pkce: bool = True
    require_par: bool = False
    refresh: bool = False
    client_credentials: bool | None = None
    token_format: str = TokenFormat.OPAQUE.value
    audiences: Sequence[str] = ()
    auth_methods: Collection[str] = tuple(sorted(WITH_SECRET))
    jwks: str | None = None
    backchannel_logout_uri: str | None = None
    ends_with_withdrawal: bool = False

    @classmethod
    def of(cls, client: Client) -> Self:
        """Return what was decided of a client, to be changed in parts."""
        return cls(
            name=client.name,
            redirect_uris=client.redirect_uris,
            post_logout_redirect_uris=client.post_logout_redirect_uris,
            scopes=client.scopes,
            purposes=client.purposes,
            sector=client.sector,
            require_pkce=client.require_pkce,
            require_par=client.require_par,
            refresh=client.check_grant_type(GrantType.REFRESH_TOKEN),
            client_credentials=client.check_grant_type(GrantType.CLIENT_CREDENTIALS),
            token_format=client.token_format.value,
            audiences=client.audiences,
            auth_methods=client.auth_methods,
            jwks=client.jwks,
            backchannel_logout_uri=client.backchannel_logout_uri,
            ends_with_withdrawal=client.ends_with_withdrawal,
        )

    @property
    def grant_types(self) -> frozenset[str]:
        """The grants that follow: a code where people can be sent back to."""
        own_name = self.client_credentials
        if own_name is None:
            own_name = bool(API_SCOPES.intersection(self.scopes))
        granted = {
            GrantType.AUTHORIZATION_CODE: bool(self.redirect_uris),
            GrantType.CLIENT_CREDENTIALS: own_name,
            GrantType.REFRESH_TOKEN: self.refresh,
        }
        return frozenset(grant.value for grant, wanted in granted.items() if wanted)

    @property
    def has_secrets(self) -> bool:
        """Tell whether any way in which the client proves itself needs a secret."""
        return bool(WITH_SECRET.intersection(self.auth_methods))

    def columns(self) -> dict[str, str | bool | None]:
        """Return what is stored, by column, of settings that were checked; without the sector."""
        return {
            "name": self.name.strip(),
            "redirect_uris": " ".join(self.redirect_uris),
            "post_logout_redirect_uris": " ".join(self.post_logout_redirect_uris),
            "grant_types": ordered(self.grant_types),
            "scopes": ordered(frozenset(self.scopes)),
            "purposes": ordered(frozenset(self.purposes)),
            "require_pkce": self.require_pkce,
            "require_par": self.require_par,
            "token_format": self.token_format,
            "audiences": " ".join(self.audiences),
            "auth_methods": ordered(frozenset(self.auth_methods)),
            "jwks": public_jwks(self.jwks) if self.jwks else None,
            "backchannel_logout_uri": self.backchannel_logout_uri or None,
            "ends_with_withdrawal": self.ends_with_withdrawal,
        }


def as_evidence(name: str, value: str | bool | None) -> Json:
    """Return a column as the log keeps it: keys by their thumbprints alone. Source: RFC 7638."""
    if name == "jwks" and isinstance(value, str):
        return [*thumbprints(value)]
    return value


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one setting: its name, why in English, and the very value, if one is."""

    field: str
    why: str
    value: str = ""

    def refusal(self) -> InvalidInput:
        """Return the error that names the setting."""
        said = f"{self.value}: {self.why}" if self.value else self.why
        return InvalidInput(said, field=self.field)


def faults(settings: ClientSettings, register: Register) -> Iterator[Fault]:
    """Yield everything that is wrong with the settings; nothing where they may be kept."""
    name = settings.name.strip()
    if not name or len(name) > MAX_NAME_LENGTH or not name.isprintable():
        yield Fault("name", f"1 to {MAX_NAME_LENGTH} printable characters")
    if len(settings.sector) > MAX_SECTOR_LENGTH or not _SECTOR.fullmatch(settings.sector):
        yield Fault("sector", f"at most {MAX_SECTOR_LENGTH} letters, digits, dots and hyphens")
    yield from _addresses(settings)
    yield from _scopes(settings)
    yield from _proofs(settings)
    unknown = {each for each in settings.purposes if not register.units_of(each)}
    if unknown:
        yield Fault("purposes", f"not in the register: {ordered(unknown)}")
    if settings.ends_with_withdrawal and not settings.purposes:
        yield Fault("ends_with_withdrawal", "without a purpose there is nothing to withdraw")
    if settings.token_format not in set(TokenFormat):
        yield Fault("token_format", f"one of {ordered([each.value for each in TokenFormat])}")


def _addresses(settings: ClientSettings) -> Iterator[Fault]:
    lists = {
        "redirect_uris": (settings.redirect_uris, redirect_uri_fault),
        "post_logout_redirect_uris": (settings.post_logout_redirect_uris, redirect_uri_fault),
        "audiences": (settings.audiences, _audience_fault),
    }
    for field, (uris, fault_of) in lists.items():
        if len(uris) > MAX_URIS:
            yield Fault(field, f"at most {MAX_URIS}")
        for uri in uris:
            why = fault_of(uri)
            if why is not None:
                yield Fault(field, why, uri)
    told_at = settings.backchannel_logout_uri
    why = redirect_uri_fault(told_at) if told_at else None
    if told_at and why:
        yield Fault("backchannel_logout_uri", why, told_at)
    if told_at and not settings.redirect_uris:
        yield Fault("backchannel_logout_uri", "nobody signs in to a client without a redirect URI")


def _audience_fault(uri: str) -> str | None:
    """Say why this is no name of a resource server. Source: RFC 8707 s. 2 (absolute, no fragment)."""
    if len(uri) > MAX_URI_LENGTH:
        return f"at most {MAX_URI_LENGTH} characters"
    if not uri.isascii() or not uri.isprintable() or any(c in uri for c in " \"'<>\\^`{|}"):
        return "only the characters of a URI (RFC 3986), others percent-encoded"
    try:
        parts = urlsplit(uri)
    except ValueError:
        return "not a URI"
    if "#" in uri:
        return "without a fragment"
    if parts.scheme in {"https", "http"} and parts.hostname and parts.username is None:
        return None
    if parts.scheme == "urn" and parts.path:
        return None
    return "an absolute URI: https, http or urn"


def _scopes(settings: ClientSettings) -> Iterator[Fault]:
    unknown = frozenset(settings.scopes) - KNOWN_SCOPES
    if unknown:
        known = ", ".join(sorted(KNOWN_SCOPES))
        yield Fault("scopes", f"unknown: {ordered(unknown)}; there are {known}")
    if (OPENID in settings.scopes) != bool(settings.redirect_uris):
        yield Fault("scopes", "openid needs a redirect URI, and a redirect URI openid")
    if settings.refresh and OFFLINE_ACCESS not in settings.scopes:
        yield Fault("refresh", f"refresh tokens need the scope {OFFLINE_ACCESS}")
    if settings.refresh and not settings.redirect_uris:
        yield Fault("refresh", "refresh tokens need a redirect URI: they come of a sign-in")
    if settings.client_credentials and not API_SCOPES.intersection(settings.scopes):
        yield Fault("client_credentials", "without a scope of the JSON API there is nothing to do")


def _proofs(settings: ClientSettings) -> Iterator[Fault]:
    """Yield what is wrong with the ways in which the client proves itself."""
    methods = frozenset(settings.auth_methods)
    known = frozenset(method.value for method in ClientAuthMethod)
    if not methods or not methods <= known:
        yield Fault("auth_methods", f"one or more of {ordered(known)}")
    if settings.jwks:
        try:
            public_jwks(settings.jwks)
        except ValueError as error:
            yield Fault("jwks", str(error))
    elif ClientAuthMethod.PRIVATE_KEY_JWT in methods:
        yield Fault("jwks", f"{ClientAuthMethod.PRIVATE_KEY_JWT} needs the client's public keys")
