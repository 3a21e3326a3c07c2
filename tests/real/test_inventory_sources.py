"""One source of an inventory cannot be read: its hosts are unknown, and the others go on."""

from __future__ import annotations

import json
import logging
from datetime import timedelta
from pathlib import Path

import pytest

from runner.config import Locate
from runner.errors import InventoryError
from runner.inventory import Inventory
from runner.inventory.location import find
from runner.inventory.reader import InventoryReader
from tests import small_project as small
from tests.command_line import answered, call
from tests.local_hosts import Lab, needs_ansible

pytestmark = [
    *needs_ansible,
    # apprise's mail module imports a module that Python 3.13 drops.
    pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning"),
]
STATIC = """\
all:
  hosts: {web1: {ansible_host: "{{ net }}.1", net: 192.0.2}, lone: }
  children: {web: {hosts: {web1: }}}
"""
CLOUD = """\
#!/bin/sh
[ -e "${0%/*}/../down" ] && { echo 'the API does not answer' >&2; exit 3; }
echo '{"web": {"hosts": ["web2", "web1.example.net"]}, "_meta": {"hostvars": {}}}'
"""
NOW = timedelta(seconds=-1)  #: as old as nothing can be: it is read again


def sources(folder: Path) -> tuple[Path, Path]:
    """A folder with a file and a script, and the script: it fails while `down` lies beside it."""
    folder.mkdir(exist_ok=True)
    (folder / "static.yml").write_text(STATIC)
    script = folder / "cloud"
    script.write_text(CLOUD)
    script.chmod(0o755)
    return folder, script


def down(script: Path) -> Path:
    """Beside the folder, so that it is no source itself."""
    mark = script.parents[1] / "down"
    mark.touch()
    return mark


def located(inventory: Inventory, text: str) -> tuple[tuple[str, ...], str]:
    place = find({"instance": text}, inventory, Locate())
    return place.hosts, place.reason


def test_hosts_of_the_others_go_on_and_its_own_are_nobody_elses(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Invariant 10: what is missing is unknown. `web1` of an alert may be the one that is missing,
    and who is in the group `web` is not known."""
    folder, script = sources(tmp_path / "inventory")
    reader = InventoryReader((folder,), {})
    whole = reader.read(NOW)
    assert set(whole.hosts) == {"web1", "lone", "web2", "web1.example.net"} and not whole.unread
    mark = down(script)
    with caplog.at_level(logging.WARNING):
        found = reader.read(NOW, fresh=True)
    assert set(found.hosts) == {"web1", "lone"}
    assert found.hosts["web1"].variables["ansible_host"] == "192.0.2.1"  # a template, resolved
    [(source, why)] = found.unread.items()
    assert source == str(script) and "exit code 3" in why
    assert found.unknown == ("web1.example.net", "web2")
    assert "unknown are web1.example.net, web2" in caplog.text
    assert found.doubt("lone") == ""
    assert found.doubt("web1") == (
        f"The inventory source {script} cannot be read, and who else is in the groups of web1 is "
        "not known."
    )
    assert located(found, "lone:9100")[0] == ("lone",)
    hosts, reason = located(found, "web2:9100")
    assert not hosts and f"Of web2 nothing more is known: the inventory source {script}" in reason
    mark.unlink()
    again = reader.read(NOW, fresh=True)
    assert set(again.hosts) == set(whole.hosts) and not again.doubt("web1")


def test_before_it_was_ever_read_everything_is_in_doubt(tmp_path: Path) -> None:
    folder, script = sources(tmp_path / "inventory")
    down(script)
    found = InventoryReader((folder,), {}).read(NOW)
    assert found.doubt("lone").endswith("cannot be read, and what it says of lone is not known.")
    assert located(found, "web2:9100")[0] == ()


def test_what_no_source_can_say_is_an_error_as_it_was(tmp_path: Path) -> None:
    folder, script = sources(tmp_path / "inventory")
    down(script)
    (folder / "static.yml").write_text("all: [\n")
    with pytest.raises(InventoryError, match="the inventory cannot be read"):
        Inventory.load((folder,), environment={})


def test_an_ansible_cfg_that_wants_every_source_gets_its_way(tmp_path: Path) -> None:
    folder, script = sources(tmp_path / "inventory")
    down(script)
    (tmp_path / "ansible.cfg").write_text("[inventory]\nany_unparsed_is_failed = true\n")
    environment = {"ANSIBLE_CONFIG": str(tmp_path / "ansible.cfg")}
    with pytest.raises(InventoryError, match="the inventory cannot be read"):
        Inventory.load((folder,), environment=environment)


@pytest.mark.nightly
def test_one_that_does_not_answer_is_given_up_by_itself(tmp_path: Path) -> None:
    """Invariant 14: it has a part of the time, and what it started ends."""
    folder, script = sources(tmp_path / "inventory")
    script.write_text(f"#!/bin/sh\ntouch {tmp_path}/began\nsleep 300\ntouch {tmp_path}/ended\n")
    found = Inventory.load((folder,), environment={}, partly=True)
    assert found.unread == {str(script): "it did not answer within 15 s"}
    assert set(found.hosts) == {"web1", "lone"} and (tmp_path / "began").exists()


def test_a_run_does_not_wait_for_it(tmp_path: Path) -> None:
    """What the runner could not read is not asked again by Ansible, which would wait for it."""
    lab, script = Lab(tmp_path), tmp_path / "cloud"
    script.write_text(f"#!/bin/sh\ntouch {tmp_path}/asked\necho '{{}}'\n")
    script.chmod(0o755)
    given = {"inventory": (lab.inventory, script), "unread": (str(script),)}
    assert str(lab.run("- ansible.builtin.ping:", **given).outcome) == "no_change"
    assert not (tmp_path / "asked").exists()


def test_check_names_it_and_a_person_is_asked(tmp_path: Path) -> None:
    path = small.make(tmp_path)
    script = tmp_path / "inventory/cloud"
    script.write_text("#!/bin/sh\nexit 3\n")
    script.chmod(0o755)
    result = call(path, "check", "--output", "json")
    assert result.exit_code == 3
    [text] = [each["text"] for each in json.loads(result.stdout) if each["level"] == "error"]
    assert text.startswith(f"{script}: cannot be read, so its hosts are unknown: ")
    call(path, "run", "mark", "--host", "web1", "-p", "mark_text=x", "--yes")
    shown = answered(path, "incident", "show", "1")
    assert shown["incident"]["state"] == "waiting"
    reasons = {each["rule"]: each for each in shown["verdict"]["reasons"]}
    assert reasons["inventory"]["level"] == "approve"
