"""Plays that are compared as a warm and as a cold process has them, and the files they need.

Each uses what keeps state somewhere in Ansible: plugins, caches, options, secrets, display. Those
of `REPRESENTATIVE` are compared in each run of the tests, all of them at night.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

ROLE_DEFAULTS = "greeting: hello\n"
ROLE_TASKS = """\
- name: Greet
  ansible.builtin.debug: {msg: "{{ greeting }} from {{ role_name }} in {{ role_path | basename }}"}
  notify: Told
- name: Fill in
  ansible.builtin.template: {src: greeting.j2, dest: "{{ place }}/greeting", mode: "0600"}
  when: place is defined
"""
FILES = {
    "roles/greet/defaults/main.yml": ROLE_DEFAULTS,
    "roles/greet/meta/main.yml": "dependencies: [{role: first}]\n",
    "roles/greet/handlers/main.yml": "- {name: Told, ansible.builtin.debug: {msg: told}}\n",
    "roles/greet/templates/greeting.j2": "{{ greeting | upper }} {{ ansible_managed }}\n",
    "roles/greet/tasks/main.yml": ROLE_TASKS,
    "roles/greet/tasks/other.yml": "- ansible.builtin.debug: {msg: 'other {{ given }}'}\n",
    "roles/first/tasks/main.yml": "- ansible.builtin.set_fact: {was_first: true}\n",
    "roles/strict/meta/argument_specs.yml": (
        "argument_specs: {main: {options: {number: {type: int, required: true}}}}\n"
    ),
    "roles/strict/tasks/main.yml": "- ansible.builtin.debug: {var: number}\n",
    "included.yml": "- ansible.builtin.debug: {msg: 'included {{ item | default(0) }}'}\n",
    "more.yml": "colour: blue\n",
    "group_vars/all.yml": "from_group: 1\n",
    "filter_plugins/own.py": (
        "class FilterModule:\n    def filters(self):\n"
        "        return {'twice': lambda text: text * 2, 'upper': lambda text: 'OWN ' + text}\n"
    ),
    "lookup_plugins/own.py": (
        "from ansible.plugins.lookup import LookupBase\n"
        "class LookupModule(LookupBase):\n"
        "    def run(self, terms, variables=None, **options):\n"
        "        return [term[::-1] for term in terms]\n"
    ),
    "lookup_plugins/env.py": (  # in place of one that Ansible ships
        "from ansible.plugins.lookup import LookupBase\n"
        "class LookupModule(LookupBase):\n"
        "    def run(self, terms, variables=None, **options):\n        return ['not yours']\n"
    ),
    "action_plugins/own_action.py": (
        "from ansible.plugins.action import ActionBase\n"
        "class ActionModule(ActionBase):\n"
        "    def run(self, tmp=None, task_vars=None):\n"
        "        result = super().run(tmp, task_vars)\n"
        "        return {**result, 'check': self._task.check_mode, 'changed': True}\n"
    ),
    "library/own.py": (
        "#!/usr/bin/python\nfrom ansible.module_utils.basic import AnsibleModule\n"
        "from ansible.module_utils.mine import WORD\n"
        "AnsibleModule({'n': {'type': 'int'}}, supports_check_mode=True)"
        ".exit_json(changed=False, word=WORD)\n"
    ),
    "module_utils/mine.py": "WORD = 'mine'\n",
    "test_plugins/own.py": (
        "class TestModule:\n    def tests(self):\n"
        "        return {'even_ish': lambda n: n % 2 == 0}\n"
    ),
    "vars_plugins/own.py": (
        "from ansible.plugins.vars import BaseVarsPlugin\n"
        "class VarsModule(BaseVarsPlugin):\n    REQUIRES_ENABLED = False\n"
        "    def get_vars(self, loader, path, entities):\n        return {'from_plugin': 7}\n"
    ),
    "collections/ansible_collections/own/tools/galaxy.yml": (
        "namespace: own\nname: tools\nversion: 1.0.0\n"
    ),
    "collections/ansible_collections/own/tools/meta/runtime.yml": (
        "requires_ansible: '>=2.15'\nplugin_routing:\n  modules:\n"
        "    old: {redirect: own.tools.act}\n"
    ),
    "collections/ansible_collections/own/tools/plugins/modules/act.py": (
        "from ansible.module_utils.basic import AnsibleModule\n"
        "from ansible_collections.own.tools.plugins.module_utils.words import WORD\n"
        "AnsibleModule({}, supports_check_mode=True).exit_json(changed=True, word=WORD)\n"
    ),
    "collections/ansible_collections/own/tools/plugins/module_utils/words.py": "WORD = 'tools'\n",
    "collections/ansible_collections/own/tools/plugins/filter/own.py": (
        "class FilterModule:\n    def filters(self):\n        return {'thrice': lambda t: t * 3}\n"
    ),
    "collections/ansible_collections/own/tools/roles/inside/tasks/main.yml": (
        "- ansible.builtin.debug: {msg: 'inside {{ ansible_collection_name }}'}\n- act:\n"
    ),
}

_OPTIONS = """\
- ansible.builtin.debug:
    msg: >-
      {{ ansible_check_mode }} {{ ansible_diff_mode }} {{ ansible_forks }} {{ ansible_limit }}
      {{ ansible_run_tags }} {{ ansible_skip_tags }} {{ ansible_verbosity }}
      {{ ansible_version.full }} {{ ansible_inventory_sources | length }} {{ ansible_play_hosts }}
      {{ playbook_dir | basename }} {{ ansible_config_file | basename }}
      {{ ansible_playbook_python }}
