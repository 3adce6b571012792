"""Authenticated encryption of what rests in the database.

Sealed form, fixed for good (docs/decisions/0004): one version byte 0x01, a 12-byte nonce, then
AES-256-GCM ciphertext and tag. The associated data name the place the value belongs to, so a
value moved to another row, column or person does not open.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy.orm import Session

from policies.vocabulary import RetentionClass
from privacy.events import DEPLOYMENT
from privacy.ids import Ids
from privacy.keys import store
from privacy.keys.keyring import KEY_BYTES, KeyMissing, Keyring

__all__ = ["DEPLOYMENT", "KeyDestroyed", "SealBroken", "Sealer", "place"]

#: The columns of `store.DataKey`.
KeyRow = dict[str, object]

VERSION = b"\x01"
NONCE_BYTES = 12


class KeyDestroyed(Exception):
    """The key is gone, and with it what it sealed: that person's class of data was erased."""


class SealBroken(Exception):
    """The sealed value was altered, moved, or belongs to another key."""


@dataclass(frozen=True, slots=True)
class Rewrapped:
    """What a batch of re-wrapping did.

    Attributes:
        moved: so many keys are wrapped under the current epoch now.
        broken: (holder, class) of those that do not open under the epoch they name.
    """

    moved: int
    broken: set[tuple[str, str]]


def place(table: str, column: str, row: str) -> bytes:
    """Return the associated data of the value in `table.column` of `row`."""
    return f"{table}|{column}|{row}|1".encode()


