"""What a deployment may set, as validated values. Only `app.py` reads where they come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from privacy.outbound import Outbound

EXAMPLE_REGISTER = Path(__file__).resolve().parents[1] / "policies" / "register" / "example"
"""The register of an invented shop, which runs where the company has set none of its own."""


class SettingsError(Exception):
    """A setting is missing or wrong; the message names it and says what to do."""


@dataclass(frozen=True, slots=True)
class Mail:
    """Where mail goes out. Without a host, mail stays in the outbox and shows as failing."""

    host: str = "localhost"
    port: int = 25
    starttls: bool = False
    username: str = ""
    password: str = field(default="", repr=False)
    sender: str = "placet@localhost"


@dataclass(frozen=True, slots=True)
class Sms:
    """The operator's gateway for text messages; without an address none are sent."""

    url: str = ""
    token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Argon2:
    """Argon2id cost. Source: RFC 9106 s. 4; OWASP ASVS 5.0 11.4.2."""

    time_cost: int = 2
    memory_kib: int = 19_456
    parallelism: int = 1


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that differs between two deployments.

    Attributes:
        base_url: the address people and applications use, without a trailing slash.
        database_url: SQLAlchemy URL.
        instance: folder of this deployment: keys, database, demo mail.
        register: folder of the company's register.
        demo: shows mail at `/dev/mailbox`, allows TOTP for the DPO; never for real people.
        mail: the SMTP server.
        sms: the gateway for text messages.
        argon2: cost of a password hash.
        password_blocklist: the operator's own list of passwords that nobody may set, or None.
        password_range_url: a range service for leaked passwords; empty asks none.
        session_idle_minutes: a browser session ends after this long without a request.
        session_absolute_hours: and after this long in any case (NIST SP 800-63B s. 2.2.3).
        key_days: so long one key signs tokens.
        trusted_proxies: how many proxies in front of us set X-Forwarded-For.
        outbound_allow: hosts and networks of the operator's own that outbound calls may reach.
        providers: the file of outside providers that people may come from, or None.
        city_database: the operator's file of cities in MaxMind's format, or None.
        body_limit_bytes: the largest request body that is read.
        threads: request threads per web process.
        slow_bodies: bodies that come slowly are waited for beside those threads.
        workers: web processes.
        one_host: every process that opens this PostgreSQL database is on this host, so that what
            they remember can be confirmed in shared memory; on SQLite that is always so.
        decision_workers: processes that answer access evaluations alone.
    """

    base_url: str
    database_url: str
    instance: Path
    register: Path
    demo: bool = False
    mail: Mail = field(default_factory=Mail)
    sms: Sms = field(default_factory=Sms)
    argon2: Argon2 = field(default_factory=Argon2)
    password_blocklist: Path | None = None
    password_range_url: str = ""
    session_idle_minutes: int = 60
    session_absolute_hours: int = 24
    key_days: int = 90
    trusted_proxies: int = 0
    outbound_allow: tuple[str, ...] = ()
    providers: Path | None = None
    city_database: Path | None = None
    body_limit_bytes: int = 256 * 1024
    threads: int = 8
    slow_bodies: bool = False
    workers: int = 2
    one_host: bool = False
    decision_workers: int = 1

    def __post_init__(self) -> None:
        """Refuse what cannot work before a person meets it.

        Raises:
            SettingsError: names the setting.
        """
        parts = urlsplit(self.base_url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise SettingsError("PLACET_BASE_URL must be an http or https address")
        if parts.path or parts.query or parts.fragment or self.base_url.endswith("/"):
            raise SettingsError("PLACET_BASE_URL must be scheme, host and port alone")
        loopback = parts.hostname in {"localhost", "127.0.0.1", "::1"}
        if parts.scheme == "http" and not loopback:
            raise SettingsError("PLACET_BASE_URL must be https except on localhost")
        if self.demo and not loopback:
            raise SettingsError("PLACET_DEMO shows everybody's mail: only with a localhost address")
        if not self.database_url.startswith(("sqlite:///", "postgresql+psycopg://")):
            raise SettingsError(
                "PLACET_DATABASE_URL must begin with sqlite:/// or postgresql+psycopg://"
            )
        if self.sms.url:
            _demand_https("PLACET_SMS_URL", self.sms.url)
        if self.password_range_url:
            _demand_https("PLACET_PASSWORD_RANGE_URL", self.password_range_url)
        try:
            Outbound(self.outbound_allow)
        except ValueError as error:
            raise SettingsError(f"PLACET_OUTBOUND_ALLOW: {error}") from None
        bounds = {
            "PLACET_SESSION_IDLE_MINUTES": (self.session_idle_minutes, 1, 24 * 60),
            "PLACET_SESSION_ABSOLUTE_HOURS": (self.session_absolute_hours, 1, 24 * 30),
            "PLACET_KEY_DAYS": (self.key_days, 2, 3650),
            "PLACET_TRUSTED_PROXIES": (self.trusted_proxies, 0, 8),
            "PLACET_BODY_LIMIT_BYTES": (self.body_limit_bytes, 1024, 64 * 1024 * 1024),
            "PLACET_THREADS": (self.threads, 1, 64),
            "PLACET_WORKERS": (self.workers, 1, 64),
            "PLACET_DECISION_WORKERS": (self.decision_workers, 0, 64),
            "PLACET_MAIL_PORT": (self.mail.port, 1, 65535),
            "PLACET_ARGON2_TIME_COST": (self.argon2.time_cost, 1, 64),
            "PLACET_ARGON2_MEMORY_KIB": (self.argon2.memory_kib, 8, 4 * 1024 * 1024),
            "PLACET_ARGON2_PARALLELISM": (self.argon2.parallelism, 1, 64),
        }
        for name, (value, least, most) in bounds.items():
            if not least <= value <= most:
                raise SettingsError(f"{name} must lie between {least} and {most}, not {value}")

    @property
    def versions(self) -> Path | None:
        """Where processes of this host tell each other what changes; None: they may be on several."""
        scheme, _, file = self.database_url.partition(":///")
        if scheme == "sqlite":
            return Path(f"{file}-versions")
        return self.instance / "versions" if self.one_host else None

    @property
    def https(self) -> bool:
        """Tell whether people reach us by https, and so cookies may be `__Host-` ones."""
        return self.base_url.startswith("https://")


def _demand_https(name: str, url: str) -> None:
    """Refuse an address that is not https, but for this machine's own.

    Raises:
        SettingsError: names the setting.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise SettingsError(f"{name} must be an http or https address")
    if parts.scheme == "http" and parts.hostname not in {"localhost", "127.0.0.1", "::1"}:
        raise SettingsError(f"{name} must be https except on localhost")
    if parts.query or parts.fragment or parts.username is not None:
        raise SettingsError(f"{name} must be scheme, host, port and path alone")


