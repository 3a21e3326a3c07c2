"""`runner catalog adopt`: the entry of a playbook that was written for people, not for the runner.

The playbook itself is left as it is. What its files say is taken from them; what only a person
knows is asked, or stands in the entry as a comment. No alert starts what was adopted: it has no
`match` unless that is known, and its level is the dry run.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import re2
import yaml

from runner.acts.coverage import standing
from runner.catalog import document, inline, parameters
from runner.catalog.entry import ENTRY_ID, Entry
from runner.catalog.installed import Collection, collections_in
from runner.catalog.lint import Severity, lint
from runner.catalog.plays import Play
from runner.catalog.roles import collection_of, playbooks_of
from runner.catalog.scan import Scan, scan
from runner.config import Config
from runner.errors import CatalogError, Refused, UsageError
from runner.incident import Level, Verdict
from runner.inventory import Inventory
from runner.plan.reach import CONTROLLER, hosts_of, refuse_unreached
from runner.project import Project
from runner.store import records
from runner.text import brief

_SUFFIXES = (".yml", ".yaml")
#: Folders in which no playbook of its own lies.
_NO_PLAYBOOKS = frozenset(
    "roles collections group_vars host_vars tasks handlers vars defaults templates files molecule "
    "library meta .git .venv node_modules".split()
)
#: Tags that Ansible understands in every playbook.
_ANSIBLE_TAGS = frozenset({"all", "always", "never", "tagged", "untagged"})
MOST_FILES = 2_000  #: looked at by `find`


@dataclass(frozen=True, kw_only=True)
class Known:
    """What a person, or a rulebook, says of the playbook; nothing of it is necessary."""

    hosts: tuple[str, ...] = ()  #: exact inventory names, on which it is to run
    tags: tuple[str, ...] = ()
    skip_tags: tuple[str, ...] = ()
    alert: str = ""  #: name of the alert that it answers
    check: str = ""  #: PromQL that gives a sample once it worked
    #: further keys of entry.yml; its `parameters` also answer prompts
    keys: Mapping[str, Any] = field(default_factory=dict)
    origin: str = ""  #: where it comes from, for a comment in the entry; one line


@dataclass(frozen=True, kw_only=True)
class Draft:
    """An entry that is not written yet."""

    entry: Entry
    content: Mapping[str, Any]  #: of entry.yml
    alert: str = ""
    refused: tuple[str, ...] = ()  #: why it can never be run like this, a sentence each
    plays: tuple[Play, ...] = ()
    prompts: tuple[str, ...] = ()  #: parameters that a person has to give a value
    origin: str = ""
    files: tuple[Path, ...] = ()  #: every file that was read of playbook and roles


def draft(
    project: Project, playbook: str, known: Known, id: str = "", into: Path | None = None
) -> Draft:
    """The entry of this playbook, from its files; its folder is to lie in `into`.

    Raises UsageError for what is no playbook.
    """
    roles = project.catalog.roles
    found = roles.playbook(playbook) or Path(playbook).resolve()
    if not found.is_file() and (collection := collection_of(playbook)):
        raise UsageError(_no_such_playbook(playbook, roles.collections.get(collection)))
    id = id or _id_of(playbook)
    if not ENTRY_ID.fullmatch(id):
        raise UsageError(f"{id[:80]!r} cannot be an id; give one with --id")
    folder = (into or project.config.project.playbooks) / id
    if id in project.catalog.entries:
        again = dry_run_command(id, known.hosts or ("HOST",))
        raise UsageError(
            f"the catalog has an entry {id} already; dry-run it with `{again}`, or give another id "
            "with --id"
        )
    if folder.exists():
        raise UsageError(f"{folder} exists already; give another id with --id")
    try:
        items = document.read(found, ansible=True)
    except ValueError as error:
        raise UsageError(f"{found}: {error}") from None
    if not _is_playbook(items):
        raise UsageError(f"{found}: is no playbook, which is a list of plays with hosts")
    named = playbook if roles.playbook(playbook) else os.path.relpath(found, folder.resolve())
    content = {
        "title": _title(items, found),
        "description": _description(items, found),
        "playbook": named,
        "tags": list(known.tags),
        "skip_tags": list(known.skip_tags),
        "level": str(Level.DRY_RUN),
        "risk": "medium",
        "verify": {"checks": _checks(known)},
    }
    made = _entry(content, id, folder, found)
    seen = scan(made, roles)
    content |= known.keys
    content |= {"parameters": _parameters(seen.plays) | dict(known.keys.get("parameters", {}))}
    if known.hosts:
        content |= {"target": _target(seen, known.hosts, project.inventory())}
    content = {key: value for key, value in content.items() if value}
    made = _entry(content, id, folder, found)
    seen = scan(made, roles)
    chosen = [name for name, each in made.parameters.items() if each.kind == "choice"]
    return Draft(
        entry=made,
        content=content,
        alert=known.alert,
        refused=tuple(_refusals(made, seen, known.hosts, project)),
        plays=seen.plays,
        prompts=tuple(name for name in chosen if made.parameters[name].value is None),
        origin=known.origin,
        files=(*seen.playbooks, *seen.files, *seen.beside),
    )


def dry_run_command(id: str, hosts: Sequence[str], given: Sequence[str] = ()) -> str:
    """What a person types to dry-run an entry; `given` holds `NAME=VALUE` of its parameters."""
    values = [word for text in given for word in ("-p", text)]
    return shlex.join(
        ["runner", "run", id, *(f"--host={host}" for host in hosts), "--check", *values]
    )


def refuse_values(made: Draft, values: Mapping[str, str]) -> None:
    """Raise UsageError for values that a run of the entry would not take, or that it lacks."""
    specs = inline.stated_in(made.entry)
    if lacking := [name for name in made.prompts if name not in values]:
        needed = " ".join(f"-p {name}=VALUE" for name in lacking)
        what = "; ".join(f"{name}: {specs[name].description or 'a prompt'}" for name in lacking)
        raise UsageError(f"{made.entry.id} needs {needed} for its dry run ({what})")
    parameters.chosen(made.entry, specs, values)


def write(project: Project, made: Draft) -> tuple[Path, ...]:
    """Write the entry and a README to be filled in; their paths. Raises Refused, UsageError."""
    if made.refused:
        raise Refused(f"{made.entry.id} is not adopted: {'; '.join(made.refused)}")
    folder = made.entry.folder
    written = yaml.safe_dump(dict(made.content), sort_keys=False, allow_unicode=True, width=110)
    if made.origin:
        written = f"# {made.origin}\n{written}"
    if not made.entry.match:
        match = _quoted(made.alert or "NAME OF THE ALERT")
        written += f"# No alert starts it without this:\n# match: ['alertname={match}']\n"
    texts = {
        "entry.yml": f"---\n{written}",
        "README.md": f"# {made.entry.title}\n\n## Meaning\n\n{made.entry.description}\n\n"
        "## Mitigation\n\nIts plays: "
        + "; ".join(f"{play.name} ({','.join(play.patterns)})" for play in made.plays)
        + ".\n",
    }
    try:
        folder.mkdir(parents=True)
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{folder}: cannot be written ({error.strerror})") from None
    project.forget_catalog()
    return tuple(folder / name for name in texts)


def standing_now(
    project: Project, id: str, incident: int | None = None
) -> tuple[Verdict, list[str]]:
    """(how far the entry may go today with every reason, what would hold a higher level back).

    `incident` is that of its dry run, which may have shown what no file says.
    """
    entry = project.catalog.get(id)
    verdict = standing(project, entry)
    held = [
        each.text
        for each in lint(project.catalog)
        if each.place.parent == entry.folder and each.severity is Severity.LOWERS
    ]
    if incident is not None:
        with project.database.read() as tx:
            after = records.verdict_of(tx, incident)
        known = {reason.text for reason in verdict.reasons}
        held += [
            reason.text
            for reason in (after.reasons if after else ())
            if reason.level is not Level.AUTO
            and reason.rule != "command_line"  # of this one dry run
            and reason.text not in known
        ]
    return verdict, [*held, *_unanswered(project.config, entry)]


def _unanswered(config: Config, entry: Entry) -> Iterator[str]:
    """Why its checks may say nothing: Alertmanager alone decides whether an alert has cleared."""
    checks = entry.verify.checks
    if config.alertmanagers or not checks or any(check.alert is None for check in checks):
        return
    who = "nobody can say whether a run helped, and each ends with a person"
    if config.prometheus is not None:
        who = "only alerts whose rule Prometheus has loaded are known to have cleared"
    yield f"`alert: cleared` is the only check, and runner.yml has no `alertmanagers`: {who}"


def find(project: Project, folder: Path) -> Iterator[tuple[str, str, str]]:
    """(playbook, id, why it cannot be adopted as it is) of every playbook below a folder.

    Those of collections in a folder `collections` have their full names, the others their paths.
    Raises UsageError for more files than anybody looks at.
    """
    found: dict[str, Path | None] = {}
    for place, folders, names in os.walk(folder):
        if "collections" in folders:
            for each in collections_in((Path(place, "collections"),)).values():
                found |= {name: project.catalog.roles.playbook(name) for name in playbooks_of(each)}
        folders[:] = sorted(name for name in folders if name not in _NO_PLAYBOOKS)
        files = [Path(place, name) for name in sorted(names) if name.endswith(_SUFFIXES)]
        found |= {str(path): path for path in files}
        if len(found) > MOST_FILES:
            raise UsageError(f"{folder} has more than {MOST_FILES} YAML files; name a part of it")
    for playbook, path in found.items():
        try:
            if path and not _is_playbook(document.read(path, ansible=True)):
                continue
            made = draft(project, playbook, Known())
        except (ValueError, UsageError, CatalogError) as error:
            yield playbook, _id_of(playbook), str(error)
            continue
        yield playbook, made.entry.id, "; ".join(made.refused)


def _no_such_playbook(name: str, collection: Collection | None) -> str:
    if collection is None:
        return (
            f"no such playbook of a collection: {brief(name)}; Ansible finds no collection "
            f"{brief(collection_of(name) or '')}, see collections_path in its ansible.cfg"
        )
    there = brief(", ".join(playbooks_of(collection)), 400) or "none"
    return f"no such playbook of a collection: {brief(name)}; {collection.name} has {there}"


def _refusals(entry: Entry, seen: Scan, hosts: Sequence[str], project: Project) -> Iterator[str]:
    yield from seen.obstacles
    yield from parameters.problems(entry, inline.stated_in(entry), inline=True)
    if seen.tags is not None:
        there = brief(", ".join(seen.tags), 400) or "none"
        for tag in sorted({*entry.tags, *entry.skip_tags} - {*seen.tags, *_ANSIBLE_TAGS}):
            yield f"no task has the tag {tag}; tags of the playbook: {there}"
    if hosts and not seen.obstacles:
        try:
            refuse_unreached(entry, seen, hosts, project.inventory())
        except Refused as error:
            yield str(error)


def _entry(content: Mapping[str, Any], id: str, folder: Path, found: Path) -> Entry:
    made = Entry.model_validate({**content, "id": id, "folder": folder})
    return made.model_copy(update={"found": found})


def _is_playbook(items: Any) -> bool:
    """Whether each item is a play, or imports some."""
    keys = ("hosts", "import_playbook", "ansible.builtin.import_playbook")
    return (
        isinstance(items, list)
        and bool(items)
        and all(isinstance(item, Mapping) and any(key in item for key in keys) for item in items)
    )


def _id_of(playbook: str) -> str:
    name = Path(playbook).stem if playbook.endswith(_SUFFIXES) else playbook.rpartition(".")[2]
    return re.sub(r"[^a-z0-9_]+", "_", name.lower()).strip("_")[:64]


def _title(items: Sequence[Mapping[str, Any]], path: Path) -> str:
    named = [str(item["name"]) for item in items if "name" in item]
    return brief(named[0] if len(items) == 1 and named else path.stem.replace("_", " "), 80)


def _description(items: Sequence[Mapping[str, Any]], path: Path) -> str:
    """What its first comment says, else what its plays are called."""
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            lines.append(line.lstrip("# ").strip())
        elif line.strip() not in ("", "---") or lines:
            break
    plays = ", then ".join(str(item["name"]) for item in items if "name" in item)
    return brief(" ".join(filter(None, lines)) or plays or path.stem, 500)


def _checks(known: Known) -> list[dict[str, str]]:
    return [*([{"promql": known.check}] if known.check else []), {"alert": "cleared"}]


def _parameters(plays: Sequence[Play]) -> dict[str, Any]:
    """An answer for each prompt: unseen ones from the environment, others a person gives."""
    found: dict[str, Any] = {}
    for prompt in (prompt for play in plays for prompt in play.prompts):
        name, text = str(prompt.get("name")), str(prompt.get("prompt") or "")
        if str(prompt.get("private", True)).lower() in ("false", "no", "off", "0"):
            found[name] = {"from": "choice", "description": brief(text, 200)}
            if prompt.get("default") is not None:
                value = found[name]["value"] = str(prompt["default"])
                if not re.fullmatch(inline.PLAIN, value):
                    found[name]["pattern"] = f"{inline.PLAIN}|{re2.escape(value)}"
        else:
            found[name] = {"from": f"environment {name.upper()}", "description": brief(text, 200)}
    return found


def _target(seen: Scan, hosts: Sequence[str], inventory: Inventory) -> dict[str, Any]:
    """Where plays run beside these hosts, as far as one group says it."""
    target: dict[str, Any] = {"max_hosts": len(hosts)} if len(hosts) > 1 else {}
    meant_by = [(play, hosts_of(play, inventory)) for play in seen.plays]
    others = [(play, meant) for play, meant in meant_by if not meant & set(hosts)]
    for play, meant in others if len(others) < len(meant_by) else ():
        if CONTROLLER in meant:
            target["controller"] = True
        elif len(play.patterns) == 1 and play.patterns[0] in inventory.groups:
            target.setdefault("also", {"group": play.patterns[0]})
    return target


def _quoted(text: str) -> str:
    return '"' + re.sub(r'["\\\n\']', "", text)[:120] + '"'
