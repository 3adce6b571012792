"""The options of `placet client add` and `placet client change`: one for each setting."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TextIO, cast

import click

from identity.provider.model import KNOWN_SCOPES, ClientAuthMethod, TokenFormat

#: What `--clear` may empty, by the setting's name.
EMPTY: Final[Mapping[str, object]] = {
    "redirect_uris": (),
    "post_logout_redirect_uris": (),
    "scopes": (),
    "purposes": (),
    "audiences": (),
    "jwks": None,
    "backchannel_logout_uri": None,
}
_LISTS: Final = (
    "redirect_uris",
    "post_logout_redirect_uris",
    "scopes",
    "purposes",
    "audiences",
    "auth_methods",
)

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")

_OPTIONS: Final = (
    click.option(
        "--redirect-uri",
        "redirect_uris",
        multiple=True,
        help="Where people come back to after signing in. May be repeated.",
    ),
    click.option(
        "--post-logout-redirect-uri",
        "post_logout_redirect_uris",
        multiple=True,
        help="Where people may go after signing out. May be repeated.",
    ),
    click.option("--purpose", "purposes", multiple=True, help="Of the register. May be repeated."),
    click.option(
        "--scope",
        "scopes",
        multiple=True,
        help=f"May be repeated. One of: {', '.join(sorted(KNOWN_SCOPES))}.",
    ),
    click.option(
        "--pkce/--without-pkce",
        "require_pkce",
        default=None,
        help="Whether to demand PKCE; only an old application cannot do it.  [default: demanded]",
    ),
    click.option(
        "--par/--without-par",
        "require_par",
        default=None,
        help="Whether authorization requests must be pushed.  [default: need not]",
    ),
    click.option(
        "--refresh/--without-refresh",
        "refresh",
        default=None,
        help="Whether it may get refresh tokens, with the scope offline_access.  [default: no]",
    ),
    click.option(
        "--client-credentials/--without-client-credentials",
        "client_credentials",
        default=None,
        help="Whether it may act in its own name.  [default: with a scope of the JSON API]",
    ),
    click.option(
        "--token-format",
        type=click.Choice([each.value for each in TokenFormat]),
        help="Of its access tokens.  [default: opaque]",
    ),
    click.option(
        "--audience",
        "audiences",
        multiple=True,
        help="A resource server, beside this one, that it may ask tokens for. May be repeated.",
    ),
    click.option(
        "--auth-method",
        "auth_methods",
        multiple=True,
        type=click.Choice([each.value for each in ClientAuthMethod]),
        help="How it may prove itself. May be repeated.  [default: by its secret, both ways]",
    ),
    click.option("--jwks", type=click.File(), help="File with its public keys, a JWK set."),
    click.option(
        "--backchannel-logout-uri", help="Where it is told that a person's session has ended."
    ),
    click.option(
        "--ends-with-withdrawal/--outlives-withdrawal",
        "ends_with_withdrawal",
        default=None,
        help="Whether withdrawing one of its purposes ends its tokens too.  [default: no]",
    ),
)


def settings_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command an option for each setting but name and sector."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def given(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that the options name; what was left out is not among them."""
    found = {
        name: value
        for name, value in options.items()
        if value is not None and not (name in _LISTS and not value)
    }
    if "jwks" in found:
        found["jwks"] = cast("TextIO", found["jwks"]).read()
    return found
