"""What the worker does for rights: forget what nobody proved, and end what has had its term."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from privacy.batches import Batches
from privacy.rights.erasure import Eraser
from privacy.rights.service import Rights
from privacy.unit_of_work import Runtime

EVERY: Final = timedelta(minutes=1)


class Housekeeping(Batches):
    """A task of the worker's."""

    def __init__(self, runtime: Runtime, rights: Rights, eraser: Eraser) -> None:
        super().__init__(runtime, EVERY, rights.expire_unproved, eraser.end_terms)
