"""Going to an outside provider and coming back."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode

from flask import (
    Blueprint,
    flash,
    make_response,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from flask_babel import gettext
from werkzeug.wrappers import Response

from identity.accounts.attempts import Attempt, AttemptKind, Attempts
from identity.accounts.model import AccountIsDisabled
from identity.accounts.navigation import local_path, slow_down
from identity.accounts.pages import MAX_KEPT
from identity.sessions.browser import BrowserSession
from identity.sessions.pages import carry_on, show_disabled
from identity.sso.arrival import Newcomer, Reception
from identity.sso.cookies import Cookies
from identity.sso.identity_model import IdentityTaken
from identity.sso.model import (
    HANDLE,
    Arrived,
    AttemptPurpose,
    Refusal,
    UpstreamProvider,
    UpstreamRefused,
)
from identity.sso.newcomer_pages import NEWCOMER
from identity.sso.upstream import Upstreams
from identity.sso.words import words_of
from policies.errors import Conflict, NotFound, TooManyAttempts
from policies.vocabulary import Scope
from privacy.actor import SYSTEM, ActorKind
from privacy.http import current_actor, requires
from privacy.unit_of_work import Runtime

IDENTITIES: Final = "/account/identities"
#: Where the session's cookie keeps that a link was begun in it; a new sign-in drops it.
LINKING: Final = "linking"


class UpstreamPages:
    """What the browser sees of an outside provider."""

    def __init__(
        self,
        *,
        runtime: Runtime,
        upstreams: Upstreams,
        reception: Reception,
        attempts: Attempts,
        browser: BrowserSession,
        cookies: Cookies,
    ) -> None:
        self._runtime = runtime
        self._attempts = attempts
        self._upstreams = upstreams
        self._reception = reception
        self._browser = browser
        self._cookies = cookies

    # ---- there ----

    @requires(Scope.PUBLIC)
    def go(self, provider_id: str) -> Response:
        """Send somebody who wants to sign in to a provider."""
        onward = local_path(request.form.get("next")) or ""
        return self.send(provider_id, AttemptPurpose.SIGN_IN, onward)

    def send(self, provider_id: str, purpose: AttemptPurpose, onward: str) -> Response:
        """Return the page that goes on to a provider by itself.

        A redirect would still be part of the form's navigation, which our content security policy
        (`form-action 'self'`) lets go nowhere else: docs/decisions/0007.
        """
        provider = self._upstreams.find(provider_id)
        self._counted()
        try:
            away = self._upstreams.begin(
                provider_id,
                purpose=purpose,
                actor=current_actor(),
                onward=onward if len(onward) <= MAX_KEPT else "",
                browser=self._cookies.away(),
            )
        except UpstreamRefused as error:
            return self._refused(provider, error.reason)
        page = make_response(
            render_template("sso/go_on.html", provider=provider.title, uri=away.url)
        )
        page.headers["Refresh"] = f"0;url={away.url}"
        self._cookies.keep_away(page, away.browser)
        return page

    # ---- and back ----

    @requires(Scope.PUBLIC)
    def take_form(self, provider_id: str) -> Response:
        """Keep an answer that a provider has the browser send as a form, and go on by GET.

        A form from another site brings no cookies of ours, so nothing else can be done with it.
        """
        provider = self._upstreams.find(provider_id)
        try:
            counted = self._counted()
        except TooManyAttempts:  # by GET, for the same reason as below
            return redirect(url_for("sso_pages.come_back", provider_id=provider.id), code=303)
        try:
            handle = self._upstreams.park(
                provider_id, request.form.to_dict(flat=False), actor=current_actor()
            )
            self._forget(counted)
        except UpstreamRefused as error:
            # By GET again: this page would begin a new session, without the person's cookies.
            where = url_for("sso_pages.show_refusal", provider_id=provider.id, reason=error.reason)
            return redirect(where, code=303)
        where = url_for("sso_pages.come_back", provider_id=provider.id)
        return redirect(f"{where}?{urlencode({HANDLE: handle})}", code=303)

    @requires(Scope.PUBLIC)
    def come_back(self, provider_id: str) -> Response | tuple[str, int]:
        """Look at a provider's answer, and do what the person had gone for."""
        provider = self._upstreams.find(provider_id)
        actor = current_actor()
        counted = self._counted()
        try:
            arrived = self._upstreams.finish(
                provider_id,
                request.args.to_dict(flat=False),
                self._cookies.away(),
                actor=actor,
            )
            self._forget(counted)
            if arrived.purpose is AttemptPurpose.LINK:
                linked = self._link(provider, arrived)
                self._forget(counted)  # and that the person went
                return linked
        except UpstreamRefused as error:
            return self._refused(provider, error.reason)
        try:
            result = self._reception.sign_in(actor, arrived, self._browser.visit())
        except AccountIsDisabled:
            return show_disabled()
        if isinstance(result, Newcomer):
            response = redirect(NEWCOMER, code=303)
            self._cookies.keep_arrival(response, result.secret)
            return response
        self._forget(counted)
        return carry_on(self._browser, result, local_path(arrived.next) or "")

    def _counted(self) -> Attempt | None:
        """Count a way there or an answer on its network, since both leave something behind.

        Who comes back as an account's person has both taken back.

        Raises:
            TooManyAttempts: the network has come in vain too often.
        """
        counter = self._attempts.of_network(AttemptKind.UPSTREAM, request.remote_addr)
        self._attempts.begin(counter)
        return counter

    def _forget(self, counted: Attempt | None) -> None:
        with self._runtime.unit_of_work(SYSTEM) as uow:
            self._attempts.succeeded(uow, counted)
            uow.commit()

    def _link(self, provider: UpstreamProvider, arrived: Arrived) -> Response:
        """Link in the session that began it, and in no other.

        Raises:
            UpstreamRefused: this is another session.
        """
        actor = current_actor()
        begun_here = session.pop(LINKING, None) == provider.id
        if not begun_here or actor.kind is not ActorKind.PERSON:
            with self._runtime.unit_of_work(actor) as uow:
                self._reception.refuse(uow, provider.id, Refusal.OTHER_BROWSER)
            raise UpstreamRefused(Refusal.OTHER_BROWSER)
        try:
            self._reception.link(actor, arrived)
        except IdentityTaken:
            flash(
                gettext(
                    "Esa cuenta de %(provider)s ya abre otra cuenta de aquí. No ha cambiado nada.",
                    provider=provider.title,
                ),
                "error",
            )
        except Conflict:
            flash(gettext("Tu cuenta ya tiene 20. Quita antes una que no uses."), "error")
        else:
            flash(gettext("Ya puedes entrar con %(provider)s.", provider=provider.title), "success")
        return redirect(IDENTITIES, code=303)

    @requires(Scope.PUBLIC)
    def show_refusal(self, provider_id: str, reason: str) -> Response:
        """Say why an answer that came as a form was not taken; it is in the log already."""
        try:
            return self._refused(self._upstreams.find(provider_id), Refusal(reason))
        except ValueError:
            raise NotFound("there is no such reason") from None

    @staticmethod
    def _refused(provider: UpstreamProvider, reason: Refusal) -> Response:
        words = words_of(reason, provider.title)
        page = render_template("sso/refused.html", words=words, reason=reason.value)
        return make_response(page, words.status)


def blueprint(pages: UpstreamPages, upstreams: Upstreams) -> Blueprint:
    """Return the routes of these pages; every template may list the providers."""
    routes = Blueprint("sso_pages", __name__)
    slow_down(routes)
    routes.app_template_global("upstream_providers")(upstreams.all)
    routes.post("/login/with/<provider_id>")(pages.go)
    routes.get("/sso/<provider_id>/callback")(pages.come_back)
    routes.post("/sso/<provider_id>/callback")(pages.take_form)
    routes.get("/sso/<provider_id>/refused/<reason>")(pages.show_refusal)
    return routes
