"""Shown means that the effect of a change was shown; everything else counts as not shown."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.catalog.entry import Effect
from runner.execute.diff import is_whole
from runner.execute.events import MAX_DIFF, MAX_ITEMS, compact
from runner.execute.rehearsal import MAX_DIFF as MAX_WHOLE
from runner.execute.rehearsal import seen_in, summary
from runner.execute.request import RunResult
from runner.incident import Fidelity, Outcome, Shown, TaskFidelity
from tests.local_hosts import Lab, needs_ansible

real, with_ansible = needs_ansible

DIFF = "--- before\n+++ after\n-a\n+b"


def started(
    uuid: str, *, reads: tuple[str, ...] = (), sets: tuple[str, ...] = (), **more: bool
) -> dict[str, Any]:
    return {"uuid": uuid, "task": uuid, "reads": list(reads), "sets": list(sets), **more}


def ended(
    uuid: str, status: str = "ok", action: str = "ansible.builtin.copy", host: str = "web1",
    **res: Any,
) -> dict[str, Any]:  # fmt: skip
    full = action if "." in action else f"ansible.builtin.{action}"
    return {
        "event": f"runner_on_{status}", "uuid": uuid, "host": host, "task": uuid,
        "action": full, "res": res,
    }  # fmt: skip


def fact(
    uuid: str, *, skipped: str | None = None, check: bool = True, host: str = "web1"
) -> dict[str, Any]:
    return {"uuid": uuid, "host": host, "check": check, "skipped": skipped}


def kinds(fidelity: Fidelity) -> dict[str, str]:
    return {task.task: task.kind for task in fidelity.tasks}


def of_one(event: dict[str, Any], *, check: bool = True, **more: bool) -> str | None:
    """The kind of a single task."""
    seen = seen_in([event], [started("a", **more), fact("a", check=check)])[1]
    return kinds(seen).get("a")


def shown(*found: Shown) -> Fidelity:
    return Fidelity(tasks=tuple(TaskFidelity(task="t", kind=kind, hosts=1) for kind in found))


def test_the_share_is_the_changes_shown_of_all_changes_and_a_read_is_in_neither() -> None:
    """Invariant 19: reads do not stand for changes that nobody saw."""
    assert shown(Shown.SKIPPED).share == 0
    assert shown(Shown.SKIPPED, *[Shown.READ] * 4).share == 0
    assert shown(Shown.SHOWN, Shown.STATED, Shown.UNSHOWN, Shown.SKIPPED, Shown.READ).share == 0.5
    assert shown(Shown.CHANGED_ALREADY).share == 0


def test_no_change_at_all_has_no_share() -> None:
    """Invariant 19: nothing to show is not everything shown."""
    assert shown().share is None and shown(Shown.READ).share is None
    assert shown(Shown.READ).percent == ""


def test_a_percentage_is_never_rounded_up_to_everything() -> None:
    assert shown(*[Shown.SHOWN] * 299, Shown.SKIPPED).percent == "99%"
    assert shown(*[Shown.SHOWN] * 3).percent == "100%"


any_kinds = st.lists(st.sampled_from(Shown), max_size=12)


@given(any_kinds)
def test_adding_a_read_never_changes_the_share(found: list[Shown]) -> None:
    """Invariant 19: a read shows no change."""
    assert shown(*found, Shown.READ).share == shown(*found).share


@given(any_kinds, st.sampled_from([kind for kind in Shown if kind.counts and not kind.visible]))
def test_hiding_a_change_never_raises_the_share(found: list[Shown], hidden: Shown) -> None:
    """Invariant 19: what is hidden counts against it, in whatever way it is hidden."""
    before = shown(*found).share
    for place, kind in enumerate(found):
        if kind.visible:
            after = shown(*found[:place], hidden, *found[place + 1 :]).share
            assert before is not None and after is not None and after < before
    assert shown(*found, hidden).share <= (1 if before is None else before)  # type: ignore[operator]


@st.composite
def dry_runs(draw: st.DrawFn) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Events and facts of a play whose tasks hand names to later ones."""
    events, facts = [], []
    for number in range(draw(st.integers(1, 6))):
        reads = tuple(draw(st.sets(st.sampled_from([f"n{n}" for n in range(number + 1)]))))
        facts.append(started(f"t{number}", reads=reads, sets=(f"n{number}",)))
        facts.append(fact(f"t{number}", check=draw(st.booleans())))
        res = draw(st.sampled_from([{}, {"changed": True}, {"changed": True, "diff": DIFF}]))
        events.append(ended(f"t{number}", **res))
    return events, facts


