"""People go to an outside provider and come back: Placet as relying party.

Every call to a provider is made outside any transaction, so that a slow one holds nobody up. An
attempt is used up, and that committed, before the code goes anywhere: a failure costs the person one
more press of the button, and no code is ever sent twice. Every refusal is an event in the log, in a
transaction of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, TypeVar

from identity.sso import attempt_store, id_token, logout_token, token_request, told
from identity.sso.attempts import Attempt, Attempts
from identity.sso.discovery import Discovery, Metadata
from identity.sso.model import (
    CLOCK_SKEW,
    HANDLE,
    LOGOUT_FRESH_FOR,
    PROVED_AGAIN_WITHIN,
    Arrived,
    AttemptPurpose,
    PlainOAuth,
    Redirect,
    Refusal,
    ResponseMode,
    UpstreamLogout,
    UpstreamLogoutRefused,
    UpstreamProvider,
    UpstreamRefused,
    UpstreamSignInRefused,
)
from identity.sso.outside import TIMEOUT_SECONDS, JsonObject, Outside
from policies.errors import NotFound
from privacy.actor import SYSTEM, Actor, ActorKind
from privacy.ids import secret_digest
from privacy.keys.sealing import Sealer
from privacy.outbound import Outbound
from privacy.unit_of_work import Runtime, UnitOfWork

SWEPT_EVERY: Final = timedelta(minutes=1)
MAX_PARAMETER: Final = 8 * 1024
#: What we read of an answer; anything else in it is left alone. Source: RFC 6749 s. 4.1.2.
PARAMETERS: Final = ("code", "state", "iss", "error", "user", HANDLE)
_DENIED: Final = frozenset({"access_denied", "user_cancelled_authorize", "user_cancelled_login"})

T = TypeVar("T")

#: An answer's parameters with all their values, as `request.args.to_dict(flat=False)` gives them.
Parameters = Mapping[str, Sequence[str]]


class Upstreams:
    """The outside providers that people may come from.

    Args:
        providers: by configuration, in the order in which people see them.
        runtime: the two doors.
        sealer: seals answers that came as a form.
        key: 32 secret bytes of this use alone, for nonces and PKCE verifiers.
        outbound: makes the calls.
        base_url: our own address, without a trailing slash.
        timeout_seconds: for one call.
    """

    def __init__(
        self,
        providers: Sequence[UpstreamProvider],
        *,
        runtime: Runtime,
        sealer: Sealer,
        key: bytes,
        outbound: Outbound,
        base_url: str,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self._providers = {provider.id: provider for provider in providers}
        self._runtime = runtime
        self._attempts = Attempts(key, sealer)
        self._outside = Outside(outbound, timeout_seconds=timeout_seconds)
        self._discovery = Discovery(self._outside, runtime.clock)
        self._base_url = base_url
        self._swept_at: datetime | None = None

    def all(self) -> tuple[UpstreamProvider, ...]:
        """Return every provider, in the order of the configuration."""
        return tuple(self._providers.values())

    def find(self, provider_id: str) -> UpstreamProvider:
        """Return a provider.

        Raises:
            NotFound: there is no such one.
        """
        provider = self._providers.get(provider_id)
        if provider is None:
            raise NotFound("there is no such provider")
        return provider

    def redirect_uri(self, provider: UpstreamProvider) -> str:
        """Return where a provider sends people back to; each has its own. RFC 9700 s. 4.4.2."""
        return f"{self._base_url}/sso/{provider.id}/callback"

    def begin(
        self,
        provider_id: str,
        *,
        purpose: AttemptPurpose,
        actor: Actor,
        onward: str = "",
        browser: str | None = None,
    ) -> Redirect:
        """Return where to send a person, in a transaction of its own; may take seconds.

        Args:
            provider_id: which provider.
            purpose: what for; `LINK` is bound to the account of `actor`.
            actor: who asks.
            onward: a path of ours to go on to afterwards.
            browser: the value of the cookie that the browser has, if any.

        Raises:
            NotFound: there is no such provider.
            UpstreamRefused: it cannot be asked now.
        """
        provider = self.find(provider_id)
        if provider.plain is not None:
            endpoint = provider.plain.authorization_endpoint
        else:
            metadata = self._recorded(
                provider, UpstreamSignInRefused, actor, lambda: self._discovery.metadata(provider)
            )
            endpoint = metadata.authorization_endpoint
        with self._runtime.unit_of_work(actor) as uow:
            attempt = self._attempts.begin(
                uow,
                provider,
                purpose=purpose,
                account_id=actor.account_id if purpose is AttemptPurpose.LINK else None,
                onward=onward,
                browser=browser,
            )
            uow.commit()
        request = self._request(provider, attempt)
        if actor.kind is ActorKind.PERSON and provider.plain is None:
            request["max_age"] = str(int(PROVED_AGAIN_WITHIN.total_seconds()))
        url = token_request.with_parameters(endpoint, request)
        return Redirect(url, attempt.browser)

    def _request(self, provider: UpstreamProvider, attempt: Attempt) -> dict[str, str]:
        """Return an authorization request. Source: OIDC Core s. 3.1.2.1; RFC 7636 s. 4.3."""
        request = {
            "response_type": "code",
            "client_id": provider.client_id,
            "redirect_uri": self.redirect_uri(provider),
            "state": attempt.state,
            "code_challenge": attempt.challenge,
            "code_challenge_method": "S256",
        }
        if provider.scopes:
            request["scope"] = " ".join(provider.scopes)
        if provider.plain is None:
            request["nonce"] = attempt.nonce
        if provider.response_mode is ResponseMode.FORM_POST:
            request["response_mode"] = provider.response_mode.value
        return request

    def park(self, provider_id: str, form: Parameters, *, actor: Actor) -> str:
        """Keep an answer that came as a form from another site; return a handle for the way on.

        The view answers 303 to the callback's own address with the one parameter `HANDLE`.

        Raises:
            NotFound: there is no such provider.
            UpstreamRefused: nothing of the kind is expected.
        """
        provider = self.find(provider_id)

        def keep() -> str:
            parameters = _single(form)
            if provider.response_mode is not ResponseMode.FORM_POST or HANDLE in parameters:
                raise UpstreamRefused(Refusal.RESPONSE_MALFORMED)
            with self._runtime.unit_of_work(actor) as uow:
                handle = self._attempts.park(uow, provider, parameters)
                uow.commit()
            return handle

        return self._recorded(provider, UpstreamSignInRefused, actor, keep)

    def finish(
        self, provider_id: str, parameters: Parameters, browser: str | None, *, actor: Actor
    ) -> Arrived:
        """Return who came back, in transactions of its own; may take seconds.

        Args:
            provider_id: whose callback was called.
            parameters: of the callback.
            browser: the value of the browser's cookie.
            actor: who asks.

        Raises:
            NotFound: there is no such provider.
            UpstreamRefused: something does not hold; the event is in the log, nothing else changed.
        """
        provider = self.find(provider_id)
        return self._recorded(
            provider,
            UpstreamSignInRefused,
            actor,
            lambda: self._finish(provider, parameters, browser, actor),
        )

    def _finish(
        self, provider: UpstreamProvider, given: Parameters, browser: str | None, actor: Actor
    ) -> Arrived:
        answer = _single(given)
        with self._runtime.unit_of_work(actor) as uow:
            if provider.response_mode is ResponseMode.FORM_POST:
                handle = answer.get(HANDLE)
                if not handle:
                    raise UpstreamRefused(Refusal.RESPONSE_MALFORMED)
                answer = self._attempts.parked(uow, provider, handle, browser)
            attempt = self._attempts.take(uow, provider, answer.get("state"), browser)
            uow.commit()
        if provider.plain is not None:
            code = _code(provider, answer, tells_issuer=False)
            return self._arrived_plainly(provider, provider.plain, attempt, code)
        metadata = self._discovery.metadata(provider)
        code = _code(provider, answer, tells_issuer=metadata.tells_issuer)
        return self._arrived(provider, metadata, attempt, code, answer)

    def _arrived(
        self,
        provider: UpstreamProvider,
        metadata: Metadata,
        attempt: Attempt,
        code: str,
        answer: Mapping[str, str],
    ) -> Arrived:
        tokens = self._exchange(provider, metadata.token_endpoint, attempt, code)
        if tokens.id_token is None:
            raise UpstreamRefused(Refusal.TOKEN_ANSWER_MALFORMED)
        claims = id_token.read(
            self._discovery,
            provider,
            tokens.id_token,
            nonce=attempt.nonce,
            access_token=tokens.access_token,
            now=self._runtime.clock(),
        )
        if "iss" in answer and answer["iss"] != claims["iss"]:
            raise UpstreamRefused(Refusal.MIXED_UP)
        info: JsonObject = {}
        if metadata.userinfo_endpoint is not None and told.missing(provider, claims):
            info = token_request.userinfo(
                self._outside, provider, metadata.userinfo_endpoint, tokens.access_token
            )
            if info.get("sub") != claims["sub"]:  # OIDC Core s. 5.3.2
                raise UpstreamRefused(Refusal.USERINFO_SUBJECT)
        return self._person(
            provider,
            attempt,
            issuer=str(claims["iss"]),
            sub=id_token.demand_subject(claims["sub"]),
            sid=logout_token.name_in(claims, "sid"),
            authenticated_at=id_token.authenticated_at(claims, self._runtime.clock()),
            claims=claims,
            info=info,
            user=answer.get("user"),
        )

    def _arrived_plainly(
        self, provider: UpstreamProvider, plain: PlainOAuth, attempt: Attempt, code: str
    ) -> Arrived:
        """Return who came back from a provider without ID tokens: whom its userinfo names."""
        tokens = self._exchange(provider, plain.token_endpoint, attempt, code)
        info = token_request.userinfo(
            self._outside, provider, plain.userinfo_endpoint, tokens.access_token
        )
        named = info.get(plain.subject_member)
        if isinstance(named, int) and not isinstance(named, bool):
            named = str(named)
        return self._person(
            provider,
            attempt,
            issuer=provider.issuer,
            sub=id_token.demand_subject(named),
            sid=None,
            authenticated_at=None,
            claims={},
            info=info,
            user=None,
        )

    def _exchange(
        self, provider: UpstreamProvider, endpoint: str, attempt: Attempt, code: str
    ) -> token_request.Tokens:
        return token_request.exchange(
            self._outside,
            provider,
            endpoint,
            code=code,
            redirect_uri=self.redirect_uri(provider),
            verifier=attempt.verifier,
            now=self._runtime.clock(),
        )

    @staticmethod
    def _person(
        provider: UpstreamProvider,
        attempt: Attempt,
        *,
        issuer: str,
        sub: str,
        sid: str | None,
        authenticated_at: datetime | None,
        claims: JsonObject,
        info: JsonObject,
        user: str | None,
    ) -> Arrived:
        email, verified = told.email(provider, claims, info)
        return Arrived(
            provider=provider.id,
            issuer=issuer,
            sub=sub,
            email=email,
            email_verified=verified,
            address_proven=provider.proves(
                email, verified=verified, hosted_domain=claims.get("hd")
            ),
            attributes=told.attributes(provider, claims, info, user),
            sid=sid,
            authenticated_at=authenticated_at,
            purpose=attempt.purpose,
            account_id=attempt.account_id,
            next=attempt.next,
        )

    def receive_logout(
        self,
        provider_id: str,
        token: str,
        end: Callable[[UnitOfWork, UpstreamLogout], None],
        *,
        actor: Actor,
    ) -> None:
        """Believe a logout token once, and let `end` act on it in the same transaction.

        Args:
            provider_id: at whose address the token came in.
            token: as it came.
            end: ends what there is to end and records its event; does not commit.
            actor: who sent it.

        Raises:
            NotFound: there is no such provider.
            UpstreamRefused: the token is not believed, or was before.
        """
        provider = self.find(provider_id)

        def receive() -> None:
            logout = self._read_logout(provider, token)
            with self._runtime.unit_of_work(actor) as uow:
                row = attempt_store.LogoutTokenRow(
                    provider=provider.id,
                    jti_digest=secret_digest(f"{logout.issuer}|{logout.jti}"),
                    expires_at=uow.now + LOGOUT_FRESH_FOR + 2 * CLOCK_SKEW,
                )
                if not attempt_store.add_logout(uow.session, row):
                    raise UpstreamRefused(Refusal.LOGOUT_REPLAYED)
                end(uow, logout)
                uow.commit()

        self._recorded(provider, UpstreamLogoutRefused, actor, receive)

    def _read_logout(self, provider: UpstreamProvider, token: str) -> UpstreamLogout:
        if provider.plain is not None:  # it signs nothing
            raise UpstreamRefused(Refusal.TOKEN_TYPE)
        return logout_token.read(self._discovery, provider, token, now=self._runtime.clock())

    def run_due(self) -> int:
        """Delete attempts and logout tokens that have run out; a task of the worker's."""
        now = self._runtime.clock()
        if self._swept_at is not None and now < self._swept_at + SWEPT_EVERY:
            return 0
        self._swept_at = now
        with self._runtime.unit_of_work(SYSTEM) as uow:
            count = attempt_store.delete_expired(uow.session, uow.now)
            uow.commit()
        return count

    def _recorded(
        self,
        provider: UpstreamProvider,
        event: type[UpstreamSignInRefused | UpstreamLogoutRefused],
        actor: Actor,
        act: Callable[[], T],
    ) -> T:
        """Return what `act` returns; a refusal is in the log before it goes on."""
        try:
            return act()
        except UpstreamRefused as refused:
            with self._runtime.unit_of_work(actor) as uow:
                uow.record(event(provider=provider.id, reason=refused.reason.value))
                uow.commit()
            raise


