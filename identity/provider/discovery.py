"""`/.well-known/openid-configuration`: what the provider can do, and nothing that it cannot.

Source: OpenID Connect Discovery 1.0 s. 3; RFC 8414; RFC 9207 s. 3.
"""

from __future__ import annotations

from typing import Final

from identity.provider import pkce
from identity.provider.model import KNOWN_SCOPES, ClientAuthMethod, GrantType
from privacy.events import Json
from privacy.keys.signing import ALGORITHM, KeyUse

AUTHORIZE: Final = "/oauth/authorize"
TOKEN: Final = "/oauth/token"  # noqa: S105 - an address
USERINFO: Final = "/oauth/userinfo"
JWKS: Final = "/oauth/jwks"
INTROSPECT: Final = "/oauth/introspect"
REVOKE: Final = "/oauth/revoke"
CONFIGURATION: Final = "/.well-known/openid-configuration"


def document(issuer: str) -> dict[str, Json]:
    """Return the document of the provider at this base address."""
    methods: list[Json] = [method.value for method in ClientAuthMethod]
    return {
        "issuer": issuer,
        "authorization_endpoint": issuer + AUTHORIZE,
        "token_endpoint": issuer + TOKEN,
        "userinfo_endpoint": issuer + USERINFO,
        "jwks_uri": issuer + JWKS,
        "introspection_endpoint": issuer + INTROSPECT,
        "revocation_endpoint": issuer + REVOKE,
        "scopes_supported": [*sorted(KNOWN_SCOPES)],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": [grant.value for grant in GrantType],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": [ALGORITHM[KeyUse.OPENID]],
        "token_endpoint_auth_methods_supported": methods,
        "introspection_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_methods_supported": methods,
        "code_challenge_methods_supported": [pkce.METHOD],
        "prompt_values_supported": ["none", "login"],
        "claims_supported": [
            *("iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "at_hash")
        ],
        "claims_parameter_supported": False,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
        "authorization_response_iss_parameter_supported": True,
    }
