"""What is known of well-known providers, in the words of the configuration file.

An entry of the file is laid over the one of its kind; whatever it says itself counts.

Sources: Google, "OpenID Connect"; Microsoft identity platform, "OpenID Connect" and "ID token claims
reference"; Apple, "Sign in with Apple REST API"; Meta, "Manually build a login flow".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from identity.sso.model import TENANT, ProviderKind

Entry = Mapping[str, object]

#: Tenants of Microsoft's that stand for any tenant. Personal accounts are one tenant, `consumers`.
ANY_TENANT: Final = frozenset({"common", "organizations"})
#: Microsoft's tenant of all personal accounts.
CONSUMERS: Final = "9188040d-6c67-4c5b-b112-36a304b66dad"
_NAMES: Final = {"given_name": "given_name", "family_name": "family_name", "locale": "locale"}

READY: Final[Mapping[ProviderKind, Entry]] = {
    ProviderKind.OIDC: {"scopes": ["openid", "email", "profile"]},
    ProviderKind.GOOGLE: {
        "title": "Google",
        "issuer": "https://accounts.google.com",
        "scopes": ["openid", "email", "profile"],
    },
    ProviderKind.MICROSOFT: {
        "title": "Microsoft",
        "issuer": f"https://login.microsoftonline.com/{TENANT}/v2.0",
        "scopes": ["openid", "email", "profile"],
        "token_endpoint_auth_method": "client_secret_post",
    },
    ProviderKind.APPLE: {
        "title": "Apple",
        "issuer": "https://appleid.apple.com",
        "scopes": ["openid", "email", "name"],
        "response_mode": "form_post",  # Apple's condition for name and address
        "token_endpoint_auth_method": "client_secret_post",
    },
    ProviderKind.FACEBOOK: {
        "title": "Facebook",
        "issuer": "https://www.facebook.com",
        "authorization_endpoint": "https://www.facebook.com/v24.0/dialog/oauth",
        "token_endpoint": "https://graph.facebook.com/v24.0/oauth/access_token",
        "userinfo_endpoint": "https://graph.facebook.com/v24.0/me?fields=id,email,first_name,last_name",
        "scopes": ["public_profile", "email"],
        "token_endpoint_auth_method": "client_secret_post",
        "subject_member": "id",
        "email_member": "email",
        "attribute_members": {"given_name": "first_name", "family_name": "last_name"},
        "appsecret_proof": True,
    },
    ProviderKind.OAUTH2: {"scopes": [], "subject_member": "id", "attribute_members": _NAMES},
}

#: Providers whose word on an address means nothing, whatever their tokens say. An administrator of any
#: Microsoft tenant writes any address into its accounts (nOAuth); Facebook tells no verification.
UNTRUSTED_EMAIL: Final = frozenset({ProviderKind.MICROSOFT, ProviderKind.FACEBOOK})
#: Providers without OpenID Connect.
PLAIN: Final = frozenset({ProviderKind.FACEBOOK, ProviderKind.OAUTH2})
