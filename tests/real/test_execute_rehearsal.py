from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.evidence.mask import Mask
from runner.execute import diff
from runner.execute.events import MAX_DIFF, compact, cut
from runner.execute.rehearsal import diff_of
from runner.execute.request import RunResult
from runner.execute.run import run
from runner.incident import Outcome
from tests.local_hosts import Lab, needs_ansible

real, with_ansible = needs_ansible


def event(host: str, uuid: str, **result: Any) -> dict[str, Any]:
    return {
        "event": "runner_on_ok", "host": host, "uuid": uuid, "task": f"task {uuid}",
        "action": "ansible.builtin.copy", "res": result,
    }  # fmt: skip


def test_before_and_after_become_a_unified_diff() -> None:
    text = diff.unified([{"before": "a\nb\n", "after": "a\nc\n", "before_header": "/etc/x"}])
    assert text.splitlines()[:2] == ["--- /etc/x", "+++ after"]
    assert "-b" in text and "+c" in text


def test_a_mapping_is_compared_key_by_key() -> None:
    text = diff.unified({"before": {"mode": "0644", "path": "/x"}, "after": {"mode": "0600"}})
    assert '- "mode": "0644",' in text


def test_prepared_text_is_taken_as_it_is() -> None:
    assert diff.unified({"prepared": "-old\n+new\n"}) == "-old\n+new"


@pytest.mark.parametrize("reported", [{}, [], None, {"before": "x", "after": "x"}, "", [{}]])
def test_no_difference_gives_no_text(reported: Any) -> None:
    assert diff.unified(reported) in ("", "None")


def test_two_huge_sides_are_told_by_their_hashes() -> None:
    """Invariant 14: comparing has a bound."""
    text = diff.unified({"before": "a" * 600_000, "after": "b" * 600_000})
    assert "too large to show; sha256" in text


def test_the_hash_is_the_same_whoever_answered_first() -> None:
    one, two = event("web1", "t1", diff="+a"), event("web2", "t1", diff="+b")
    assert diff_of([one, two]) == diff_of([two, one])


def test_the_hash_sees_every_other_change() -> None:
    assert diff.hash_of("+a") != diff.hash_of("+b")
    assert diff.hash_of("") == ""


def test_a_change_without_a_diff_is_still_told() -> None:
    text = diff_of([event("web1", "t1", changed=True)])
    assert "(changed; ansible.builtin.copy gives no diff)" in text


def test_a_change_that_no_log_hides_does_not_blame_its_module() -> None:
    hidden = {"changed": True, "censored": "the output has been hidden"}
    for result in (hidden, {"changed": True, "items": [hidden]}):
        assert diff_of([event("web1", "t1", **result)]).endswith("(changed; no_log hides its diff)")


@pytest.mark.parametrize(
    ("lines", "named"),
    [
        ([("lb1", True)], "web1 → lb1"),
        ([("web1", True)], "web1"),
        ([("lb1", False), ("lb2", True), ("web1", True), (None, True)], "web1 → lb2, web1"),
        ([("lb1", False), ("lb2", False), (None, False)], "web1 → lb1, lb2"),
        ([(f"lb{n}", True) for n in range(7)], "web1 → lb0, lb1, lb2, lb3, lb4 and 2 more"),
        ([("two\nlines", True)], "web1 → two lines"),
    ],
)
def test_the_title_names_the_hosts_that_a_task_is_delegated_to(
    lines: list[tuple[str | None, bool]], named: str
) -> None:
    """Of a loop, those of the items that changed."""
    facts = [{"uuid": "t1", "host": "web1", "delegate": d, "changed": c} for d, c in lines]
    text = diff_of([event("web1", "t1", diff="+a")], facts)
    assert text.splitlines()[0] == f"# {named} · task t1"


@given(st.text(max_size=50), st.integers(0, 40))
def test_a_cut_text_tells_its_length_and_differs_with_its_whole(text: str, most: int) -> None:
    short = cut(text, most)
    assert short == text if len(text) <= most else f"{len(text)} characters" in short
    assert len(text) <= most or cut(text, most) != cut(text + "x", most)


