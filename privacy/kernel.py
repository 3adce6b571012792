"""What every capability stands on, put together: the two doors, keys, log, people and post."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from policies.register.model import Register
from privacy.audit.log import AuditLog
from privacy.audit.note import Verifier
from privacy.audit.sequencer import read_verifier
from privacy.clock import Clock
from privacy.database import Database
from privacy.faults import Faults
from privacy.ids import Ids
from privacy.keys.blind_index import BlindIndex
from privacy.keys.keyring import Keyring, RootKey
from privacy.keys.sealing import Sealer
from privacy.keys.signing import SigningKeys
from privacy.mail import Postbox
from privacy.outbound import Outbound
from privacy.outbox import Outbox
from privacy.pseudonyms.service import Pseudonyms
from privacy.settings import Settings
from privacy.subjects.service import Subjects
from privacy.unit_of_work import Runtime


@dataclass(frozen=True, slots=True)
class Kernel:
    """What an `assembly` wires its capability from; a service is handed what it needs by name."""

    settings: Settings
    register: Register
    runtime: Runtime
    keyring: Keyring
    sealer: Sealer
    log: AuditLog
    outbox: Outbox
    postbox: Postbox
    outbound: Outbound
    subjects: Subjects
    pseudonyms: Pseudonyms
    signing_keys: SigningKeys

    @property
    def base_url(self) -> str:
        """Return the address of this deployment, without a trailing slash."""
        return self.settings.base_url

    @property
    def time_zone(self) -> str:
        """Return the controller's time zone, an IANA name."""
        return self.register.controller.time_zone

    @property
    def keys_folder(self) -> Path:
        """Return where the key files are."""
        return self.settings.instance / "keys"

    def log_verifier(self) -> Verifier:
        """Return the log's public key, read anew: `set_up` writes it after the wiring."""
        return read_verifier(self.keys_folder)


def assemble(
    *,
    settings: Settings,
    register: Register,
    keyring: Keyring,
    database: Database,
    clock: Clock,
    ids: Ids,
    faults: Faults,
) -> Kernel:
    """Wire it.

    Args:
        settings: of the deployment.
        register: the company's own.
        keyring: with every root key there.
        database: its two doors.
        clock: gives the present instant, aware UTC.
        ids: the random source.
        faults: where tests let the process die.
    """
    sealer = Sealer(keyring, ids)
    log = AuditLog(sealer, keyring.root(RootKey.LOG_INTAKE))
    outbox = Outbox(sealer)
    subjects = Subjects(
        sealer,
        BlindIndex(keyring),
        region=register.controller.country,
        age_of_consent=register.controller.age_of_consent,
        time_zone=register.controller.time_zone,
    )
    return Kernel(
        settings=settings,
        register=register,
        runtime=Runtime(database=database, clock=clock, ids=ids, recorder=log, faults=faults),
        keyring=keyring,
        sealer=sealer,
        log=log,
        outbox=outbox,
        postbox=Postbox(outbox),
        outbound=Outbound(settings.outbound_allow),
        subjects=subjects,
        pseudonyms=Pseudonyms(keyring, subjects),
        signing_keys=SigningKeys(sealer, clock),
    )
