"""The composition root: settings, clock, randomness, wiring and the command line.

The only module that reads the environment, the clock and the random source. Nobody imports it.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import click
from flask import Flask, request
from werkzeug.middleware.proxy_fix import ProxyFix

import serving
from policies.register.loader import load as load_register
from policies.register.model import Register
from privacy.actor import SYSTEM
from privacy.audit.log import AuditLog
from privacy.audit.sequencer import Sequencer, create_log_key, read_signer
from privacy.clock import Clock
from privacy.database import Database, engine_options, migrate, orm, prepare_engine
from privacy.faults import FAULT_POINTS, Faults, NoFaults
from privacy.http import current_actor, init_http
from privacy.ids import Ids
from privacy.keys.blind_index import BlindIndex
from privacy.keys.keyring import Keyring, RootKey
from privacy.keys.sealing import Sealer
from privacy.keys.signing import KeyUse, SigningKeys
from privacy.languages import init_languages
from privacy.mail import KIND as MAIL
from privacy.mail import Postbox, folder_transport, letter_sender, smtp_transport
from privacy.outbox import Outbox
from privacy.pseudonyms import api as pseudonyms_api
from privacy.pseudonyms.service import Pseudonyms
from privacy.settings import Argon2, Mail, Settings, SettingsError
from privacy.subjects.service import Subjects
from privacy.unit_of_work import Runtime

ROOT = Path(__file__).resolve().parent
EXAMPLE_REGISTER = ROOT / "policies" / "register" / "example"
WORKER_PAUSE_SECONDS = 0.2

log = logging.getLogger("placet")


class SystemIds:
    """The operating system's random source."""

    def random_bytes(self, count: int) -> bytes:
        """Return `count` bytes from the kernel."""
        return os.urandom(count)


def system_clock() -> datetime:
    """Return the present instant, aware UTC."""
    return datetime.now(UTC)


class KillAt:
    """Ends this process by SIGKILL at the n-th time a fault point is reached; tests alone set it.

    `commit:inside` dies while the database's own commit runs: a timer pulls the trigger.
    """

    def __init__(self, point: str, after: int) -> None:
        self._point = point
        self._left = after
        self._lock = threading.Lock()

    def reach(self, point: str) -> None:
        """Count, and die when it is time."""
        if point != self._point:
            return
        with self._lock:
            self._left -= 1
            if self._left != 0:
                return
        if point == "commit:inside":
            threading.Timer(0.0001, os.kill, (os.getpid(), signal.SIGKILL)).start()
        else:
            os.kill(os.getpid(), signal.SIGKILL)


def faults_from(environ: Mapping[str, str]) -> Faults:
    """Return what `PLACET_FAULT=<point>@<count>` asks for; nothing in ordinary life."""
    wanted = environ.get("PLACET_FAULT")
    if not wanted:
        return NoFaults()
    point, _, count = wanted.partition("@")
    if point not in FAULT_POINTS:
        raise SettingsError(f"PLACET_FAULT names no fault point: {point}")
    return KillAt(point, int(count or "1"))


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
    return settings_from(values, instance)


def settings_from(values: Mapping[str, str], instance: Path) -> Settings:
    """Return settings from a flat mapping of `PLACET_*` names; every default stands here."""
    left = dict(values)

    def text(name: str, default: str) -> str:
        return left.pop(f"PLACET_{name}", default)

    def number(name: str, default: int) -> int:
        given = text(name, str(default))
        try:
            return int(given)
        except ValueError:
            raise SettingsError(f"PLACET_{name} must be a whole number, not {given!r}") from None

    def switch(name: str, *, default: bool) -> bool:
        given = text(name, "true" if default else "false").lower()
        if given not in {"true", "false", "1", "0"}:
            raise SettingsError(f"PLACET_{name} must be true or false, not {given!r}")
        return given in {"true", "1"}

    for handled_elsewhere in ("PLACET_INSTANCE", "PLACET_FAULT"):
        left.pop(handled_elsewhere, None)
    base_url = text("BASE_URL", "http://localhost:8000")
    settings = Settings(
        base_url=base_url,
        database_url=text("DATABASE_URL", f"sqlite:///{instance / 'placet.sqlite3'}"),
        instance=instance,
        register=Path(text("REGISTER", str(EXAMPLE_REGISTER))).resolve(),
        demo=switch("DEMO", default=False),
        mail=Mail(
            host=text("MAIL_HOST", "localhost"),
            port=number("MAIL_PORT", 25),
            starttls=switch("MAIL_STARTTLS", default=False),
            username=text("MAIL_USERNAME", ""),
            password=text("MAIL_PASSWORD", ""),
            sender=text("MAIL_SENDER", f"placet@{urlsplit(base_url).hostname}"),
        ),
        argon2=Argon2(
            time_cost=number("ARGON2_TIME_COST", Argon2().time_cost),
            memory_kib=number("ARGON2_MEMORY_KIB", Argon2().memory_kib),
            parallelism=number("ARGON2_PARALLELISM", Argon2().parallelism),
        ),
        session_idle_minutes=number("SESSION_IDLE_MINUTES", 60),
        session_absolute_hours=number("SESSION_ABSOLUTE_HOURS", 24),
        trusted_proxies=number("TRUSTED_PROXIES", 0),
        body_limit_bytes=number("BODY_LIMIT_BYTES", 256 * 1024),
        threads=number("THREADS", 4),
        workers=number("WORKERS", 2),
    )
    if left:
        raise SettingsError(f"there is no setting {min(left)}; docs/operations.md lists them all")
    return settings