@given(dry_runs(), st.data())
def test_a_task_that_check_mode_skips_never_raises_the_share(
    ran: tuple[list[dict[str, Any]], list[dict[str, Any]]], data: st.DataObject
) -> None:
    """Invariant 19: with all that rests on the skipped task."""
    events, facts = ran
    place = data.draw(st.integers(0, len(events) - 1))
    skipped = [*events[:place], ended(f"t{place}", "skipped", "command"), *events[place + 1 :]]
    told = [one | {"skipped": "check"} if one["uuid"] == f"t{place}" and "host" in one else one
            for one in facts]  # fmt: skip
    before, after = seen_in(events, facts)[1].share, seen_in(skipped, told)[1].share
    assert after is not None and after <= (1 if before is None else before)


@given(dry_runs(), st.integers(0, 5))
def test_a_read_anywhere_never_raises_the_share(
    ran: tuple[list[dict[str, Any]], list[dict[str, Any]]], place: int
) -> None:
    """Invariant 19: `check_mode: false` and nothing changed."""
    events, facts = ran
    more = [started("read"), fact("read", check=False)]
    place = min(place, len(events))
    with_it = seen_in(
        [*events[:place], ended("read", action="command"), *events[place:]],
        [*facts[: 2 * place], *more, *facts[2 * place :]],
    )
    assert with_it[1].share == seen_in(events, facts)[1].share


def test_a_change_with_its_diff_is_shown_and_one_without_is_not() -> None:
    """Invariant 19: a module that says `changed` and shows nothing showed nothing."""
    assert of_one(ended("a", changed=True, diff=DIFF)) == "shown"
    assert of_one(ended("a", changed=True)) == "unshown"
    assert of_one(ended("a", changed=True, diff=""), check=True) == "unshown"


def test_what_would_change_nothing_is_no_change() -> None:
    assert of_one(ended("a", changed=False)) is None


def test_a_loop_is_shown_when_each_item_that_changes_is() -> None:
    """Invariant 19: one item's diff does not stand for the others."""
    both = [{"changed": True, "diff": DIFF}, {"changed": True}]
    assert of_one(ended("a", changed=True, items=both)) == "unshown"
    assert of_one(ended("a", changed=True, items=[both[0], {"changed": False}])) == "shown"


@pytest.mark.parametrize("diff", [{"prepared": "+x\n" * MAX_DIFF}, {"dst_binary": 1},
                                  {"src_larger": 104448},
                                  {"before": "a" * 600_000, "after": "b" * 600_000}])  # fmt: skip
def test_a_diff_that_leaves_something_out_does_not_count_as_shown(diff: dict[str, Any]) -> None:
    """Invariant 19: a hash or a size is not the effect."""
    data = {"host": "web1", "task_uuid": "a", "task": "a", "task_action": "ansible.builtin.copy"}
    raw = {"event": "runner_on_ok", "event_data": data | {"res": {"changed": True, "diff": diff}}}
    event = compact(raw)
    assert event["res"]["diff"] and not is_whole(event["res"]["diff"])
    assert of_one(event) == "unshown"


def test_items_that_are_not_kept_are_not_shown() -> None:
    """Invariant 19: nor do they vanish when they have no diff at all."""
    items = [{"changed": False}] * MAX_ITEMS + [{"changed": True}]
    data = {"host": "web1", "task_uuid": "a", "task": "a", "task_action": "ansible.builtin.copy"}
    res = {"changed": True, "results": items}
    event = compact({"event": "runner_on_ok", "event_data": data | {"res": res}})
    assert of_one(event) == "unshown"


def test_a_change_behind_the_cut_of_the_whole_diff_is_not_shown() -> None:
    """Invariant 19: nobody can read what is not kept."""
    long = "+" + "x" * 59_000
    events = [ended(f"t{n}", changed=True, diff=long) for n in range(6)]
    facts = [one for n in range(6) for one in (started(f"t{n}"), fact(f"t{n}"))]
    text, fidelity = seen_in(events, facts)
    found = list(kinds(fidelity).values())
    assert len(text) > MAX_WHOLE and found == ["shown"] * 4 + ["unshown"] * 2


