"""Argon2id. Slow on purpose: call it while no transaction is open."""

from __future__ import annotations

import base64
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from policies import passwords
from policies.errors import InvalidInput
from privacy.ids import Ids
from privacy.settings import Argon2

SALT_BYTES: Final = 16
HASH_BYTES: Final = 32


class Hasher:
    """Makes and checks password hashes at the configured cost. Source: RFC 9106."""

    def __init__(self, cost: Argon2, ids: Ids) -> None:
        self._ids = ids
        self._argon2 = PasswordHasher(
            time_cost=cost.time_cost,
            memory_cost=cost.memory_kib,
            parallelism=cost.parallelism,
            hash_len=HASH_BYTES,
            salt_len=SALT_BYTES,
        )
        # A hash of nothing anybody knows, at the same cost, for those who have no account.
        parts = (_b64(ids.random_bytes(SALT_BYTES)), _b64(ids.random_bytes(HASH_BYTES)))
        self._nobodys = (
            f"$argon2id$v=19$m={cost.memory_kib},t={cost.time_cost},p={cost.parallelism}"
            f"${parts[0]}${parts[1]}"
        )

    def hash(self, password: str) -> str:
        """Return the encoded hash of a password, at most 200 characters."""
        salt = self._ids.random_bytes(SALT_BYTES)
        return self._argon2.hash(passwords.normalise(password), salt=salt)

    def matches(self, encoded: str | None, password: str) -> bool:
        """Tell whether the password is the one; without a hash it takes as long and is False.

        A password that could never have been set is not even hashed, for anybody.
        Source: OWASP ASVS 5.0 6.3.8.
        """
        if passwords.is_too_long(password):
            return False
        try:
            normal = passwords.normalise(password)
        except InvalidInput:
            return False
        try:
            self._argon2.verify(encoded or self._nobodys, normal)
        except (VerificationError, InvalidHashError):
            return False
        return encoded is not None

    def is_outdated(self, encoded: str) -> bool:
        """Tell whether a hash was made at another cost than is set now."""
        return self._argon2.check_needs_rehash(encoded)


def _b64(value: bytes) -> str:
    return base64.b64encode(value).rstrip(b"=").decode()
