"""What identity holds about a person, for the rights to access and to erasure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from sqlalchemy.orm import Session

from identity.accounts.attempts import Attempt, AttemptKind, Attempts
from identity.accounts.model import PRIVILEGED
from identity.accounts.service import Accounts
from identity.accounts.trail import OF_THE_ACCOUNT, trail
from identity.credentials.service import Passwords
from identity.mfa.passkeys import Passkeys
from identity.mfa.service import SecondFactor
from identity.risk.devices import Devices
from identity.risk.service import Risk
from identity.sessions.service import Sessions
from policies.vocabulary import EventTag, RetentionClass
from privacy.audit import store as audit_store
from privacy.audit.leaf import parse_leaf
from privacy.audit.log import AuditLog
from privacy.clock import Clock, rfc3339
from privacy.events import Json
from privacy.keys.blind_index import IdentifierKind
from privacy.keys.sealing import KeyDestroyed
from privacy.subjects.service import Subjects
from privacy.unit_of_work import UnitOfWork

_SIGN_INS: Final = {
    EventTag.SESSIONS_SIGN_IN_SUCCEEDED.value: "succeeded",
    EventTag.SESSIONS_SIGN_IN_FAILED.value: "failed",
}
_ROLES_OF_STAFF: Final = frozenset(role.value for role in PRIVILEGED)
#: What the operator's command line does as well, in the system's name.
_OF_OPERATORS: Final = frozenset(
    {EventTag.ACCOUNTS_ACCOUNT_DISABLED.value, EventTag.ACCOUNTS_ACCOUNT_ENABLED.value}
)
#: Who of us looked at the person's data at the desk, or at what was permitted with it.
_LOOKS: Final = (
    EventTag.SUBJECTS_SUBJECT_LOOKED_UP.value,
    EventTag.CONSENT_MOMENT_LOOKED_UP.value,
)


class AccountData:
    """A source of personal data, as `privacy.rights` asks for one."""

    name = "account"

    def __init__(
        self,
        *,
        clock: Clock,
        log: AuditLog,
        subjects: Subjects,
        accounts: Accounts,
        passwords: Passwords,
        second_factor: SecondFactor,
        passkeys: Passkeys,
        sessions: Sessions,
        attempts: Attempts,
        devices: Devices,
        risk: Risk,
    ) -> None:
        self._clock = clock
        self._log = log
        self._subjects = subjects
        self._accounts = accounts
        self._passwords = passwords
        self._second_factor = second_factor
        self._passkeys = passkeys
        self._sessions = sessions
        self._attempts = attempts
        self._devices = devices
        self._risk = risk

    def collect(self, session: Session, subject_id: str) -> Mapping[str, Json]:
        """Return account, addresses, sessions, sign-ins and what others did to the account.

        Source: GDPR Art. 15(1), (3).
        """
        account = self._accounts.of_subject(session, subject_id)
        held: dict[str, Json] = {
            "account": None,
            "addresses": list(self._subjects.emails(session, subject_id)),
            "passkeys": [],
            "sessions": [],
            "devices": [],
            "risk_assessments": [],
            "sign_ins": self._sign_ins(session, subject_id),
            "acts_of_staff": self._acts_of_staff(session, subject_id),
        }
        if account is None:
            return held
        account_id = account.account_id
        held["account"] = {
            "status": account.status.value,
            "role": account.role.value,
            "language": account.language,
            "created_at": rfc3339(account.created_at),
            "password_changed_at": _when(self._passwords.changed_at(session, account_id)),
            "second_factor_since": _when(self._second_factor.enrolled_at(session, account_id)),
        }
        held["passkeys"] = [
            {
                "name": passkey.name,
                "created_at": rfc3339(passkey.created_at),
                "last_used_at": _when(passkey.last_used_at),
                "synced": passkey.synced,
                "suspended_at": _when(passkey.flagged_at),
            }
            for passkey in self._passkeys.of_account(session, account_id)
        ]
        held["sessions"] = [
            {
                "began_at": rfc3339(found.created_at),
                "last_seen_at": rfc3339(found.last_seen_at),
                "browser": found.user_agent,
                "network": found.address,
                "methods": list(found.methods),
            }
            for found in self._sessions.of_account(session, account_id, now=self._clock())
        ]
        held["devices"] = [
            {
                "name": device.name,
                "network": device.network,
                "first_seen_at": rfc3339(device.first_seen_at),
                "last_seen_at": rfc3339(device.last_seen_at),
                "trusted_until": _when(device.trusted_until),
            }
            for device in self._devices.of_account(session, account_id)
        ]
        held["risk_assessments"] = self._risk.held_of(session, account_id)
        return held

    def erase(self, uow: UnitOfWork, subject_id: str) -> None:
        """Close the account, and with it password, second factor, sessions and counters; joins.

        The sign-ins of the log are of the security trail, which ends by its own term.
        Source: GDPR Art. 17(1).
        """
        attempts = self._attempts
        for address in self._subjects.emails(uow.session, subject_id):
            for kind in (AttemptKind.PASSWORD, AttemptKind.LETTER):
                attempts.forget(uow, attempts.of_email(kind, address))
            attempts.forget_tries(uow, address)
        identifiers = self._subjects.identifiers
        for number in identifiers.of(uow.session, subject_id, IdentifierKind.PHONE):
            digest = identifiers.index(number.identifier).hex()
            attempts.forget(uow, Attempt(AttemptKind.LETTER, digest))
        account = self._accounts.of_subject(uow.session, subject_id)
        if account is not None:
            for kind in (AttemptKind.OTP, AttemptKind.PASSWORD):
                attempts.forget(uow, attempts.of_account(kind, account.account_id))
            for device in self._devices.of_account(uow.session, account.account_id):
                attempts.forget(
                    uow,
                    attempts.of_device(device.device_id),
                    attempts.of_account(AttemptKind.OTP, device.device_id),
                )
            self._accounts.close(uow, account.account_id)

    def _acts_of_staff(self, session: Session, subject_id: str) -> list[Json]:
        """Return what somebody of ours did to the account, and why, and each look at the data.

        Who of us it was stays a role: colleagues have rights too. Source: GDPR Art. 15(1), 15(4);
        CJEU C-579/21 (Pankki S), 22 June 2023.
        """
        entries = [
            entry
            for held_under in self._subjects.ids(session, subject_id)
            for entry in reversed(
                trail(self._log, session, held_under, of=(*OF_THE_ACCOUNT, *_LOOKS)).entries
            )
        ]
        acts: list[Json] = []
        for entry in sorted(entries, key=lambda each: each.at):
            role = entry.actor.partition(":")[0]
            if role in _ROLES_OF_STAFF or entry.tag in _OF_OPERATORS:
                shown: dict[str, Json] = {"at": rfc3339(entry.at), "event": entry.tag, "by": role}
                said = {**entry.event, **entry.evidence}
                acts.append(shown | {k: said[k] for k in ("role", "cause", "reason") if k in said})
        return acts

    def _sign_ins(self, session: Session, subject_id: str) -> list[Json]:
        payloads = {
            payload.entry_id: payload
            for holder in self._subjects.ids(session, subject_id)
            for payload in audit_store.payloads_of(
                session, holder, [RetentionClass.SECURITY_TRAIL.value]
            )
        }
        found: list[tuple[str, Json]] = []
        for entry in audit_store.entries(session, list(payloads)):
            result = _SIGN_INS.get(parse_leaf(entry.leaf).type)
            if result is None:
                continue
            try:
                payload = self._log.disclose(session, payloads[entry.entry_id]).payload
            except KeyDestroyed:  # the trail has ended, and nothing of it can be read
                return []
            event, evidence = payload["event"], payload["evidence"]
            at = str(payload["at"])
            shown: dict[str, Json] = {"at": at, "result": result}
            if isinstance(event, dict) and "factor" in event:
                shown["failed_factor"] = event["factor"]
            if isinstance(evidence, dict):
                shown |= evidence
            found.append((at, shown))
        return [shown for _at, shown in sorted(found, key=lambda item: item[0])]


def _when(moment: datetime | None) -> str | None:
    return None if moment is None else rfc3339(moment)
