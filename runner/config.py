"""runner.yml becomes one frozen object; nothing else reads it or the environment.

Every key is documented in `runner.example.yml`; `tests/test_config.py` compares
the two. Unknown keys are refused with the nearest known one.
"""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from runner.duration import Duration, RateField, parse, parse_rate
from runner.errors import ConfigError
from runner.incident import Level
from runner.plain import read_yaml

ENVIRONMENT_PREFIX = "RUNNER_"


class Section(BaseModel):
    """A mapping of runner.yml: closed, frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    @model_validator(mode="before")
    @classmethod
    def _headings(cls, content: Any) -> Any:
        """A heading with nothing below it, as `listen:`, is what it would be without it."""
        if not isinstance(content, dict):
            return content
        bare = {key for key, value in content.items() if value is None}
        for name, field in cls.model_fields.items():
            if isinstance(field.default, Section | tuple) and name in bare:
                content = {key: value for key, value in content.items() if key != name}
        return content


def _text(value: object) -> object:
    return str(value) if isinstance(value, int | float) else value


Text = Annotated[str, BeforeValidator(_text)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
AlertName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class Credentials(Section):
    """How to log in somewhere: a bearer token, or a name with a password, or nothing."""

    bearer_token: str | None = Field(default=None, repr=False)
    bearer_token_file: Path | None = None
    username: str | None = None
    password: str | None = Field(default=None, repr=False)
    password_file: Path | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Credentials:
        for name in ("bearer_token", "password"):
            if getattr(self, name) and getattr(self, f"{name}_file"):
                raise ValueError(f"give {name} or {name}_file, not both")
        if self.has_bearer and self.username:
            raise ValueError("give a bearer token or a username, not both")
        if self.username and not (self.password or self.password_file):
            raise ValueError("username needs password_file")
        return self

    @property
    def has_bearer(self) -> bool:
        return bool(self.bearer_token or self.bearer_token_file)

    @property
    def configured(self) -> bool:
        return self.has_bearer or bool(self.username)

    def bearer(self) -> str | None:
        """The token, read from its file at each call so that rotation needs no restart."""
        return self.bearer_token or _secret(self.bearer_token_file)

    def basic(self) -> tuple[str, str] | None:
        """(name, password), or None."""
        if not self.username:
            return None
        return self.username, self.password or _secret(self.password_file) or ""

    def headers(self) -> dict[str, str]:
        """The Authorization header for a request to the other side; empty without one."""
        import base64

        if token := self.bearer():
            return {"Authorization": f"Bearer {token}"}
        if pair := self.basic():
            return {"Authorization": "Basic " + base64.b64encode(":".join(pair).encode()).decode()}
        return {}


def _secret(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        return path.read_text().strip()
    except OSError as error:
        raise ConfigError(f"{path}: the secret file cannot be read ({error.strerror})") from None


class User(Credentials):
    """A person who may use the API and the dashboard."""

    name: str
    role: Literal["viewer", "approver", "admin"] = "viewer"


class Listen(Section):
    """Where the webhook, the API and the dashboard answer."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 9095
    auth: Credentials = Credentials()  #: of Alertmanager, for the webhook
    users: tuple[User, ...] = ()
    allow_anonymous: bool = False  #: only on loopback
    max_body: Annotated[int, Field(gt=0)] = 16 * 1024 * 1024  #: bytes

    @model_validator(mode="after")
    def _guarded(self) -> Listen:
        if self.allow_anonymous and not self.loopback:
            raise ValueError(
                f"allow_anonymous needs a loopback address, not {self.host}; "
                "set auth.bearer_token_file instead"
            )
        return self

    @property
    def loopback(self) -> bool:
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


class Retention(Section):
    """How long what grows is kept."""

    incidents: Duration = parse("90d")
    deliveries: Duration = parse("7d")
    artifacts: Duration = parse("30d")
    prompts: Duration = parse("30d")  #: texts of model calls; their figures stay with the incident
    audit: Duration = parse("400d")
    predictions: Duration = parse("90d")


class Store(Section):
    """The database: one SQLite file, or PostgreSQL."""

    url: str = Field(default="sqlite:///var/runner.db", repr=False)
    url_file: Path | None = None
    retention: Retention = Retention()

    def resolved(self) -> str:
        """The SQLAlchemy URL, with the password if there is one: never log it."""
        return _secret(self.url_file) or self.url