def test_a_task_that_really_ran_and_changed_something_is_named() -> None:
    """Invariant 19: the dry run changed it, before anybody was asked."""
    text, fidelity = seen_in(
        [ended("a", action="command", changed=True)], [started("a"), fact("a", check=False)]
    )
    assert kinds(fidelity) == {"a": "changed_already"} and fidelity.share == 0
    assert "changed already, by the dry run" in text
    assert summary(fidelity) == "; changed already, by the dry run: a"


def test_a_task_that_says_itself_that_nothing_changes_must_show_it() -> None:
    """Invariant 19: `changed_when: false` on a restart is the author's word, not check mode's."""
    assert of_one(ended("a", action="systemd_service"), stated=True) == "unshown"
    assert of_one(ended("a", action="stat"), stated=True) is None
    assert of_one(ended("a", diff=DIFF), stated=True) == "shown"


def test_a_task_that_is_always_in_check_mode_changes_nothing() -> None:
    """Invariant 19: it would not change anything in the run either, so it shows no change."""
    assert of_one(ended("a", changed=True, diff=DIFF), never=True) is None


def test_a_task_without_facts_counts_as_skipped() -> None:
    """Invariant 10: missing data is unknown, and unknown is not shown."""
    assert kinds(seen_in([ended("a")], [])[1]) == {"a": "skipped"}


def test_a_result_too_large_to_keep_is_not_shown() -> None:
    """Invariant 10: what was lost was not shown."""
    assert of_one(ended("a", lost=True)) == "unshown"


def test_a_task_that_failed_was_not_shown() -> None:
    assert kinds(seen_in([ended("a", "failed")], [started("a"), fact("a")])[1]) == {"a": "failed"}


def test_a_read_that_failed_is_not_called_skipped() -> None:
    """A person looks for what went wrong there, not for a module without check mode."""
    event = ended("a", "failed", action="command", rc=3)
    text, fidelity = seen_in([event], [started("a", reading=True), fact("a", check=False)])
    assert kinds(fidelity) == {"a": "failed"}
    assert text.endswith("(not shown: it failed)")


def test_the_taint_of_a_skipped_task_goes_through_facts() -> None:
    events = [ended("a", "skipped"), ended("b", action="set_fact"),
              ended("c", changed=True, diff=DIFF)]  # fmt: skip
    facts = [started("a", sets=("up",)), fact("a", skipped="check"),
             started("b", reads=("up",), sets=("x",)), fact("b"),
             started("c", reads=("x",)), fact("c")]  # fmt: skip
    assert kinds(seen_in(events, facts)[1]) == {"a": "skipped", "c": "fed_by_skipped"}


def test_a_condition_that_rests_on_a_skipped_task_is_flagged() -> None:
    events = [ended("a", "skipped"), ended("b", "skipped")]
    facts = [started("a", sets=("up",)), fact("a", skipped="check"),
             started("b", reads=("up",)), fact("b", skipped="when")]  # fmt: skip
    assert kinds(seen_in(events, facts)[1])["b"] == "fed_by_skipped"


def test_a_plain_condition_that_was_false_counts_for_nothing() -> None:
    facts = [started("a"), fact("a", skipped="when")]
    assert seen_in([ended("a", "skipped")], facts)[1].tasks == ()


def test_the_worst_host_counts() -> None:
    events = [ended("a", changed=True, diff=DIFF), ended("a", "skipped", host="web2")]
    facts = [started("a"), fact("a"), fact("a", skipped="check", host="web2")]
    seen = seen_in(events, facts)[1]
    assert kinds(seen) == {"a": "skipped"}
    assert seen.tasks[0].hosts == 1


@pytest.mark.parametrize("action", ["assert", "debug", "set_fact", "meta", "include_tasks"])
def test_tasks_without_an_effect_do_not_count(action: str) -> None:
    assert seen_in([ended("a", action=action)], [started("a"), fact("a")])[1].tasks == ()


def test_what_is_hidden_has_its_place_in_the_diff() -> None:
    """Invariant 19: so a person sees it, and the dry run before an approved run compares it."""
    skipped = seen_in([ended("a", "skipped")], [started("a"), fact("a", skipped="check")])[0]
    assert skipped == "# web1 · a\n(not shown: check mode skipped it)"
    plain = seen_in([ended("a", changed=True)], [started("a"), fact("a")])[0]
    assert plain == "# web1 · a\n(would change; ansible.builtin.copy gives no diff)"


