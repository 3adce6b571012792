"""`/admin/applications`: the applications, as administrators keep them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from urllib.parse import urlencode

from flask import Blueprint, flash, redirect, render_template, request
from flask_babel import gettext
from sqlalchemy.orm import Session
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

from identity.provider import client_words as words
from identity.provider.client_authentication import is_client_id
from identity.provider.client_keys import thumbprints
from identity.provider.client_settings import ClientSettings
from identity.provider.clients import Clients, ClientSecret
from identity.provider.logout_model import LogoutResult
from identity.provider.model import Client, TokenFormat
from policies.errors import Conflict, NotFound
from policies.register.model import Localized, Register
from policies.vocabulary import Scope
from privacy.http import current_actor, requires
from privacy.languages import page_language
from privacy.unit_of_work import Runtime

PAGE: Final = "/admin/applications"
ONE: Final = f"{PAGE}/<client_id>"
PAGE_SIZE: Final = 25
LOGOUTS_SHOWN: Final = 10
SECRETS_SHOWN: Final = 10
#: How long the old secret goes on working, in hours; the first one is for a secret that leaked.
OVERLAPS: Final = (0, 24, 7 * 24)

Errors = Sequence[tuple[str | None, str]]
#: What became of the last sign-out messages to a client: database, client id, how many at most.
Results = Callable[[Session, str, int], Sequence[LogoutResult]]


@dataclass(frozen=True, slots=True)
class ClientPages:
    """What administrators see of the applications."""

    runtime: Runtime
    clients: Clients
    results: Results
    register: Register

    @requires(Scope.ADMINISTRATION)
    def index(self) -> str:
        """List the applications whose name holds the words sought, the newest first."""
        sought = request.args.get("q", "").strip()
        number = request.args.get("page", "")
        page = int(number) if number.isascii() and number.isdigit() and len(number) < 6 else 1
        with self.runtime.snapshot() as session:
            every = self.clients.all(session)[::-1]
        found = [
            each
            for each in every
            if sought.casefold() in each.name.casefold() or sought == each.client_id
        ]
        pages = max(1, -(-len(found) // PAGE_SIZE))
        page = min(max(page, 1), pages)
        return render_template(
            "admin/applications.html",
            applications=found[(page - 1) * PAGE_SIZE : page * PAGE_SIZE],
            total=len(found),
            any_at_all=bool(every),
            sought=sought,
            page=page,
            pages=pages,
            url_for_page=lambda other: f"{PAGE}?" + urlencode({"q": sought, "page": other}),
        )

    @requires(Scope.ADMINISTRATION)
    def show(self, client_id: str) -> str:
        """Show an application's settings, its secrets' times, and how sign-out messages went."""
        now = self.runtime.clock()
        with self.runtime.snapshot() as session:
            client = self._client(session, client_id)
            return render_template(
                "admin/application.html",
                client=client,
                secrets=self.clients.secrets(session, client_id)[:SECRETS_SHOWN],
                has_secrets=ClientSettings.of(client).has_secrets,
                results=self.results(session, client_id, LOGOUTS_SHOWN),
                people=self.clients.people(session, client_id),
                keys=thumbprints(client.jwks) if client.jwks else [],
                purposes=[title for id_, title in self._purposes() if id_ in client.purposes],
                words=words,
                now=now,
            )

    @requires(Scope.ADMINISTRATION)
    def prepare(self) -> str:
        """Ask for the settings of a new application."""
        return self._form(None, ClientSettings(name=""), [])

    @requires(Scope.ADMINISTRATION)
    def add(self) -> tuple[str, int] | Response | str:
        """Add an application and show its secret, this once."""
        settings = _settings(request.form, request.form.get("sector", "").strip())
        errors = self._errors(settings)
        if errors:
            return self._form(None, settings, errors), 422
        with self.runtime.unit_of_work(current_actor()) as uow:
            client, secret = self.clients.add(uow, settings)
        if secret is None:
            done = gettext("La aplicación está dada de alta. Demuestra quién es con sus claves.")
            flash(done, "success")
            return redirect(f"{PAGE}/{client.client_id}", code=303)
        return _secret_page(client, secret, is_new=True)

    @requires(Scope.ADMINISTRATION)
    def prepare_change(self, client_id: str) -> str:
        """Show the settings to be changed."""
        with self.runtime.snapshot() as session:
            client = self._client(session, client_id)
        return self._form(client, ClientSettings.of(client), [])

    @requires(Scope.ADMINISTRATION)
    def change(self, client_id: str) -> tuple[str, int] | Response:
        """Replace an application's settings."""
        with self.runtime.snapshot() as session:
            client = self._client(session, client_id)
        settings = _settings(request.form, client.sector)
        errors = self._errors(settings)
        if errors:
            return self._form(client, settings, errors), 422
        with self.runtime.unit_of_work(current_actor()) as uow:
            self.clients.change(uow, client_id, settings)
        flash(gettext("Los cambios valen desde ahora."), "success")
        return redirect(f"{PAGE}/{client_id}", code=303)

    @requires(Scope.ADMINISTRATION)
    def prepare_rotation(self, client_id: str) -> str:
        """Ask how long the old secret is to go on working."""
        return self._rotation(client_id, [])

    @requires(Scope.ADMINISTRATION)
    def rotate(self, client_id: str) -> tuple[str, int] | str:
        """Make a new secret and show it, this once."""
        hours = {str(each): each for each in OVERLAPS}.get(request.form.get("overlap", ""))
        if hours is None:
            errors = [("overlap", gettext("Falta elegir hasta cuándo vale el secreto actual."))]
            return self._rotation(client_id, errors), 422
        with self.runtime.unit_of_work(current_actor()) as uow:
            secret = self.clients.rotate_secret(uow, client_id, timedelta(hours=hours))
        with self.runtime.snapshot() as session:
            client = self._client(session, client_id)
        return _secret_page(client, secret, is_new=False)

    @requires(Scope.ADMINISTRATION)
    def prepare_retirement(self, client_id: str, fingerprint: str) -> str:
        """Ask before a secret ends."""
        now = self.runtime.clock()
        with self.runtime.snapshot() as session:
            client = self._client(session, client_id)
            working = [e for e in self.clients.secrets(session, client_id) if e.works(now)]
        meant = [each for each in working if each.fingerprint == fingerprint]
        if not meant:
            raise NotFound("there is no such secret that still works")
        return _confirmation(client, f"secrets/{fingerprint}/retire", meant[0], len(working) == 1)

    @requires(Scope.ADMINISTRATION)
    def retire(self, client_id: str, fingerprint: str) -> Response:
        """End one secret at once."""
        with self.runtime.unit_of_work(current_actor()) as uow:
            self.clients.retire_secrets(uow, client_id, fingerprint)
        flash(gettext("El secreto ya no vale."), "success")
        return redirect(f"{PAGE}/{client_id}", code=303)

    @requires(Scope.ADMINISTRATION)
    def prepare_state(self, client_id: str, act: str) -> str:
        """Ask before an application is shut out or let in, and name the consequence."""
        with self.runtime.snapshot() as session:
            return _confirmation(self._client(session, client_id), act)

    @requires(Scope.ADMINISTRATION)
    def change_state(self, client_id: str, act: str) -> Response:
        """Shut an application out, or let it in again."""
        with self.runtime.unit_of_work(current_actor()) as uow:
            if act == "disable":
                self.clients.disable(uow, client_id)
            else:
                self.clients.enable(uow, client_id)
        done = gettext("La aplicación está desactivada y sus tokens han terminado.")
        if act == "enable":
            done = gettext("La aplicación está activa.")
        flash(done, "success")
        return redirect(f"{PAGE}/{client_id}", code=303)

    # ---- inside

    def _client(self, session: Session, client_id: str) -> Client:
        known = is_client_id(client_id)
        found = self.clients.find(session, client_id, at=self.runtime.clock()) if known else None
        if found is None:
            raise NotFound("there is no such client")
        return found

    def _errors(self, settings: ClientSettings) -> Errors:
        told = [(each.field, words.fault_words(each)) for each in self.clients.faults(settings)]
        return list(dict.fromkeys(told))

    def _purposes(self) -> list[tuple[str, str]]:
        language = page_language()
        named: dict[str, Localized] = {}  # a group before its units
        for each in self.register.purposes.values():
            if group := self.register.groups.get(each.part_of or ""):
                named.setdefault(group.id, group.title)
            named[each.id] = each.title
        return [(id_, title.get(language) or title["es"]) for id_, title in named.items()]

    def _form(self, client: Client | None, settings: ClientSettings, errors: Errors) -> str:
        return render_template(
            "admin/application_form.html",
            client=client,
            settings=settings,
            errors=errors,
            purposes=self._purposes(),
            words=words,
            formats=[*words.format_words().items()],
        )

    def _rotation(self, client_id: str, errors: Errors) -> str:
        with self.runtime.snapshot() as session:
            client = self._client(session, client_id)
        if not ClientSettings.of(client).has_secrets:
            raise Conflict("this client proves itself by its keys and has no secret")
        return render_template(
            "admin/application_rotate.html",
            client=client,
            errors=errors,
            overlaps=[
                (str(OVERLAPS[0]), gettext("Deja de valer ahora"), gettext("Si se ha filtrado.")),
                (str(OVERLAPS[1]), gettext("Vale un día más")),
                (str(OVERLAPS[2]), gettext("Vale siete días más")),
            ],
        )