class Project(Section):
    """Where the Ansible side of the project lies, relative to runner.yml."""

    playbooks: Path = Path("playbooks")
    roles: tuple[Path, ...] = (Path("roles"),)
    inventory: tuple[Path, ...] = (Path("inventories/example"),)
    ansible_config: Path | None = Path("ansible.cfg")
    prompts: Path = Path("prompts")
    state: Path = Path("var")  #: artifacts, lock file


class Prometheus(Section):
    """Where metrics are read."""

    url: str
    auth: Credentials = Credentials()
    timeout: Duration = parse("10s")
    #: label of a target → name of the label in the inventory's terms
    instance_label: str = "instance"


class Alertmanager(Section):
    """One Alertmanager peer."""

    url: str
    auth: Credentials = Credentials()
    timeout: Duration = parse("10s")


class Intake(Section):
    """How alerts are asked for, beside the webhook."""

    reconcile: Duration = parse("5m")  #: 0 turns it off
    poll: Duration = parse("30s")  #: of `alert pull --follow`
    receiver: str | None = None  #: only alerts routed to this Alertmanager receiver
    filters: tuple[str, ...] = ()  #: Alertmanager matchers


class Watch(Section):
    """Trouble that the runner finds by itself."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
    promql: str | None = None
    http: str | None = None
    every: Duration = parse("15s")
    for_: Duration = Field(default=parse("0s"), alias="for")
    clear_after: Duration = parse("0s")  #: healthy for so long before it counts as resolved
    timeout: Duration = parse("5s")
    status: Annotated[int, Field(ge=100, le=599)] = 200  #: what the URL must answer
    labels: dict[str, Text] = Field(default_factory=dict)
    annotations: dict[str, Text] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_source(self) -> Watch:
        if bool(self.promql) == bool(self.http):
            raise ValueError(f"watch {self.name} needs either promql or http")
        if not self.every:
            raise ValueError(f"watch {self.name}: every must be longer than 0s")
        return self


class Freeze(Section):
    """A window in which nothing runs without a person."""

    name: str
    days: tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...] = ()
    start: Annotated[Text, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")] = "00:00"
    end: Annotated[Text, Field(pattern=r"^(([01]\d|2[0-3]):[0-5]\d|24:00)$")] = "24:00"
    timezone: str = "UTC"
    from_date: Text | None = None  #: first day, YYYY-MM-DD
    to_date: Text | None = None  #: last day, YYYY-MM-DD
    level: Level = Level.APPROVE


class Breaker(Section):
    """Stops acting by itself when its acts do not help."""

    failures: Annotated[int, Field(ge=1)] = 3
    within: Duration = parse("1h")
    level: Level = Level.APPROVE


class Budget(Section):
    """How many runs may fail or fix nothing before a person is asked about each one."""

    label: str | None = None  #: a budget for each value of this label of the alerts
    group: str | None = None  #: or one for the hosts of this inventory group
    failures: Annotated[int, Field(ge=1)] = 5
    within: Duration = parse("7d")
    level: Level = Level.APPROVE
    owner: str | None = None  #: receiver; None: what `runner_owner` of the hosts names

    @model_validator(mode="after")
    def _one_scope(self) -> Budget:
        if bool(self.label) == bool(self.group):
            raise ValueError("a budget needs either label or group")
        if not parse("1m") <= self.within <= parse("90d"):
            raise ValueError("within of a budget must be 1m to 90d")
        return self


class Policy(Section):
    """Bounds that hold for every entry."""

    max_hosts: Annotated[int, Field(ge=1)] = 5
    max_runs: RateField = parse_rate("10/1h")  #: of all entries together
    cooldown: Duration = parse("10m")  #: of entries that name none
    min_confidence: Annotated[float, Field(ge=0, le=1)] = 0.7
    min_fidelity: Annotated[float, Field(ge=0, le=1)] = 0.5
    max_alert_age: Duration = parse("6h")  #: older activations need a person
    breaker: Breaker = Breaker()
    freeze: tuple[Freeze, ...] = ()
    budgets: tuple[Budget, ...] = ()


class Rung(Section):
    """What a record must show for one more level."""

    count: Annotated[int, Field(ge=1, le=1000)]  #: that went well since the last bad one
    bound: Annotated[float, Field(ge=0, lt=1)]  #: of all in the window, a lower bound


class UpliftRules(Section):
    """What happens to entries that are no better than waiting."""

    required: bool = False  #: without uplift there is no more than `level`
    level: Level = Level.APPROVE
    trials: Annotated[int, Field(ge=1, le=1000)] = 20  #: on either side; fewer is unknown
    history: Duration = parse("14d")  #: of the alerts in Prometheus
    refresh: Duration = parse("6h")  #: how often it is measured; 0 never

    @model_validator(mode="after")
    def _bounded(self) -> UpliftRules:
        if not parse("1h") <= self.history <= parse("90d"):
            raise ValueError("history must be 1h to 90d")
        return self


class Autonomy(Section):
    """How entries earn their level from their record."""

    earn: bool = False  #: false: nothing is earned and nothing is lost
    start: Level = Level.OBSERVE  #: of a record with nothing in it
    window: Duration = parse("90d")  #: what is older does not count
    confidence: Annotated[float, Field(ge=0.5, le=0.999)] = 0.95  #: of the lower bounds
    forget_changed: bool = True  #: fixes by other files than those of now do not count
    rehearse: Rung = Rung(count=3, bound=0.4)
    approve: Rung = Rung(count=5, bound=0.5)
    auto: Rung = Rung(count=20, bound=0.8)
    uplift: UpliftRules = UpliftRules()

    @model_validator(mode="after")
    def _has_a_window(self) -> Autonomy:
        if not parse("1h") <= self.window <= parse("365d"):
            raise ValueError("window must be 1h to 365d")
        return self

    def rung(self, level: Level) -> Rung | None:
        """What `level` must be earned with; None for `observe`, which everything has."""
        return {"rehearse": self.rehearse, "approve": self.approve, "auto": self.auto}.get(level)


class Correlation(Section):
    """Which alerts are one incident."""

    window: Duration = parse("5m")
    same_host: bool = True  #: same located host and service joins
    topology: str = "runner_depends_on"  #: inventory variable naming the hosts it needs


class Approval(Section):
    """Who may answer, and how long the question stands."""

    expires: Duration = parse("30m")
    approvers: tuple[str, ...] = ()  #: names; empty: any user whose role is approver or admin
    four_eyes: bool = True


class Execution(Section):
    """How ansible-runner is started."""

    concurrency: Annotated[int, Field(ge=1, le=64)] = 2
    forks: Annotated[int, Field(ge=1, le=500)] = 5
    timeout: Duration = parse("10m")  #: of entries that name none
    grace: Duration = parse("1s")  #: between TERM and KILL
    host_key_checking: bool = True
    environment: dict[str, Text] = Field(default_factory=dict)  #: added to the closed environment
    vault_password_file: Path | None = None


class Verification(Section):
    """Defaults of the entries' `verify`."""

    within: Duration = parse("5m")
    hold: Duration = parse("30s")
    poll: Duration = parse("5s")


