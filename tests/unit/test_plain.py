from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.text.plain_yaml import read_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on: 1", {"on": 1}),
        ("[yes, no, off, y]", ["yes", "no", "off", "y"]),
        ("[true, False]", [True, False]),
        ("22:00", "22:00"),
        ("2026-12-24", "2026-12-24"),
        ("0123", "0123"),
        ("[-5, 0, 9095]", [-5, 0, 9095]),
        ("0.7", 0.7),
        ("[null, ~, ]", [None, None]),
        ("", None),
    ],
)
def test_words_stay_words(text: str, value: object) -> None:
    assert read_yaml(text) == value


def test_a_key_that_is_there_twice_is_refused_with_its_line() -> None:
    with pytest.raises(ValueError, match=r"'a' is written twice \(line 3\)"):
        read_yaml("a: 1\nb: 2\na: 3")


def test_a_tag_makes_nothing() -> None:
    with pytest.raises(ValueError, match="is not YAML"):
        read_yaml("!!python/object/apply:os.system [id]")


def test_deep_nesting_is_a_sentence() -> None:
    with pytest.raises(ValueError, match="nested too deeply"):
        read_yaml("[" * 200_000 + "]" * 200_000)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        read_yaml(text)
    except ValueError:
        pass
