"""`runner check`: what is wrong with the project, before an alert finds out. Changes nothing."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from runner import private, shipped
from runner.catalog import copies
from runner.child import home
from runner.cli import Verb, option
from runner.cli.report import counted
from runner.cli.session import Session
from runner.client import trust
from runner.config import Client, secret_files
from runner.config import Project as Settings
from runner.config.client import proxy_of_environment
from runner.config.repository import asking, overridden, private_key
from runner.errors import RunnerError
from runner.incident_report.screen import STYLES
from runner.inventory import logins, parts
from runner.policy.ceilings import VARIABLE
from runner.project import Project
from runner.store.database import Database


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    level: str  #: ok, warn or error
    topic: str
    text: str


Check = Callable[[Project], Iterator[Finding]]


@click.command(cls=Verb)
@option("--online", is_flag=True, help="Also check Prometheus and Alertmanager.")
@click.pass_obj
def check(session: Session, online: bool) -> int:
    """Validate configuration, catalog and inventory (read-only).

    Looks at runner.yml, the files it names and who may read them, certificates, vault, catalog,
    cases, inventory, prompts, model and receivers. The exit code is 3 if there is an error.
    """
    found: list[Finding] = []
    for topic, look in [*OFFLINE.items(), *(ONLINE.items() if online else ())]:
        new: list[Finding] = []
        with session.busy(topic):
            try:
                new.extend(look(session.project))
            except RunnerError as error:
                new += [_error(topic, line) for line in str(error).splitlines()]
        found += new
        for finding in new:
            if not session.json:
                line = f"{finding.level:<5}  {finding.topic:<13}  {finding.text}"
                session.screen.line(line, STYLES[finding.level])
    if session.json:
        session.answer(found)
    return 3 if any(finding.level == "error" for finding in found) else 0


def _configuration(project: Project) -> Iterator[Finding]:
    config = project.config
    yield _ok("configuration", f"level {config.level}, environment {config.environment}")
    _ = project.mask  # its patterns
    for peer in config.alertmanagers:
        peer.auth.headers()  # reads its secret
    if config.prometheus is not None:
        config.prometheus.auth.headers()
    for source in config.intake.sources:
        if (confirm := source.confirm) is not None:
            confirm.auth.headers()
            if confirm.promql is not None and config.prometheus is None:
                text = f"source {source.name}: confirm.promql needs a section prometheus"
                yield _error("configuration", text)
    config.store.resolved()


def _vault(project: Project) -> Iterator[Finding]:
    """Passwords that are missing or cannot be had, and files that none of them opens."""
    named = project.config.execution.password_files
    missing = {key: path for key, path in named.items() if not path.is_file()}
    for key, path in missing.items():
        yield _error("vault", f"execution.{key}: {path} is not there")
    if missing:
        return
    found = project.vault.secrets()
    for why in found.failed:
        yield _error("vault", f"{why}; it gives no password, and can ask nobody for one")
    for file in found.locked:
        yield _warn("vault", f"{file}: is encrypted, and no password opens it; "
                             "see execution.vault_password_file")  # fmt: skip
    if named and not found.locked and not found.failed:
        yield _ok("vault", f"{counted(len(found.names), 'variable')} of encrypted files withheld")


def _files(project: Project) -> Iterator[Finding]:
    """Secrets and state that somebody else on this machine may read."""
    config = project.config
    database = Database(config.store.resolved(), root=config.root)
    ours = {"project.state": config.project.state, "store.url": database.file}
    database.close()
    for key, path in [*secret_files(config), *ours.items()]:
        if path is not None and private.too_open(path):
            yield _warn("files", f"{key}: others may read {path}; chmod go= it")


def _clients(project: Project) -> Iterator[Finding]:
    """Files of TLS and of headers that cannot be used, and proxies that are not."""
    config = project.config
    called: dict[str, Client] = {"http": config.http}
    called |= {f"alertmanagers {each.url}": each for each in config.alertmanagers}
    called |= {f"watch {each.name}": each for each in config.watches}
    confirming = {f"source {each.name}": each.confirm for each in config.intake.sources}
    called |= {name: confirm for name, confirm in confirming.items() if confirm}
    if config.prometheus is not None:
        called["prometheus"] = config.prometheus
    if config.model is not None:
        called["model"] = config.model
        if config.model.fallback is not None:
            called["model.fallback"] = config.model.fallback
    wrong: dict[str, str] = {}
    for name, each in called.items():
        try:
            trust(each)
            each.sent()
        except RunnerError as error:
            wrong.setdefault(str(error), name)
    for text, name in wrong.items():
        yield _error("clients", f"{name}: {text}")
    variable = proxy_of_environment()
    if variable is not None and config.http.proxy is None:
        yield _warn("clients", f"{variable} in the environment is not used; set http.proxy")


def _catalog(project: Project) -> Iterator[Finding]:
    from runner.catalog.lint import Severity, lint

    found = project.catalog
    if not found.entries:
        yield _warn("catalog", f"{found.playbooks} has no entry, so nothing can be done")
        return
    problems = lint(found)
    for problem in problems:
        if problem.severity is not Severity.STYLE:
            refused = problem.severity is Severity.REFUSED
            yield (_error if refused else _warn)("catalog", str(problem))
    if style := sum(problem.severity is Severity.STYLE for problem in problems):
        text = f"{counted(style, 'remark')} on style: runner catalog lint --strict"
        yield _ok("catalog", text)
    # Entries that nobody could approve, because two lists have nobody in common.
    everywhere = set(project.config.approval.approvers)
    for entry in project.catalog.entries.values():
        if entry.approvers and everywhere and not everywhere & set(entry.approvers):
            text = f"nobody may approve {entry.id}: its approvers are not in approval.approvers"
            yield _error("catalog", text)
    older = [
        entry.id
        for entry in found.entries.values()
        if _OLDER.search((entry.folder / "entry.yml").read_text())
    ]
    if older:
        text = "`rehearsal:` is now `dry_run:`, level `rehearse` is `dry-run`"
        yield _warn("catalog", f"{text}; the old names work until v0.3: {', '.join(sorted(older))}")
    names = ", ".join(sorted(found.entries))
    yield _ok("catalog", f"{counted(len(found.entries), 'entry', 'entries')}: {names}")


_OLDER = re.compile(r"\brehears(?:al|e)\b[\"']?\s*(?=[:,}]|$)", re.MULTILINE)


def _cases(project: Project) -> Iterator[Finding]:
    from runner.cases import file as cases

    wrong = cases.lint(project.config, project.catalog.entries)
    for problem in wrong:
        yield _warn("cases", str(problem))
    there = cases.find(project.config)
    if there and not wrong:
        yield _ok("cases", counted(len(there), "case"))


def _roles(project: Project) -> Iterator[Finding]:
    settings = project.config.project
    usual = project.config.path(Path("roles"))
    for folder in settings.roles:
        if folder.is_dir():
            count = sum(1 for path in folder.iterdir() if (path / "tasks").is_dir())
            yield _ok("roles", f"{folder}: {counted(count, 'role')}")
        elif folder != usual:
            yield _error("roles", f"{folder}: there is no such folder; see project.roles")
    count = sum(1 for path in shipped.roles().iterdir() if (path / "tasks").is_dir())
    yield _ok("roles", f"{shipped.COLLECTION}: {counted(count, 'shipped role')}")
    # No fix reaches a copy of what comes with the runner.
    for copy in copies.find(settings.playbooks, settings.roles, settings.prompts):
        hides = f" and is used instead of {copy.instead_of}" if copy.instead_of else ""
        if copy.changed:
            changes = counted(len(copy.changed), "changed file")
            text = f"{copy.title} is a copy of {copy.release}'s with {changes}{hides}"
            yield (_ok if copy.kind == "playbooks" else _warn)("roles", text)
        else:
            text = f"{copy.title} is an unchanged copy of {copy.release}'s{hides}"
            yield _warn("roles", f"{text}; `runner init --upgrade` removes it")


#: Files by which a repository names the image that its playbooks run in.
_IN_IMAGES = ("ansible-navigator.yml", "ansible-navigator.yaml", "execution-environment.yml")


def _ansible(project: Project) -> Iterator[Finding]:
    """Whether Ansible starts as the user that we are, and which it is."""
    installed = project.catalog.roles.installed
    if installed is not None:
        yield _ok("ansible", f"ansible-core {installed.versions['ansible-core']}")
    settings = project.config.project
    if settings.ansible is not None and not settings.ansible.is_dir():
        yield _error("ansible", f"project.ansible: {settings.ansible} is not there")
    for name in _IN_IMAGES:
        if settings.ansible is not None and (file := settings.ansible / name).is_file():
            text = "execution environments are not used: runs use the Ansible and collections above"
            yield _warn("ansible", f"{file}: {text}; install here what its image has")
    yield from _not_followed(settings)


def _not_followed(settings: Settings) -> Iterator[Finding]:
    """What an ansible.cfg says, and runs do not do."""
    if settings.ansible is not None and settings.ansible_config is not None:
        for key, instead in overridden(settings.ansible_config).items():
            yield _ok("ansible", f"{settings.ansible_config}: {key} is not followed: {instead}")
    if settings.ansible_config is None or not settings.ansible_config.is_file():
        usual = (Path(home()) / ".ansible.cfg", Path("/etc/ansible/ansible.cfg"))
        for file in [each for each in usual if each.is_file()][:1]:
            text = "runs do not follow it, unless project.ansible_config names it"
            yield _warn("ansible", f"{file}: {text}")
    if settings.ansible_config is not None:
        for text in asking(settings.ansible_config):
            yield _warn("ansible", f"{settings.ansible_config}: {text}")


def _inventory(project: Project) -> Iterator[Finding]:
    settings = project.config.project.ansible_config
    if settings is not None and not settings.is_file():
        yield _warn("inventory", f"{settings} is not there, so Ansible uses its own defaults")
    inventory = project.inventory()
    for source, why in inventory.unread.items():
        yield _error("inventory", f"{source}: cannot be read, so its hosts are unknown: {why}")
    if not inventory.hosts:
        yield _warn("inventory", "it has no hosts, so no alert can be located")
        return
    for host, why in sorted(inventory.unresolved.items()):
        yield _warn("inventory", f"{host}: {why}; no alert can be located by it")
    for text in [*inventory.services.problems, *parts.problems(inventory)][:20]:
        yield _error("inventory", text)
    addresses = (str(host.variables.get("ansible_host")) for host in inventory.hosts.values())
    if examples := sum(address.endswith(".invalid") for address in addresses):
        text = f"{counted(examples, 'host')} with an address below .invalid, which leads nowhere"
        yield _warn("inventory", f"{text}: describe your own hosts in project.inventory")
    if older := [n for n, h in inventory.hosts.items() if h.variables.get(VARIABLE) == "rehearse"]:
        text = "runner_level rehearse is now dry-run; the old name works until v0.3"
        yield _warn("inventory", f"{text}: {', '.join(sorted(older)[:5])}")
    text = "at every level, including observe, an alert starts read-only probes on its host"
    yield _ok("inventory", f"{counted(len(inventory.hosts), 'host')}; {text}")


def _logins(project: Project) -> Iterator[Finding]:
    """Hosts that Ansible cannot log in to, at all or without a person."""
    settings, execution = project.config.project, project.config.execution
    key = private_key(settings.ansible_config) if settings.ansible_config is not None else None
    for text in logins.problems(project.inventory(), execution.environment, key):
        yield _warn("logins", text)


def _prompts(project: Project) -> Iterator[Finding]:
    from runner.decide.prompt import Prompts

    folder = project.config.project.prompts
    if not folder.is_dir() and folder != project.config.path(Path("prompts")):
        yield _error("prompts", f"{folder}: there is no such folder; see project.prompts")
        return
    problems = Prompts(folder, project.mask).problems()
    for text in problems:
        yield _error("prompts", text)
    if not problems:
        whose = str(folder) if folder.is_dir() else "the shipped ones"
        yield _ok("prompts", whose)


def _model(project: Project) -> Iterator[Finding]:
    """What can be known of the model without asking it, which would cost money."""
    from runner.decide.injection import Detectors
    from runner.decide.personal import require_libraries
    from runner.decide.provider import build
    from runner.evidence.mask import Mask

    settings = project.config.model
    if settings is None:
        yield _ok("model", "not configured: rules decide")
        return
    Detectors(settings.injection)
    Mask(settings.mask.patterns)
    require_libraries(settings)
    for endpoint in filter(None, (settings, settings.fallback)):
        build(endpoint, timeout=1, max_tokens=settings.max_tokens)  # key, package, name
        yield _ok("model", f"{endpoint.provider} {endpoint.name}, {project.config.deciders} decide")


def _access(project: Project) -> Iterator[Finding]:
    from runner.web import auth

    problems = auth.problems(project.config)
    for text in problems:
        yield _warn("access", text)
    if not problems:
        listen = project.config.listen
        yield _ok("access", f"{listen.host}:{listen.port}, {counted(len(listen.users), 'user')}")


def _receivers(project: Project) -> Iterator[Finding]:
    from runner.notify import Notifier

    config = project.config
    Notifier(
        config.notify, Database(config.store.resolved(), root=config.root), mask=project.mask
    )  # refuses names given twice
    if not config.notify.receivers:
        return
    import apprise

    # Its own log would show URLs, which hold secrets.
    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
    for receiver in config.notify.receivers:
        if apprise.Apprise().add(receiver.resolved()):
            yield _ok("receivers", f"{receiver.name}: receives {', '.join(receiver.on)}")
        else:
            text = f"{receiver.name}: its url is not one that apprise can use"
            yield _error("receivers", text)


def _prometheus(project: Project) -> Iterator[Finding]:
    if project.prometheus is None:
        yield _warn("prometheus", "not configured: less evidence, weaker verification")
        return
    rules = project.prometheus.rules()
    yield _ok("prometheus", f"answers; {counted(len(rules), 'alerting rule')}")


def _alertmanager(project: Project) -> Iterator[Finding]:
    from runner.intake.advice import advise

    if project.alertmanagers is None:
        yield _warn("alertmanager", "not configured: silences are not checked before a run")
        return
    receiver = project.config.intake.receiver
    for peer in project.alertmanagers.status():
        if peer.error:
            yield _error("alertmanager", peer.error)
            continue
        yield _ok("alertmanager", f"{peer.url}: version {peer.version}, cluster {peer.cluster}")
        if receiver is None:
            yield _warn("alertmanager", "set intake.receiver, and its part of the file is checked")
            continue
        for text in advise(peer.config, receiver):
            yield _warn("alertmanager", f"{peer.url}: {text}")


def _ok(topic: str, text: str) -> Finding:
    return Finding(level="ok", topic=topic, text=text)


def _warn(topic: str, text: str) -> Finding:
    return Finding(level="warn", topic=topic, text=text)


def _error(topic: str, text: str) -> Finding:
    return Finding(level="error", topic=topic, text=text)


#: Topic → check, in the order in which one problem may cause the next.
OFFLINE: dict[str, Check] = {
    "configuration": _configuration,
    "clients": _clients,
    "files": _files,
    "vault": _vault,
    "roles": _roles,
    "catalog": _catalog,
    "cases": _cases,
    "ansible": _ansible,
    "inventory": _inventory,
    "logins": _logins,
    "prompts": _prompts,
    "model": _model,
    "access": _access,
    "receivers": _receivers,
}
ONLINE: dict[str, Check] = {"prometheus": _prometheus, "alertmanager": _alertmanager}
