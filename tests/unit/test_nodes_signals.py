from __future__ import annotations

import pytest
from pydantic import ValidationError

from runner.config import Nodes, Signal
from runner.nodes import signals


def test_the_configuration_s_signals_win_over_those_that_are_built_in() -> None:
    own = Signal(name="osd_latency", promql="ceph_osd_apply_latency_ms", warning=50, critical=200)
    assert signals.in_force(Nodes(signals=(own,))) == (own,)
    assert signals.in_force(Nodes()) == signals.etcd()


def test_the_signals_for_etcd_have_a_name_each_and_one_that_decides_alone() -> None:
    found = signals.etcd()
    assert len({signal.name for signal in found}) == len(found) >= 10
    assert [signal.name for signal in found if signal.optional] == ["disk_errors"]
    assert any(signal.weight == 1 for signal in found)


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"warning": 2, "critical": 1}, "worse"),
        ({"warning": 1, "critical": 2, "direction": "down"}, "worse"),
        ({"warning": 1, "critical": float("inf")}, "finite"),
        ({"warning": 1, "critical": 2, "weight": 0}, "greater than 0"),
        ({"warning": 1, "critical": 2, "name": "Bad Name"}, "pattern"),
    ],
)
def test_a_signal_that_makes_no_sense_is_refused(fields: dict[str, object], word: str) -> None:
    with pytest.raises(ValidationError, match=word):
        Signal.model_validate({"name": "x", "promql": "x"} | fields)


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"step": "0s"}, "longer than 0s"),
        ({"recent": "10m"}, "at least two steps"),
        ({"window": "3h"}, "six times recent"),
        ({"window": "30d", "step": "1m"}, "2000 steps"),
        ({"signals": [{"name": "a", "promql": "a", "warning": 1, "critical": 2}] * 2}, "called a"),
    ],
)
def test_settings_that_make_no_sense_are_refused(fields: dict[str, object], word: str) -> None:
    with pytest.raises(ValidationError, match=word):
        Nodes.model_validate(fields)
