"""`placet keys epoch`: the keys that wrap people's data keys."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from privacy.clock import rfc3339
from privacy.events import Json
from privacy.keys.epochs import Epoch, EpochRefused, Epochs
from privacy.keys.keyring import KeyMissing

LEFT_OVER = 1

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@contextmanager
def _refusals_told() -> Iterator[None]:
    try:
        yield
    except (EpochRefused, KeyMissing) as error:
        raise click.ClickException(str(error)) from None


def group(deployment: Callable[[], Epochs]) -> click.Group:
    """Return the commands; `deployment` is called when one runs."""

    @click.group()
    def epoch() -> None:
        """Keys that wrap people's data keys, and so bound what a backup opens.

        Whoever is erased loses their data keys in the database at once. A backup from before holds
        them still, wrapped under the epoch of that time, and opens while that epoch's file exists.
        Now and then: `rotate`, `rewrap`, make a backup; once the older backups are wanted no more,
        `destroy` the old epoch. docs/operations.md.
        """

    @epoch.command("list")
    @as_json
    def list_(*, as_json: bool) -> None:
        """List every epoch: since when, how many data keys it wraps, which is current.

        "missing": its key is destroyed, and data keys are wrapped under it all the same, because an
        older backup was put back. What they seal opens no more.
        """
        with _refusals_told():
            found = deployment().all()
        if as_json:
            click.echo(json.dumps([_told(each) for each in found], indent=2))
            return
        for each in found:
            since = f"since {rfc3339(each.since)}" if each.since else "no key file"
            click.echo(f"{each.number}  {each.state:8}  {since}, data keys: {each.data_keys}")

    @epoch.command()
    @as_json
    def rotate(*, as_json: bool) -> None:
        """Begin a new epoch: new data keys are wrapped under it from now on.

        Do it regularly, say every three months, and whenever a copy of the key files may be in
        other hands. Processes that run use the new epoch from their next key on; none has to be
        started again. Copy the new key file where you keep the others, apart from the backups of
        the database: a backup made from now on needs it. Older backups open as before.
        """
        with _refusals_told():
            number = deployment().begin()
        if as_json:
            click.echo(json.dumps({"epoch": number}))
            return
        click.echo(
            f"epoch {number} has begun; copy its key file where you keep the others."
            " Next: placet keys epoch rewrap"
        )

    @epoch.command()
    @as_json
    def rewrap(*, as_json: bool) -> None:
        """Wrap the data keys of older epochs under the current one.

        Do it after `rotate`. It may be broken off at any moment: what was moved stays moved, and
        the same command goes on. Everything keeps running meanwhile, and nothing is sealed anew.
        Make a backup afterwards: it is the first that opens without the old epochs. Earlier ones
        need them still. Exit code 1: some are left; the same command tries them again.
        """
        with _refusals_told():
            epochs = deployment()
            with click.progressbar(
                length=epochs.left(), label="wrapping data keys", file=sys.stderr
            ) as bar:
                done = epochs.rewrap(bar.update)
        if as_json:
            told = {"moved": done.moved, "left": done.left, "broken": done.broken}
            click.echo(json.dumps(told, indent=2))
        else:
            click.echo(f"moved: {done.moved}, left: {done.left}")
        if done.broken:
            click.echo(
                f"{done.broken} of them were altered or moved and open under no key;"
                " put them back from a backup",
                err=True,
            )
        raise SystemExit(LEFT_OVER if done.left else 0)

    @epoch.command()
    @click.argument("number", metavar="EPOCH", type=int)
    @click.option("--yes", is_flag=True, help="Do not ask.")
    def destroy(number: int, *, yes: bool) -> None:
        """Destroy the key of EPOCH for good.

        Do it when the last backup from before the end of `rewrap` is wanted no more: whatever copy
        of one is left somewhere then opens for nobody, you included, and with it what it holds of
        people who were erased since. Copies of the key file itself, in a backup of the instance
        folder for instance, you have to destroy yourself. Refused for the current epoch, until ten
        minutes after the next began, and while a data key of the database is wrapped under it.
        Afterwards start the processes again: those that have used the key hold it in memory.
        """
        with _refusals_told():
            epochs = deployment()
            epochs.demand_idle(number)
            if not yes:
                click.confirm(
                    f"Backups from before the end of the re-wrapping will open no more."
                    f" Destroy the key of epoch {number}?",
                    abort=True,
                )
            epochs.destroy(number)
        click.echo(
            f"epoch {number} is destroyed. Destroy the copies of its file that you keep, and start"
            " the processes again: those that have used it hold it in memory."
        )

    return epoch


def _told(epoch: Epoch) -> dict[str, Json]:
    return {
        "epoch": epoch.number,
        "state": epoch.state.value,
        "since": rfc3339(epoch.since) if epoch.since else None,
        "data_keys": epoch.data_keys,
    }
