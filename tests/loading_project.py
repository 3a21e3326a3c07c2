"""A project whose one entry loads something of every kind: its playbook, two roles of others by
their usual names, a role, a module, a filter and module_utils of a collection, plugins beside
the roles, variables, a template and a file."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from runner import plan as plans
from runner.catalog import Catalog, Installed, load
from runner.catalog.content import read
from runner.catalog.loaded import called
from runner.execute.request import Loading, RunRequest, RunResult
from runner.execute.run import run
from runner.execute.warm.client import Warm
from runner.incident import Alert, AlertStatus, Incident, Level, Plan, Purpose, Run, State
from runner.inventory import Host, Inventory

NOW = datetime(2026, 3, 4, tzinfo=UTC)
LOCAL = {
    "ansible_connection": "local",
    "ansible_python_interpreter": "{{ ansible_playbook_python }}",
}

MODULE = """\
from ansible.module_utils.basic import AnsibleModule
from {utils} import WORD

def main():
    module = AnsibleModule(argument_spec={{}}, supports_check_mode=True)
    module.exit_json(changed=False, word=WORD)

main()
"""
FILTER = """\
class FilterModule:
    def filters(self):
        return {{"{name}": str.upper}}
"""

FILES: dict[str, str] = {
    "ansible.cfg": """\
        [defaults]
        library = plugins/modules
        module_utils = plugins/module_utils
        filter_plugins = plugins/filter
        collections_path = collections
        """,
    "hosts.yml": json.dumps({"all": {"vars": LOCAL, "hosts": {"web1": {}}}}),
    "shared/vars.yml": "shared_word: shared\n",
    "playbooks/heal/playbook.yml": """\
        - hosts: all
          gather_facts: false
          vars_files: [../../shared/vars.yml]
          roles: [author.role]
        """,
    "playbooks/heal/group_vars/all.yml": "beside: playbook\n",
    "roles/my-role/tasks/main.yml": "- ansible.builtin.debug: {msg: '{{ my_role_word }}'}\n",
    "roles/my-role/defaults/main.yml": "my_role_word: dependency\n",
    "roles/author.role/meta/main.yml": "dependencies: [my-role]\n",
    "roles/author.role/vars/linux.yml": "kind_word: linux\n",
    "roles/author.role/files/plain.txt": "plain\n",
    "roles/author.role/templates/conf.j2": "{{ shared_word | loud }} {{ kind_word }}\n",
    "roles/author.role/library/of_role.py": MODULE.format(utils="ansible.module_utils.role_words"),
    "roles/author.role/module_utils/role_words.py": "WORD = 'role'\n",
    "roles/author.role/filter_plugins/soft.py": FILTER.format(name="soft"),
    "roles/author.role/tasks/more.yml": "- ansible.builtin.debug: {msg: \"{{ 'x' | soft }}\"}\n",
    "plugins/modules/of_project.py": MODULE.format(utils="ansible.module_utils.project_words"),
    "plugins/module_utils/project_words.py": "WORD = 'project'\n",
    "plugins/filter/loud.py": FILTER.format(name="loud"),
    "collections/ansible_collections/ns/coll/MANIFEST.json": json.dumps(
        {"collection_info": {"namespace": "ns", "name": "coll", "version": "1.2.3"}}
    ),
    "collections/ansible_collections/ns/coll/plugins/modules/mark.py": MODULE.format(
        utils="ansible_collections.ns.coll.plugins.module_utils.words"
    ),
    "collections/ansible_collections/ns/coll/plugins/module_utils/words.py": "WORD = 'ns'\n",
    "collections/ansible_collections/ns/coll/plugins/filter/quiet.py": FILTER.format(name="quiet"),
    "collections/ansible_collections/ns/coll/roles/helper/tasks/main.yml": (
        "- ansible.builtin.debug: {msg: \"{{ 'x' | ns.coll.quiet }}\"}\n"
    ),
}

TASKS = """\
- name: Include what the system needs
  ansible.builtin.include_vars: "{{ system }}.yml"
- name: Use a module of the role
  of_role:
- name: Use a module of the project
  of_project:
- name: Use a module of a collection
  ns.coll.mark:
- name: Use a role of a collection
  ansible.builtin.include_role: {name: ns.coll.helper}
- name: Include more
  ansible.builtin.include_tasks: more.yml
- name: Write the configuration
  ansible.builtin.template: {src: conf.j2, dest: "ROOT/conf", mode: "0600"}
- name: Copy the file
  ansible.builtin.copy: {src: plain.txt, dest: "ROOT/plain", mode: "0600"}
