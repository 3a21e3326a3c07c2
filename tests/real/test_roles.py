"""The catalog's Ansible side: what must stay true of every role, entry and inventory."""

from __future__ import annotations

import ipaddress
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from runner.catalog import Roles, load
from runner.catalog.lint import lint_role
from tests import role_code
from tests.role_code import COLLECTION, module_of

ROOT = Path(__file__).parents[2]
ROLES = sorted(path.parent for path in role_code.ROLES.glob("*/tasks"))
FOLDERS = sorted(path.parent for path in (ROOT / "playbooks").glob("*/entry.yml"))
#: Those that run a role; the others are plans of steps.
ENTRIES = [folder for folder in FOLDERS if (folder / "playbook.yml").exists()]
PYTHON_TYPES: dict[str, Any] = {
    "str": str,
    "path": str,
    "int": int,
    "float": (int, float),
    "bool": bool,
    "list": list,
    "dict": dict,
}

each_role = pytest.mark.parametrize("role", ROLES, ids=lambda path: path.name)
each_entry = pytest.mark.parametrize("entry", ENTRIES, ids=lambda path: path.name)


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def options(role: Path) -> dict[str, Any]:
    specs: dict[str, Any] = read(role / "meta/argument_specs.yml")["argument_specs"]
    assert list(specs) == ["main"]
    return dict(specs["main"]["options"])


def headings(path: Path) -> list[str]:
    return re.findall(r"^## (.+)$", path.read_text(), re.MULTILINE)