def settings_from(values: Mapping[str, str], instance: Path, *, processors: int = 1) -> Settings:
    """Return settings from a flat mapping of `PLACET_*` names; every default stands here.

    Args:
        values: names as in the environment.
        instance: this deployment's folder.
        processors: of this machine.

    Raises:
        SettingsError: a name is unknown or a value is wrong; the message names it.
    """
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
    city_database = text("CITY_DATABASE", "")
    blocklist = text("PASSWORD_BLOCKLIST", "")
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
        sms=Sms(url=text("SMS_URL", ""), token=text("SMS_TOKEN", "")),
        argon2=Argon2(
            time_cost=number("ARGON2_TIME_COST", Argon2().time_cost),
            memory_kib=number("ARGON2_MEMORY_KIB", Argon2().memory_kib),
            parallelism=number("ARGON2_PARALLELISM", Argon2().parallelism),
        ),
        password_blocklist=Path(blocklist).resolve() if blocklist else None,
        password_range_url=text("PASSWORD_RANGE_URL", ""),
        session_idle_minutes=number("SESSION_IDLE_MINUTES", 60),
        session_absolute_hours=number("SESSION_ABSOLUTE_HOURS", 24),
        key_days=number("KEY_DAYS", 90),
        trusted_proxies=number("TRUSTED_PROXIES", 0),
        outbound_allow=tuple(text("OUTBOUND_ALLOW", "").replace(",", " ").split()),
        providers=_providers(text("PROVIDERS", ""), instance),
        city_database=Path(city_database).resolve() if city_database else None,
        body_limit_bytes=number("BODY_LIMIT_BYTES", 256 * 1024),
        threads=number("THREADS", 8),
        workers=number("WORKERS", min(max(processors, 2), 8)),
        slow_bodies=switch("SLOW_BODIES", default=False),
        one_host=switch("ONE_HOST", default=False),
        decision_workers=number("DECISION_WORKERS", 1),
    )
    if left:
        raise SettingsError(f"there is no setting {min(left)}; docs/operations.md lists them all")
    return settings


def _providers(given: str, instance: Path) -> Path | None:
    """Return the file that is named, or the instance's own where there is one."""
    own = instance / "providers.toml"
    if given:
        return Path(given).resolve()
    return own if own.is_file() else None
