"""What one process has open of a project: its configuration, store, catalog and clients."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner import config, private
from runner.child import home
from runner.config import Config
from runner.errors import CatalogError, ConfigError
from runner.inventory import Inventory, closed, read_from
from runner.inventory.reader import InventoryReader
from runner.store.database import Database
from runner.store.order import FairSlots
from runner.vault import Vault

if TYPE_CHECKING:
    from runner.catalog import Catalog
    from runner.decide.model import ModelDecider
    from runner.engine import Queue
    from runner.evidence.mask import Mask
    from runner.evidence.prometheus import PrometheusClient
    from runner.execute.request import TaskEvent
    from runner.execute.warm.client import Warm
    from runner.incident import Run
    from runner.intake.alertmanager import Alertmanagers

#: When the inventory is read again though no file of it changed: it may be a script.
INVENTORY_AGE = timedelta(minutes=1)


Listener = Callable[["Run", "TaskEvent"], None]


class Stopping(BaseException):
    """The process ends. Not an Exception, so that nothing takes it for a failed step."""


class Project:
    """Everything is opened when it is first needed; `close` ends it."""

    def __init__(self, settings: Config) -> None:
        self.config = settings
        #: Id of the worker that this process is, as in the store.
        self.worker = "none"
        #: Playbooks that use the processor at once in this process.
        self.slots = FairSlots(settings.execution.concurrency)
        #: Told of every task as it ends, for people who watch.
        self.listeners: list[Listener] = []
        #: Called after a delivery was stored, so that it is looked at without delay.
        self.delivered: Callable[[], None] = lambda: None
        #: Whether incidents are worked on, as far as this process can see.
        self.is_worked_on: Callable[[], bool] = lambda: True
        self._stopping = threading.Event()
        self._opening = threading.Lock()
        self._model: ModelDecider | None = None

    @classmethod
    def load(cls, path: Path, **overrides: Any) -> Project:
        """The project of this runner.yml. Raises ConfigError."""
        return cls(config.load(path, **overrides))

    @cached_property
    def database(self) -> Database:
        """The store, at the newest schema. Raises StoreError."""
        private.tighten(self.state)
        database = Database(self.config.store.resolved(), root=self.config.root)
        database.migrate()
        if not database.has_engine_tables():
            from runner import engine  # costs more than all else that a plain command needs

            engine.make_tables(database)
        return database

    @cached_property
    def queue(self) -> Queue:
        """Where incidents wait to be worked on."""
        from runner.engine import Queue

        return Queue(self.database)

    @cached_property
    def catalog(self) -> Catalog:
        """The catalog as it was when this process first looked. Raises CatalogError."""
        from runner import catalog

        settings = self.config.project
        installed = catalog.Installed(settings.ansible_config, self.config.execution.environment)
        return catalog.load(
            settings.playbooks, settings.roles, installed, shipped_ids=settings.shipped
        )

    def forget_catalog(self) -> None:
        """Have the catalog read again at its next use: an entry was written."""
        for name in ("catalog", "vault", "mask"):  # the vault knows where playbooks lie
            self.__dict__.pop(name, None)

    @cached_property
    def _inventory(self) -> InventoryReader:
        settings = self.config.project
        return InventoryReader(
            settings.inventory,
            self.ansible_environment,
            self.vault,
            settings.domains,
            variables=self.config.locate.variables,
            warm=self.warm.run if self.warm else None,
        )

    def inventory(self, *, fresh: bool = False) -> Inventory:
        """The inventory, read again when a file changed: within a second, or with `fresh` at once,
        as what lets a run start must see it. Raises InventoryError."""
        return self._inventory.read(INVENTORY_AGE, fresh=fresh)

    @property
    def inventory_at_hand(self) -> Inventory | None:
        """The inventory as it was last read, whatever its files say by now."""
        return self._inventory.last

    def forget_inventory(self) -> None:
        """Have the inventory read again at its next use: a script of it says something else."""
        self.__dict__.pop("_inventory", None)

    @cached_property
    def ansible_environment(self) -> dict[str, str]:
        """What Ansible sees where it reads the inventory, as a run does: nothing of our own."""
        kept = {"HOME": home()}
        settings = self.config.project.ansible_config
        if settings is not None and settings.is_file():
            kept["ANSIBLE_CONFIG"] = str(settings)
        execution = self.config.execution
        return {"LANG": "C.UTF-8", **kept, **execution.of_passwords(), **execution.environment}

    @cached_property
    def vault(self) -> Vault:
        """What Ansible Vault encrypts in inventory, playbooks and roles."""
        settings, execution = self.config.project, self.config.execution
        return Vault(
            read_from(settings.inventory),
            (settings.playbooks, *settings.roles, *self._playbook_folders()),
            closed(self.ansible_environment),
            tuple(execution.password_files.values()),
            tuple(execution.login_files.values()),
        )

    def _playbook_folders(self) -> tuple[Path, ...]:
        """Where playbooks lie that entries only name: what is encrypted beside them is secret."""
        try:
            found = [entry.found for entry in self.catalog.entries.values() if entry.found]
        except CatalogError:
            return ()  # nothing of it runs, and who looks at the catalog says what is wrong
        return tuple(sorted({path.parent for path in found}))

    @cached_property
    def warm(self) -> Warm | None:
        """The process that has Ansible imported; None when every run is to be cold."""
        if not self.config.execution.warm:
            return None
        from runner.execute.warm.client import Warm

        return Warm(self.state)

    @cached_property
    def prometheus(self) -> PrometheusClient | None:
        """The Prometheus to ask; None when none is configured."""
        if self.config.prometheus is None:
            return None
        from runner.evidence.prometheus import PrometheusClient

        return PrometheusClient(self.config.prometheus)

    @cached_property
    def alertmanagers(self) -> Alertmanagers | None:
        """The Alertmanager peers to ask; None when none is configured."""
        if not self.config.alertmanagers:
            return None
        from runner.intake.alertmanager import Alertmanagers

        return Alertmanagers(self.config.alertmanagers)

    @cached_property
    def mask(self) -> Mask:
        """Takes secrets out of text."""
        from runner.evidence.mask import Mask

        return Mask(self.config.mask.patterns, vault=self.vault)

    @property
    def model(self) -> ModelDecider:
        """The model that decides, one for this process. Raises ConfigError when there is none."""
        with self._opening:
            if self._model is not None:
                return self._model
            from runner.decide.ledger import StoreLedger
            from runner.decide.model import ModelDecider
            from runner.decide.personal import Hide
            from runner.decide.prompt import Prompts
            from runner.evidence.mask import Mask

            settings = self.config.model
            if settings is None:
                raise ConfigError("there is no model; add the section model to runner.yml")
            patterns = (*self.config.mask.patterns, *settings.mask.patterns)
            secrets = Mask(patterns, vault=self.vault)
            hide = Hide(secrets, personal=settings.mask.personal)
            prompts = Prompts(self.config.project.prompts, hide, max_evidence=settings.max_evidence)
            ledger = StoreLedger(self.database)
            self._model = ModelDecider(settings, prompts, ledger, mask=hide, sleep=self.sleep)
            return self._model

    def tell(self, run: Run, event: TaskEvent) -> None:
        """Tell who watches of a task that ended."""
        for listener in self.listeners:
            listener(run, event)

    def sleep(self, seconds: float) -> None:
        """Wait inside a step. Raises Stopping when the process is about to end."""
        if self._stopping.wait(seconds):
            raise Stopping

    def stop(self) -> None:
        """Wake every step that sleeps: it leaves, and is repeated at the next start."""
        self._stopping.set()

    @property
    def state(self) -> Path:
        """Where artifacts and the lock lie."""
        return self.config.project.state

    def close(self) -> None:
        """End what was opened."""
        for name in ("database", "alertmanagers", "prometheus", "warm"):
            if (opened := self.__dict__.pop(name, None)) is not None:
                opened.close()
