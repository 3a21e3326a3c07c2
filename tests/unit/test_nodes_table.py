from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.errors import UsageError
from runner.nodes.table import moment, read

STEP = timedelta(minutes=10)
HEAD = "time,node,signal,value"


def test_a_table_becomes_series_on_a_grid_with_its_failures() -> None:
    lines = [
        HEAD,
        "2026-11-01T00:00:00Z,db1,fill,0.5",
        "2026-11-01T00:20:00+00:00,db1,fill,0.7",
        "2026-11-01 00:10,db2,fill,",
        "1793491200,db1,failed,0",
        "2026-11-01T00:20:00Z,db1,failed,1",
    ]
    found = read(lines, STEP, {"fill"})
    assert found.series["db1"]["fill"][[0, 2]].tolist() == [0.5, 0.7]
    assert np.isnan(found.series["db1"]["fill"][1]) and np.isnan(found.series["db2"]["fill"]).all()
    assert found.failures == {"db1": datetime(2026, 11, 1, 0, 20, tzinfo=UTC)}


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ([], "line 1: the heading"),
        (["a,b"], "line 1: the heading"),
        ([HEAD], "no values"),
        ([HEAD, "2026-11-01,db1,fill"], "line 2: it has 3 columns"),
        ([HEAD, "yesterday,db1,fill,1"], "line 2: 'yesterday' must be a time"),
        ([HEAD, "2026-11-01,db1,fill,much"], "line 2: .* 'much' a number"),
        ([HEAD, "2026-11-01,,fill,1"], "line 2: the node is empty"),
        ([HEAD, "2026-11-01,db1,fil,1"], "line 2: there is no signal 'fil'"),
        ([HEAD, "1e300,db1,fill,1"], "line 2"),
        ([HEAD, "nan,db1,fill,1"], "line 2"),
        ([HEAD, "1,db1,fill,1", "2026-11-01,db2,fill,1", "1,a,fill,1"], "too long a time"),
    ],
)
def test_a_table_that_is_none_is_refused_in_a_sentence(lines: list[str], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        read(lines, timedelta(seconds=1), {"fill"})


@given(st.lists(st.text(max_size=60), max_size=6))
def test_no_text_is_anything_but_refused_or_read(lines: list[str]) -> None:
    try:
        read([HEAD, *lines], STEP, {"fill"})
    except UsageError as error:
        assert str(error)


def test_a_time_without_a_zone_is_utc() -> None:
    assert moment("2026-11-01T12:00") == datetime(2026, 11, 1, 12, tzinfo=UTC)
    assert moment("0") == datetime(1970, 1, 1, tzinfo=UTC)
