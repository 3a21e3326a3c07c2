"""Parts of hosts: one spelling for each, and which of them are known to be apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.incident.part import KINDS, LONGEST, SUFFIXES, apart, canonical

kinds = st.sampled_from(KINDS)
texts = st.one_of(
    st.text(max_size=30),
    st.from_regex(r"[a-c]{1,2}(@[a-c])?(\.(service|socket|timer))?", fullmatch=True),
    st.from_regex(r"(/{1,2}[a-c.]{0,2}){1,4}/?", fullmatch=True),
)


@st.composite
def parts(draw: st.DrawFn) -> str:
    kind = draw(kinds)
    name = draw(st.from_regex(r"[a-c]{1,2}(@[a-c])?", fullmatch=True))
    path = draw(st.from_regex(r"(/[a-b]){0,3}", fullmatch=True)) or "/"
    return canonical(kind, path if kind == "mountpoint" else name)


@pytest.mark.parametrize(
    ("kind", "texts", "part"),
    [
        ("unit", ("nginx", "nginx.service"), "unit nginx.service"),
        ("unit", ("a.b", "a.b.service"), "unit a.b.service"),
        ("unit", ("queue@3.service", "queue@3"), "unit queue@3.service"),
        ("unit", ("backup.timer",), "unit backup.timer"),
        ("mountpoint", ("/var", "/var/", "//var"), "mountpoint /var"),
        ("mountpoint", ("/", "//"), "mountpoint /"),
        ("container", ("/web", "web"), "container web"),
        ("database", ("shop",), "database shop"),
        ("process", ("java",), "process java"),
        ("unit", ("", "-x", "a b", "a/b", "näme", "a\n", "all units"), ""),
        ("mountpoint", ("var", "/var/../etc", "/./var", "/a b", ""), ""),
        ("database", ("", "a b", "a/b", "-x", "a\n"), ""),
        ("nothing", ("shop",), ""),
    ],
)
def test_a_part_has_one_spelling(kind: str, texts: tuple[str, ...], part: str) -> None:
    assert {canonical(kind, text) for text in texts} == {part}


@given(kind=kinds, text=texts)
def test_a_spelling_is_plain_bounded_and_its_own(kind: str, text: str) -> None:
    part = canonical(kind, text)
    if part:
        name = part.removeprefix(f"{kind} ")
        assert canonical(kind, name) == part
        assert len(part) <= LONGEST and name.isascii() and not set(name) & set(" \n\t\"'{}*$`")
        assert kind != "unit" or name.rpartition(".")[2] in SUFFIXES


def test_what_is_longer_than_its_column_is_no_part() -> None:
    assert canonical("unit", "a" * LONGEST) == ""
    assert canonical("mountpoint", "/a" * LONGEST) == ""


@pytest.mark.parametrize(
    ("one", "other", "yes"),
    [
        ("unit nginx.service", "unit redis.service", True),
        ("unit nginx.service", "unit nginx.service", False),
        ("unit nginx.service", "unit nginx.socket", False),
        ("unit queue@1.service", "unit queue@2.service", False),
        ("unit postgresql.service", "unit postgresql@15-main.service", False),
        ("mountpoint /var", "mountpoint /srv", True),
        ("mountpoint /var", "mountpoint /var/log", False),
        ("mountpoint /var", "mountpoint /variable", True),
        ("mountpoint /", "mountpoint /srv", False),
        ("database shop", "database mail", True),
        ("unit postgresql.service", "database shop", False),
        ("unit nginx.service", None, False),
        ("unit nginx.service", "", False),
        (None, None, False),
    ],
)
def test_only_what_cannot_touch_is_apart(one: str | None, other: str | None, yes: bool) -> None:
    assert apart(one, other) is apart(other, one) is yes


@given(one=st.one_of(st.none(), parts()), other=parts())
def test_apart_is_mutual_and_never_of_itself(one: str | None, other: str) -> None:
    assert apart(one, other) is apart(other, one)
    assert not apart(other, other) and not apart(None, other)
