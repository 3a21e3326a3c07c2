"""What modules that change something say of check mode and diff mode."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = """
options: {}
attributes:
  check_mode:
    description: Changes nothing, and reports what would change.
    support: full
  diff_mode:
    description: Shows what changes, the same in a dry run and in its run.
    support: full
"""
