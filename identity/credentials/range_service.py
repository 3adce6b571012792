"""Asking a range service for leaked passwords without telling it which one is meant.

Only the first five hexadecimal digits of the password's SHA-1 leave us; the answer holds every leaked
password that shares them (k-anonymity), padded so that its length tells nothing. Where the service
does not answer the password is judged by the lists alone: a service that fails shuts nobody out.
"""

from __future__ import annotations

import hashlib
import http.client
import logging
import ssl
from collections.abc import Container
from datetime import datetime, timedelta
from threading import Lock
from time import monotonic
from typing import Final
from urllib.parse import SplitResult, urlsplit

from privacy.clock import Clock

TIMEOUT_SECONDS: Final = 2.0
MAX_BYTES: Final = 1024 * 1024
PREFIX_DIGITS: Final = 5

RESTED: Final = timedelta(seconds=30)
"""After a failure nobody waits for the service for so long."""

KEPT: Final = timedelta(hours=1)
"""An answer is used again for so long, so that a form sent twice asks once."""

MAX_KEPT: Final = 32
LOG_EVERY: Final = timedelta(minutes=1)

log = logging.getLogger("placet.passwords")


class RangeService(Container[str]):
    """A service that speaks the range protocol of Pwned Passwords.

    Attributes:
        failures: how often it did not answer as it should since the process began.
    """

    def __init__(self, url: str, clock: Clock, *, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._timeout_seconds = timeout_seconds
        self._url: SplitResult = urlsplit(url)
        self._clock = clock
        self._lock = Lock()
        self._kept: dict[str, tuple[datetime, frozenset[str]]] = {}
        self._rests_until: datetime | None = None
        self._logged_at: datetime | None = None
        self._unlogged = 0
        self.failures = 0

    def __contains__(self, password: object) -> bool:
        """Tell whether a password has leaked; False where the service does not tell. Takes seconds."""
        if not isinstance(password, str):
            return False
        sha1 = hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper()
        prefix, suffix = sha1[:PREFIX_DIGITS], sha1[PREFIX_DIGITS:]
        now = self._clock()
        with self._lock:
            found = self._kept.get(prefix)
            resting = self._rests_until is not None and now < self._rests_until
        if found is not None and now - found[0] < KEPT:
            return suffix in found[1]
        if resting:
            return False
        try:
            suffixes = self._ask(prefix)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._note_failure(error, now)
            return False
        with self._lock:
            self._kept.pop(prefix, None)
            if len(self._kept) >= MAX_KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[prefix] = now, suffixes
        return suffix in suffixes

    def _ask(self, prefix: str) -> frozenset[str]:
        body = self._get(f"{self._url.path.rstrip('/')}/{prefix}")
        pairs = (line.strip().partition(":") for line in body.decode("ascii").splitlines())
        return frozenset(suffix.upper() for suffix, _, count in pairs if count not in {"", "0"})

    def _get(self, path: str) -> bytes:
        """Return the body of a 200; follows no redirect and reads no proxy from the environment."""
        host, port = self._url.hostname or "", self._url.port
        connection = (
            http.client.HTTPSConnection(
                host, port, timeout=self._timeout_seconds, context=ssl.create_default_context()
            )
            if self._url.scheme == "https"
            else http.client.HTTPConnection(host, port, timeout=self._timeout_seconds)
        )
        deadline = monotonic() + self._timeout_seconds
        try:
            headers = {"Add-Padding": "true", "User-Agent": "placet", "Accept": "text/plain"}
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            if response.status != http.client.OK:
                raise OSError(f"status {response.status}")
            parts, size = list[bytes](), 0
            while part := response.read1(64 * 1024):
                parts.append(part)
                size += len(part)
                if size > MAX_BYTES:
                    raise OSError("the answer is too long")
                if monotonic() > deadline:
                    raise TimeoutError("the answer takes too long")
            return b"".join(parts)
        finally:
            connection.close()

    def _note_failure(self, error: Exception, now: datetime) -> None:
        """Count it, and say so at most once a minute; neither prefix nor address is written."""
        with self._lock:
            self.failures += 1
            self._unlogged += 1
            self._rests_until = now + RESTED
            if self._logged_at is not None and now - self._logged_at < LOG_EVERY:
                return
            count, self._unlogged, self._logged_at = self._unlogged, 0, now
        # An error's own text may name the path, and so the prefix.
        why = str(error) if type(error) in {OSError, TimeoutError} else type(error).__name__
        log.warning("the password range service failed %d times: %s", count, why)
