"""The case file: one alert with what was known of it, and what ought to be decided.

Cases lie in `playbooks/<id>/cases/` and `tests/cases/`, one in a file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BeforeValidator, Field, ValidationError, model_validator

from runner.catalog import folders
from runner.catalog.lint import Problem, Severity
from runner.config import Config, Section, Text, explain
from runner.errors import CatalogError, NotFound
from runner.incident import Level
from runner.text.duration import Duration
from runner.text.plain_yaml import read_yaml

NONE = "none_of_these"  #: the answer that nothing in the catalog is right
DECIDERS = ("rules", "model", "both")
MAX_BYTES = 1024 * 1024  #: of one file
MAX_FILES = 10_000  #: of one call


#: Spans and moments with which one can reckon: a century, and the time of computers.
_Span = Annotated[Duration, Field(le=timedelta(days=36_500))]
_Moment = Annotated[
    AwareDatetime,
    Field(ge=datetime(1980, 1, 1, tzinfo=UTC), le=datetime(2200, 1, 1, tzinfo=UTC)),
]
Several = Annotated[
    tuple[Text, ...], BeforeValidator(lambda value: [value] if isinstance(value, str) else value)
]
#: A text, or several by their titles.
Texts = Annotated[
    dict[str, Text], BeforeValidator(lambda value: {"": value} if isinstance(value, str) else value)
]


class AlertForm(Section):
    """An alert without the webhook's wrapping."""

    labels: dict[str, Text]
    annotations: dict[str, Text] = Field(default_factory=dict)
    age: _Span = timedelta(minutes=2)  #: how long it has fired


class EvidenceForm(Section):
    """What would be gathered, as texts."""

    metrics: Texts = Field(default_factory=dict)
    logs: Texts = Field(default_factory=dict)
    facts: Texts = Field(default_factory=dict)
    history: Texts = Field(default_factory=dict)


class RunForm(Section):
    """A run that went before, which policy counts."""

    entry: Text
    host: Text
    ago: _Span
    fixed: bool = True


class Expectation(Section):
    """What ought to be decided."""

    entry: Several  #: every answer that is right; `none_of_these` is one too
    considered: Several = ()  #: entries that must be offered, though no rule chooses them
    hosts: tuple[Text, ...] | None = None
    never: Several = ()  #: what would do harm
    level: Level | None = None  #: how far it may go at most

    @model_validator(mode="after")
    def _sound(self) -> Expectation:
        if not self.entry:
            raise ValueError(f"entry names at least one entry, or {NONE}")
        if both := sorted(set(self.entry) & set(self.never)):
            raise ValueError(f"{both[0]} is both expected and never right")
        if self.hosts == ():
            raise ValueError("hosts is a list of at least one; leave it out where nothing is done")
        return self

    @property
    def nothing(self) -> bool:
        """Whether nothing on a host may be changed, not even after a question."""
        low = self.level is not None and self.level.rank < Level.APPROVE.rank
        return set(self.entry) == {NONE} or low


class CaseFile(Section):
    """One case. Exactly one of `alert` and `webhook` says what fires."""

    title: Text  #: what happens, in a sentence
    alert: AlertForm | None = None
    webhook: dict[str, Any] | None = None  #: a whole body, with one firing alert
    at: _Moment | None = None  #: the moment of the decision; freeze windows count then
    #: a path beside the file, or hosts with their variables and `groups`; else the project's own
    inventory: Text | dict[str, dict[str, Any] | None] | None = None
    evidence: EvidenceForm = EvidenceForm()
    conditions: dict[str, bool] = Field(default_factory=dict)  #: PromQL → whether it holds
    unhealthy: tuple[Text, ...] | None = None  #: hosts that are down, all others being up
    runs: tuple[RunForm, ...] = ()
    expect: Expectation
    #: decider → why it is known to be wrong here: counted as wrong, but no failure
    misses: dict[Literal["rules", "model", "both"], Text] = Field(default_factory=dict)
    path: Path  #: where it was read

    @model_validator(mode="after")
    def _one_source(self) -> CaseFile:
        if (self.alert is None) == (self.webhook is None):
            raise ValueError("give either alert or webhook")
        return self

    @property
    def name(self) -> str:
        """Short and telling: `restart_service/hung`, or the file's own name elsewhere."""
        folder = self.path.parent
        owner = folder.parent.name if folder.name == "cases" else folder.name
        return f"{owner}/{self.path.stem}"


def load(path: Path) -> CaseFile:
    """The case in this file. Raises CatalogError with a line per problem."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise CatalogError(f"{path}: is larger than {MAX_BYTES} bytes")
        content = read_yaml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CatalogError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise CatalogError(f"{path}: is not UTF-8 text") from None
    except ValueError as error:
        raise CatalogError(f"{path}: {error}") from None
    if not isinstance(content, Mapping):
        raise CatalogError(f"{path}: must be a mapping with title, alert and expect")
    if "path" in content:
        raise CatalogError(f"{path}: unknown key path")
    try:
        return CaseFile.model_validate(dict(content) | {"path": path})
    except ValidationError as error:
        lines = [f"{path}: {explain(problem, CaseFile)}" for problem in error.errors()]
        raise CatalogError("\n".join(lines)) from None


def find(config: Config, paths: Iterable[Path] = ()) -> list[Path]:
    """The case files in `paths`, files or folders; without any, all of the project.

    Raises NotFound for a path that is not there.
    """
    wanted = list(paths)
    for path in wanted:
        if not path.exists():
            raise NotFound(f"{path}: there is no such file or folder")
    if not wanted:
        # Of the project, and of the entries that come with the runner and are used as they are.
        settings = config.project
        used = (folder / "cases" for folder in folders(settings.playbooks, settings.shipped))
        wanted = sorted({*settings.playbooks.glob("*/cases"), *filter(Path.is_dir, used)})
        wanted.append(config.root / "tests" / "cases")
    found: dict[Path, None] = {}
    for place in wanted:
        # Below a folder only what lies in a folder called cases, unless it is one itself.
        below = [] if place.is_file() else sorted(place.rglob("*.yml"))
        inside = (path for path in below if "cases" in (place.name, path.parent.name))
        found |= dict.fromkeys([place] if place.is_file() else inside)
    if len(found) > MAX_FILES:
        raise CatalogError(f"there are more than {MAX_FILES} case files; name fewer")
    return list(found)


def lint(config: Config, entries: Iterable[str]) -> list[Problem]:
    """What is wrong with the project's case files: their form, and names of entries."""
    known, found = {*entries, NONE}, []
    for path in find(config):
        try:
            case = load(path)
        except CatalogError as error:
            lines = [line.removeprefix(f"{path}: ") for line in str(error).splitlines()]
            found += [Problem(path, line, severity=Severity.REFUSED) for line in lines]
            continue
        for key, names in (
            ("entry", case.expect.entry),
            ("considered", case.expect.considered),
            ("never", case.expect.never),
            ("runs", [run.entry for run in case.runs]),
        ):
            for name in sorted(set(names) - known):
                text = f"{key}: the catalog has no entry {name!r}"
                found.append(Problem(path, text, severity=Severity.REFUSED))
    return found


def neutral() -> datetime:
    """The moment of a case that names none: always the same, so that prompts are, too."""
    return datetime.fromisoformat("2026-01-07T12:00:00+00:00")