class Retry(Section):
    """What happens when a run did not fix it."""

    attempts: Annotated[int, Field(ge=1, le=5)] = 1  #: runs of one entry in one incident
    wait: Duration = parse("1m")


class Receiver(Section):
    """Somebody to tell, by an apprise URL."""

    name: str
    url: str | None = Field(default=None, repr=False)
    url_file: Path | None = None
    on: tuple[str, ...] = (
        *("waiting", "fixed", "escalated", "expired", "step", "left_out"),
        *("greylist_join", "greylist_remind", "spares_empty"),
    )
    format: Literal["text", "html"] = "text"

    @model_validator(mode="after")
    def _one_url(self) -> Receiver:
        if bool(self.url) == bool(self.url_file):
            raise ValueError(f"receiver {self.name} needs either url or url_file")
        return self

    def resolved(self) -> str:
        """The URL, which may hold a password: never log it."""
        return self.url or _secret(self.url_file) or ""


class Notify(Section):
    """Who is told of which transitions."""

    console: bool = True
    receivers: tuple[Receiver, ...] = ()
    retries: Annotated[int, Field(ge=0, le=20)] = 5
    public_url: str | None = None  #: where people reach the dashboard, for links


class Mask(Section):
    """What must not reach evidence, notifications or a model."""

    patterns: tuple[str, ...] = ()  #: further regular expressions


class Prices(Section):
    """Money for a million tokens, in any currency; 0 where it is not known."""

    input: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    output: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0


