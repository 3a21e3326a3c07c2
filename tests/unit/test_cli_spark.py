from __future__ import annotations

from runner.cli.spark import can_show_bars, sparkline

NAN = float("nan")


def test_a_line_goes_from_the_lowest_bar_to_the_highest() -> None:
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7]) == "▁▂▃▄▅▆▇█"
    assert sparkline([0, 7], bars=False) == "_#"


def test_gaps_stay_gaps_and_nothing_known_is_said() -> None:
    """Invariant 10: a gap is not drawn as if it were low."""
    assert sparkline([0, NAN, 7]) == "▁ █"
    assert sparkline([NAN, NAN, NAN]) == "???"
    assert sparkline([]) == ""


def test_many_values_are_medians_of_their_parts() -> None:
    line = sparkline([1.0] * 50 + [9.0] * 50, width=4)
    assert line == "▁▁██"
    assert sparkline([5.0] * 100, width=4) == "▁▁▁▁"


def test_an_output_without_bars_gets_plain_characters() -> None:
    assert can_show_bars("utf-8")
    assert not can_show_bars("ascii") and not can_show_bars(None) and not can_show_bars("nonsense")