def test_what_a_condition_leaves_out_of_a_dry_run_is_hidden_unless_it_only_reads() -> None:
    """Invariant 19: `when: not ansible_check_mode` hides a change as a skip does."""
    event, told = ended("a", "skipped", "command"), fact("a", skipped="when")
    facts = [started("a", spared=True), told]
    text, fidelity = seen_in([event], facts)
    assert kinds(fidelity) == {"a": "skipped"} and fidelity.share == 0
    assert text.endswith("(not shown: its condition leaves it out of a dry run)")
    assert seen_in([event], facts, (), ["a"])[1].share is None
    reading = [started("a", spared=True, reading=True), told]
    assert seen_in([event], reading)[1].share is None


EFFECT = Effect(task="restart", before="look", after={"healthy": True})


def restarted(
    before: dict[str, Any], fact_before: dict[str, Any], action: str = "systemd_service",
    effect: Effect = EFFECT, **res: Any,
) -> tuple[str, dict[str, str]]:  # fmt: skip
    events = [before, ended("restart", action=action, changed=True, **res)]
    facts = [started("look"), fact_before, started("restart"), fact("restart")]
    text, fidelity = seen_in(events, facts, [effect])
    return text, kinds(fidelity)


LOOK = ended("look", action="command", stdout="ActiveState=failed", rc=0)


def test_an_effect_shows_the_state_that_was_read_and_the_one_that_is_promised() -> None:
    text, found = restarted(LOOK, fact("look", check=False))
    assert found == {"look": "read", "restart": "stated"}
    assert text.splitlines()[1:] == [
        "--- before, by: look",
        "+++ after, compared with the run's report",
        "-ActiveState=failed",
        "+healthy: true",
    ]


@pytest.mark.parametrize(
    "why, before, told",
    [
        ("it was skipped", ended("look", "skipped", "command"), fact("look", skipped="check")),
        ("it changed", LOOK | {"res": {"stdout": "x", "changed": True}}, fact("look", check=False)),
        ("it failed", LOOK | {"res": {"stdout": "x", "rc": 4}}, fact("look", check=False)),
        ("it printed nothing", ended("look", action="command"), fact("look", check=False)),
        ("it reads no host", ended("look", action="debug", msg="failed"), fact("look")),
        ("another host's", LOOK | {"host": "web2"}, fact("look", check=False, host="web2")),
    ],
)
def test_a_state_that_nothing_read_in_this_dry_run_is_not_shown(
    why: str, before: dict[str, Any], told: dict[str, Any]
) -> None:
    """Invariant 19: the entry's word alone shows nothing."""
    assert restarted(before, told)[1]["restart"] == "unshown", why


def test_an_effect_counts_for_modules_of_the_list_only() -> None:
    """Invariant 19: a state does not show what a file holds."""
    look = fact("look", check=False)
    assert restarted(LOOK, look, "kubernetes.core.k8s_rollback")[1]["restart"] == "unshown"
    assert restarted(LOOK, look, "kubernetes.core.k8s_scale")[1]["restart"] == "stated"


def test_a_read_that_rests_on_a_skipped_task_shows_no_state() -> None:
    events = [ended("a", "skipped"), LOOK,
              ended("restart", action="systemd_service", changed=True)]  # fmt: skip
    facts = [started("a", sets=("unit",)), fact("a", skipped="check"),
             started("look", reads=("unit",)), fact("look", check=False),
             started("restart"), fact("restart")]  # fmt: skip
    assert kinds(seen_in(events, facts, [EFFECT])[1])["restart"] == "unshown"