class Endpoint(Section):
    """One model at one provider."""

    provider: Literal["openai", "anthropic", "google", "mistral", "nvidia", "ollama"] = "openai"
    name: Text
    base_url: str | None = None  #: None: the provider's own
    api_key: str | None = Field(default=None, repr=False)
    api_key_file: Path | None = None
    method: Literal["auto", "json_schema", "function_calling", "json_mode"] = "auto"
    temperature: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)] | None = None
    prices: Prices = Prices()

    @model_validator(mode="after")
    def _one_key(self) -> Endpoint:
        if self.api_key and self.api_key_file:
            raise ValueError("give api_key or api_key_file, not both")
        return self

    def key(self) -> str | None:
        """The key, read from its file at each call so that rotation needs no restart."""
        return self.api_key or _secret(self.api_key_file)


class ModelBudget(Section):
    """What the model may cost; what is None has no bound."""

    calls_per_incident: Annotated[int, Field(ge=1, le=10)] = 2
    calls_per_hour: Annotated[int, Field(ge=0)] | None = 60
    calls_per_day: Annotated[int, Field(ge=0)] | None = 500
    money_per_hour: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    money_per_day: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None


class ModelBreaker(Section):
    """Leaves a provider alone that fails again and again."""

    failures: Annotated[int, Field(ge=1)] = 5
    within: Duration = parse("5m")


class Injection(Section):
    """Detectors of text that tries to steer the model."""

    enabled: bool = True
    patterns: tuple[str, ...] = ()  #: further regular expressions


class ModelMask(Section):
    """What is hidden from the model beyond `mask`."""

    personal: bool = True
    patterns: tuple[str, ...] = ()  #: further regular expressions


class Model(Endpoint):
    """The model that chooses among the eligible entries."""

    fallback: Endpoint | None = None
    on_failure: Literal["rules", "escalate"] = "rules"
    timeout: Duration = parse("30s")
    deadline: Duration = parse("2m")  #: for all calls of one incident together
    retries: Annotated[int, Field(ge=0, le=5)] = 1
    concurrency: Annotated[int, Field(ge=1, le=64)] = 2
    max_tokens: Annotated[int, Field(ge=100, le=32_000)] = 1000
    max_evidence: Annotated[int, Field(ge=1000, le=200_000)] = 12_000  #: characters
    reuse: Duration = parse("1h")
    budget: ModelBudget = ModelBudget()
    breaker: ModelBreaker = ModelBreaker()
    injection: Injection = Injection()
    mask: ModelMask = ModelMask()


