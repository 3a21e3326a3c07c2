from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from runner import predict
from runner.project import Project
from tests import small_project as small
from tests.chat_server import chat_server
from tests.command_line import answered, call
from tests.real.test_predict import INVENTORY, NODES, Metrics, World


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose node n2 is past its warning bound; n3 is not measured."""
    metrics = Metrics()
    metrics.fill |= {"n2": 0.85}
    del metrics.fill["n3"]
    monkeypatch.setattr(Project, "prometheus", metrics)
    made = small.make(tmp_path, settings={"nodes": NODES}, inventory=INVENTORY)
    world = World(small.project(made))
    monkeypatch.setattr(Project, "inventory", lambda self: world.inventory())
    world.project.close()
    return made


@pytest.fixture
def greylisted(path: Path) -> Iterator[Path]:
    """The same, after n2 joined the greylist."""
    project = small.project(path)
    begin = datetime.now(UTC) - timedelta(hours=2)
    for number in range(6):
        assert predict.step(project, begin + timedelta(minutes=15 * number))
    project.close()
    return path


def test_the_list_shows_the_worst_first_with_its_trend(path: Path) -> None:
    lines = call(path, "node", "list").stdout.splitlines()
    assert lines[0].split() == "NODE TIER GREYLISTED FAILS IN SIGNAL LEVEL TREND".split()
    assert [line.split()[:2] for line in lines[1:4]] == [
        ["n2", "warning"], ["n3", "unknown"], ["n1", "none"],
    ]  # fmt: skip
    assert "fill" in lines[1] and "0.85" in lines[1] and "▁" in lines[1]


def test_missing_data_is_said(path: Path) -> None:
    """Invariant 10: unknown is shown as unknown."""
    text = call(path, "node", "show", "n3").stdout
    assert text.startswith("n3: unknown")
    assert "fill is unknown: no data in the whole window." in text
    (found,) = [one for one in answered(path, "node", "list") if one["node"] == "n3"]
    assert found["tier"] == "unknown" and set(found["signals"][0]["values"]) == {None}


def test_one_signal_may_be_listed_and_must_be_known(path: Path) -> None:
    assert "0.5" in call(path, "node", "list", "--signal", "memory").stdout
    result = call(path, "node", "list", "--signal", "speed")
    assert result.exit_code == 5 and "known are fill, memory" in result.stderr


def test_a_node_is_shown_with_signals_greylist_and_history(greylisted: Path) -> None:
    text = call(greylisted, "node", "show", "n2").stdout
    assert "fill is past its warning bound: 0.85, warning 0.8, critical 0.92." in text
    assert "Greylist: warning" in text and "Predicted before" in text
    found = answered(greylisted, "node", "show", "n2")
    assert found["greylist"]["node"] == "n2" and found["history"][0]["by"] == "rules"
    assert call(greylisted, "node", "show", "nobody").exit_code == 5


def test_the_greylist_for_people_programs_and_ansible(greylisted: Path) -> None:
    text = call(greylisted, "node", "greylist").stdout
    assert text.splitlines()[1].split()[:2] == ["n2", "warning"]
    assert answered(greylisted, "node", "greylist")["members"][0]["node"] == "n2"
    inventory = json.loads(call(greylisted, "node", "greylist", "--ansible").stdout)
    assert inventory["greylisted"] == {"hosts": ["n2"]}


def test_an_empty_greylist_is_said(path: Path) -> None:
    assert "The greylist is empty." in call(path, "node", "greylist").stderr


def test_a_member_is_settled_once_and_by_a_person(greylisted: Path) -> None:
    done = call(greylisted, "node", "settle", "n2", "--reason", "disk ordered", "--as", "ann")
    assert done.exit_code == 0 and "no more reminders" in done.stdout
    again = call(greylisted, "node", "settle", "n2", "--reason", "again", "--as", "bob")
    assert again.exit_code == 6 and "user:ann" in again.stderr
    assert call(greylisted, "node", "settle", "n9", "--reason", "x").exit_code == 5


def test_signals_in_force_are_shown(path: Path) -> None:
    assert [one["name"] for one in answered(path, "node", "signals")] == ["fill", "memory"]
    assert call(path, "node", "signals").stdout.splitlines()[1].split()[:4] == [
        "fill", "up", "0.8", "0.92",
    ]  # fmt: skip


def test_predict_says_who_is_about_to_fail_by_its_exit_code(path: Path) -> None:
    result = call(path, "predict")
    assert result.exit_code == 1
    assert result.stdout.splitlines()[1].split()[:2] == ["n2", "warning"]
    assert call(path, "predict", "--node", "n1").exit_code == 0
    assert call(path, "predict", "--node", "n7").exit_code == 5


def test_predict_shows_the_model_below_the_rules(path: Path) -> None:
    content = json.loads(path.read_text())
    said = {"reason": "It \x1b[2Jfills.", "tier": "critical", "hours": 30, "cited": [1],
            "confidence": 0.8}  # fmt: skip
    with chat_server(said) as url:
        model = {"name": "m", "base_url": url, "retries": 0}
        path.write_text(json.dumps(content | {"model": model}))
        lines = call(path, "predict").stdout.splitlines()
        found = json.loads(call(path, "predict", "--node", "n2", "--output", "json").stdout)
    assert lines[1].split()[:2] == ["n2", "warning"]
    assert lines[2].split()[:2] == ["critical", "1d6h"]
    assert "The model sees critical, 80% sure: It fills." in lines[2], "no escape gets through"
    assert found["model"]["n2"]["tier"] == "critical" and found["predictions"][0]["by"] == "rules"


def table(folder: Path) -> Path:
    """Eight days of two nodes, one of which fills up and fails."""
    lines = ["time,node,signal,value"]
    begin = datetime(2026, 11, 1, tzinfo=UTC)
    for hour in range(8 * 24):
        for node, value in (("n1", 0.4), ("n2", 0.4 + 0.55 * hour / 180)):
            if node == "n1" or hour < 180:
                at = (begin + timedelta(hours=hour)).isoformat()
                lines += [f"{at},{node},fill,{value:.4f}", f"{at},{node},memory,0.5"]
    lines.append(f"{(begin + timedelta(hours=180)).isoformat()},n2,failed,1")
    path = folder / "history.csv"
    path.write_text("\n".join(lines))
    return path


def test_a_backtest_over_a_table(path: Path, tmp_path: Path) -> None:
    settings = {"nodes": NODES | {"step": "1h", "every": "2h", "recent": "3h"}}
    made = small.make(tmp_path, settings=settings, inventory=INVENTORY)
    found = answered(made, "predict", "--backtest", "--csv", table(tmp_path))
    assert (found["failures"], found["found"], found["false"]) == (1, 1, 0)
    text = call(made, "predict", "--backtest", "--csv", table(tmp_path)).stdout
    assert "100.0% of all" in text and "median" in text


def test_a_backtest_over_prometheus(path: Path) -> None:
    words = ["--from", "2026-11-01", "--to", "2026-11-09T00:00:00Z", "--failed", "n2=2026-11-08"]
    found = answered(path, "predict", "--backtest", *words)
    assert (found["nodes"], found["failures"], found["found"]) == (3, 1, 1)


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["--csv", "/dev/null"], 2, "need --backtest"),
        (["--backtest"], 2, "takes one of"),
        (["--backtest", "--csv", "/dev/null"], 2, "the heading must name"),
        (["--backtest", "--csv", "/dev/null", "--simulate", "1"], 2, "takes one of"),
        (["--backtest", "--csv", "/nowhere"], 2, "No such file"),
        (["--backtest", "--simulate", "1", "--to", "now"], 2, "go with --from"),
        (["--backtest", "--from", "then"], 2, "--from: 'then' is no time"),
        (["--backtest", "--from", "2026-11-01", "--failed", "n2"], 2, "HOST=TIME"),
        (["--backtest", "--from", "2026-11-02", "--to", "2026-11-01"], 2, "between --from"),
        (["--backtest", "--from", "2026-11-01", "--failed", "n9=2026-11-02"], 5, "n9 is no node"),
    ],
)
def test_what_makes_no_sense_is_said_in_a_sentence(
    path: Path, words: list[str], code: int, sentence: str
) -> None:
    result = call(path, "predict", *words)
    assert (result.exit_code, sentence in result.stderr) == (code, True), result.stderr
    assert "Traceback" not in result.stderr


def test_nodes_that_are_not_configured_are_a_sentence(tmp_path: Path) -> None:
    made = small.make(tmp_path)
    result = call(made, "node", "list")
    assert result.exit_code == 3 and "prometheus.url" in result.stderr
