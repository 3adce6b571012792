"""Reading what an application asks when it sends a person to sign out.

Source: OpenID Connect RP-Initiated Logout 1.0 s. 2, 3.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from identity.provider.client_authentication import is_client_id
from identity.provider.id_token_hint import Hint, InvalidHint
from identity.provider.model import Client

#: Each name with all of its values.
Parameters = Mapping[str, Sequence[str]]
#: What we read; anything else is ignored, as are `logout_hint` and `ui_locales` here.
_READ = ("id_token_hint", "client_id", "post_logout_redirect_uri", "state")


class LogoutRefused(ValueError):
    """The application is not who it says, or may not send people there; nobody is sent on."""


@dataclass(frozen=True, slots=True)
class LogoutRequest:
    """What was asked, checked.

    Attributes:
        client: who asks; None where nobody says so.
        hint: whom it means.
        redirect_uri: where the person is to go on to; registered for this very client.
        state: goes back with the person.
    """

    client: Client | None = None
    hint: Hint | None = None
    redirect_uri: str | None = None
    state: str | None = None

    @property
    def way_back(self) -> str | None:
        """The address that the person goes on to, with `state`; None: they stay here."""
        if self.redirect_uri is None or not self.state:
            return self.redirect_uri
        gap = "&" if "?" in self.redirect_uri else "?"
        return f"{self.redirect_uri}{gap}{urlencode({'state': self.state})}"


def read(
    parameters: Parameters,
    find: Callable[[str], Client | None],
    read_hint: Callable[[str], Hint],
) -> LogoutRequest:
    """Return the request of these parameters.

    Args:
        parameters: as they came.
        find: returns the client of an id.
        read_hint: verifies an ID token of ours; raises `InvalidHint`.

    Raises:
        LogoutRefused: something in it is wrong; the message says what and quotes nothing.
    """
    given = {name: [v for v in parameters.get(name, ()) if v] for name in _READ}
    repeated = [name for name, values in given.items() if len(values) > 1]
    if repeated:
        raise LogoutRefused(f"{repeated[0]} may stand once only")
    token, client_id, uri, state = (next(iter(given[name]), None) for name in _READ)
    hint = None
    if token is not None:
        try:
            hint = read_hint(token)
        except InvalidHint as error:
            raise LogoutRefused(f"id_token_hint: {error}") from None
        if client_id is not None and client_id != hint.client_id:
            raise LogoutRefused("id_token_hint: of another client_id")
        client_id = hint.client_id
    client = None
    if client_id is not None:
        client = find(client_id) if is_client_id(client_id) else None
        if client is None or client.disabled_at is not None:
            raise LogoutRefused("unknown client_id")
    if uri is not None:
        if client is None:
            raise LogoutRefused("post_logout_redirect_uri: needs id_token_hint or client_id")
        if uri not in client.post_logout_redirect_uris:
            raise LogoutRefused("post_logout_redirect_uri: not registered for this client")
    return LogoutRequest(client, hint, uri, state)
