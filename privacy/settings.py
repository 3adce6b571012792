"""What a deployment may set, as validated values. Only `app.py` reads where they come from."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit


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
        argon2: cost of a password hash.
        session_idle_minutes: a browser session ends after this long without a request.
        session_absolute_hours: and after this long in any case (NIST SP 800-63B s. 2.2.3).
        trusted_proxies: how many proxies in front of us set X-Forwarded-For.
        body_limit_bytes: the largest request body that is read.
        threads: request threads per web process.
        workers: web processes.
    """

    base_url: str
    database_url: str
    instance: Path
    register: Path
    demo: bool = False
    mail: Mail = field(default_factory=Mail)
    argon2: Argon2 = field(default_factory=Argon2)
    session_idle_minutes: int = 60
    session_absolute_hours: int = 24
    trusted_proxies: int = 0
    body_limit_bytes: int = 256 * 1024
    threads: int = 4
    workers: int = 2

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
        bounds = {
            "PLACET_SESSION_IDLE_MINUTES": (self.session_idle_minutes, 1, 24 * 60),
            "PLACET_SESSION_ABSOLUTE_HOURS": (self.session_absolute_hours, 1, 24 * 30),
            "PLACET_TRUSTED_PROXIES": (self.trusted_proxies, 0, 8),
            "PLACET_BODY_LIMIT_BYTES": (self.body_limit_bytes, 1024, 64 * 1024 * 1024),
            "PLACET_THREADS": (self.threads, 1, 64),
            "PLACET_WORKERS": (self.workers, 1, 64),
            "PLACET_MAIL_PORT": (self.mail.port, 1, 65535),
            "PLACET_ARGON2_TIME_COST": (self.argon2.time_cost, 1, 64),
            "PLACET_ARGON2_MEMORY_KIB": (self.argon2.memory_kib, 8, 4 * 1024 * 1024),
            "PLACET_ARGON2_PARALLELISM": (self.argon2.parallelism, 1, 64),
        }
        for name, (value, least, most) in bounds.items():
            if not least <= value <= most:
                raise SettingsError(f"{name} must lie between {least} and {most}, not {value}")

    @property
    def https(self) -> bool:
        """Tell whether people reach us by https, and so cookies may be `__Host-` ones."""
        return self.base_url.startswith("https://")
