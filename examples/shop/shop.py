"""Olivar y Sal: a small shop that asks Placet before it uses anybody's data.

granian --interface wsgi --factory shop:create_app --port 8001
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from catalogue import BY_SLUG, PRODUCTS, Product, neighbours, taste_of
from flask import Flask, Response, abort, redirect, render_template, request, session, url_for
from flask_wtf.csrf import CSRFProtect
from placet_client import Decision, Decisions, SignIn, SignInFailed
from purchases import Purchases
from werkzeug.wrappers import Response as AnyResponse

#: What the notice "recommendations" promises: two years of purchases, and nothing older.
TASTE_PERIOD = timedelta(days=730)
POLICY = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

log = logging.getLogger("shop")


@dataclass(frozen=True, slots=True)
class Settings:
    """What differs between two shops; each is the variable `SHOP_<NAME>`.

    Attributes:
        issuer: Placet's address, without a trailing slash.
        client_id: the shop's name at Placet (`placet client add`).
        client_secret: what that command printed.
        base_url: the shop's own address, without a trailing slash.
        secret_key: signs the shop's cookie.
        database: the file that keeps the purchases.
    """

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    base_url: str
    secret_key: str = field(repr=False)
    database: Path


def settings_from(environ: Mapping[str, str]) -> Settings:
    """Return the settings.

    Raises:
        SystemExit: one is missing; the message names it.
    """
    names = ("ISSUER", "CLIENT_ID", "CLIENT_SECRET", "BASE_URL", "SECRET_KEY", "DATABASE")
    missing = [f"SHOP_{name}" for name in names if not environ.get(f"SHOP_{name}")]
    if missing:
        raise SystemExit(f"the shop needs {', '.join(missing)}")
    return Settings(
        issuer=environ["SHOP_ISSUER"].rstrip("/"),
        client_id=environ["SHOP_CLIENT_ID"],
        client_secret=environ["SHOP_CLIENT_SECRET"],
        base_url=environ["SHOP_BASE_URL"].rstrip("/"),
        secret_key=environ["SHOP_SECRET_KEY"],
        database=Path(environ["SHOP_DATABASE"]),
    )


def create_app(settings: Settings | None = None) -> Flask:
    """Return the shop; without settings they come from the environment."""
    settings = settings or settings_from(os.environ)
    app = Flask(__name__)
    app.config.update(
        SECRET_KEY=settings.secret_key,
        # Cookies ignore ports: beside Placet on one host, the name must be another.
        SESSION_COOKIE_NAME="olivar",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=settings.base_url.startswith("https://"),
    )
    CSRFProtect(app)
    _add_shelf(
        app,
        Decisions(settings.issuer, settings.client_id, settings.client_secret),
        Purchases(settings.database),
    )
    _add_door(
        app,
        SignIn(app, settings.issuer, settings.client_id, settings.client_secret),
        f"{settings.base_url}/callback",
    )

    @app.errorhandler(404)
    def nothing_here(_error: Exception) -> tuple[str, int]:
        return render_template("error.html", sign_in=False), 404

    @app.context_processor
    def values() -> dict[str, object]:
        return {"signed_in": "person" in session, "placet": settings.issuer}

    app.after_request(_headers)
    return app


def _add_shelf(app: Flask, decisions: Decisions, purchases: Purchases) -> None:
    """Add the pages that show and sell; each asks before it uses what it knows of a person."""

    def ask(purpose: str) -> Decision | None:
        person = session.get("person")
        return decisions.ask(person, purpose) if person else None

    @app.get("/")
    def home() -> str:
        return render_template("home.html", products=PRODUCTS, newsletter=ask("newsletter"))

    @app.get("/productos/<slug>")
    def product(slug: str) -> str:
        shown = _find(slug)
        recommendations = ask("recommendations")
        taste = None
        if recommendations and recommendations.permit:
            start = datetime.now(UTC) - TASTE_PERIOD
            taste = taste_of(purchases.since(session["person"], start), looking_at=slug)
        return render_template(
            "product.html",
            product=shown,
            taste=taste,
            neighbours=neighbours(slug),
            newsletter=ask("newsletter"),
            recommendations=recommendations,
            thanks=request.args.get("comprado") == "1",
        )

    @app.post("/productos/<slug>/comprar")
    def buy(slug: str) -> AnyResponse:
        _find(slug)
        if "person" not in session:
            return redirect(url_for("enter", next=url_for("product", slug=slug)), 303)
        purchases.add(session["person"], slug, datetime.now(UTC))
        return redirect(url_for("product", slug=slug, comprado=1), 303)


def _add_door(app: Flask, sign_in: SignIn, redirect_uri: str) -> None:
    """Add the ways in and out."""

    @app.get("/entrar")
    def enter() -> AnyResponse:
        session["next"] = _local(request.args.get("next", ""))
        return sign_in.begin(redirect_uri)

    @app.get("/callback")
    def callback() -> AnyResponse:
        person = sign_in.finish()
        after = session.get("next", "/")
        session.clear()
        session["person"] = person
        return redirect(after, 303)

    @app.post("/salir")
    def leave() -> AnyResponse:
        session.clear()
        return redirect("/", 303)

    @app.errorhandler(SignInFailed)
    def not_signed_in(error: SignInFailed) -> tuple[str, int]:
        log.warning("nobody was signed in: %s", error)
        return render_template("error.html", sign_in=True), 502


def _find(slug: str) -> Product:
    found = BY_SLUG.get(slug)
    if found is None:
        abort(404)
    return found


def _local(path: str) -> str:
    """Return `path` where it is one of this shop, else the home page."""
    own = path.startswith("/productos/") and path.removeprefix("/productos/") in BY_SLUG
    return path if own else "/"


def _headers(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "same-origin"
    if request.endpoint != "static":
        response.headers["Cache-Control"] = "no-store"  # the next page asks anew
    return response
