"""The command line `placet`: processes, set-up, and the commands of every capability."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol

import click
from flask import Flask
from sqlalchemy.exc import OperationalError

import demo
import serving
from deployment import Placet, begin_to_remember, set_up, worker_tasks
from identity.accounts import commands as accounts_commands
from identity.accounts.service import Accounts
from identity.administration import commands as administration_commands
from identity.administration.service import Administration
from identity.provider import commands as provider_commands
from identity.provider.clients import Clients
from privacy.actor import SYSTEM
from privacy.audit import commands as audit_commands
from privacy.clock import Clock
from privacy.consent import commands as consent_commands
from privacy.consent import exclusion_commands
from privacy.consent import import_commands as consent_import_commands
from privacy.consent.exclusions import Exclusions
from privacy.consent.exports import ConsentExports
from privacy.decisions import commands as decisions_commands
from privacy.decisions import whatif_commands
from privacy.decisions.past import PastDecisions
from privacy.faults import Faults, NoFaults, faults_from
from privacy.keys import commands as keys_commands
from privacy.keys import epoch_commands
from privacy.keys.epochs import Epochs
from privacy.keys.signing import SigningKeys
from privacy.rights.commands import deadline
from privacy.settings import Settings, SettingsError
from privacy.unit_of_work import Runtime

WORKER_PAUSE_SECONDS: Final = 0.2


class CreateApp(Protocol):
    """The composition root's `create_app`."""

    def __call__(self, settings: Settings, *, faults: Faults) -> Flask:
        """Wire a deployment."""
        ...


@dataclass(frozen=True, slots=True)
class Root:
    """What the commands are given by the composition root.

    Attributes:
        environ: the environment, as it is when a command runs.
        clock: gives the present instant, aware UTC.
        read_settings: the settings that an environment names.
        create_app: wires a deployment.
    """

    environ: Mapping[str, str]
    clock: Clock
    read_settings: Callable[[Mapping[str, str]], Settings]
    create_app: CreateApp

    def app(self, environ: Mapping[str, str] | None = None, faults: Faults | None = None) -> Flask:
        """Return the deployment of an environment, ours if none is named, for a command."""
        try:
            settings = self.read_settings(self.environ if environ is None else environ)
            return self.create_app(settings, faults=faults or NoFaults())
        except SettingsError as error:
            raise click.ClickException(str(error)) from None

    def placet(self, faults: Faults | None = None) -> Placet:
        """Return the services of our deployment."""
        placet: Placet = self.app(faults=faults).extensions["placet"]
        return placet


def group(root: Root) -> click.Group:
    """Return `placet`."""

    @click.group(context_settings={"help_option_names": ["-h", "--help"]})
    def main() -> None:
        """Placet: consent and privacy governance."""
        logging.basicConfig(
            level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s"
        )
        logging.getLogger("alembic").setLevel(logging.WARNING)

    _add_processes(main, root)
    _add_demo(main, root)
    _add_capabilities(main, root)
    return main


@contextmanager
def _database_at_hand() -> Iterator[None]:
    """Say in a line that the database cannot be used."""
    try:
        yield
    except OperationalError as error:
        said = f"the database cannot be used: {error.orig}"
        raise click.ClickException(f"{said}\nPLACET_DATABASE_URL names it.") from None


def _add_processes(main: click.Group, root: Root) -> None:
    @main.command()
    def setup() -> None:
        """Create keys and database where they are missing, and bring the database up to date."""
        with _database_at_hand():
            set_up(root.app())
        click.echo("ready")

    @main.command()
    @click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
    @click.option("--port", default=8000, show_default=True, help="Port to listen on.")
    @click.option(
        "--decisions-port",
        type=int,
        help="Port of the processes that answer access evaluations alone; the next one if not "
        "said, 0 for none.",
    )
    def serve(host: str, port: int, decisions_port: int | None) -> None:
        """Run the web server, the decision workers and the worker until SIGTERM or Ctrl-C."""
        app = root.app()
        placet: Placet = app.extensions["placet"]
        with _database_at_hand():
            set_up(app)
            begin_to_remember(placet)
        stop = serving.Stop()
        stop.listen()
        decisions_port = port + 1 if decisions_port is None else decisions_port
        commands = [serving.web_command(placet.settings, host, port), serving.worker_command()]
        if decisions_port and placet.settings.decision_workers:
            commands.append(serving.decisions_command(placet.settings, host, decisions_port))
        raise SystemExit(serving.supervise(commands, stop))

    @main.command()
    def worker() -> None:
        """Run the worker alone: places log entries, signs checkpoints, sends mail."""
        app = root.app(faults=faults_from(root.environ, worker=True))
        placet: Placet = app.extensions["placet"]
        tasks = worker_tasks(placet)
        stop = serving.Stop()
        stop.listen()
        with app.app_context():
            serving.work(tasks, stop, WORKER_PAUSE_SECONDS)