class Signal(Section):
    """One measured sign of a node's health: how it is asked for, and what is too much."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    promql: Annotated[str, Field(min_length=1)]  #: a series per node, told apart by `nodes.label`
    direction: Literal["up", "down"] = "up"  #: where it gets worse
    warning: Finite
    critical: Finite
    weight: Annotated[float, Field(gt=0, le=1)] = 1.0  #: a tier takes a sum of 1
    unit: str = ""
    optional: bool = False  #: a node without it is still known

    @model_validator(mode="after")
    def _ordered(self) -> Signal:
        worse = self.critical - self.warning
        if (worse if self.direction == "up" else -worse) <= 0:
            raise ValueError(f"signal {self.name}: critical must be worse than warning")
        return self


class Greylist(Section):
    """When a node counts as having early signs, and when no more."""

    join_after: Duration = parse("3h")  #: of warning on end
    critical_after: Duration = parse("30m")  #: of critical on end
    leave_after: Duration = parse("36h")  #: of health on end; with less, busy nodes come and go
    remind_every: Duration = parse("1d")  #: 0 turns it off
    warning_alert: AlertName = "StorageNodeWarning"
    critical_alert: AlertName = "StorageNodeCritical"


class Nodes(Section):
    """Nodes whose failure is looked for before it happens; without a group none."""

    group: str | None = None  #: of the inventory
    spares: str | None = None  #: group of the inventory
    members: str | None = None  #: PromQL: a sample above 0 for each node that serves now
    label: str = "instance"
    every: Duration = parse("15m")
    window: Duration = parse("3d")  #: what trends are made from
    step: Duration = parse("10m")
    recent: Duration = parse("2h")  #: what counts as now
    warning_within: Duration = parse("2d")
    critical_within: Duration = parse("12h")
    signals: tuple[Signal, ...] = ()  #: empty: those of etcd that are built in
    greylist: Greylist = Greylist()

    @model_validator(mode="after")
    def _sound(self) -> Nodes:
        if not (self.step and self.every) or self.recent < 2 * self.step:
            raise ValueError("every and step must be longer than 0s, and recent at least two steps")
        if not 6 * self.recent <= self.window <= 2000 * self.step:
            raise ValueError("window must be at least six times recent, and at most 2000 steps")
        names = [signal.name for signal in self.signals]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"two signals are called {min(twice)}; rename one")
        return self


class Config(Section):
    """All of runner.yml. `root` is the folder that it lies in."""

    root: Path = Path()
    level: Level = Level.REHEARSE
    environment: str = "default"
    project: Project = Project()
    store: Store = Store()
    listen: Listen = Listen()
    prometheus: Prometheus | None = None
    alertmanagers: tuple[Alertmanager, ...] = ()
    intake: Intake = Intake()
    watches: tuple[Watch, ...] = ()
    correlation: Correlation = Correlation()
    decide: Literal["rules", "model", "both"] | None = None  #: None: both, once there is a model
    model: Model | None = None
    policy: Policy = Policy()
    autonomy: Autonomy = Autonomy()
    approval: Approval = Approval()
    execution: Execution = Execution()
    verification: Verification = Verification()
    retry: Retry = Retry()
    notify: Notify = Notify()
    mask: Mask = Mask()
    nodes: Nodes = Nodes()

    @model_validator(mode="after")
    def _somebody_decides(self) -> Config:
        if self.decide in ("model", "both") and self.model is None:
            raise ValueError(f"decide: {self.decide} needs a section model")
        return self

    @property
    def deciders(self) -> Literal["rules", "model", "both"]:
        """Who chooses an entry."""
        return self.decide or ("rules" if self.model is None else "both")

    @model_validator(mode="after")
    def _agrees(self) -> Config:
        receivers = [receiver.name for receiver in self.notify.receivers]
        for budget in self.policy.budgets:
            if budget.owner is not None and budget.owner not in receivers:
                raise ValueError(
                    f"policy.budgets: owner {budget.owner} is none of notify.receivers"
                )
        kept = self.store.retention.incidents
        if self.autonomy.earn and kept < self.autonomy.window:
            raise ValueError(
                "autonomy.window is longer than store.retention.incidents, "
                "so what is to count would be gone"
            )
        return self

    def path(self, path: Path) -> Path:
        """`path` as seen from the configuration's folder."""
        return path if path.is_absolute() else self.root / path


def load(path: Path, **overrides: Any) -> Config:
    """The configuration in `path`; `overrides` are top-level keys of the command line.

    Raises ConfigError with a sentence per problem.
    """
    try:
        text = path.read_text()
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read ({error.strerror}); "
            "make one with `runner init DIR` or name yours with --config"
        ) from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is not UTF-8 text") from None
    try:
        content = read_yaml(text)
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from None
    if content is None:
        content = {}
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: must be a mapping of keys, as in runner.example.yml")
    if inline := list(_inline_secrets(content, Config)):
        raise ConfigError("\n".join(f"{path}: {sentence}" for sentence in inline))
    return build(content | overrides, root=path.resolve().parent, where=str(path))


_SECRETS = ("bearer_token", "password", "api_key")
_PASSWORD_IN_URL = re.compile(r"://[^/@\s:]*:[^/@\s]+@")


def _inline_secrets(content: Any, model: type[Section], place: str = "") -> Iterator[str]:
    """A sentence for each secret that stands in runner.yml itself (invariant 13)."""
    if not isinstance(content, dict):
        return
    for key, value in content.items():
        where = f"{place}{key}"
        if key in _SECRETS and issubclass(model, Credentials | Endpoint) and value:
            yield f"{where} does not belong here; put it into a file and give {where}_file"
        elif key == "url" and _PASSWORD_IN_URL.search(str(value)):
            file = "url_file" in model.model_fields
            way = "put it into a file and give url_file" if file else "give auth.password_file"
            yield f"{where} holds a password, which does not belong here; {way}"
        elif (below := _section_in(_annotation(model.model_fields, key))) is not None:
            many = enumerate(value) if isinstance(value, list) else [(None, value)]
            for number, item in many:
                deeper = f"{where}." if number is None else f"{where}.{number}."
                yield from _inline_secrets(item, below, deeper)


