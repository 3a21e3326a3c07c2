"""From a file and the environment to a checked Config."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from runner.config import repository
from runner.config.access import Credentials
from runner.config.client import SECRET_HEADER, Client
from runner.config.document import Config
from runner.config.model import Endpoint
from runner.config.problems import annotation_of, explain, section_in
from runner.config.section import Section
from runner.errors import ConfigError
from runner.text.plain_yaml import read_yaml

logger = logging.getLogger(__name__)

ENVIRONMENT_PREFIX = "RUNNER_"


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
    # What this release still accepts and v0.3 will not.
    autonomy, until = content.get("autonomy"), "the old name works until v0.3"
    if isinstance(autonomy, dict) and "rehearse" in autonomy:
        logger.warning("%s: autonomy.rehearse is now autonomy.dry_run; %s", path, until)
    if "rehearse" in {*_texts(content), os.environ.get("RUNNER_LEVEL")}:
        logger.warning("%s: level rehearse is now dry-run; %s", path, until)
    return build(content | overrides, root=path.resolve().parent, where=str(path))


def _texts(content: Any) -> Iterator[str]:
    """Every value in parsed YAML that is a text."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, dict | list):
        for below in content.values() if isinstance(content, dict) else content:
            yield from _texts(below)


_SECRETS = ("bearer_token", "password", "api_key")


_PASSWORD_IN_URL = re.compile(r"://[^/@\s:]*:[^/@\s]+@")


def _inline_secrets(content: Any, model: type[Section], place: str = "") -> Iterator[str]:
    """A sentence for each secret that stands in runner.yml itself (invariant 13)."""
    if not isinstance(content, dict):
        return
    for key, value in content.items():
        where = f"{place}{key}"
        if key in _SECRETS and issubclass(model, Credentials | Endpoint) and value:
            yield f"{where} is rejected here; put it into a file and use {where}_file"
        elif key == "headers" and issubclass(model, Client) and isinstance(value, dict):
            for name in filter(SECRET_HEADER.search, map(str, value)):
                way = "put it into a file and use header_files"
                yield f"{where}.{name} is rejected here; {way}"
        elif key == "proxy" and _PASSWORD_IN_URL.search(str(value)):
            yield f"{where} holds a password, which is rejected here and cannot be used"
        elif key in ("url", "api") and _PASSWORD_IN_URL.search(str(value)):
            file = "url_file" in model.model_fields
            way = "put it into a file and use url_file" if file else "give auth.password_file"
            yield f"{where} holds a password, which is rejected here; {way}"
        elif (below := section_in(annotation_of(model.model_fields, key))) is not None:
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
    # The same with every path absolute.
    rooted: Config = _root_section(config, config.root)
    said = [f"{of}.{key}" for of in ("project", "execution") for key in content.get(of) or ()]
    own_roles = rooted.path(Path("roles"))
    project, execution = repository.use(rooted.project, rooted.execution, said, own_roles)
    # Every client knows what `http` says for all of them.
    common = rooted.http
    changes: dict[str, Any] = {
        "project": project,
        "execution": execution,
        "alertmanagers": tuple(
            _knowing(each, common, headers=True) for each in rooted.alertmanagers
        ),
        "watches": tuple(_knowing(each, common) for each in rooted.watches),
    }
    senders = tuple(
        each
        if each.confirm is None
        else each.model_copy(update={"confirm": _knowing(each.confirm, common)})
        for each in rooted.intake.sources
    )
    changes["intake"] = rooted.intake.model_copy(update={"sources": senders})
    if rooted.prometheus is not None:
        changes["prometheus"] = _knowing(rooted.prometheus, common, headers=True)
    if rooted.model is not None:
        model = _knowing(rooted.model, common)
        if model.fallback is not None:
            fallback = _knowing(model.fallback, common)
            model = model.model_copy(update={"fallback": fallback})
        changes["model"] = model
    return rooted.model_copy(update=changes)


_Called = TypeVar("_Called", bound=Client)


def _knowing(client: _Called, common: Client, *, headers: bool = False) -> _Called:
    """Headers may be secrets, so they go to Prometheus and Alertmanager only."""
    return client.model_copy(update=client.shared(common, headers=headers))


def _from_environment(content: dict[str, Any]) -> dict[str, Any]:
    """Secrets and a few scalars may come from the environment instead of the file."""
    content = dict(content)
    for name, path in ENVIRONMENT.items():
        if value := os.environ.get(name):
            section = content
            for key in path[:-1]:
                below = section.get(key)
                section[key] = section = dict(below) if isinstance(below, dict) else {}
            section[path[-1]] = value
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


def secret_files(section: Section, place: str = "") -> Iterator[tuple[str, Path]]:
    """(key, path) of every file with a secret that the configuration names."""
    for name in type(section).model_fields:
        value, where = getattr(section, name), f"{place}{name}"
        if isinstance(value, Section):
            yield from secret_files(value, f"{where}.")
        elif isinstance(value, tuple):
            for number, item in enumerate(value):
                if isinstance(item, Section):
                    yield from secret_files(item, f"{where}.{number}.")
        elif isinstance(value, dict):
            files = {key: path for key, path in value.items() if isinstance(path, Path)}
            yield from ((f"{where}.{key}", path) for key, path in files.items())
        elif isinstance(value, Path) and name.endswith("_file") and name not in _NO_SECRET:
            yield where, value


#: Files that everybody may read: certificates are shown to everybody.
_NO_SECRET = frozenset({"ca_file", "cert_file"})


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
    if isinstance(value, dict):
        return {key: _root_value(item, root) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(_root_value(item, root) for item in value)
    return value