def _single(given: Parameters) -> dict[str, str]:
    """Return the parameters that we know, each of which stands once. Source: RFC 6749 s. 3.1.

    Raises:
        UpstreamRefused: `RESPONSE_MALFORMED`.
    """
    found: dict[str, str] = {}
    for name in PARAMETERS:
        values = given.get(name, ())
        if len(values) > 1 or any(len(value) > MAX_PARAMETER for value in values):
            raise UpstreamRefused(Refusal.RESPONSE_MALFORMED)
        if values:
            found[name] = values[0]
    return found


def _code(provider: UpstreamProvider, answer: Mapping[str, str], *, tells_issuer: bool) -> str:
    """Return the code of an answer that is this provider's and no refusal.

    Whose answer it is comes first: another's error says nothing. Source: RFC 9207 s. 2.4.

    Raises:
        UpstreamRefused: `MIXED_UP`, `DENIED`, `PROVIDER_ERROR` or `RESPONSE_MALFORMED`.
    """
    issuer = answer.get("iss")
    if issuer is None and tells_issuer:
        raise UpstreamRefused(Refusal.MIXED_UP)
    if issuer is not None and not provider.is_issuer(issuer):
        raise UpstreamRefused(Refusal.MIXED_UP)
    if "error" in answer:
        denied = answer["error"] in _DENIED
        raise UpstreamRefused(Refusal.DENIED if denied else Refusal.PROVIDER_ERROR)
    code = answer.get("code")
    if not code or not code.isprintable():
        raise UpstreamRefused(Refusal.RESPONSE_MALFORMED)
    return code
