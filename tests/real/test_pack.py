"""The approval pack: the same words everywhere, and a file that is only text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from runner.incident import (
    BlastRadius,
    Brief,
    Fidelity,
    GroupReach,
    Outcome,
    PastResult,
    Record,
    Result,
    Shown,
    TaskFidelity,
)
from runner.incident_report import approval_request
from runner.project import Project
from runner.store import approvals, learning, records
from runner.web.views import pack_file
from tests import web_site
from tests.command_line import answered, call
from tests.real_browser import browser, needs_chromium
from tests.small_project import make, project

ETCD = GroupReach(group="etcd", size=3, touched=("etcd1",), staying=("etcd2", "etcd3"), needed=2)
RADIUS = BlastRadius(hosts=("etcd1",), groups=(ETCD,), domains=("r2",))
EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
AT = datetime(2026, 3, 4, tzinfo=UTC)
PAST = PastResult(incident=4, at=AT, hosts=("etcd2",), outcome=Outcome.CHANGED, result=Result.FIXED)
BRIEF = Brief(
    title="Restart a service", description="Restarts one unit.", risk="low",
    dry_run="required", undo="rollback_release", undo_title="Roll back",
    approvers=("dora",), record=Record(fixed=11, not_fixed=1, last=(PAST,)),
)  # fmt: skip


@pytest.mark.parametrize(
    ("radius", "words"),
    [
        (RADIUS, "1 of 3 in etcd, failure domain r2, leaves 2, needs 2"),
        (
            replace(RADIUS, domains=("rack r2",)),
            "1 of 3 in etcd, rack r2, leaves 2, needs 2",
        ),
        (
            replace(RADIUS, part="unit etcd.service"),
            "unit etcd.service on 1 of 3 in etcd, failure domain r2, leaves 2, needs 2",
        ),
        (None, ""),
        (BlastRadius(hosts=("a",)), "1 host in no group"),
        (
            replace(RADIUS, groups=(ETCD, replace(ETCD, group="db", needed=None))),
            "1 of 3 in etcd, failure domain r2, leaves 2, needs 2",
        ),
        (
            replace(RADIUS, groups=(ETCD, replace(ETCD, group="db", needed=1)), domains=()),
            "1 of 3 in etcd, leaves 2, needs 2; 1 of 3 in db, leaves 2, needs 1",
        ),
        (
            replace(RADIUS, groups=(replace(ETCD, takes=False),), delegates=("lb1",)),
            "1 of 3 in etcd, failure domain r2, leaves 2, needs 2, already out of service; "
            "also acts on lb1",
        ),
        (
            replace(RADIUS, health=False, unknown=("x",), domains=("a", "b")),
            "1 of 3 in etcd, failure domains a, b, leaves 2, needs 2; no source says which hosts "
            "are healthy; not known exactly, see the verdict",
        ),
    ],
)
def test_the_radius_in_words(radius: BlastRadius | None, words: str) -> None:
    assert approval_request.radius_words(radius) == words


def test_the_record_in_words() -> None:
    assert approval_request.record_words(Record()) == "never run for this alert in this environment"
    record = Record(fixed=11, not_fixed=1, unknown=1, uplift="baseline 60 %")
    assert approval_request.record_words(record) == (
        "fixed 11 of 13 earlier runs for this alert (85%), 1 not fixed, 1 unknown; baseline 60 %"
    )


def test_the_fidelity_in_words(opened: Project) -> None:
    tasks = tuple(TaskFidelity(task=kind, kind=kind, hosts=1) for kind in Shown)
    _, question = web_site.waiting(opened)
    with opened.database.read() as tx:
        run = approval_request.load(tx, question).dry_run
    assert run is not None
    assert approval_request.fidelity_words(replace(run, fidelity=Fidelity(tasks=tasks))) == (
        "28% of 7 changes shown: 1 shown by its diff; 1 shown as a state before and after; "
        "1 not shown: it gives no diff, or not all of it; 1 not shown: skipped by check mode; "
        "1 not shown: it failed; 1 not shown: fed by a skipped task; "
        "1 changed already, by the dry run itself"
    )
    assert (
        approval_request.fidelity_words(replace(run, fidelity=Fidelity())) == "no change reported"
    )
    assert approval_request.fidelity_words(None).startswith("no dry run")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return make(tmp_path)


@pytest.fixture
def opened(path: Path) -> Iterator[Project]:
    made = project(path)
    yield made
    made.close()


def asked(opened: Project, text: str = "restarted 3 times") -> int:
    """A question with a brief and a radius; `text` is in every place that others write."""
    labels = {"alertname": "ServiceDown", "instance": "web-1:9100", "note": text}
    about = web_site.alert(labels=labels, annotations={"summary": text})
    made, first = web_site.waiting(opened, about, text=text)
    now = datetime.now(UTC)
    with opened.database.write() as tx:
        records.put_radius(tx, made, replace(RADIUS, domains=(text,)))
        question = approvals.ask(
            tx, incident=made, plan="6" * 64, requested_by="runner", requested_at=now,
            expires_at=now + timedelta(minutes=30), brief=replace(BRIEF, title=text),
        )  # fmt: skip
    assert question.id != first
    return question.id


def test_what_was_asked_comes_back_as_it_was(opened: Project) -> None:
    question = asked(opened, "a title")
    with opened.database.read() as tx:
        found = approval_request.load(tx, question)
    assert found.brief == replace(BRIEF, title="a title")
    assert found.bundle.radius == replace(RADIUS, domains=("a title",))


def test_the_terminal_shows_all_of_it(path: Path, opened: Project) -> None:
    text = call(path, "approval", "show", asked(opened)).stdout
    for part in (
        "1 of 3 in etcd", "leaves 2, needs 2", "rollback_release (Roll back)",
        "fixed 11 of 12 earlier runs for this alert (92%)", "not clean_disk", "+workers 4",
        "100% of 1 change shown", "dora", "Last log lines", "expires in",
    ):  # fmt: skip
        assert part in text, part


def test_a_program_is_told_the_same(path: Path, opened: Project) -> None:
    said = answered(path, "approval", "show", asked(opened))
    assert said["words"]["radius"].startswith("1 of 3 in etcd")
    assert said["approval"]["brief"]["undo"] == "rollback_release"
    assert said["incident"]["radius"]["groups"][0]["needed"] == 2


def test_the_file_has_all_of_it_and_nothing_that_runs(
    path: Path, opened: Project, tmp_path: Path
) -> None:
    """Invariant 5: whatever others wrote is text, and the file fetches nothing."""
    file = tmp_path / "pack.html"
    result = call(path, "approval", "show", asked(opened, EVIL), "--html", file)
    assert result.exit_code == 0, result.output
    text = file.read_text()
    for part in ("1 of 3 in etcd", "rollback_release", "+workers 4", "clean_disk", "dora"):
        assert part in text, part
    assert "<script" not in text and "<img" not in text and "onerror=alert" in text
    assert not re.search(r'(?:src|href)="(?!#|https://runbooks)', text)
    assert "default-src &#39;none&#39;" in text or "default-src 'none'" in text


@needs_chromium
def test_a_real_browser_shows_the_file_in_its_style_and_runs_nothing(
    opened: Project, tmp_path: Path
) -> None:
    """Invariant 5: its own policy lets in the one style, by hash, and nothing else."""
    evil = "<script>window.ran = 1</script><style>main {display: none}</style>"
    question = asked(opened, evil)
    with opened.database.read() as tx:
        text = pack_file(approval_request.load(tx, question), "production")
    # Even what got in unescaped would stay without an effect.
    file = tmp_path / "pack.html"
    file.write_text(text.replace("<main>", f"{evil}<main>"))
    with browser(file.as_uri()) as page:
        assert page.sees("1 of 3 in etcd")
        assert page.value("typeof window.ran") == "undefined"
        assert page.value("getComputedStyle(document.querySelector('main')).display") == "block"
        border = "getComputedStyle(document.querySelector('section.ask')).borderTopWidth"
        assert page.value(border) == "2px"


def test_the_page_has_all_of_it_and_the_place_to_answer(tmp_path: Path) -> None:
    opened = web_site.project(tmp_path, web_site.GUARDED)
    question, (_, plain) = asked(opened, EVIL), web_site.waiting(opened, web_site.alert("b" * 16))
    with web_site.site(opened, web_site.ANNA) as client:
        page, other = (client.get(f"/approvals/{number}").text for number in (question, plain))
        file = client.get(f"/approvals/{question}/file")
        told = client.get(f"/api/v1/approvals/{question}/pack").json()
        assert client.get("/approvals/99").status_code == 404
    assert "you are not one of the entry&#39;s approvers" in page and "<form" not in page
    assert f'action="/approvals/{plain}"' in other
    for text in (page, file.text):
        assert "leaves 2, needs 2" in text and "rollback_release" in text
        assert "<script>" not in text and "<img src=x" not in text
    assert file.headers["content-disposition"] == f'attachment; filename="approval-{question}.html"'
    assert told["words"]["undo"] == "rollback_release (Roll back)"


def test_a_file_that_cannot_be_written_is_a_sentence(path: Path, opened: Project) -> None:
    result = call(path, "approval", "show", asked(opened), "--html", "/nowhere/pack.html")
    assert result.exit_code in (1, 2)
    assert "/nowhere/pack.html" in result.stderr and "Traceback" not in result.output


def test_a_question_of_an_older_version_can_still_be_shown(path: Path, opened: Project) -> None:
    _, question = web_site.waiting(opened)  # without a brief and without a radius
    with opened.database.read() as tx:
        found = approval_request.load(tx, question)
    assert "none declared" in found.undo
    assert "not judged" in pack_file(found, "test")
    assert call(path, "approval", "show", question).exit_code == 0


def test_the_record_counts_runs_of_this_entry_for_this_alert(opened: Project) -> None:
    for _ in range(2):
        about = web_site.alert(starts_at=datetime.now(UTC))
        web_site.fixed(opened, about)
    with opened.database.read() as tx:
        wanted = {"entry": "restart_service", "environment": "production"}
        found = learning.record_of(tx, alert="ServiceDown", **wanted)
        other = learning.record_of(tx, alert="Other", **wanted)
    assert (found.fixed, found.runs, len(found.last), other.runs) == (2, 2, 2, 0)
    assert found.last[0].incident > found.last[1].incident
