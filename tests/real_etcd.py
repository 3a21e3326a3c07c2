"""A real etcd cluster and a project with the shipped storage catalog, for tests."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from runner_demo.cluster import Cluster
from runner_demo.storage import inventory
from tests import small_project as small

ROOT = Path(__file__).parent.parent
_missing = [name for name in ("etcd", "etcdctl") if not shutil.which(name)]
needs_etcd = [
    pytest.mark.real,
    pytest.mark.slow,
    pytest.mark.skipif(
        bool(_missing) and not os.environ.get("CI"),
        reason=f"{', '.join(_missing)} is not installed; apt install etcd-server etcd-client",
    ),
]
ENTRIES = (
    "add_storage_node", "remove_storage_member", "set_aside_storage_node",
    "retire_storage_node", "replace_storage_node",
    "compact_storage", "defragment_storage", "reclaim_storage",
)  # fmt: skip


def project(
    cluster: Cluster, root: Path, *, settings: Mapping[str, Any] | None = None, **of_all: Any
) -> Path:
    """Write a project whose inventory is this cluster; returns its runner.yml."""
    for name in ENTRIES:
        shutil.copytree(ROOT / "playbooks" / name, root / "playbooks" / name)
        path = root / "playbooks" / name / "entry.yml"
        # A plan by hand has no alert to clear; what holds is held by the results.
        path.write_text(
            path.read_text().replace("hold: 10s", "hold: 1s").replace("hold: 5s", "hold: 1s")
        )
    (root / "inventory").mkdir()
    (root / "inventory/hosts.yml").write_text(json.dumps(inventory(cluster, of_all)))
    defaults = small.default_settings() | {"policy": {}}
    (root / "runner.yml").write_text(json.dumps(defaults | dict(settings or {})))
    return root / "runner.yml"