"""
_FILE = "- ansible.builtin.copy: {content: 'one\\n', dest: '{{ place }}/file', mode: '0600'}\n"
_BLOCK = """\
- block:
    - ansible.builtin.fail: {msg: no}
  rescue:
    - ansible.builtin.debug: {msg: "{{ ansible_failed_task.name }} {{ ansible_failed_result.msg }}"}
  always:
    - ansible.builtin.debug: {msg: always}
"""
_UNREACHABLE = """\
- ansible.builtin.ping:
  vars: {ansible_connection: ssh, ansible_host: 127.0.0.1, ansible_port: 1, ansible_ssh_retries: 0}
"""
_ASYNC = """\
- ansible.builtin.command: "true"
  async: 20
  poll: 1
- ansible.builtin.command: "true"
  async: 20
  poll: 0
  register: job
- ansible.builtin.async_status: {jid: "{{ job.ansible_job_id }}"}
  register: done
  until: done.finished
  retries: 30
  delay: 1
"""
_RETRY = """\
- ansible.builtin.set_fact: {n: 1}
- ansible.builtin.command: "test -e {{ place }}/never"
  register: looked
  until: looked.rc == 0
  retries: 2
  delay: 0
  ignore_errors: true
- ansible.builtin.debug: {var: looked.attempts}
"""
_BECOME = """\
- ansible.builtin.raw: echo hi
  become: true
  become_method: ansible.builtin.sudo
  vars: {ansible_become_exe: "{{ place }}/no-such-sudo"}
  ignore_errors: true
"""
_META = """\
- ansible.builtin.debug: {msg: first}
  changed_when: true
  notify: Later
