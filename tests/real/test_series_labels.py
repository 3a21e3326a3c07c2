"""Which labels an expression leaves, told from its text; Prometheus itself is asked, too."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.text.series_labels import series_labels


@pytest.mark.parametrize(
    ("promql", "has", "has_not"),
    [
        ("up == 0", "instance job", ""),
        ("up", "instance", ""),
        ('{__name__="up"}', "instance", ""),
        ("sum(up)", "", "instance"),
        ("sum by (instance, job) (rate(x[5m])) > 0.5", "instance job", "mode"),
        ("sum(x) by (instance) > 1", "instance", "job"),
        ("max without (endpoint) (sum without (instance) (up == bool 0)) > 0",
         "job", "instance endpoint"),
        ("1 - avg by(instance) (rate(n{mode='idle'}[5m]))", "instance", "mode"),
        ("sum(a[1m]) / sum(b[1m]) * 100 > 5", "", "instance"),
        ("a / b", "instance job", ""),
        ("a / sum by (instance) (b)", "instance", "job"),
        ("a / on (pod) b", "pod", "instance"),
        ("a / ignoring (mode) b", "instance", "mode"),
        ("a * on (instance) group_left (nodename) node_uname_info", "instance job nodename", ""),
        ("sum(a) * on () group_right () b", "instance", ""),
        ("a and on () b", "instance", ""),
        ("sum(a) unless b", "", "instance"),
        ("sum(a) or b", "instance", ""),
        ("absent(up{job='x', instance=\"a\"})", "job instance", "service"),
        ("absent(up{job=~'x', instance=\"\"})", "", "job instance"),
        ("absent(sum(up{job='x'}))", "", "job"),
        ("vector(1)", "", "instance"),
        ("time() - x > 5", "instance", ""),
        ("hour() > 5", "", "instance"),
        ("hour(x) > 5", "instance", ""),
        ("scalar(x) > bool 5", "", "instance"),
        ('label_replace(sum(x), "instance", "$1", "a", "(.*)")', "instance", "job"),
        ('count_values("version", x)', "version", "instance"),
        ("topk(3, x)", "instance", ""),
        ("histogram_quantile(0.9, sum by (le) (rate(x[5m])))", "le", "instance"),
        ("predict_linear(x[6h], 24*60*60) < 0", "instance", ""),
        ("quantile_over_time(0.9, x[1h:5m] offset 5m @ end()) > -1", "instance", ""),
        ("# a comment\nsum # another\n(up)", "", "instance"),
        ("(((up)))", "instance", ""),
    ],
)  # fmt: skip
def test_what_an_expression_leaves(promql: str, has: str, has_not: str) -> None:
    left = series_labels(promql)
    assert [label for label in has.split() if not left.may_have(label)] == []
    assert [label for label in has_not.split() if left.may_have(label)] == []


@pytest.mark.parametrize(
    "promql", ["", "(", "x{", "a !", "sum(", "a b", ")", "x[5m", "(" * 5000, "'"]
)
def test_what_is_no_promql_is_a_sentence(promql: str) -> None:
    with pytest.raises(ValueError):
        series_labels(promql)


VECTORS = st.recursive(
    st.sampled_from(["a", "b", "sum(c)"]),
    lambda inner: (
        st.builds(
            "{}({})".format,
            st.sampled_from(["sum", "max by (x)", "min without (y)", "abs", "topk by (x)", ""]),
            inner,
        ).map(lambda text: text.replace("topk by (x)(", "topk by (x)(1, "))
        | st.builds(
            "({} {} {})".format,
            inner,
            st.sampled_from(["+", "* on (x)", "> ignoring (y)", "and", "or", "unless on (x)"]),
            inner,
        )
    ),
    max_leaves=5,
)
SERIES = ['a{x="1", y="1"}', 'b{x="1", y="1"}', 'c{x="1", z="1"}']


@pytest.mark.real
@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_prometheus_gives_no_label_that_we_say_is_gone(tmp_path: Path) -> None:
    """A hundred made expressions in one file: the labels that come are among those said."""
    made: list[str] = []

    @given(promql=VECTORS)
    def make(promql: str) -> None:
        made.append(promql)

    make()
    series = [{"series": each, "values": "1 1"} for each in SERIES]
    # Each is asked to give nothing, so that promtool says what it does give.
    asked = [{"expr": each, "eval_time": "1m"} for each in dict.fromkeys(made)]
    test = {"input_series": series, "interval": "1m", "promql_expr_test": asked}
    file = tmp_path / "test.yml"
    file.write_text(json.dumps({"rule_files": [], "tests": [test]}))
    done = subprocess.run(
        ["promtool", "test", "rules", str(file)], capture_output=True, text=True, timeout=60
    )
    given_ = 0
    for part in (done.stdout + done.stderr).split("expr: ")[1:]:
        promql, (_, _, got) = json.loads(part.split(", time")[0]), part.partition("got:")
        labels = set(re.findall(r'\b([xyz])="1"', got))
        given_ += len(labels)
        assert {label for label in labels if not series_labels(promql).may_have(label)} == set()
    assert given_ > 20, done.stdout + done.stderr