class Sealer:
    """Seals and opens values under a holder's key for one retention class."""

    def __init__(self, keyring: Keyring, ids: Ids) -> None:
        self._keyring = keyring
        self._ids = ids

    def seal(
        self,
        session: Session,
        holder: str,
        retention: RetentionClass,
        where: bytes,
        plain: bytes,
        *,
        at: datetime,
    ) -> bytes:
        """Encrypt `plain`, making the holder's key where there is none yet.

        Args:
            session: the caller's transaction.
            holder: a subject id, or `DEPLOYMENT`.
            retention: which of the holder's keys.
            where: the associated data, from `place` or an entry id.
            plain: what to protect.
            at: now, the creation time of a new key.
        """
        # A person's key is held, so that an erasure waits for what is being sealed with it.
        key = self._key(session, holder, retention, hold=holder != DEPLOYMENT)
        if key is None:
            key = self._create(session, holder, retention, at)
        return self.seal_under(key, where, plain)

    def seal_under(self, key: bytes, where: bytes, plain: bytes) -> bytes:
        """As `seal`, under a key that the caller knows and holds."""
        nonce = self._ids.random_bytes(NONCE_BYTES)
        return VERSION + nonce + AESGCM(key).encrypt(nonce, plain, where)

    def new_key(
        self, holder: str, retention: RetentionClass, *, at: datetime
    ) -> tuple[bytes, KeyRow]:
        """Return a key for a holder who has none of this class, and its row of `store.DataKey`."""
        [made] = self._new_keys([holder], retention, at).values()
        return made

    def _new_keys(
        self, holders: Collection[str], retention: RetentionClass, at: datetime
    ) -> dict[str, tuple[bytes, KeyRow]]:
        epoch = self._keyring.current_epoch()
        return {
            holder: (
                plain := self._ids.random_bytes(KEY_BYTES),
                {
                    "holder": holder,
                    "retention": retention.value,
                    "epoch": epoch,
                    "wrapped": self._wrap(holder, retention.value, epoch, plain),
                    "created_at": at,
                },
            )
            for holder in holders
        }

    def unwrap(self, holder: str, retention: str, epoch: int, wrapped: bytes) -> bytes:
        """Return a holder's key, as `store.DataKey` keeps it.

        Raises:
            SealBroken: it was altered or belongs elsewhere.
        """
        where = place("data_key", f"{retention}@{epoch}", holder)
        nonce, body = wrapped[1 : 1 + NONCE_BYTES], wrapped[1 + NONCE_BYTES :]
        try:
            return AESGCM(self._keyring.kek(epoch)).decrypt(nonce, body, where)
        except InvalidTag:
            raise SealBroken("a wrapped key was altered or moved") from None

    def make_ready(
        self,
        session: Session,
        holders: Collection[str],
        retention: RetentionClass,
        *,
        at: datetime,
    ) -> None:
        """Hold the keys of many for one class at once, making those that are missing.

        What `seal` does for each of them then costs no question. Holders are taken in one order,
        so that two who make ready the same ones never wait in a ring.

        Args:
            session: the caller's transaction.
            holders: subject ids, or `DEPLOYMENT`.
            retention: which of their keys.
            at: now, the creation time of new keys.
        """
        self.keys_of(session, holders, retention, at=at)

    def keys_of(
        self,
        session: Session,
        holders: Collection[str],
        retention: RetentionClass,
        *,
        at: datetime,
    ) -> dict[str, bytes]:
        """As `make_ready`, and return the keys, for `seal_under`."""
        opened = self._opened(session)
        wanted = sorted(each for each in holders if (each, retention, True) not in opened)
        found = store.find_many(session, wanted, retention)
        missing = [each for each in wanted if each not in found]
        if missing:
            made = self._new_keys(missing, retention, at).values()
            store.add_many(session, [row for _plain, row in made])
            # Another transaction may have made one at the same moment: what stands is what counts.
            found |= store.find_many(session, missing, retention)
        for each in wanted:
            opened[each, retention, True] = self._unwrap(found[each])
        return {each: opened[each, retention, True] for each in holders}

    def make_new(
        self,
        session: Session,
        holders: Collection[str],
        retention: RetentionClass,
        *,
        at: datetime,
    ) -> dict[str, bytes]:
        """As `make_ready`, for holders whom this transaction made and who have no key of the class.

        Returns:
            Their keys, for `seal_under`.
        """
        made = self._new_keys(holders, retention, at)
        store.add_new(session, [row for _plain, row in made.values()])
        keys = {holder: plain for holder, (plain, _row) in made.items()}
        self._opened(session).update({(each, retention, True): keys[each] for each in keys})
        return keys

    def look_up(self, session: Session, wanted: Collection[tuple[str, RetentionClass]]) -> None:
        """Read the keys of many holders and classes at once, for what `open` opens next.

        Those before them are forgotten: whoever opens everything would come to hold every key. One
        that cannot be unwrapped is left out, and `open` says so.
        """
        opened = self._opened(session)
        opened.clear()
        for retention in {retention for _holder, retention in wanted}:
            holders = sorted({holder for holder, of_class in wanted if of_class is retention})
            found = store.find_many(session, holders, retention, hold=False)
            for holder, row in found.items():
                with suppress(SealBroken, KeyMissing):
                    opened[holder, retention, False] = self._unwrap(row)

    def open(
        self, session: Session, holder: str, retention: RetentionClass, where: bytes, sealed: bytes
    ) -> bytes:
        """Decrypt what `seal` made for the same place.

        Raises:
            KeyDestroyed: the holder's key no longer exists.
            SealBroken: the value does not belong here or was altered.
        """
        key = self._key(session, holder, retention)
        if key is None:
            raise KeyDestroyed(retention.value)
        if sealed[:1] != VERSION:
            raise SealBroken("unknown version")
        nonce, body = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
        try:
            return AESGCM(key).decrypt(nonce, body, where)
        except (InvalidTag, ValueError):
            raise SealBroken("the value was altered or moved") from None

    def destroy(self, session: Session, holder: str, retention: RetentionClass) -> bool:
        """Destroy the holder's key for one class; tell whether there was one.

        Joins the caller's transaction; the caller records the erasure.
        """
        for held in (True, False):
            self._opened(session).pop((holder, retention, held), None)
        return store.delete(session, holder, retention)

    def rewrap(
        self, session: Session, limit: int, *, passing: Collection[tuple[str, str]] = ()
    ) -> Rewrapped:
        """Wrap up to `limit` data keys of older epochs under the current one.

        Joins the caller's transaction. Keys that somebody is about to delete are left alone.

        Args:
            session: the caller's transaction.
            limit: at most so many.
            passing: (holder, class) of keys to leave alone, known not to open.
        """
        *older, epoch = self._keyring.epochs()
        moved: list[KeyRow] = []
        broken: set[tuple[str, str]] = set()
        for row in store.of_epochs(session, older, limit + len(passing)):
            if (row.holder, row.retention) in passing:
                continue
            try:
                plain = self._unwrap(row)
            except SealBroken:
                broken.add((row.holder, row.retention))
                continue
            wrapped = self._wrap(row.holder, row.retention, epoch, plain)
            moved.append(
                {
                    "of_holder": row.holder,
                    "of_retention": row.retention,
                    "epoch": epoch,
                    "wrapped": wrapped,
                }
            )
        if moved:
            store.move(session, moved)
        return Rewrapped(len(moved), broken)

    @staticmethod
    def _opened(session: Session) -> dict[tuple[str, RetentionClass, bool], bytes]:
        """Return this session's unwrapped keys by holder, class and whether they are held.

        No longer-lived cache may outlive an erasure.
        """
        opened: dict[tuple[str, RetentionClass, bool], bytes]
        opened = session.info.setdefault("data_keys", {})
        return opened

    def _key(
        self, session: Session, holder: str, retention: RetentionClass, *, hold: bool = False
    ) -> bytes | None:
        opened = self._opened(session)
        for held in (True, hold):
            if (holder, retention, held) in opened:
                return opened[holder, retention, held]
        row = store.find(session, holder, retention, hold=hold)
        if row is None:
            return None
        opened[holder, retention, hold] = self._unwrap(row)
        return opened[holder, retention, hold]

    def _create(
        self, session: Session, holder: str, retention: RetentionClass, at: datetime
    ) -> bytes:
        plain, made = self.new_key(holder, retention, at=at)
        if not store.add_many(session, [made]):  # made by another request at the same moment
            other = self._key(session, holder, retention, hold=holder != DEPLOYMENT)
            if other is not None:
                return other
            raise KeyDestroyed(retention.value)
        self._opened(session)[holder, retention, True] = plain
        return plain

    def _wrap(self, holder: str, retention: str, epoch: int, plain: bytes) -> bytes:
        nonce = self._ids.random_bytes(NONCE_BYTES)
        where = place("data_key", f"{retention}@{epoch}", holder)
        return VERSION + nonce + AESGCM(self._keyring.kek(epoch)).encrypt(nonce, plain, where)

    def _unwrap(self, key: store.DataKey | sa.Row[Any]) -> bytes:
        return self.unwrap(key.holder, key.retention, key.epoch, key.wrapped)