@pytest.fixture(scope="module")
def rehearsed(tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    lab = Lab(tmp_path_factory.mktemp("fidelity"))
    lab.write("more.yml", "- name: included\n  ansible.builtin.command: uptime\n")
    return lab.run(
        f"""
        - name: shown
          ansible.builtin.copy: {{content: x, dest: {lab.folder}/x, mode: "0600"}}
        - name: hides its diff
          ansible.builtin.copy: {{content: x, dest: {lab.folder}/z, mode: "0600"}}
          diff: false
        - name: skipped
          ansible.builtin.command: uptime
          register: __up
        - name: really
          ansible.builtin.command: "true"
          check_mode: false
          changed_when: false
        - name: whole block
          check_mode: false
          block:
            - name: really in a block
              ansible.builtin.command: "true"
              changed_when: false
            - name: changed in check mode
              ansible.builtin.command: "true"
        - name: always in check mode
          check_mode: true
          block:
            - name: compared only
              ansible.builtin.copy: {{content: x, dest: {lab.folder}/c, mode: "0600"}}
        - name: by its own word
          ansible.builtin.copy: {{content: x, dest: {lab.folder}/w, mode: "0600"}}
          changed_when: false
          diff: false
        - name: stat
          ansible.builtin.stat: {{path: /etc/passwd}}
        - name: fact
          ansible.builtin.set_fact: {{load: "{{{{ __up.stdout | default('') }}}}"}}
        - name: fed
          ansible.builtin.copy: {{content: "{{{{ load }}}}", dest: {lab.folder}/y, mode: "600"}}
        - name: fed by a condition
          ansible.builtin.file: {{path: {lab.folder}, state: directory}}
          when: __up.rc | default(1) == 0
        - name: not wanted
          ansible.builtin.command: uptime
          when: 1 == 2
        - name: left out of a dry run
          ansible.builtin.command: uptime
          when: not ansible_check_mode
        - name: note what this is
          ansible.builtin.set_fact: {{for_real: "{{{{ not ansible_check_mode }}}}"}}
        - name: left out by a fact
          ansible.builtin.copy: {{content: x, dest: {lab.folder}/f, mode: "0600"}}
          when: for_real
        - name: read after a run only
          ansible.builtin.command: uptime
          check_mode: false
          when: not ansible_check_mode
        - name: include after a run only
          ansible.builtin.include_tasks: more.yml
          when: not ansible_check_mode
        - name: loop
          ansible.builtin.command: "echo {{{{ item }}}}"
          loop: [1, 2]
        - name: hidden
          ansible.builtin.command: uptime
          no_log: true
        - name: hidden copy
          ansible.builtin.copy: {{content: x, dest: {lab.folder}/h, mode: "0600"}}
          no_log: true
        - name: include
          ansible.builtin.include_tasks: more.yml
        """,
        check=True,
        timeout=timedelta(minutes=3),
    )


@real
@with_ansible
def test_each_task_is_told_for_what_it_was(rehearsed: RunResult) -> None:
    """Invariant 19: as a real check mode shows it."""
    assert kinds(rehearsed.fidelity) == {
        "shown": "shown",
        "hides its diff": "unshown",
        "skipped": "skipped",
        "really": "read",
        "really in a block": "read",
        "changed in check mode": "changed_already",
        "by its own word": "unshown",
        "fed": "fed_by_skipped",
        "fed by a condition": "fed_by_skipped",
        "left out of a dry run": "skipped",
        "left out by a fact": "skipped",
        "include after a run only": "skipped",
        "loop": "skipped",
        "hidden": "skipped",
        "hidden copy": "unshown",
        "included": "skipped",
    }
    assert rehearsed.fidelity.share == pytest.approx(1 / 14)
    assert "changed already, by the dry run: changed in check mode" in rehearsed.reason


@real
@with_ansible
def test_one_read_beside_one_skipped_command_is_share_0_and_not_as_wanted(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Invariant 19: four reads beside it once gave 80 %, and the command ran unseen."""
    lab = Lab(tmp_path_factory.mktemp("reads"))
    result = lab.run(
        """
        - name: read
          ansible.builtin.command: "true"
          check_mode: false
          changed_when: false
          loop: [1, 2, 3, 4]
        - name: change
          ansible.builtin.command: systemctl restart shop
        """,
        check=True,
    )
    assert result.outcome is Outcome.NO_CHANGE and result.fidelity.share == 0
    assert result.reason == "no change reported on web1; not shown: change"
    assert result.diff == "# web1 · change\n(not shown: check mode skipped it)"


@real
@with_ansible
def test_no_change_at_all_has_no_share_in_a_real_dry_run(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    lab = Lab(tmp_path_factory.mktemp("none"))
    result = lab.run(
        f"- name: there\n  ansible.builtin.file: {{path: {lab.folder}, state: directory}}",
        check=True,
    )
    assert result.outcome is Outcome.NO_CHANGE
    assert result.fidelity.share is None and result.diff == ""