def build(content: dict[str, Any], *, root: Path, where: str = "configuration") -> Config:
    """A checked Config of parsed YAML; file paths in it are seen from `root`."""
    content = _from_environment(content)
    if "root" in content:
        raise ConfigError(f"{where}: unknown key root; did you mean store?")
    try:
        config = Config.model_validate(content | {"root": root})
    except ValidationError as error:
        lines = [f"{where}: {explain(problem)}" for problem in error.errors()]
        raise ConfigError("\n".join(lines)) from None
    return _rooted(config)


def _from_environment(content: dict[str, Any]) -> dict[str, Any]:
    """Secrets and a few scalars may come from the environment instead of the file."""
    content = dict(content)
    for name, path in ENVIRONMENT.items():
        if value := os.environ.get(name):
            _put(content, path, value)
    return content


#: Environment variable → key of runner.yml. Shown in docs/configuration.md.
ENVIRONMENT: dict[str, tuple[str, ...]] = {
    "RUNNER_LEVEL": ("level",),
    "RUNNER_STORE_URL": ("store", "url"),
    "RUNNER_WEBHOOK_TOKEN": ("listen", "auth", "bearer_token"),
    "RUNNER_PROMETHEUS_URL": ("prometheus", "url"),
    "RUNNER_PROMETHEUS_TOKEN": ("prometheus", "auth", "bearer_token"),
    "RUNNER_MODEL_API_KEY": ("model", "api_key"),
    "RUNNER_MODEL_FALLBACK_API_KEY": ("model", "fallback", "api_key"),
}


def _put(content: dict[str, Any], path: tuple[str, ...], value: str) -> None:
    for key in path[:-1]:
        below = content.get(key)
        content[key] = content = dict(below) if isinstance(below, dict) else {}
    content[path[-1]] = value


def _rooted(config: Config) -> Config:
    """The same with every path absolute."""
    rooted: Config = _root_section(config, config.root)
    return rooted


def _root_section(section: Any, root: Path) -> Any:
    changes: dict[str, Any] = {}
    for name in type(section).model_fields:
        value = getattr(section, name)
        changed = _root_value(value, root) if name != "root" else value
        if changed is not value:
            changes[name] = changed
    return section.model_copy(update=changes) if changes else section


def _root_value(value: Any, root: Path) -> Any:
    if isinstance(value, Section):
        return _root_section(value, root)
    if isinstance(value, Path):
        return value if value.is_absolute() else root / value
    if isinstance(value, tuple):
        return tuple(_root_value(item, root) for item in value)
    return value


def explain(problem: Any, model: type[Section] | None = None) -> str:
    """One sentence for a pydantic error of `model`, which is Config when none is given."""
    place = ".".join(str(part) for part in problem["loc"]) or "top level"
    if problem["type"] == "extra_forbidden":
        return f"unknown key {place}{_nearest(problem['loc'], model or Config)}"
    message = problem["msg"].removeprefix("Value error, ")
    return f"{place}: {message[:1].lower()}{message[1:]}"


def _nearest(place: tuple[Any, ...], model: type[Section]) -> str:
    known = _known_keys(place[:-1], model)
    near = difflib.get_close_matches(str(place[-1]), known, n=1, cutoff=0.5)
    if near:
        return f"; did you mean {near[0]}?"
    return f"; known here: {', '.join(known)}" if known else ""


def _known_keys(place: tuple[Any, ...], model: Any) -> list[str]:
    fields: dict[str, Any] = model.model_fields
    parts = iter(part for part in place if not isinstance(part, int))
    for part in parts:
        annotation = _annotation(fields, part)
        section = _section_in(annotation)
        if section is None:
            return []
        if getattr(annotation, "__origin__", None) is dict:
            next(parts, None)  # the name that a person gave, such as a parameter's
        fields = section.model_fields
    hidden = ("root", "folder", "id")  # never written in a file
    return [f.alias or name for name, f in fields.items() if name not in hidden]


def _annotation(fields: dict[str, Any], key: str) -> Any:
    for name, field in fields.items():
        if key in (name, field.alias):
            return field.annotation
    return None


def _section_in(annotation: Any) -> type[Section] | None:
    """The Section class inside `X`, `X | None` or `tuple[X, ...]`."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    for part in getattr(annotation, "__args__", ()):
        if found := _section_in(part):
            return found
    return None
