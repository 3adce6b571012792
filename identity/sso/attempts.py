"""People who are away at a provider: what must come back with them, once, in the same browser.

`state` and the browser's cookie are 256 random bits each, and kept as digests. Nonce and PKCE
verifier are not kept at all: they are keyed digests of `state`, which the provider and whoever
watches the browser may know, so the key is what makes them secret.

A provider that answers by a form (Apple) makes the browser POST here from another site, without our
cookies. Such an answer cannot be tied to the browser yet, and a page that sends itself on would need a
script. So the answer is kept, sealed, in the attempt's own row, and the browser is sent on by 303 to
the same address with a one-time handle: that GET is a top-level navigation and carries SameSite=Lax
cookies. The code never stands in an address of ours; the handle is worth nothing without the cookie; and
a stranger who posts here fills no table, because only the row of a waiting attempt takes an answer.

Source: RFC 9700 s. 2.1, 4.4, 4.7; RFC 7636; OWASP ASVS 5.0 10.1.2, 10.2.1; RFC 6265bis s. 5.6.7.1.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from identity.sso import attempt_store as store
from identity.sso.model import (
    ATTEMPT_LIFETIME,
    AttemptPurpose,
    Refusal,
    UpstreamProvider,
    UpstreamRefused,
)
from policies.vocabulary import RetentionClass
from privacy.ids import new_token, secret_digest
from privacy.keys.sealing import DEPLOYMENT, Sealer, place
from privacy.unit_of_work import UnitOfWork

_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class Attempt:
    """One way to a provider and back.

    Attributes:
        state: what the provider sends back with the browser.
        browser: the browser's cookie.
        nonce: must stand in the ID token.
        verifier: proves at the token endpoint that the code was asked for by us. RFC 7636.
    """

    provider: str
    purpose: AttemptPurpose
    account_id: str | None
    next: str
    state: str = field(repr=False)
    browser: str = field(repr=False)
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)

    @property
    def challenge(self) -> str:
        """`code_challenge` by S256. Source: RFC 7636 s. 4.2."""
        return _text(hashlib.sha256(self.verifier.encode()).digest())


class Attempts:
    """Begins attempts and takes them back, each once.

    Args:
        key: 32 secret bytes for nonces and verifiers.
        sealer: seals answers that came as a form.
    """

    def __init__(self, key: bytes, sealer: Sealer) -> None:
        self._key = key
        self._sealer = sealer

    def begin(
        self,
        uow: UnitOfWork,
        provider: UpstreamProvider,
        *,
        purpose: AttemptPurpose,
        account_id: str | None,
        onward: str,
        browser: str | None,
    ) -> Attempt:
        """Keep an attempt until its person is back; joins the caller's transaction.

        Args:
            uow: the caller's unit of work.
            provider: where the person goes.
            purpose: what for.
            account_id: who is signed in, for `LINK`.
            onward: a path of ours to go on to.
            browser: the cookie that the browser has, so that two tabs do not undo one another.
        """
        state = new_token(uow.ids)
        if browser is None or not _TOKEN.fullmatch(browser):
            browser = new_token(uow.ids)
        uow.session.add(
            store.AttemptRow(
                state_digest=secret_digest(state),
                browser_digest=secret_digest(browser),
                provider=provider.id,
                purpose=purpose.value,
                account_id=account_id,
                next=onward,
                expires_at=uow.now + ATTEMPT_LIFETIME,
            )
        )
        uow.session.flush()
        return self._attempt(provider.id, purpose, account_id, onward, state, browser)

    def take(
        self, uow: UnitOfWork, provider: UpstreamProvider, state: str | None, browser: str | None
    ) -> Attempt:
        """Use an attempt up and return it; joins the caller's transaction.

        What comes in another browser uses nothing up: the person's own answer may be on its way.

        Raises:
            UpstreamRefused: `state` is missing, unknown, used or too old, belongs to another browser,
                or to another provider (mix-up).
        """
        if not state:
            raise UpstreamRefused(Refusal.STATE_MISSING)
        row = uow.session.get(store.AttemptRow, secret_digest(state))
        if row is None:
            raise UpstreamRefused(Refusal.STATE_UNKNOWN)
        if not hmac.compare_digest(row.browser_digest, secret_digest(browser or "")):
            raise UpstreamRefused(Refusal.OTHER_BROWSER)
        if row.provider != provider.id:
            raise UpstreamRefused(Refusal.MIXED_UP)
        if row.used_at is not None:
            raise UpstreamRefused(Refusal.STATE_USED)
        if row.expires_at <= uow.now:
            raise UpstreamRefused(Refusal.STATE_EXPIRED)
        if not store.claim(uow.session, row.state_digest, uow.now):  # another was first
            raise UpstreamRefused(Refusal.STATE_USED)
        return self._attempt(
            row.provider,
            AttemptPurpose(row.purpose),
            row.account_id,
            row.next,
            state,
            browser or "",
        )

    def park(
        self, uow: UnitOfWork, provider: UpstreamProvider, parameters: Mapping[str, str]
    ) -> str:
        """Keep an answer that came as a form, and return its handle; joins the caller's transaction.

        Raises:
            UpstreamRefused: no attempt at this provider waits for it.
        """
        state = parameters.get("state")
        if not state:
            raise UpstreamRefused(Refusal.STATE_MISSING)
        digest = secret_digest(state)
        row = uow.session.get(store.AttemptRow, digest)
        if row is None:
            raise UpstreamRefused(Refusal.STATE_UNKNOWN)
        if row.provider != provider.id:
            raise UpstreamRefused(Refusal.MIXED_UP)
        if row.used_at is None and row.expires_at <= uow.now:
            raise UpstreamRefused(Refusal.STATE_EXPIRED)
        handle = new_token(uow.ids)
        sealed = self._sealer.seal(
            uow.session,
            DEPLOYMENT,
            RetentionClass.SECURITY_TRAIL,
            _place(digest),
            json.dumps(dict(parameters)).encode(),
            at=uow.now,
        )
        if not store.park(uow.session, digest, secret_digest(handle), sealed, uow.now):
            raise UpstreamRefused(Refusal.STATE_USED)
        return handle

    def parked(
        self, uow: UnitOfWork, provider: UpstreamProvider, handle: str, browser: str | None
    ) -> dict[str, str]:
        """Return the answer that is kept under a handle, to the browser that it belongs to.

        Raises:
            UpstreamRefused: there is none, it was taken, or the browser is another one.
        """
        row = store.of_handle(uow.session, secret_digest(handle))
        if row is None or row.provider != provider.id:
            raise UpstreamRefused(Refusal.STATE_UNKNOWN)
        if not hmac.compare_digest(row.browser_digest, secret_digest(browser or "")):
            raise UpstreamRefused(Refusal.OTHER_BROWSER)
        if row.answer_sealed is None:
            raise UpstreamRefused(Refusal.STATE_USED)
        plain = self._sealer.open(
            uow.session,
            DEPLOYMENT,
            RetentionClass.SECURITY_TRAIL,
            _place(row.state_digest),
            row.answer_sealed,
        )
        parameters: dict[str, str] = json.loads(plain)
        return parameters

    def _attempt(
        self,
        provider: str,
        purpose: AttemptPurpose,
        account_id: str | None,
        onward: str,
        state: str,
        browser: str,
    ) -> Attempt:
        return Attempt(
            provider=provider,
            purpose=purpose,
            account_id=account_id,
            next=onward,
            state=state,
            browser=browser,
            nonce=self._derived("nonce", provider, state),
            verifier=self._derived("verifier", provider, state),
        )

    def _derived(self, use: str, provider: str, state: str) -> str:
        message = f"{use}|{provider}|{state}".encode()
        return _text(hmac.digest(self._key, message, "sha256"))


def _place(state_digest: str) -> bytes:
    return place("sso_attempt", "answer_sealed", state_digest)


def _text(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
