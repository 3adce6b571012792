"""What every process of a deployment stands on: settings, clock, randomness, database, kernel.

The only module that reads the environment, the clock and the random source.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from policies.register.loader import load as load_register
from privacy.clock import Clock
from privacy.database import Database
from privacy.engine import engine_options, prepare_engine
from privacy.faults import Faults, faults_from
from privacy.ids import Ids
from privacy.kernel import Kernel
from privacy.kernel import assemble as assemble_kernel
from privacy.keys.keyring import Keyring, RootKey
from privacy.settings import Settings, SettingsError, settings_from
from privacy.tables import orm
from privacy.versions import Versions

ROOT = Path(__file__).resolve().parent


class SystemIds:
    """The operating system's random source."""

    def random_bytes(self, count: int) -> bytes:
        """Return `count` bytes from the kernel."""
        return os.urandom(count)


#: Returns the present instant, aware UTC; without a frame of Python, since each answer asks for it.
system_clock = partial(datetime.now, UTC)


def read_settings(environ: Mapping[str, str], root: Path = ROOT) -> Settings:
    """Return the settings from `PLACET_*` variables, then `instance/config.toml`, then defaults.

    Raises:
        SettingsError: a name is unknown or a value is wrong; the message names it.
    """
    instance = Path(environ.get("PLACET_INSTANCE", root / "instance")).resolve()
    values: dict[str, str] = {}
    config = instance / "config.toml"
    if config.exists():
        try:
            content = tomllib.loads(config.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SettingsError(f"{config.name}: {error}") from None
        values = {f"PLACET_{name.upper()}": str(value) for name, value in content.items()}
    values |= {k: v for k, v in environ.items() if k.startswith("PLACET_")}
    return settings_from(values, instance, processors=os.cpu_count() or 1)


def begin(
    settings: Settings | None, clock: Clock, ids: Ids | None, faults: Faults | None
) -> tuple[Flask, Kernel]:
    """Return an application without any routes, and what its capabilities stand on.

    Args:
        settings: None reads them from the environment.
        clock: gives the present instant, aware UTC.
        ids: the random source; None: the operating system's.
        faults: where tests let the process die; None: where the environment says.

    Raises:
        SettingsError: a setting is wrong.
        RegisterError: the register is wrong; names every file, entry and field.
    """
    settings = settings or read_settings(os.environ)
    ids = ids or SystemIds()
    register = load_register(settings.register)
    keyring = Keyring(settings.instance / "keys")
    keyring.create_missing(ids)

    app = Flask("app", root_path=str(ROOT), template_folder="templates", static_folder="static")
    _configure(app, settings, keyring)
    orm.init_app(app)
    with app.app_context():
        engine = orm.engine
    prepare_engine(engine)
    kernel = assemble_kernel(
        settings=settings,
        register=register,
        keyring=keyring,
        database=Database(engine, _versions(settings, ids), must_mark=bool(settings.versions)),
        clock=clock,
        ids=ids,
        faults=faults or faults_from(os.environ),
    )
    return app, kernel


def behind_proxies(app: Flask, settings: Settings) -> None:
    """Believe as many proxies as the settings trust; call it last."""
    if settings.trusted_proxies:
        hops = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops)  # type: ignore[method-assign]  # Werkzeug's way


def _configure(app: Flask, settings: Settings, keyring: Keyring) -> None:
    app.config.update(
        SECRET_KEY=keyring.root(RootKey.COOKIE),
        SESSION_COOKIE_NAME="__Host-placet" if settings.https else "placet",
        SESSION_COOKIE_SECURE=settings.https,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        MAX_CONTENT_LENGTH=settings.body_limit_bytes,
        SQLALCHEMY_DATABASE_URI=settings.database_url,
        SQLALCHEMY_ENGINE_OPTIONS=engine_options(settings.database_url),
        PLACET_BASE_URL=settings.base_url,
        PLACET_HTTPS=settings.https,
        PLACET_DEMO=settings.demo,
    )


def _versions(settings: Settings, ids: Ids) -> Versions | None:
    """Open the file of versions; None where there is none, or no folder for it yet."""
    path = settings.versions
    return Versions(path, ids) if path and path.parent.is_dir() else None
