"""The private copy that a run reads: where it can be made, and what a crash in it leaves."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from runner.execute import snapshot
from runner.execute.request import Loading, RunResult
from runner.execute.run import recover, run
from runner.incident import Outcome
from tests.local_hosts import Lab


def test_a_folder_that_may_only_be_passed_through_is_copied_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is named in it is found; what else is there, Ansible cannot look up either."""
    closed = tmp_path / "base/closed"
    (closed / "open").mkdir(parents=True)
    named, beside = closed / "open/named.yml", closed / "open/beside.yml"
    named.write_text("named")
    beside.write_text("beside")
    scandir = os.scandir

    def refuses(path: Any = ".") -> Any:
        if os.fspath(path) == str(closed):  # as `chmod 0111` does to whoever is not root
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuses)
    digest = hashlib.sha256(b"named").hexdigest()
    copy = tmp_path / "copy"
    snapshot.take(copy, {named: digest}, tmp_path / "base")
    assert snapshot.mirrored(copy, named).read_text() == "named"
    assert snapshot.mirrored(copy, beside).readlink() == beside


def test_a_crash_within_the_copy_is_found_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant 2: the intent is noted first, so what was begun is found again and removed."""
    lab = Lab(tmp_path)
    play = lab.play("- ansible.builtin.debug:")
    digest = hashlib.sha256(play.read_bytes()).hexdigest()
    request = lab.request(play, loading=Loading(files={play: digest}, base=tmp_path))
    take = snapshot.take

    def dies(*arguments: Any) -> None:
        take(*arguments)
        raise KeyboardInterrupt  # nothing after it is done, as with a power cut

    monkeypatch.setattr(snapshot, "take", dies)
    with pytest.raises(KeyboardInterrupt):
        run(request)
    assert request.snapshot is not None and request.snapshot.exists()
    private = Path(json.loads((request.folder / "intent.json").read_text())["private"])
    assert private.exists()
    found = recover(request.artifacts, request.id)
    assert isinstance(found, RunResult)
    assert found.outcome in (Outcome.CANCELLED, Outcome.UNKNOWN), found.reason
    assert not private.exists()
    assert not request.snapshot.exists()