def ansible(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs a program of this environment's ansible-core, with the project's ansible.cfg."""
    path = Path(sys.executable).parent / program
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "LC_ALL": "C.UTF-8"}
    environment["ANSIBLE_CONFIG"] = str(ROOT / "ansible.cfg")
    command = [str(path), *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


@each_role
def test_defaults_and_specs_name_the_same_variables(role: Path) -> None:
    text = (role / "defaults/main.yml").read_text()
    without_default = set(re.findall(rf"^# ({role.name}_\w+): comes from", text, re.MULTILINE))
    required = {name for name, option in options(role).items() if option.get("required")}

    assert set(read(role / "defaults/main.yml")) | without_default == set(options(role))
    assert without_default == required


@each_role
def test_defaults_have_the_types_that_the_specs_state(role: Path) -> None:
    for name, value in read(role / "defaults/main.yml").items():
        option = options(role)[name]
        assert isinstance(value, PYTHON_TYPES[option["type"]]), name
        assert option["type"] == "bool" or not isinstance(value, bool), name
        assert value in option.get("choices", [value]), name
        for item in value if option["type"] == "list" else []:
            assert isinstance(item, PYTHON_TYPES[option["elements"]]), name


@each_role
def test_specs_say_everything_but_defaults(role: Path) -> None:
    for name, option in options(role).items():
        assert name.startswith(f"{role.name}_")
        assert option["type"] in PYTHON_TYPES
        assert option["description"].endswith(".")
        assert "default" not in option


@each_role
def test_main_is_a_list_of_files(role: Path) -> None:
    for task in read(role / "tasks/main.yml"):
        kinds = {"ansible.builtin.import_tasks", "ansible.builtin.include_tasks"}
        (kind,) = kinds & set(task)
        assert (role / "tasks" / task[kind]).is_file()


@each_role
def test_role_readme_has_its_headings_in_order(role: Path) -> None:
    wanted = ["What it touches", "Example", "Variables", "Check mode", "Idempotent", "Rollback"]

    assert [name for name in headings(role / "README.md") if name in wanted] == wanted


@each_role
def test_role_has_both_scenarios(role: Path) -> None:
    for file in ("default/converge.yml", "default/verify.yml", "refuses/verify.yml"):
        assert (role / "molecule" / file).is_file(), file


@each_role
def test_only_modules_of_ansible_core_and_of_the_collection_are_used(role: Path) -> None:
    own = {f"runner.remediation.{path.stem}" for path in COLLECTION.glob("plugins/modules/*.py")}
    words = {"name", "register", "when", "loop", "loop_control", "become", "vars", "until"}
    words |= {
        "retries",
        "delay",
        "changed_when",
        "failed_when",
        "check_mode",
        "notify",
        "delegate_to",
        "async",
        "poll",
    }
    for path in role.glob("tasks/*.yml"):
        for task in read(path):
            (module,) = set(task) - words
            assert module in own or module.startswith("ansible.builtin."), f"{path}: {module}"


@each_role
def test_lint_finds_nothing_in_a_shipped_role(role: Path) -> None:
    """A project's lint leaves out roles of collections, so it is asked here."""
    assert [str(problem) for problem in lint_role(role, Roles((role_code.ROLES,)))] == []


@each_entry
def test_playbook_is_one_play_of_one_role(entry: Path) -> None:
    (play,) = read(entry / "playbook.yml")

    assert play.keys() == {"name", "hosts", "gather_facts", "serial", "any_errors_fatal", "roles"}
    assert play["roles"] == [{"role": read(entry / "entry.yml")["role"]}]
    assert (play["hosts"], play["serial"], play["any_errors_fatal"]) == ("all", 1, True)


@each_entry
def test_entry_passes_only_variables_of_its_role(entry: Path) -> None:
    content = read(entry / "entry.yml")
    known = options(role_code.ROLES / content["role"].removeprefix("runner.remediation."))
    required = {name for name, option in known.items() if option.get("required")}

    assert required <= set(content["parameters"]) <= set(known)


@pytest.mark.parametrize("entry", FOLDERS, ids=lambda path: path.name)
def test_playbook_readme_has_the_five_headings(entry: Path) -> None:
    wanted = ["Meaning", "Impact", "Diagnosis", "Mitigation", "Rollback"]

    assert headings(entry / "README.md") == wanted


@each_entry
def test_entry_without_dry_run_says_why(entry: Path) -> None:
    own = read(entry / "entry.yml")
    if own.get("dry_run", own.get("rehearsal")) == "none":
        readme = (entry / "README.md").read_text()
        assert "no dry run" in readme or "no rehearsal" in readme


@pytest.mark.real
def test_playbooks_pass_the_syntax_check() -> None:
    playbooks = [str(entry / "playbook.yml") for entry in ENTRIES]

    result = ansible("ansible-playbook", "--syntax-check", *playbooks)

    assert result.returncode == 0, result.stderr


def test_the_demos_hosts_file_has_no_variables() -> None:
    text = (ROOT / "inventories/demo/hosts.yml").read_text()

    assert all(line.rstrip().endswith(":") for line in text.splitlines()[1:] if line[:1] != "#")


@pytest.mark.real
@pytest.mark.parametrize("name", ["demo", "example"])
def test_inventory_is_readable_and_plain_where_the_runner_reads_it(name: str) -> None:
    result = ansible("ansible-inventory", "-i", f"inventories/{name}", "--list")

    assert result.returncode == 0, result.stderr
    hosts = yaml.safe_load(result.stdout)["_meta"]["hostvars"]
    for host, variables in hosts.items():
        own = {key: value for key, value in variables.items() if key.startswith("runner_")}
        assert own.get("runner_level") in {"observe", "dry-run", "approve", "auto"}, host
        assert "{{" not in str(own), host


def test_example_addresses_are_documentation_addresses() -> None:
    text = "".join(path.read_text() for path in (ROOT / "inventories/example").rglob("*.yml"))
    addresses = {ipaddress.ip_address(a) for a in re.findall(r"\b\d+\.\d+\.\d+\.\d+\b", text)}

    documentation = ipaddress.ip_network("192.0.2.0/24")
    assert addresses
    assert all(address in documentation or address.is_loopback for address in addresses)


@pytest.mark.parametrize(
    ("entry", "steps"),
    [
        ("replace_storage_node", ["add_storage_node on spare", "retire_storage_node on target"]),
        (
            "retire_storage_node",
            [
                "remove_storage_member on peer",
                "set_aside_storage_node on target, if reachable",
            ],
        ),
    ],
)
def test_a_storage_node_is_added_before_one_is_removed(entry: str, steps: list[str]) -> None:
    catalog = load(ROOT / "playbooks", ())

    assert [str(step) for step in catalog.get(entry).steps] == steps


def voter(name: str, *, healthy: bool = True, learner: bool = False) -> dict[str, Any]:
    return {
        "id": name, "name": name, "peer_urls": [f"http://{name}:2380"], "learner": learner,
        "healthy": healthy, "leader": False, "revision": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("members", "minimum", "said"),
    [
        ([voter("a"), voter("b"), voter("c"), voter("d")], 3, ""),
        ([voter("a", healthy=False), voter("b"), voter("c"), voter("d")], 3, ""),
        ([voter("a"), voter("b"), voter("c")], 3, "2 voters would be left, the minimum is 3"),
        ([voter("a"), voter("b")], 1, ""),
        ([voter("a"), voter("b", healthy=False), voter("c")], 2, "1 of 2 voters would be left"),
        ([voter("a"), voter("b"), voter("c", learner=True)], 1, "c is still joining"),
    ],
)
def test_a_removal_keeps_minimum_and_quorum(
    members: list[dict[str, Any]], minimum: int, said: str
) -> None:
    """Invariant 11: the role holds the quorum itself, by health and not by the member list."""
    etcd = module_of("modules/etcd_cluster.py")

    why = etcd.against_removing(etcd.view(members, []), members[0], minimum)

    assert said in why and bool(said) == bool(why)


def test_no_second_member_joins_while_one_does() -> None:
    etcd = module_of("modules/etcd_cluster.py")
    members = [voter("a"), voter("b", learner=True)]

    assert "b is still joining" in etcd.against_adding(etcd.view(members, []))
    assert etcd.against_adding(etcd.view(members[:1], [])) == ""
    assert "quorum" in etcd.against_adding(etcd.view([voter("a", healthy=False)], []))


def test_a_new_member_starts_with_everybody_and_itself() -> None:
    etcd = module_of("modules/etcd_cluster.py")
    cluster = etcd.view([voter("b"), voter("a")], [])

    assert etcd.initial_cluster(cluster, "c", "http://c:2380") == (
        "a=http://a:2380,b=http://b:2380,c=http://c:2380"
    )


def test_only_data_that_was_put_aside_long_ago_is_removed(tmp_path: Path) -> None:
    aside = module_of("modules/data_aside.py")
    for name in ("data.aside-17", "data.aside-x", "data", "other.aside-1"):
        (tmp_path / name).mkdir()
    (tmp_path / "data.aside-18").symlink_to(tmp_path / "data")
    now = (tmp_path / "data.aside-17").stat().st_ctime

    with aside.walk(str(tmp_path)) as folder:
        assert aside.old(folder, "data", 7, now + 6 * 86400) == []
        assert aside.old(folder, "data", 7, now + 8 * 86400) == ["data.aside-17"]


@pytest.mark.parametrize(
    ("names", "current", "older"),
    [
        (["v1.9.0", "v1.10.0", "v1.8.0"], "v1.10.0", ["v1.8.0", "v1.9.0"]),
        (["20260102", "20251231", "20260103"], "20260102", ["20251231"]),
        (["a", "1", "1a", "a1"], "a1", ["a"]),
        ([], "v1", []),
    ],
)
def test_releases_are_in_natural_order(names: list[str], current: str, older: list[str]) -> None:
    order = module_of("filter/releases.py")

    found = order.releases_before(names, current)

    assert [name for name in found if name in older] == older
    assert current not in found + order.releases_after(names, current)


@pytest.mark.parametrize(
    ("line", "state", "pid"),
    [
        ("app      RUNNING   pid 8202, uptime 0:00:01", "RUNNING", 8202),
        ("app:app  RUNNING   pid 7, uptime 2 days, 0:00:01", "RUNNING", 7),
        ("app      FATAL     Exited too quickly (process log may have details)", "FATAL", 0),
        ("app: ERROR (no such process)", "UNKNOWN", 0),
        ("application RUNNING pid 9, uptime 0:00:01", "UNKNOWN", 0),
        ("unix:///run/supervisor.sock no such file", "UNKNOWN", 0),
    ],
)
def test_status_of_a_supervised_program_is_parsed(line: str, state: str, pid: int) -> None:
    units = module_of("module_utils/units.py")

    status = units.parse_status("app", line)

    assert (status["name"], status["pid"]) == (state, pid)
    assert status["active"] == (state == "RUNNING")
    assert status["known"] == (state != "UNKNOWN")


@pytest.mark.parametrize(
    ("path", "within"),
    [("/logs", True), ("/logs/a", True), ("/logs//a/", True), ("/logsx/a", False), ("/", False)],
)
def test_a_place_lies_in_its_root_by_whole_names(path: str, within: bool) -> None:
    assert module_of("modules/aged_files.py").inside(path, "/logs") == within


@pytest.mark.parametrize("path", ["/logs/../etc/x", "logs/a", "", "/logs/\0"])
def test_a_path_that_is_not_plain_is_refused(path: str) -> None:
    aged_files = module_of("modules/aged_files.py")

    with pytest.raises(aged_files.Untrusted, match="is not an absolute path of plain names"):
        aged_files.inside(path, "/logs")


def test_deletion_keeps_a_file_that_was_written_since_the_listing(tmp_path: Path) -> None:
    aged_files = module_of("modules/aged_files.py")
    (tmp_path / "file").write_text("data")

    with aged_files.walk(str(tmp_path)) as folder:
        found = aged_files.Found(folder, ("file",), folder.look("file"))
        os.utime(tmp_path / "file", (0, 0))
        assert not aged_files.remove(found, dry=False)
        found = aged_files.Found(folder, ("file",), folder.look("file"))
        assert aged_files.remove(found, dry=True) and (tmp_path / "file").exists()
        assert aged_files.remove(found, dry=False) and not (tmp_path / "file").exists()


def test_rotation_that_cannot_write_its_copy_leaves_the_log_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    oversize_log = module_of("modules/oversize_log.py")
    log = tmp_path / "app.log"
    log.write_text("line\n" * 1000)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(oversize_log.shutil, "copyfileobj", full)
    with oversize_log.walk(str(tmp_path)) as folder, pytest.raises(OSError, match="No space"):
        oversize_log.copytruncate(folder, "app.log", 5)

    assert log.read_text() == "line\n" * 1000
    assert [path.name for path in tmp_path.iterdir()] == ["app.log"]


@pytest.mark.real
@pytest.mark.skipif(
    not shutil.which("ps") and not os.environ.get("CI"), reason="the program ps is missing"
)
def test_diagnostics_read_without_any_variable(tmp_path: Path) -> None:
    playbook = str(ROOT / "playbooks/collect_diagnostics/playbook.yml")
    (tmp_path / "hosts").write_text(
        f"here ansible_connection=local ansible_become=false "
        f"ansible_python_interpreter={sys.executable}\n"
    )

    result = ansible("ansible-playbook", "-i", str(tmp_path / "hosts"), playbook, "--check")

    assert result.returncode == 0, result.stdout + result.stderr
    assert "changed=0" in result.stdout


FILES = r"""
- hosts: all
  gather_facts: false
  tasks:
    - runner.remediation.file_content:
        path: "{{ top }}/new.conf"
        content: "port = 8080\n"
        mode: "0640"
    - runner.remediation.file_content:
        path: "{{ top }}/old.pem"
        content: "{{ now().timestamp() }}"
        described: "for 90 days\n"
    - ansible.builtin.include_role: {name: runner.remediation.etcd_member, tasks_from: set_aside}
      vars:
        etcd_member_manager: none
        etcd_member_data: "{{ top }}/data"
        etcd_member_environment: "{{ top }}/none"
        __etcd_member_cluster: {members: []}
        __etcd_member_called: one
"""


@pytest.mark.real
def test_a_change_of_files_is_shown_the_same_each_time_and_keeps_owner_and_mode(
    tmp_path: Path,
) -> None:
    top = tmp_path / "top"
    (top / "data/member").mkdir(parents=True)
    (top / "old.pem").write_text("old\n")
    (top / "old.pem").chmod(0o604)
    (tmp_path / "play.yml").write_text(FILES)
    (tmp_path / "hosts").write_text(
        f"here ansible_connection=local ansible_become=false top={top} "
        f"ansible_python_interpreter={sys.executable}\n"
    )

    def shown(*options: str) -> list[str]:
        arguments = ("-i", str(tmp_path / "hosts"), str(tmp_path / "play.yml"), "--diff", *options)
        result = ansible("ansible-playbook", *arguments)
        assert result.returncode == 0, result.stdout + result.stderr
        play, _, _ = result.stdout.partition("PLAY RECAP")
        return re.findall(r"^(?:[+-].*|changed: .*)$", play, re.MULTILINE)

    first = shown("--check")
    assert sorted(path.name for path in top.iterdir()) == ["data", "old.pem"]
    assert shown("--check") == shown() == first
    for line in ("+port = 8080", "-old", "+for 90 days", f"-{top}/data"):
        assert line in first
    assert (top / "new.conf").read_text() == "port = 8080\n"
    assert [(top / name).stat().st_mode & 0o777 for name in ("new.conf", "old.pem")] == [
        0o640,
        0o604,
    ]
    assert not (top / "data").exists()


@pytest.mark.parametrize("role", ROLES, ids=lambda path: path.name)
def test_every_role_heals_and_refuses_on_this_machine_and_in_the_lab(role: Path) -> None:
    """The rest of a scenario is shared: .config/molecule."""
    scenarios = {path.parent.name for path in role.glob("molecule/*/molecule.yml")}
    assert scenarios >= {"default", "refuses", "lab"}
    assert (role / "molecule/default/prepare.yml").exists()
    lab = {path.stem for path in role.glob("molecule/lab/*.yml")}
    assert lab == {"molecule", "prepare", "converge", "verify", "cleanup"}
    assert "tasks }}/refuses.yml" in (role / "molecule/lab/verify.yml").read_text()
    for scenario in scenarios:
        content = yaml.safe_load((role / "molecule" / scenario / "molecule.yml").read_text())
        assert "driver" not in content and "platforms" not in content
        assert (role / "molecule" / scenario / "verify.yml").exists()
