"""Diffs of a run: bounded without hiding a change, and compared by the place that changed."""

from __future__ import annotations

import pytest

from runner.evidence.mask import Mask
from runner.execute import events
from runner.execute.diff import Own, bounded, differing, hash_of
from runner.execute.result import mask_event

MOTD = "# web1 · motd : Write\n--- before: /etc/motd\n+++ after: /etc/motd\n-a\n+b"
SENT = "# web1 → lb1 · lb : Tell\n--- before: /etc/out\n+++ after: /etc/out\n-a\n+b"
CONF = "# web1 · conf : Write\n--- before: /etc/app.conf\n+++ after: /etc/app.conf\n-1\n+2"


def test_it_names_the_place_that_changed() -> None:
    now = CONF.replace("-1", "-0")
    assert differing(f"{MOTD}\n{CONF}", f"{MOTD}\n{now}") == ["web1 · conf : Write (/etc/app.conf)"]
    assert differing(f"{MOTD}\n{SENT}", MOTD) == ["web1 → lb1 · lb : Tell (/etc/out)"]
    assert differing(MOTD, f"{MOTD}\n{CONF}") == ["web1 · conf : Write (/etc/app.conf)"]
    assert differing(f"{MOTD}\n{CONF}", CONF) == ["web1 · motd : Write (/etc/motd)"]
    assert differing(MOTD, MOTD) == []


def test_of_listed_files_it_names_those_that_are_not_in_both() -> None:
    def listed(*files: str) -> str:
        return "\n".join(["# web1 · clean : Delete", "--- before", "+++ after", *files])

    before = listed("-/data/one.tmp", "-/data/two words.tmp", "-/data/three.tmp")
    assert differing(before, listed("-/data/one.tmp", "-/data/three.tmp")) == [
        "web1 · clean : Delete (/data/two words.tmp)"
    ]
    assert differing(listed("-/data/one.tmp"), listed("-/data/one.tmp", "+/data/new")) == [
        "web1 · clean : Delete (/data/new)"
    ]


PRIVATE = "/dev/shm/runner-k2x9"
COPY = "/srv/ops/var/artifacts/0a1b/files"


def test_only_what_the_runner_itself_made_random_is_left_out() -> None:
    """Its own folders, by the names that it gave them."""
    own = Own(private=PRIVATE, copy=COPY)
    temporary = f"+++ after: {PRIVATE}/tmp/ansible-local-12ab/tmpx1/app.conf.j2"
    assert own.leave_out(temporary) == "+++ after: <temporary>/app.conf.j2"
    copied = f"+++ after: {COPY}/srv/ops/roles/app/files/app.conf"
    assert own.leave_out(copied) == "+++ after: /srv/ops/roles/app/files/app.conf"


@pytest.mark.parametrize(
    ("approved", "now"),
    [
        ("+valid_until = 2026-01-01", "+valid_until = 2036-01-01"),
        ("+at 2026-01-02 03:04:05", "+at 2026-01-02 03:04:06"),
        ("+exec /tmp/abcdef01", "+exec /tmp/evil0000"),
        (
            "+++ /root/.ansible/tmp/ansible-tmp-1-2-3/x",
            "+++ /root/.ansible/tmp/ansible-tmp-4-5-6/x",
        ),
        ('"mtime": 1.5', '"mtime": 2.5'),
    ],
)
def test_nothing_is_left_out_because_of_how_it_looks(approved: str, now: str) -> None:
    """A changed date in a configuration is a change that nobody approved."""
    own = Own(private=PRIVATE, copy=COPY)
    head = "# web1 · app : Write\n--- before: /etc/app.conf\n"
    left, right = (own.leave_out(f"{head}{text}") for text in (approved, now))
    assert hash_of(left) != hash_of(right)
    assert differing(left, right) != []


def _event(text: str) -> events.Event:
    result = {"changed": True, "diff": {"before": "", "after": text}}
    return events.compact({"event": "runner_on_ok", "event_data": {"res": result, "host": "web1"}})


def test_a_change_behind_the_cut_changes_the_hash_even_when_masked() -> None:
    """What is approved is the whole diff, also where it is too long to be shown."""
    lines = [f"line {number}" for number in range(20_000)]
    long, other = "\n".join([*lines, "end"]), "\n".join([*lines, "other end"])
    shown = [mask_event(_event(text), Mask())["res"]["diff"] for text in (long, other)]
    assert all(len(text) < 64_000 for text in shown)
    assert hash_of(shown[0]) != hash_of(shown[1])
    assert shown[0].splitlines()[-1].startswith("[cut: the whole diff has sha256 ")


def test_a_changed_item_behind_the_bound_of_a_loop_changes_the_hash() -> None:
    def loop(last: str) -> str:
        items = [{"diff": {"before": "", "after": f"{n}\n"}} for n in range(events.MAX_ITEMS)]
        data = {"results": [*items, {"diff": {"before": "", "after": last}}]}
        kept = events.compact({"event": "runner_on_ok", "event_data": {"res": data}})["res"]
        return "\n".join(item.get("diff", "") for item in kept["items"])

    assert "[1 more items" in loop("a\n")
    assert hash_of(loop("a\n")) != hash_of(loop("b\n"))


def test_a_cut_text_with_another_time_has_another_note() -> None:
    texts = [f"at 2026-01-01T00:00:0{n}Z\n" + "x\n" * 100 for n in range(2)]
    notes = {bounded(text, 50).splitlines()[-1] for text in texts}
    assert len(notes) == 2