def test_a_large_diff_is_cut_but_its_hash_covers_all_of_it() -> None:
    """Invariant 14: an event is bounded; a change past the cut still changes the hash."""

    def line(last: str) -> dict[str, Any]:
        prepared = "+line\n" * 60_000 + last
        data = {"host": "web1", "task_uuid": "t", "res": {"diff": {"prepared": prepared}}}
        return compact({"event": "runner_on_ok", "event_data": data})

    texts = [diff_of([line(last)]) for last in ("+a", "+b")]
    assert all(len(text) < MAX_DIFF + 500 for text in texts)
    assert diff.hash_of(texts[0]) != diff.hash_of(texts[1])


@pytest.mark.parametrize("raw", [{}, {"event_data": {"res": {"results": [1, None]}}},
                                 {"event_data": {"res": {"msg": ["a", {"b": 1}]}}},
                                 {"event": "playbook_on_stats", "event_data": {}}])  # fmt: skip
def test_an_odd_event_is_kept_as_far_as_it_goes(raw: dict[str, Any]) -> None:
    assert isinstance(compact(raw), dict)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return Lab(tmp_path_factory.mktemp("rehearsal"))


@pytest.fixture(scope="module")
def twice(lab: Lab) -> list[RunResult]:
    target = lab.write("target.conf", "old password=hunter2\n")
    play = lab.play(f"""
        - name: Change the file
          ansible.builtin.copy: {{content: "new password=hunter3\\n", dest: {target}}}
        - name: Make it private
          ansible.builtin.file: {{path: {target}, mode: "0600"}}
        - name: Write from a template
          ansible.builtin.template: {{src: {lab.write("x.j2", "hello")}, dest: {target}}}
        """)
    hide = Mask()
    both = {"hosts": ("web1", "web2"), "check": True}
    return [run(lab.request(play, **both), mask=hide) for _ in range(2)]


@real
@with_ansible
def test_it_shows_what_would_change_and_changes_nothing(twice: list[RunResult], lab: Lab) -> None:
    assert twice[0].outcome is Outcome.CHANGED, twice[0].reason
    assert "# web1 · Change the file" in twice[0].diff
    assert "# web2 · Change the file" in twice[0].diff
    assert (lab.folder / "target.conf").read_text() == "old password=hunter2\n"


@real
@with_ansible
def test_a_delegated_change_names_the_host_that_it_is_on(lab: Lab) -> None:
    """Also of a loop over hosts, and under `no_log`."""
    play = lab.play(f"""
        - name: Tell the other
          ansible.builtin.copy: {{content: "new", dest: {lab.folder}/told, mode: "0600"}}
          delegate_to: web2
        - name: Tell all
          ansible.builtin.copy: {{content: "n", dest: "{lab.folder}/{{{{ item }}}}", mode: "0600"}}
          delegate_to: "{{{{ item }}}}"
          loop: [web2, web3]
        - name: Tell in secret
          ansible.builtin.copy: {{content: "new", dest: {lab.folder}/secret, mode: "0600"}}
          delegate_to: web2
          no_log: true
        """)
    allowed = frozenset({"web2", "web3"})
    for check in (True, False):
        result = run(lab.request(play, hosts=("web1",), allowed=allowed, check=check), mask=Mask())
        assert result.reason.startswith("3 tasks changed web2, web3"), result.reason
        titles = [line for line in result.diff.splitlines() if line.startswith("# ")]
        assert titles[0] == "# web1 → web2 · Tell the other"
        assert titles[1] == "# web1 → web2, web3 · Tell all"
        assert titles[2] == "# web1 → web2 · Tell in secret"
        assert "no_log hides its diff" in result.diff


@real
@with_ansible
def test_the_same_plan_has_the_same_hash(twice: list[RunResult]) -> None:
    assert twice[0].diff_hash == twice[1].diff_hash != ""


@real
@with_ansible
def test_secrets_in_the_diff_are_masked(twice: list[RunResult]) -> None:
    """Invariant 13: a diff shows file contents."""
    assert "-old password=[masked]" in twice[0].diff
    assert "hunter" not in twice[0].diff
    assert "hunter" not in (Path(twice[0].artifacts) / "events.jsonl").read_text()
