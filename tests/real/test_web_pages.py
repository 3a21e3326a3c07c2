"""The dashboard: everything about an incident is on its page, and nothing on it acts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from runner.incident import Alert, State
from runner.incident.model_call import ModelCall, Round
from runner.project import Project
from runner.store import incidents, model_calls
from runner.web import events, views
from tests import web_site
from tests.real_browser import browser, needs_chromium

SCRIPT = "<script>document.title='owned'</script>"
IMAGE = '"><img src=x onerror="document.title=\'owned\'">'
ESCAPE = "\x1b]0;owned\x07 \N{RIGHT-TO-LEFT OVERRIDE}gnp.exe"
LINK = "javascript:document.title='owned'"


def hostile() -> Alert:
    text = f"{SCRIPT} {IMAGE} {ESCAPE} {{{{ 7*7 }}}}"
    labels = {"alertname": text, "instance": text, text: text}
    annotations = {"runbook_url": LINK, "summary": text, "dashboard": " " + LINK.upper()}
    return web_site.alert(labels=labels, annotations=annotations, generator_url=LINK)


@pytest.fixture
def opened(tmp_path: Path) -> Project:
    return web_site.project(tmp_path, web_site.GUARDED)


@pytest.fixture
def client(opened: Project) -> Iterator[httpx.Client]:
    with web_site.site(opened, web_site.ADAM | {"Accept": "text/html"}) as made:
        yield made


def test_the_list_shows_what_is_open(opened: Project, client: httpx.Client) -> None:
    open_one = web_site.incident(opened, web_site.alert("b" * 16))
    ended = web_site.fixed(opened)
    shown = client.get("/").text
    assert f"/incidents/{open_one}" in shown and f'/incidents/{ended}"' not in shown
    assert f'/incidents/{ended}"' in client.get("/?show=ended").text
    assert f'/incidents/{ended}"' in client.get("/?show=all").text


def test_the_list_goes_on(opened: Project, client: httpx.Client) -> None:
    made = [web_site.incident(opened, web_site.alert(f"{n:016x}")) for n in range(52)]
    older = re.search(r'href="(/\?show=open&amp;before=\d+)"', client.get("/").text)
    assert older
    shown = client.get(older[1].replace("&amp;", "&")).text
    assert [f'/incidents/{id}"' in shown for id in made[:3]] == [True, True, False]


@pytest.mark.parametrize(
    "part",
    [
        "instance web-1:9100 is web-1",  # timeline
        "Last log lines",  # evidence
        "The service is down and has logged why.",  # decision
        "no disk is full",  # alternatives
        "fixed 2 of 2 times; 5 are needed",  # verdict
        '<span class="removed">-workers 2</span><span class="added">+workers 4</span>',
        "Fidelity: 100% of 1 change shown",
        "service_restart : Remediate | Restart the unit",
        "took 4.0s",
        "not firing for 30s",  # verification
        "user:anna",
        "https://runbooks.example.com/ServiceDown",
    ],
)
def test_an_incidents_page_tells_all_of_it(
    opened: Project, client: httpx.Client, part: str
) -> None:
    assert part in client.get(f"/incidents/{web_site.fixed(opened)}").text


def test_an_incidents_page_shows_what_a_model_said(opened: Project, client: httpx.Client) -> None:
    made = web_site.fixed(opened)
    call = ModelCall(
        incident=made, at=datetime.now(UTC), round=Round.FIRST, provider="openai", model="m",
        prompt_hash="p", question="q", prompt="Be <brief>.", answer="<script>", requests=1,
    )  # fmt: skip
    with opened.database.write() as tx:
        model_calls.put(tx, call)
    shown = client.get(f"/incidents/{made}").text
    assert "openai m, first: answered" in shown and "Be &lt;brief&gt;." in shown
    assert "<script>" not in shown.partition("Model calls")[2].partition("</section>")[0]


def test_a_person_answers_on_the_page(opened: Project, client: httpx.Client) -> None:
    made, question = web_site.waiting(opened)
    page = client.get(f"/incidents/{made}", headers=web_site.ANNA).text
    assert f'action="/approvals/{question}"' in page and web_site.PLAN in page
    form = {"answer": "approved", "plan": web_site.PLAN, "comment": "go & see"}
    answer = client.post(f"/approvals/{question}", data=form, headers=web_site.ANNA)
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/incidents/{made}")
    assert "go &amp; see" in client.get(f"/incidents/{made}").text


def test_every_page_of_an_incident_says_which_part_is_meant(
    opened: Project, client: httpx.Client
) -> None:
    made, question = web_site.waiting(opened)
    for address in ("/", f"/incidents/{made}", f"/approvals/{question}"):
        assert "unit app.service" in client.get(address).text, address


@pytest.mark.parametrize("plan", ["", "6" * 64])
def test_an_answer_without_the_plan_that_was_shown_does_not_count(
    opened: Project, client: httpx.Client, plan: str
) -> None:
    _, question = web_site.waiting(opened)
    form = {"answer": "approved", "plan": plan}
    answer = client.post(f"/approvals/{question}", data=form, headers=web_site.ANNA)
    assert answer.status_code == 409
    assert "Refused" in answer.text


def test_a_viewer_is_shown_no_buttons(opened: Project, client: httpx.Client) -> None:
    made, _ = web_site.waiting(opened)
    shown = client.get(f"/incidents/{made}", headers=web_site.VERA).text
    assert "<button" not in shown and "cannot answer" in shown


def test_an_incident_is_cancelled_and_handled_again(opened: Project, client: httpx.Client) -> None:
    made = web_site.incident(opened)
    assert client.post(f"/incidents/{made}/cancel", data={"reason": "no"}).status_code == 303
    again = client.post(f"/incidents/{made}/retry", data={"reason": "yes"})
    assert again.headers["Location"] == f"/incidents/{made + 1}"


def test_what_may_be_proposed_has_a_button_for_who_may_act(
    opened: Project, client: httpx.Client
) -> None:
    made = web_site.incident(opened)
    offered = {"entry": "clean_disk", "place": 1, "why": f"alertname fails ({SCRIPT})"}
    with opened.database.write() as tx:
        detail = {"considered": [offered]}
        incidents.move(tx, made, State.ESCALATED, "no entry matches", detail=detail)
    page = client.get(f"/incidents/{made}").text
    assert f'action="/incidents/{made}/propose"' in page and 'value="clean_disk"' in page
    assert SCRIPT not in page
    viewed = client.get(f"/incidents/{made}", headers=web_site.VERA).text
    assert "clean_disk" in viewed and 'value="clean_disk"' not in viewed
    refused = client.post(f"/incidents/{made}/propose", data={"entry": "clean_disk"})
    assert (refused.status_code, "neither matches nor considers" in refused.text) == (409, True)
    # From another site a browser sends its own origin: that is refused as every other post is.
    foreign = {"Origin": "https://evil.example.net"}
    posted = client.post(
        f"/incidents/{made}/propose", data={"entry": "restart_service"}, headers=foreign
    )
    assert posted.status_code == 403


def test_open_questions_and_a_pause_are_seen_everywhere(
    opened: Project, client: httpx.Client
) -> None:
    made, _ = web_site.waiting(opened)
    client.post("/api/v1/pause", json={"reason": "migration"})
    for path in ("/", "/approvals", "/catalog", f"/incidents/{made}"):
        shown = client.get(path).text
        assert 'class="count">1<' in shown and "migration" in shown
    assert 'href="/approvals/1">Review' in client.get("/approvals").text


def test_the_catalog_pages_show_every_entry(opened: Project, client: httpx.Client) -> None:
    listed = client.get("/catalog").text
    for id in opened.catalog.entries:
        assert f"/catalog/{id}" in listed
        assert client.get(f"/catalog/{id}").status_code == 200


@pytest.mark.parametrize("path", ["/incidents/7", "/none", "/incidents/x", "/catalog/none"])
def test_a_person_is_told_by_a_page(client: httpx.Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code in (404, 422)
    assert "Refused" in answer.text


def test_hostile_text_is_only_text(opened: Project, client: httpx.Client) -> None:
    """Invariant 5: labels, annotations, logs and links of an alert are escaped and visible."""
    made, _ = web_site.waiting(opened, hostile(), text=f"{SCRIPT}{ESCAPE}")
    for path in ("/", f"/incidents/{made}", "/approvals"):
        shown = client.get(path).text
        assert "<script>document" not in shown and "<img src=x" not in shown
        assert 'href="javascript' not in shown.lower() and 'href=" java' not in shown.lower()
        assert not any(sign in shown for sign in "\x1b\x07\N{RIGHT-TO-LEFT OVERRIDE}")
        assert "\\x1b" in shown and "{{ 7*7 }}" in shown


@pytest.mark.parametrize(
    "text",
    [LINK, " https://a", "//a", "https://", "http://[", "data:text/html,x", "ftp://a", "", "x"],
)
def test_only_web_addresses_become_links(text: str) -> None:
    assert views.web_link(text) is None


def test_pages_name_nothing_elsewhere_and_hold_no_script(
    opened: Project, client: httpx.Client
) -> None:
    about = web_site.alert(annotations={}, generator_url="")
    for path in ("/", f"/incidents/{web_site.fixed(opened, about)}", "/catalog", "/approvals"):
        shown = client.get(path).text
        assert re.findall(r"<script[^>]*>[^<]", shown) == []
        assert re.findall(r'(?:src|href|action)="(?:https?:)?//', shown) == []
        assert re.findall(r"<[^>]+\s(?:style|on\w+)=", shown) == []


def test_a_form_with_too_many_fields_is_refused(client: httpx.Client) -> None:
    form = {f"f{n}": "x" for n in range(30)}
    assert client.post("/approvals/7", data=form).status_code == 422


def test_a_huge_diff_is_cut() -> None:
    """Invariant 14: a page has a bound."""
    lines = list(views.diff_lines("+x\n" * 10_000))
    assert len(lines) == views.MAX_LINES + 1
    assert lines[-1] == ("hunk", "… 8000 more lines")


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-5, "0ms"),
        (0.25, "250ms"),
        (2.14, "2.1s"),
        (75, "1m15s"),
        (7260, "2h1m"),
        (200_000, "2d8h"),
    ],
)
def test_a_duration_has_two_units_at_most(seconds: float, shown: str) -> None:
    assert views.brief_duration(timedelta(seconds=seconds)) == shown


@needs_chromium
def test_a_real_browser_runs_nothing_that_an_alert_brings(tmp_path: Path) -> None:
    """Invariant 5: the page's title would say `owned`."""
    opened = web_site.project(tmp_path)
    made, _ = web_site.waiting(opened, hostile(), text=f"{SCRIPT}{IMAGE}")
    with web_site.site(opened) as client, browser(f"{client.base_url}/incidents/{made}") as page:
        assert page.sees(SCRIPT)
        assert page.value("document.title").endswith("#1 · runner")
        assert page.value("document.querySelectorAll('img').length") == 1
        assert page.value("document.querySelectorAll('script:not([src])').length") == 0


