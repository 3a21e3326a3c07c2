"""Whether a clock is kept, and what the module does or refuses; no clock is set here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.called_module import called, stand_in
from tests.role_code import module_of

#: chronyc, by three files; what changes something leaves a line in `done`.
CHRONYC = """
cd {root}
case "$*" in
  *tracking) [ -e silent ] && exit 1; echo "ID,x,3,1.0,$(cat offset),0,0,0,0,0,0,0,64,$(cat leap)";;
  *sources) cat sources;;
  online) echo $* >>done; [ -e away ] || echo Normal >leap;;
  makestep) echo $* >>done; echo 0.0001 >offset;;
  *) echo $* >>done;;
esac
"""
SYSTEMCTL = """
cd {root}
case "$1" in
  show) printf 'LoadState=%s\\nActiveState=active\\nMainPID=7\\n' $(cat loaded);;
  restart) echo $1 >>done; rm -f silent;;
esac
"""
GOOD = "^,*,192.0.2.1,2,6,377,5,0,0,0\n^,+,192.0.2.2,2,6,17,5,0,0,0\n"
FALSE = (
    "^,*,192.0.2.1,2,6,377,5,0,0,0\n^,x,192.0.2.2,2,6,377,5,0,0,0\n^,?,192.0.2.3,0,6,0,5,0,0,0\n"
)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host whose clock is kept."""
    stand_in(tmp_path, "chronyc", CHRONYC.format(root=tmp_path))
    stand_in(tmp_path, "systemctl", SYSTEMCTL.format(root=tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    files = {"offset": "0.00002", "leap": "Normal", "sources": GOOD, "loaded": "loaded", "done": ""}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def clock(capsys: pytest.CaptureFixture[str], **given: Any) -> dict[str, Any]:
    return called(
        capsys, "kept_clock", name="chrony", **{"max_step": 30, "settle_seconds": 0} | given
    )


def done(host: Path) -> list[str]:
    return (host / "done").read_text().splitlines()


def test_a_clock_that_is_kept_is_left_alone(host: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = clock(capsys)
    assert (found["changed"], found["kept"], done(host)) == (False, True, [])


@pytest.mark.parametrize(
    ("broken", "did"),
    [
        ({"leap": "Not synchronised"}, ["online", "burst 4/4"]),
        ({"offset": "-2.5"}, ["makestep"]),
        ({"leap": "Not synchronised", "offset": "2.5"}, ["online", "burst 4/4", "makestep"]),
        ({"silent": ""}, ["restart"]),
        (
            {"silent": "", "leap": "Not synchronised", "offset": "9"},
            ["restart", "online", "burst 4/4", "makestep"],
        ),
    ],
)
def test_what_is_needed_is_done_and_nothing_else(
    host: Path, capsys: pytest.CaptureFixture[str], broken: dict[str, str], did: list[str]
) -> None:
    for name, text in broken.items():
        (host / name).write_text(text)
    shown = clock(capsys, _ansible_check_mode=True)
    assert (shown["changed"], shown["kept"], done(host)) == (True, False, [])
    found = clock(capsys)
    assert (found["changed"], found["kept"], done(host)) == (True, True, did)
    assert found["diff"] == shown["diff"]


@pytest.mark.parametrize(
    ("broken", "given", "said"),
    [
        ({"offset": "31"}, {}, "chrony: the clock is 31.000 s off, and may be stepped by 30 s"),
        ({"offset": "0.1"}, {"max_step": 0}, "may be stepped by 0 s at most; nothing was changed."),
        (
            {"offset": "1", "sources": FALSE},
            {},
            "chrony reaches and believes 1 time sources, and 2",
        ),
        ({"offset": "nan"}, {}, "the clock is nan s off"),
        ({"loaded": "not-found"}, {}, "systemd has no unit chrony (not-found/active)"),
    ],
)
def test_it_refuses_before_it_changes_anything(
    host: Path,
    capsys: pytest.CaptureFixture[str],
    broken: dict[str, str],
    given: dict[str, Any],
    said: str,
) -> None:
    for name, text in broken.items():
        (host / name).write_text(text)
    for check in (True, False):
        found = clock(capsys, **given, _ansible_check_mode=check)
        assert found["failed"] and said in found["msg"]
        assert done(host) == []


def test_a_bound_that_shows_only_after_the_restart_still_holds(
    host: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (host / "silent").touch()
    (host / "offset").write_text("3600")
    found = clock(capsys)
    assert "may be stepped by 30 s at most; done before: ['restart']." in found["msg"]
    assert done(host) == ["restart"]


def test_a_clock_without_sources_is_not_called_kept(
    host: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (host / "leap").write_text("Not synchronised")
    (host / "away").touch()
    found = clock(capsys)
    assert (found["changed"], found["kept"], found["actions"]) == (True, False, ["ask"])


@pytest.mark.parametrize("text", ["", "506 Cannot talk to daemon", "a,b,c,d,far,Normal"])
def test_what_cannot_be_read_is_no_answer(text: str) -> None:
    assert not module_of("modules/kept_clock.py").parse(text, GOOD)["answers"]


@pytest.mark.parametrize(
    ("offset", "words"),
    [(0.06, "0.01"), (0.94, "0.1"), (1.0, "1"), (31.0, "10"), (0.0, "1e-06"), (float("inf"), "")],
)
def test_the_size_of_an_offset_is_a_power_of_ten(offset: float, words: str) -> None:
    assert words in module_of("modules/kept_clock.py").size(offset)