def _add_demo(main: click.Group, root: Root) -> None:
    @main.command("demo")
    @click.option("--port", default=8000, show_default=True, help="Placet's port.")
    @click.option("--shop-port", default=8001, show_default=True, help="The shop's port.")
    def demo_(port: int, shop_port: int) -> None:
        """Run Placet and the example shop on this machine, to be tried, until Ctrl-C."""
        try:
            environment = demo.environment(root.read_settings(root.environ), root.environ, port)
            demo.demand_free(port, "--port")
            demo.demand_free(shop_port, "--shop-port")
        except (SettingsError, demo.DemoRefused) as error:
            raise click.ClickException(str(error)) from None
        stop = serving.Stop()
        stop.listen()
        app = root.app(environment)
        set_up(app)
        placet: Placet = app.extensions["placet"]
        instance, base_url = placet.settings.instance, placet.settings.base_url
        shop_url = f"http://localhost:{shop_port}"
        shop = demo.open_shop(placet.runtime, placet.clients, instance, shop_url)
        environment |= shop.environment(issuer=base_url, url=shop_url, instance=instance)
        invitation = demo.invite_first_dpo(placet.runtime, base_url)
        placet.runtime.database.engine.dispose()

        def announce() -> bool:
            if not (demo.answers(f"{base_url}/healthz") and demo.answers(shop_url)):
                return False
            click.echo(demo.welcome(base_url, shop_url, invitation))
            return True

        commands = [
            serving.web_command(placet.settings, "127.0.0.1", port),
            serving.worker_command(),
            demo.shop_command(shop_port),
        ]
        code = serving.supervise(commands, stop, environment=environment, announce=announce)
        raise SystemExit(code)


def _add_capabilities(main: click.Group, root: Root) -> None:
    def audited() -> audit_commands.Deployment:
        placet = root.placet()
        return audit_commands.Deployment(
            runtime=placet.runtime,
            log=placet.log,
            keys_folder=placet.keys_folder,
            kept_checkpoint=placet.kept_checkpoint,
            cross_checks=placet.cross_checks,
        )

    def bulk() -> consent_import_commands.Bulk:
        placet = root.placet(faults_from(root.environ))
        return consent_import_commands.Bulk(
            placet.imports, ConsentExports(placet.runtime), root.clock
        )

    def exclusions() -> tuple[Runtime, Exclusions]:
        placet = root.placet()
        return placet.runtime, placet.people.exclusions

    def clients() -> tuple[Runtime, Clients, provider_commands.Results]:
        placet = root.placet()
        return placet.runtime, placet.clients, placet.logouts.results

    def signing_keys() -> tuple[Runtime, SigningKeys]:
        placet = root.placet()
        return placet.runtime, placet.signing_keys

    def epochs() -> Epochs:
        placet = root.placet()
        return Epochs(placet.runtime, placet.keyring, placet.sealer)

    def administration() -> tuple[Runtime, Accounts, Administration]:
        placet = root.placet()
        return placet.runtime, placet.identity.accounts, placet.administration

    def inviter() -> tuple[Runtime, str]:
        placet = root.placet()
        return placet.runtime, placet.settings.base_url

    def past() -> tuple[Runtime, PastDecisions, str]:
        placet = root.placet()
        return placet.runtime, placet.past_decisions, placet.register.controller.time_zone

    main.add_command(_registers(root))
    main.add_command(decisions_commands.consent_commands(past))
    main.add_command(audit_commands.group(audited))
    main.add_command(deadline)
    main.add_command(provider_commands.group(clients))
    keys = keys_commands.group(signing_keys)
    keys.add_command(epoch_commands.group(epochs))
    main.add_command(keys)
    main.add_command(exclusion_commands.group(exclusions))
    main.add_command(consent_import_commands.group(bulk))
    main.add_command(accounts_commands.command(inviter))
    main.add_command(administration_commands.group(administration))


def _registers(root: Root) -> click.Group:
    def folder() -> Path:
        return root.read_settings(root.environ).register

    def publish(path: Path) -> bool:
        settings = replace(root.read_settings(root.environ), register=path)
        app = root.create_app(settings, faults=faults_from(root.environ))
        set_up(app, publish=False)
        placet: Placet = app.extensions["placet"]
        with placet.runtime.unit_of_work(SYSTEM) as uow:
            return placet.consents.publish(uow)

    commands = consent_commands.register_commands(folder, root.clock, publish)
    commands.add_command(whatif_commands.diff_command(lambda: root.placet().runtime))
    return commands
