"""What is remembered of `ansible-inventory`, and when it is asked again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests import known_inventory

ENVIRONMENT = {"LANG": "C.UTF-8"}


class Asked:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(known_inventory, "ANSWERS", {})
        self.times = 0
        self._listed = known_inventory.remembering(self._ask)

    def _ask(self, paths: tuple[Path, ...], environment: Mapping[str, str], warm: None) -> str:
        self.times += 1
        return str(self.times)

    def again(self, *paths: Path, **more: str) -> bool:
        """Whether it was asked, where it had been before."""
        before = self.times
        self._listed(paths, ENVIRONMENT | more)
        return self.times > before


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    return Asked(monkeypatch)


def made(folder: Path, text: str = "all: {}") -> Path:
    folder.mkdir()
    (folder / "hosts.yml").write_text(text)
    return folder


def test_the_same_files_are_asked_about_once(tmp_path: Path, asked: Asked) -> None:
    one, two = (made(tmp_path / name) for name in "ab")
    file = one / "hosts.yml"
    assert asked.again(file)
    assert not asked.again(file)
    assert not asked.again(two / "hosts.yml"), "another folder"
    assert asked.again(one), "a folder is read in another way"


def test_whatever_is_read_counts(tmp_path: Path, asked: Asked) -> None:
    file = made(tmp_path / "a") / "hosts.yml"
    assert asked.again(file)
    file.write_text("all: {hosts: {}}")
    assert asked.again(file)
    beside = tmp_path / "a/group_vars/all.yml"
    beside.parent.mkdir()
    assert asked.again(file)
    beside.write_text("one: 1")
    assert asked.again(file)
    beside.rename(beside.with_name("web.yml"))
    assert asked.again(file)
    assert asked.again(file, PATH="/elsewhere")


def test_what_could_answer_differently_is_always_asked(tmp_path: Path, asked: Asked) -> None:
    secret = made(tmp_path / "secret", "all: {vars: {a: $ANSIBLE_VAULT;1.1}}")
    program, link = made(tmp_path / "program"), made(tmp_path / "link")
    (program / "hosts.yml").chmod(0o700)
    (link / "group_vars").symlink_to(tmp_path)
    for path in (secret, program, link):
        assert asked.again(path) and asked.again(path), path
    plain = made(tmp_path / "plain")
    for _ in range(2):
        assert asked.again(plain, ANSIBLE_CONFIG="/some/ansible.cfg")