def blueprint(pages: ClientPages) -> Blueprint:
    """Return the routes of the applications."""
    routes = Blueprint("client_pages", __name__)
    retirement = f"{ONE}/secrets/<fingerprint>/retire"
    state = f'{ONE}/<any("disable","enable"):act>'
    routes.get(PAGE)(pages.index)
    routes.get(f"{PAGE}/new")(pages.prepare)
    routes.post(f"{PAGE}/new")(pages.add)
    routes.get(ONE)(pages.show)
    routes.get(f"{ONE}/edit")(pages.prepare_change)
    routes.post(f"{ONE}/edit")(pages.change)
    routes.get(f"{ONE}/rotate-secret")(pages.prepare_rotation)
    routes.post(f"{ONE}/rotate-secret")(pages.rotate)
    routes.get(retirement)(pages.prepare_retirement)
    routes.post(retirement)(pages.retire)
    routes.get(state)(pages.prepare_state)
    routes.post(state)(pages.change_state)
    return routes


def _settings(form: MultiDict[str, str], sector: str) -> ClientSettings:
    def lines(name: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(form.get(name, "").split()))

    return ClientSettings(
        name=form.get("name", "").strip(),
        redirect_uris=lines("redirect_uris"),
        post_logout_redirect_uris=lines("post_logout_redirect_uris"),
        scopes=frozenset(form.getlist("scopes")),
        purposes=frozenset(form.getlist("purposes")),
        sector=sector,
        require_pkce="require_pkce" in form,
        require_par="require_par" in form,
        refresh="refresh" in form,
        client_credentials="client_credentials" in form,
        token_format=form.get("token_format", TokenFormat.OPAQUE.value),
        audiences=lines("audiences"),
        auth_methods=frozenset(form.getlist("auth_methods")),
        jwks=form.get("jwks", "").strip() or None,
        backchannel_logout_uri=form.get("backchannel_logout_uri", "").strip() or None,
        ends_with_withdrawal="ends_with_withdrawal" in form,
    )


def _secret_page(client: Client, secret: str, *, is_new: bool) -> str:
    """Return the one page that shows a secret; no browser keeps it (Cache-Control: no-store)."""
    return render_template(
        "admin/application_secret.html", client=client, secret=secret, is_new=is_new
    )


def _confirmation(
    client: Client, act: str, secret: ClientSecret | None = None, is_last: bool = False
) -> str:
    return render_template(
        "admin/application_confirm.html", client=client, act=act, secret=secret, is_last=is_last
    )
