"""How modules that act on a unit reach what keeps it running."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = """
options:
  manager:
    description: What keeps the units running.
    type: str
    choices: [systemd, supervisord]
    default: systemd
  supervisor_config:
    description: The supervisord.conf that knows the programs; nobody else may be able to change it.
    type: path
    default: /etc/supervisor/supervisord.conf
  supervisorctl:
    description: The supervisorctl to call, as a path or as a name in PATH.
    type: str
    default: supervisorctl
"""