- ansible.builtin.meta: flush_handlers
- ansible.builtin.meta: noop
- ansible.builtin.meta: clear_facts
- ansible.builtin.meta: reset_connection
- ansible.builtin.meta: end_play
- ansible.builtin.debug: {msg: never}
"""


def play(tasks: str, head: str = "", hosts: str = "all") -> str:
    """A playbook of one play."""
    lines = "".join(f"  {line}\n" for line in head.splitlines())
    body = "".join(f"    {line}\n" for line in tasks.splitlines())
    return f"- hosts: {hosts}\n  gather_facts: false\n{lines}  tasks:\n{body}"


def debug(text: str) -> str:
    """One task that shows a text."""
    return f'- ansible.builtin.debug: {{msg: "{text}"}}\n'


_BOTH = ("web1", "web2")
_HANDLERS = "handlers:\n  - name: Later\n    ansible.builtin.debug: {msg: later}\n"

#: name → (playbook, what its request says beside it)
PLAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "options": (play(_OPTIONS), {}),
    "options of a dry run": (play(_OPTIONS), {"check": True, "forks": 3, "hosts": _BOTH}),
    "warnings": (play(debug("{{ 1 }}") + "- command: {cmd: echo}\n  no_log: false\n"), {}),
    "a role with dependency": (play("", "roles: [greet]"), {}),
    "template and diff": (play("", "roles: [greet]\nvars: {place: '{{ playbook_dir }}/out'}"), {}),
    "template in a dry run": (
        play("", "roles: [greet]\nvars: {place: '{{ playbook_dir }}/new'}"),
        {"check": True},
    ),
    "copy, changed": (play(_FILE), {}),
    "copy in a dry run": (play(_FILE), {"check": True}),
    "a failure": (play("- ansible.builtin.fail: {msg: broken}\n"), {}),
    "a failed command": (play("- ansible.builtin.command: 'false'\n"), {}),
    "an undefined variable": (play(debug("{{ nowhere.at.all }}")), {}),
    "a syntax error": (play("- no.such.module: {a: 1}\n"), {}),
    "broken YAML": ("- hosts: all\n  tasks: [}\n", {}),
    "no host": (play(debug("x"), hosts="nobody"), {}),
    "ignored": (play("- ansible.builtin.fail: {msg: no}\n  ignore_errors: true\n"), {}),
    "rescued": (play(_BLOCK), {}),
    "unreachable": (play(_UNREACHABLE), {}),
    "become that fails": (play(_BECOME), {}),
    "asynchronous": (play(_ASYNC), {}),
    "until": (play(_RETRY), {}),
    "handlers and meta": (play(_META, _HANDLERS), {}),
    "no_log": (
        play("- ansible.builtin.debug: {msg: hidden}\n  no_log: true\n"
             "- ansible.builtin.command: echo hidden\n  no_log: true\n"), {},
    ),
    "loops": (
        play("- ansible.builtin.debug: {msg: '{{ item }} {{ i }}'}\n  loop: [a, b]\n"
             "  loop_control: {index_var: i, label: 'l{{ i }}'}\n"
             "- ansible.builtin.debug: {var: item}\n  with_dict: {a: 1}\n"
             "- ansible.builtin.debug: {var: item}\n  loop: []\n"), {},
    ),
    "includes": (
        play("- ansible.builtin.include_tasks: included.yml\n  loop: [1, 2]\n"
             "- ansible.builtin.import_tasks: included.yml\n"
             "- ansible.builtin.include_vars: more.yml\n" + debug("{{ colour }}")), {},
    ),
    "included roles": (
        play("- ansible.builtin.include_role: {name: greet, tasks_from: other.yml}\n"
             "  vars: {given: 1}\n- ansible.builtin.import_role: {name: first}\n"), {},
    ),
    "a role's arguments": (play("", "roles: [{role: strict, vars: {number: x}}]"), {}),
    "lookups": (
        play(debug("{{ lookup('env', 'HOME') }} {{ lookup('own', 'abc') }}")
             + debug("{{ lookup('ansible.builtin.env', 'LANG') }}")
             + debug("{{ lookup('file', 'more.yml') }} {{ query('sequence', 'count=2') }}")), {},
    ),
    "filters and tests": (
        play(debug("{{ 'ab' | twice }} {{ 'x' | upper }} {{ 'x' | ansible.builtin.hash('md5') }}")
             + debug("{{ 4 is even_ish }} {{ [1, 2] | map('string') | join('-') }}")
             + debug("{{ {'a': 1} | to_nice_json }} {{ 'a b' | quote }}")), {},
    ),
    "a filter that fails": (play(debug("{{ 'x' | no_such_filter }}")), {}),
    "an action plugin": (play("- own_action:\n"), {"check": True}),
    "a module of one's own": (play("- own: {n: 1}\n- own: {n: x}\n"), {}),
    "a vars plugin": (play(debug("{{ from_plugin }} {{ from_group }}")), {}),
    "a collection": (
        play("- own.tools.act:\n- own.tools.old:\n" + debug("{{ 'x' | own.tools.thrice }}")
             + "- ansible.builtin.include_role: {name: own.tools.inside}\n"), {},
    ),
    "the keyword collections": (play("- act:\n", "collections: [own.tools]"), {}),
    "vault": (play(debug("{{ secret }}") + "- ansible.builtin.include_vars: vault.yml\n"), {}),
    "facts": (play("- ansible.builtin.setup: {gather_subset: ['!all', '!min', env]}\n"
                   + debug("{{ ansible_facts.env.LANG }}")), {},
    ),
    "delegate_to": (
        play("- ansible.builtin.debug: {msg: '{{ inventory_hostname }}'}\n  delegate_to: web3\n"
             "- ansible.builtin.ping:\n  delegate_to: web2\n"),
        {"allowed": frozenset(["web2", "web3"])},
    ),
    "serial": (play(debug("{{ ansible_play_batch }}"), "serial: 1"), {"hosts": _BOTH}),
    "run_once": (
        play("- ansible.builtin.debug: {msg: once}\n  run_once: true\n" + debug("each")),
        {"hosts": _BOTH},
    ),
    "the strategy free": (play(debug("a") + debug("b"), "strategy: free"), {}),
    "set_stats": (
        play("- ansible.builtin.set_stats: {data: {remediation: {done: true, n: 3}}}\n"), {},
    ),
    "tags": (
        play("- ansible.builtin.debug: {msg: a}\n  tags: [never]\n"
             "- ansible.builtin.debug: {msg: b}\n  tags: [always, x]\n"), {},
    ),
    "two plays": (
        play("- ansible.builtin.set_fact: {kept: 1, cacheable: true}\n")
        + play(debug("{{ hostvars['web1'].kept }}")), {},
    ),
    "group_by and add_host": (
        play("- ansible.builtin.group_by: {key: 'g_{{ inventory_hostname }}'}\n"
             "- ansible.builtin.add_host: {name: new1}\n"
             + debug("{{ groups.keys() | list }}")), {},
    ),
    "assert and conditions": (
        play("- ansible.builtin.assert: {that: [from_group == 1], quiet: true}\n"
             "- ansible.builtin.debug: {msg: x}\n  when: from_group is defined and not true\n"
             "- ansible.builtin.debug: {msg: x}\n  when: nothing_like_this\n"), {},
    ),
    "given variables": (
        play(debug("{{ word }} {{ items | length }}")),
        {"variables": {"word": "{{ 1 + 1 }}", "items": [1, 2]}},
    ),
    "throttle, environment, connection": (
        play("- ansible.builtin.command: 'sh -c \"echo $WORD\"'\n  environment: {WORD: there}\n"
             "  throttle: 1\n  changed_when: false\n- ansible.builtin.raw: echo raw\n"), {},
    ),
    "a task that times out": (
        play("- ansible.builtin.command: sleep 20\n  timeout: 1\n"), {},
    ),
    "max_fail and any_errors_fatal": (
        play("- ansible.builtin.fail: {msg: one}\n  when: inventory_hostname == 'web1'\n"
             + debug("never"), "any_errors_fatal: true"), {"hosts": _BOTH},
    ),
    "ended by its deadline": (
        play("- ansible.builtin.debug: {msg: begun}\n- ansible.builtin.command: sleep 60\n"),
        {"timeout": timedelta(seconds=6)},
    ),
}  # fmt: skip

#: They touch each thing that is set anew in a fork.
REPRESENTATIVE = frozenset(
    {
        "options of a dry run", "warnings", "template in a dry run", "an undefined variable",
        "rescued", "a syntax error", "handlers and meta", "lookups", "filters and tests",
        "a collection", "vault", "a module of one's own", "no_log", "set_stats",
    }
)  # fmt: skip
