"""`/.well-known/openid-configuration`: what the provider can do, and nothing that it cannot.

Source: OpenID Connect Discovery 1.0 s. 3; RFC 8414; RFC 9207 s. 3.
"""

from __future__ import annotations

from typing import Final

from identity.provider import pkce
from identity.provider.authorization import PROMPTS
from identity.provider.claims_request import CLAIMS_OF_SCOPE
from identity.provider.client_assertion import ALL_ALGORITHMS
from identity.provider.model import KNOWN_SCOPES, ClientAuthMethod, GrantType
from policies.assurance import ACR, METHODS_OF, level_of, satisfies
from privacy.events import Json
from privacy.keys.signing import ALGORITHM, KeyUse
from privacy.languages import LANGUAGES

AUTHORIZE: Final = "/oauth/authorize"
TOKEN: Final = "/oauth/token"  # noqa: S105 - an address
USERINFO: Final = "/oauth/userinfo"
JWKS: Final = "/oauth/jwks"
INTROSPECT: Final = "/oauth/introspect"
REVOKE: Final = "/oauth/revoke"
LOGOUT: Final = "/oauth/logout"
PUSH: Final = "/oauth/par"
CONFIGURATION: Final = "/.well-known/openid-configuration"


#: The same document under OAuth's own name. Source: RFC 8414 s. 3.
SERVER_METADATA: Final = "/.well-known/oauth-authorization-server"
#: What an ID token holds. Source: OIDC Core s. 2; Back-Channel Logout 1.0 s. 2.1 (`sid`).
_ID_TOKEN_CLAIMS: Final = (
    *("iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "at_hash", "sid"),
)


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
        "pushed_authorization_request_endpoint": issuer + PUSH,
        "require_pushed_authorization_requests": False,
        "end_session_endpoint": issuer + LOGOUT,
        "backchannel_logout_supported": True,
        "backchannel_logout_session_supported": True,
        "scopes_supported": [*sorted(KNOWN_SCOPES)],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": [grant.value for grant in GrantType],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": [ALGORITHM[KeyUse.OPENID]],
        "token_endpoint_auth_methods_supported": methods,
        "introspection_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_methods_supported": methods,
        "token_endpoint_auth_signing_alg_values_supported": [*ALL_ALGORITHMS],
        "introspection_endpoint_auth_signing_alg_values_supported": [*ALL_ALGORITHMS],
        "revocation_endpoint_auth_signing_alg_values_supported": [*ALL_ALGORITHMS],
        "code_challenge_methods_supported": [pkce.METHOD],
        "prompt_values_supported": [*PROMPTS],
        "display_values_supported": ["page"],
        "acr_values_supported": _levels(),
        "ui_locales_supported": [*LANGUAGES],
        "claim_types_supported": ["normal"],
        "claims_supported": [
            *_ID_TOKEN_CLAIMS,
            *sorted(claim for claims in CLAIMS_OF_SCOPE.values() for claim in claims),
        ],
        "claims_parameter_supported": True,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
        "require_request_uri_registration": False,
        "authorization_response_iss_parameter_supported": True,
        "service_documentation": issuer + "/docs",
    }


def _levels() -> list[Json]:
    """Return the `acr` values that a person can reach with the factors that we know."""
    shown = frozenset[str]().union(*METHODS_OF.values())
    return [acr for level, acr in ACR.items() if satisfies(level_of(shown), level)]