"""
ENTRY = {
    "title": "Heal",
    "description": "Heals.",
    "match": ['alertname="Down"'],
    "role": "author.role",
    "parameters": {"system": {"from": "constant", "value": "linux"}},
}
SPECS = "argument_specs: {main: {options: {system: {type: str, description: The system.}}}}\n"


@dataclass(frozen=True)
class Lab:
    """The project in a folder, and its entry as it is now."""

    root: Path
    warm: Warm | None = None

    @classmethod
    def at(cls, root: Path, tasks: str = TASKS, **files: str) -> Lab:
        """Write the project. `files` are further ones, or others in their place."""
        lab = cls(root)
        texts = {
            **FILES,
            "playbooks/heal/entry.yml": json.dumps(ENTRY),
            "roles/author.role/meta/argument_specs.yml": SPECS,
            "roles/author.role/tasks/main.yml": tasks.replace("ROOT", str(root)),
            **files,
        }
        for name, text in texts.items():
            lab.write(name, text)
        return lab

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = text.splitlines(keepends=True)
        indent = len(lines[0]) - len(lines[0].lstrip(" ")) if lines else 0
        path.write_text("".join(line[indent:] for line in lines))
        return path

    @property
    def catalog(self) -> Catalog:
        installed = Installed(self.root / "ansible.cfg", {})
        return load(self.root / "playbooks", (self.root / "roles",), installed)

    def draft(self, catalog: Catalog, like: Plan | None = None, **variables: Any) -> Plan:
        """The plan of the entry on web1, from the files as they are now."""
        alert = Alert(
            fingerprint="f",
            status=AlertStatus.FIRING,
            labels={"alertname": "Down"},
            annotations={},
            starts_at=NOW,
        )
        incident = Incident(
            id=1, alert=alert, state=State.JUDGED, reason="", created_at=NOW, updated_at=NOW,
            environment="test", ceiling=Level.AUTO, hosts=("web1",),
        )  # fmt: skip
        hosts = Inventory(
            hosts={"web1": Host(name="web1", variables=LOCAL | variables)},
            groups={"all": ("web1",)},
        )
        return plans.draft(incident, catalog.get("heal"), catalog, hosts, key="0" * 32, like=like)

    def dry_run(self, catalog: Catalog, plan: Plan) -> tuple[Plan, Run, RunResult]:
        """The plan with what its dry run loaded."""
        result = run(self._request(catalog, plan, check=True), warm=self.warm)
        ended = Run(
            id=result.id, incident=1, purpose=Purpose.DRY_RUN, attempt=1, entry="heal",
            hosts=("web1",), plan=plan.hash, started_at=NOW, deadline=NOW,
            loaded=result.loaded, included=result.included,
        )  # fmt: skip
        return plans.watched(plan, ended, catalog), ended, result

    def run(self, catalog: Catalog, plan: Plan) -> RunResult:
        """Run the plan for real, from a copy of what it names."""
        return run(self._request(catalog, plan, files=self.named(catalog, plan)), warm=self.warm)

    def named(self, catalog: Catalog, plan: Plan) -> dict[Path, str]:
        paths = read(catalog, catalog.get("heal")).paths
        files = {paths[name]: digest for name, digest in plan.files.items()}
        return files | {Path(n): d for n, d in plan.loaded.items() if n.startswith("/")}

    def _request(
        self,
        catalog: Catalog,
        plan: Plan,
        check: bool = False,
        files: Mapping[Path, str] | None = None,
    ) -> RunRequest:
        installed = catalog.roles.installed
        assert installed is not None
        folders = [f for some in installed.plugin_folders.values() for f in some]
        paths = installed.collection_paths
        loading = Loading(
            roots=(
                catalog.playbooks, *catalog.roles.paths, *folders,
                *(path / "ansible_collections" for path in paths),
            ),
            files=files,
            base=self.root,
            plugin_folders=installed.plugin_folders,
            collections={
                name: (each.folder, plan.loaded[called(each)])
                for name, each in installed.collections.items()
                if called(each) in plan.loaded
            } if files is not None else {},
            collection_paths=paths,
            cache=self.root / "var/collections",
        )  # fmt: skip
        return RunRequest(
            id=uuid.uuid4().hex,
            entry_id="heal",
            playbook=catalog.get("heal").play_file,
            inventory=(self.root / "hosts.yml",),
            hosts=("web1",),
            roles_path=catalog.roles.paths,
            variables=plan.variables,
            check=check,
            artifacts=self.root / "var/artifacts",
            timeout=timedelta(seconds=120),
            ansible_config=self.root / "ansible.cfg",
            loading=loading,
        )