@needs_chromium
def test_a_real_browser_shows_what_happens_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runner.web.events.POLL_SECONDS", 0.05)
    opened = web_site.project(tmp_path)
    with web_site.site(opened) as client, browser(f"{client.base_url}/") as page:
        assert page.sees("No open incidents")
        web_site.incident(opened, web_site.alert(labels={"alertname": "CameLater"}))
        assert page.sees("CameLater")


@needs_chromium
def test_what_changed_before_the_page_listened_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between a page and its first event there is a gap, in which a slow machine fits a lot."""
    opened, join = web_site.project(tmp_path), events.Feed.join

    def join_late(feed: events.Feed, listener: events.Listener) -> None:
        if not made:
            made.append(web_site.incident(opened, web_site.alert(labels={"alertname": "Between"})))
        join(feed, listener)

    made: list[int] = []
    monkeypatch.setattr(events.Feed, "join", join_late)
    with web_site.site(opened) as client, browser(f"{client.base_url}/") as page:
        assert page.sees("Between")


@needs_chromium
def test_a_comment_that_is_being_typed_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runner.web.events.POLL_SECONDS", 0.05)
    opened = web_site.project(tmp_path)
    made, _ = web_site.waiting(opened)
    with web_site.site(opened) as client, browser(f"{client.base_url}/incidents/{made}") as page:
        assert page.sees("Approve this run?")
        page.value("document.querySelector('[name=comment]').value = 'half a'")
        client.post(f"/api/v1/incidents/{made}/cancel", json={"reason": "too late"})
        assert page.sees("too late")
        assert page.value("document.querySelector('[name=comment]').value") == "half a"


@needs_chromium
def test_a_real_browser_sends_the_answer(tmp_path: Path) -> None:
    opened = web_site.project(tmp_path)
    made, _ = web_site.waiting(opened)
    with web_site.site(opened) as client, browser(f"{client.base_url}/incidents/{made}") as page:
        assert page.sees("Approve this run?")
        page.value("document.querySelector('button.no').click()")
        assert page.sees("denied by user:anonymous")


@needs_chromium
def test_every_page_fits_a_phone(tmp_path: Path) -> None:
    opened = web_site.project(tmp_path)
    made, _ = web_site.waiting(opened, hostile(), text="x" * 500)
    paths = ("/?show=all", f"/incidents/{made}", "/approvals", "/catalog", "/catalog/clean_disk")
    with web_site.site(opened) as client:
        for path in paths:
            with browser(f"{client.base_url}{path}") as page:
                page.narrow(400)
                assert page.sees("runner")
                assert page.value("document.documentElement.scrollWidth") <= 400, path