@dataclass(frozen=True, slots=True)
class Placet:
    """Everything that was wired, for commands and tests."""

    settings: Settings
    register: Register
    runtime: Runtime
    keyring: Keyring
    sealer: Sealer
    log: AuditLog
    outbox: Outbox
    postbox: Postbox
    subjects: Subjects
    pseudonyms: Pseudonyms
    signing_keys: SigningKeys

    @property
    def keys_folder(self) -> Path:
        """Where the key files are."""
        return self.settings.instance / "keys"

    def sequencer(self) -> Sequencer:
        """Return the log's sequencer; reads the log's signing key, so only the worker calls it."""
        return Sequencer(self.runtime, self.log, read_signer(self.keys_folder))


def create_app(
    settings: Settings | None = None,
    clock: Clock = system_clock,
    ids: Ids | None = None,
    faults: Faults | None = None,
) -> Flask:
    """Wire a deployment and return its WSGI application.

    Args:
        settings: None reads them from the environment.
        clock: gives the present instant, aware UTC.
        ids: the random source.
        faults: where tests let the process die.

    Raises:
        SettingsError: a setting is wrong.
        RegisterError: the register is wrong; names every file, entry and field.
    """
    settings = settings or read_settings(os.environ)
    ids = ids or SystemIds()
    faults = faults or faults_from(os.environ)
    register = load_register(settings.register)
    keyring = Keyring(settings.instance / "keys")
    keyring.create_missing(ids)

    app = Flask(__name__, template_folder="templates", static_folder="static")
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
    if settings.trusted_proxies:
        hops = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops)  # type: ignore[method-assign]
    orm.init_app(app)
    with app.app_context():
        engine = orm.engine
    prepare_engine(engine)

    sealer = Sealer(keyring, ids)
    audit_log = AuditLog(sealer, keyring.root(RootKey.LOG_INTAKE))
    runtime = Runtime(
        database=Database(engine), clock=clock, ids=ids, recorder=audit_log, faults=faults
    )
    outbox = Outbox(sealer)
    subjects = Subjects(sealer, BlindIndex(keyring))
    placet = Placet(
        settings=settings,
        register=register,
        runtime=runtime,
        keyring=keyring,
        sealer=sealer,
        log=audit_log,
        outbox=outbox,
        postbox=Postbox(outbox),
        subjects=subjects,
        pseudonyms=Pseudonyms(keyring, subjects),
        signing_keys=SigningKeys(sealer),
    )
    app.extensions["placet"] = placet
    transport = (
        folder_transport(settings.instance / "mailbox", clock, ids)
        if settings.demo
        else smtp_transport(settings.mail)
    )
    outbox.deliver_with(MAIL, letter_sender(app, settings.mail.sender, transport, clock))

    init_languages(app, register.controller.time_zone)
    init_http(app)
    _add_routes(app, placet)
    _add_template_values(app, placet)
    return app


def _add_routes(app: Flask, placet: Placet) -> None:
    app.register_blueprint(pseudonyms_api.blueprint(placet.runtime, placet.pseudonyms))


def _add_template_values(app: Flask, placet: Placet) -> None:
    @app.context_processor
    def values() -> dict[str, object]:
        from flask_babel import get_locale  # noqa: PLC0415 - bound to the request

        return {
            "locale": str(get_locale() or "es"),
            "actor": current_actor(),
            "controller_name": placet.register.controller.name,
            "demo": placet.settings.demo,
            "current_path": request.path if request else "/",
        }


def set_up(app: Flask) -> None:
    """Bring a deployment to where it can serve: database, keys, first log entry. Idempotent."""
    placet: Placet = app.extensions["placet"]
    migrate(placet.settings.database_url)
    origin = f"{urlsplit(placet.settings.base_url).netloc}/audit"
    create_log_key(placet.keys_folder, origin, placet.runtime.ids)
    with placet.runtime.unit_of_work(SYSTEM) as uow:
        for use in KeyUse:
            placet.signing_keys.ensure(uow, use)
        uow.commit()


def _app() -> Flask:
    try:
        return create_app()
    except SettingsError as error:
        raise click.ClickException(str(error)) from None


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Placet: consent and privacy governance."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    logging.getLogger("alembic").setLevel(logging.WARNING)


@main.command()
def setup() -> None:
    """Create keys and database where they are missing, and bring the database up to date."""
    set_up(_app())
    click.echo("ready")


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8000, show_default=True, help="Port to listen on.")
def serve(host: str, port: int) -> None:
    """Run the web server and the worker until SIGTERM or Ctrl-C."""
    app = _app()
    set_up(app)
    stop = serving.Stop()
    stop.listen()
    commands = [serving.web_command(app.extensions["placet"].settings, host, port)]
    commands.append(serving.worker_command())
    raise SystemExit(serving.supervise(commands, stop, lambda: None))


@main.command()
def worker() -> None:
    """Run the worker alone: places log entries, signs checkpoints, sends mail."""
    app = _app()
    placet: Placet = app.extensions["placet"]
    sequencer = placet.sequencer()
    stop = serving.Stop()
    stop.listen()
    with app.app_context():
        serving.work(
            {
                "sequencer": sequencer.run_once,
                "outbox": lambda: placet.outbox.deliver_due(placet.runtime),
            },
            stop,
            WORKER_PAUSE_SECONDS,
        )


if __name__ == "__main__":
    main()
