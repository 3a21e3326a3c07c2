"""Other senders: their JSON becomes alerts by a table, and harms nobody else's alerts."""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from runner import acts, config
from runner.config import Sender
from runner.daemon import Daemon
from runner.errors import BadDelivery, ConfigError, Refused, RemoteError
from runner.incident import Incident, Level, Result, State
from runner.intake import senders
from runner.intake.payload import parse
from runner.policy import ceilings
from runner.project import Project
from runner.steps import carry_out, confirm, locate
from runner.steps.sender import still_fires
from runner.store import dead_letters, incidents, retention, sender_ids, tables
from runner.text.plain_yaml import read_yaml
from tests import policy_case, web_site
from tests import small_project as small
from tests.command_line import answered, call
from tests.store.test_admit import Desk

BODIES = (Path(__file__).parents[1] / "inputs") / "senders"
DOCS = Path(__file__).parents[2] / "docs" / "senders.md"
AT = datetime(2026, 11, 30, 21, 30, tzinfo=UTC)

#: A sender whose bodies are a list of small objects.
PLAIN: dict[str, Any] = {
    "auth": {"bearer_token_file": "token"},
    "status": "s",
    "id": "id",
    "labels": {"alertname": "n", "instance": "h", "service": "svc", "severity": "sev"},
}


def page_tables() -> dict[str, Sender]:
    """The tables of the page, by name."""
    found = re.findall(r"```yaml\n# (\w+)\n(.*?)```", DOCS.read_text(), re.DOTALL)
    return {name: Sender.model_validate(read_yaml(text)) for name, text in found}


def sender(**changes: Any) -> Sender:
    return Sender.model_validate({"name": "plain", **PLAIN, **changes})


def told(status: str = "firing", **fields: Any) -> dict[str, Any]:
    return {"s": status, "n": "Down", "h": "web1", "svc": "shop", **fields}


def body(*alerts: dict[str, Any]) -> bytes:
    return json.dumps(alerts).encode()


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Project]:
    made = project(tmp_path)
    yield made
    made.close()


def project(
    root: Path, *, more: dict[str, Any] | None = None, store: str | None = None, **changes: Any
) -> Project:
    """A small project with the senders `one` and `two`; `changes` are of `one`."""
    (root / "token").write_text("token-of-one\n")
    (root / "other").write_text("token-of-two\n")
    two = {**PLAIN, "name": "two", "auth": {"bearer_token_file": "other"}}
    sources = [{**PLAIN, "name": "one", **changes}, two]
    settings = {"intake": {"sources": sources}, **(more or {})}
    return small.project(small.make(root, settings=settings), store)


# What the page says of five senders


@pytest.mark.parametrize(
    ("name", "file", "status", "labels", "pair", "starts"),
    [
        ("zabbix", "zabbix", "firing",
         {"alertname": "ServiceDown", "instance": "web1", "service": "nginx.service"}, "48211", ""),
        ("zabbix", "zabbix-recovery", "resolved",
         {"alertname": "ServiceDown", "instance": "web1", "service": "nginx.service"}, "48211", ""),
        ("icinga", "icinga", "firing",
         {"alertname": "IcingaProblem", "instance": "db1", "check": "disk /srv"},
         "", "2025-11-30T20:03:20.123000+00:00"),
        ("icinga", "icinga-recovery", "resolved",
         {"alertname": "IcingaProblem", "instance": "db1", "check": "disk /srv"}, "", ""),
        ("checkmk", "checkmk", "firing",
         {"alertname": "CheckmkService", "instance": "web2", "check": "Systemd Service haproxy"},
         "", ""),
        ("checkmk", "checkmk-recovery", "resolved",
         {"alertname": "CheckmkService", "instance": "web2", "check": "Systemd Service haproxy"},
         "", ""),
        ("grafana", "grafana", "firing",
         {"alertname": "ServiceDown", "grafana_folder": "Infra", "instance": "web1",
          "service": "shop", "severity": "critical"}, "", "2026-11-30T20:59:40+00:00"),
        ("cloudwatch", "cloudwatch", "firing",
         {"alertname": "shop-web1-disk", "instance": "web1", "mountpoint": "/srv"},
         "", "2026-11-30T20:58:01.312000+00:00"),
        ("cloudwatch", "cloudwatch-ok", "resolved",
         {"alertname": "shop-web1-disk", "instance": "web1", "mountpoint": "/srv"}, "", ""),
    ],
)  # fmt: skip
def test_the_page_s_tables_read_what_these_senders_send(
    name: str, file: str, status: str, labels: dict[str, str], pair: str, starts: str
) -> None:
    found = senders.read((BODIES / f"{file}.json").read_bytes(), page_tables()[name], AT)
    alert = found.alerts[0]
    assert (found.unread, alert.status, alert.labels) == ((), status, labels)
    assert (alert.source, alert.other_sender, alert.pair) == (name, name, pair)
    assert alert.annotations["summary"]
    if status == "firing":
        assert (alert.starts_at, alert.undated) == (
            datetime.fromisoformat(starts) if starts else AT,
            not starts,
        )


def test_what_is_no_alert_is_left_out_and_several_are_several() -> None:
    ignored = senders.read((BODIES / "cloudwatch-no-data.json").read_bytes(),
                           page_tables()["cloudwatch"], AT)  # fmt: skip
    assert (ignored.alerts, ignored.quiet) == ((), 1)
    several = senders.read((BODIES / "grafana.json").read_bytes(), page_tables()["grafana"], AT)
    assert [alert.status for alert in several.alerts] == ["firing", "resolved"]


def test_firing_and_resolved_of_a_sender_are_one_alert() -> None:
    for name, first, second in (("zabbix", "zabbix", "zabbix-recovery"),
                                ("icinga", "icinga", "icinga-recovery"),
                                ("checkmk", "checkmk", "checkmk-recovery"),
                                ("cloudwatch", "cloudwatch", "cloudwatch-ok")):  # fmt: skip
        both = [senders.read((BODIES / f"{file}.json").read_bytes(), page_tables()[name], AT)
                for file in (first, second)]  # fmt: skip
        assert len({each.alerts[0].fingerprint for each in both}) == 1


# Names, identity, and who ends what


def test_no_source_writes_a_label_that_steers_the_runner() -> None:
    wide = sender(labels={}, labels_from="l")
    sent = {"s": "firing", "l": {"alertname": "Down", "runner_level": "auto", "runner_x": "y"}}
    assert senders.read(body(sent), wide, AT).alerts[0].labels == {"alertname": "Down"}
    with pytest.raises(ValueError, match="no sender writes the label runner_level"):
        sender(labels={"alertname": "n", "runner_level": "'auto'"})


def test_its_own_words_are_read_back_as_they_were_stored() -> None:
    sent = [told(sev="high", id="7"), told("resolved", id="7"), told(n="Full", h=3, svc=True)]
    found = senders.read(body(*sent), sender(), AT)
    assert parse(found.raw, source="plain", at=AT).alerts == found.alerts
    assert found.alerts[2].labels == {"alertname": "Full", "instance": "3", "service": "true"}


def test_alertmanager_cannot_send_another_sender_s_alert() -> None:
    (theirs,) = senders.read(body(told(id="7")), sender(), AT).alerts
    forged = small.alert(fingerprint=theirs.fingerprint) | {"pair": "7", "labels": theirs.labels}
    (ours,) = parse(small.body(forged), at=AT).alerts
    assert (ours.pair, ours.fingerprint == theirs.fingerprint) == ("", False)


def desk_of(opened: Project) -> Desk:
    return Desk(opened.database)


def hand_in(desk: Desk, opened: Project, source: str, *alerts: dict[str, Any]) -> None:
    content = small.body(*alerts) if source == "webhook" else body(*alerts)
    acts.deliver(opened, content, source=source)
    while desk.inbox.step():
        pass


def every(opened: Project) -> list[Incident]:
    with opened.database.read() as tx:
        return list(reversed(incidents.find(tx, limit=1000)))


@pytest.mark.store
def test_who_resolves_by_an_id_ends_what_came_with_it(tmp_path: Path, store_url: str) -> None:
    """Its labels may be others by now: here the severity, and no service."""
    opened = project(tmp_path, store=store_url)
    desk = desk_of(opened)
    hand_in(desk, opened, "one", told(id="7", sev="warning"))
    hand_in(desk, opened, "one", told(id="7", sev="warning"))
    hand_in(desk, opened, "one", told(id="7", sev="critical"))
    hand_in(desk, opened, "two", told(id="7", sev="critical"))
    hand_in(desk, opened, "one", {"s": "resolved", "n": "Down", "id": "7"})
    assert [each.state for each in every(opened)] == [
        State.RESOLVED, State.RESOLVED, State.ADMITTED,
    ]  # fmt: skip
    opened.close()


def test_a_late_resolved_of_an_earlier_problem_ends_no_later_one(opened: Project) -> None:
    desk = desk_of(opened)
    hand_in(desk, opened, "one", told(id="7"))
    hand_in(desk, opened, "one", told("resolved", id="7"))
    hand_in(desk, opened, "one", told(id="8"))
    hand_in(desk, opened, "one", told("resolved", id="7"))
    assert [each.state for each in every(opened)] == [State.RESOLVED, State.ADMITTED]


def test_without_an_id_the_labels_pair_them(opened: Project) -> None:
    """Whatever clock the sender has: only the order of arrival counts."""
    desk = desk_of(opened)
    hand_in(desk, opened, "one", told())
    hand_in(desk, opened, "one", told("resolved"))
    assert [each.state for each in every(opened)] == [State.RESOLVED]
    hand_in(desk, opened, "one", told())
    assert [each.state for each in every(opened)] == [State.RESOLVED, State.ADMITTED]


@pytest.mark.parametrize("id_", [None, "7"])
def test_what_fires_on_is_looked_at_again_although_it_was_told_once(
    opened: Project, id_: str | None
) -> None:
    """Invariant 22: after `look_again`, with the same identity, so that it can be resolved."""
    desk, worker = desk_of(opened), Daemon(opened)
    hand_in(desk, opened, "one", told(id=id_))
    desk.end(1)
    worker._look_at_own()
    assert not desk.inbox.step()
    past = datetime.now(UTC) - timedelta(hours=2)
    with opened.database.write() as tx:
        tx.execute(tables.transitions.update().values(at=past))
        tx.execute(tables.incidents.update().values(updated_at=past))
    worker._look_at_own()
    assert desk.inbox.step()
    assert [each.state for each in every(opened)] == [State.OBSERVED, State.ADMITTED]
    assert every(opened)[1].sender == "source:one"
    hand_in(desk, opened, "one", told("resolved", id=id_))
    assert every(opened)[1].state is State.RESOLVED


MESSAGES = st.tuples(
    st.sampled_from(["one", "two", "webhook"]),
    st.sampled_from(["firing", "resolved"]),
    st.sampled_from([None, "7", "8"]),
    st.sampled_from(["web1", "db1"]),
)


@settings(max_examples=25)
@given(messages=st.lists(MESSAGES, max_size=8))
def test_no_source_changes_what_another_one_sees(
    tmp_path_factory: pytest.TempPathFactory, messages: list[tuple[str, str, str | None, str]]
) -> None:
    """Invariant 18: with the others' messages between, each source's incidents are the same."""

    def states(sent: list[tuple[str, str, str | None, str]]) -> dict[str, list[State]]:
        opened = project(tmp_path_factory.mktemp("senders"))
        desk = desk_of(opened)
        for source, status, id_, host in sent:
            if source == "webhook":
                hand_in(desk, opened, source, small.alert(host=host, status=status))
            else:
                hand_in(desk, opened, source, told(status, h=host, id=id_))
        found: dict[str, list[State]] = {"one": [], "two": [], "webhook": []}
        for each in every(opened):
            found[each.alert.source].append(each.state)
        opened.close()
        return found

    together = states(messages)
    for source in ("one", "two", "webhook"):
        assert states([each for each in messages if each[0] == source])[source] == together[source]


def test_an_alert_joins_no_other_sender_s(opened: Project) -> None:
    """Same host and service, within the window: each is handled by itself."""
    desk = desk_of(opened)
    hand_in(desk, opened, "webhook", small.alert())
    hand_in(desk, opened, "one", told())
    hand_in(desk, opened, "one", told(n="Slow"))
    for number in (1, 2, 3):
        locate.locate(opened, number)
    first, second, third = every(opened)
    assert (first.state, second.state) == (State.LOCATED, State.LOCATED)
    assert (third.state, third.joined) == (State.SUPPRESSED, 2)


def test_ids_are_forgotten_once_they_are_resolved_or_old(opened: Project) -> None:
    desk = desk_of(opened)
    hand_in(desk, opened, "one", told(id="7"), told(id="8"))
    hand_in(desk, opened, "one", told("resolved", id="7"))
    keep = opened.config.store.retention
    later = datetime.now(UTC) + keep.incidents + timedelta(days=1)
    with opened.database.write() as tx:
        assert sender_ids.take(tx, "one", "7") == ()
        assert retention.sweep(tx, keep, later)["sender_ids"] == 1


@pytest.mark.store
def test_a_resolved_ends_all_of_many_alerts_with_its_id(tmp_path: Path, store_url: str) -> None:
    opened = project(tmp_path, store=store_url)
    desk = desk_of(opened)
    hand_in(desk, opened, "one", *[told(id="7", svc=f"s{number}") for number in range(30)])
    hand_in(desk, opened, "one", {"s": "resolved", "n": "Down", "id": "7"})
    assert [each.state for each in every(opened)] == [State.RESOLVED] * 30
    opened.close()


def test_an_id_names_the_newest_so_many_alerts_and_no_other_id_s(
    opened: Project, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sender_ids, "MOST", 3)
    (alert,) = senders.read(body(told(id="7")), sender(name="one"), AT).alerts
    with opened.database.write() as tx:
        sender_ids.note(tx, replace(alert, pair="8"), AT)
        for minute, number in enumerate((4, 3, 4, 2, 1, 2)):
            at = AT + timedelta(minutes=minute)
            sender_ids.note(tx, replace(alert, fingerprint=f"f{number}"), at)
        assert sender_ids.take(tx, "one", "7") == ("f1", "f2", "f4")
        assert sender_ids.take(tx, "one", "7") == ()
        assert sender_ids.take(tx, "one", "8") == (alert.fingerprint,)
    (said,) = caplog.messages
    assert said.startswith("source one gives one id, 7, to more than 3 alerts")


# What cannot be read, and bounds


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "not JSON"),
        (b'{"a": 1}', "status: gives nothing"),
        (body(told("odd")), "status: gives 'odd'"),
        (body(told(n=None)), "labels.alertname: gives nothing"),
        (body(told(svc=["a"])), "labels.service: gives a list"),
        (body(told(id="x" * 200)), "id: is longer than 128"),
        (b"[" * 40 + b"]" * 40, "nested more than 32 deep"),
        (body(*[told()] * 1001), "more than 1000 alerts"),
        (b" " * (senders.MAX_BODY + 1), "longer than"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_one_sentence(content: bytes, said: str) -> None:
    with pytest.raises(BadDelivery, match=re.escape(said)) as refused:
        senders.read(content, sender(), AT)
    assert len(str(refused.value)) <= 200 and str(refused.value).isprintable()


def test_expressions_take_a_bounded_number_of_steps() -> None:
    """Counted, not timed: the same body is refused on every machine."""
    costly = sender(labels={"alertname": "n", "x": "to_string(sum(l[*].[@, @][].[@, @][]))"})
    small_one = json.dumps(told(l=list(range(10)))).encode()
    assert senders.read(small_one, costly, AT).alerts
    with pytest.raises(BadDelivery, match="too many steps"):
        senders.read(json.dumps(told(l=list(range(60_000)))).encode(), costly, AT)


def test_one_bad_alert_costs_only_itself_and_can_be_handed_in_again(tmp_path: Path) -> None:
    opened = project(tmp_path)
    acts.deliver(opened, body(told(), told("odd")), source="one", sender="source:one")
    with opened.database.read() as tx:
        (letter,) = dead_letters.find(tx)
    assert (letter.source, letter.position) == ("one", 1)
    with pytest.raises(Refused, match="still cannot be read: status: gives 'odd'"):
        acts.replay(opened, letter.id, by="user:adam")
    opened.close()
    wider = project(tmp_path, firing=["firing", "odd"])
    assert [a.name for a in acts.replay(wider, letter.id, by="user:adam").alerts] == ["Down"]
    wider.close()


@given(content=st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.sampled_from(["s", "n", "h", "id", "svc"]), inner, max_size=4),
    max_leaves=12,
))  # fmt: skip
def test_whatever_json_comes_is_read_or_refused(content: Any) -> None:
    try:
        senders.read(json.dumps(content).encode(), sender(starts="h"), AT)
    except BadDelivery as refused:
        assert str(refused).isprintable()


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.sampled_from([0, 1, 10**400, 10**4299, 9 * 10**4299, 1.5, float("inf"), -float("inf")])
    | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["v", "w"]), inner, max_size=2)
    ),
    max_leaves=6,
)
EXPRESSIONS = (
    "v > `1`", "v >= w", "v[?@ < `2`]", "ceil(v)", "floor(v)", "abs(v)", "sum(v)", "avg(v)",
    "to_number(v)", "to_string(v)", "sort(v)", "max(v)", "min(v)", "sort_by(v, &v)",
    "max_by(v, &w)",
    "v[::0]", "contains(v, w)", "join(',', v)", "merge(v, w)", "map(&v, w)", "keys(v)", "values(v)",
    "reverse(v)", "length(v)", "starts_with(v, w)", "type(v)", "to_array(v)", "[ceil(v), sum(w)]",
)  # fmt: skip


@given(v=JSON, w=JSON, expression=st.sampled_from(EXPRESSIONS))
@example(v="x", w=0, expression="v > `1`")
@example(v=float("inf"), w=0, expression="ceil(v)")
@example(v=[10**400], w=0, expression="avg(v)")
@example(v=[9 * 10**4299] * 2, w=0, expression="sum(v)")
def test_what_an_expression_cannot_take_costs_only_its_own_alert(
    v: Any, w: Any, expression: str
) -> None:
    table = sender(labels={"alertname": "n", "x": f"good || ({expression})"})
    sent = json.dumps([told(good="x"), told(v=v, w=w)]).replace("Infinity", "1e999").encode()
    found = senders.read(sent, table, AT)
    assert found.alerts[0].labels["x"] == "x"
    assert len(found.alerts) + len(found.unread) == 2
    assert all(each.reason.isprintable() for each in found.unread)


# Who may send


def site_of(tmp_path: Path) -> Project:
    sources = [
        {**page_tables()["cloudwatch"].model_dump(exclude={"auth", "confirm"}),
         "auth": {"username": "sns", "password": "word-of-sns"}},
        {**PLAIN, "name": "one", "auth": {"bearer_token": "token-of-one"}},
    ]  # fmt: skip
    return web_site.project(tmp_path, web_site.GUARDED, intake={"sources": sources})


def test_each_source_has_its_own_credential_and_opens_nothing_else(tmp_path: Path) -> None:
    one = {"Authorization": "Bearer token-of-one"}
    sns = {"Authorization": "Basic " + base64.b64encode(b"sns:word-of-sns").decode()}
    with web_site.site(site_of(tmp_path)) as client:

        def status(path: str, headers: dict[str, str], method: str = "POST") -> int:
            return client.request(method, path, content=body(told()), headers=headers).status_code

        assert status("/api/v1/sources/one", one) == 200
        others = (sns, web_site.ADAM, web_site.ALERTMANAGER, web_site.VERA)
        assert [status("/api/v1/sources/one", who) for who in others] == [403] * 4
        assert status("/api/v1/sources/none", one) == 403
        assert client.post("/api/v1/sources/one", content=body(told())).status_code == 401
        assert status("/api/v1/alerts", one) == 403
        assert [status(path, one, "GET") for path in ("/metrics", "/", "/api/v1/incidents")] == [
            403, 403, 403,
        ]  # fmt: skip
        assert status("/api/v1/sources/one", one | {"Content-Type": "text/html"}) == 415
        long = client.post("/api/v1/sources/one", content=b" " * (2**20 + 1), headers=one)
        assert long.status_code == 413


def test_a_subscription_is_a_dead_letter_that_names_the_step(tmp_path: Path) -> None:
    """SNS calls its JSON plain text; nothing that the envelope names is called."""
    opened = site_of(tmp_path)
    plain = {"Content-Type": "text/plain; charset=UTF-8"}
    with web_site.site(opened) as client:
        client.auth = ("sns", "word-of-sns")
        sent = {name: (BODIES / f"{name}.json").read_bytes()
                for name in ("cloudwatch", "cloudwatch-subscription")}  # fmt: skip
        taken = client.post("/api/v1/sources/cloudwatch", content=sent["cloudwatch"], headers=plain)
        asked = client.post(
            "/api/v1/sources/cloudwatch", content=sent["cloudwatch-subscription"], headers=plain
        )
        with opened.database.read() as tx:
            (letter,) = dead_letters.find(tx)
    assert (taken.status_code, asked.status_code) == (200, 400)
    assert "aws sns confirm-subscription" in letter.reason and letter.sender == "source:cloudwatch"


def test_secrets_of_two_senders_differ(tmp_path: Path) -> None:
    from runner.web.auth import problems

    opened = project(tmp_path)
    (tmp_path / "other").write_text("token-of-one")
    assert "source two has the same secret as source one" in problems(opened.config)
    opened.close()


# How far it may go


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"level": "auto"}, "level auto needs confirm"),
        ({"auth": {}}, "needs an auth of its own"),
        ({"name": "webhook"}, "one of our own"),
        ({"name": "Zabbix"}, "pattern"),
        ({"labels": {"instance": "h"}}, "labels.alertname"),
        ({"labels": {"alertname": "a["}}, "not a JMESPath expression"),
        ({"labels": {"alertname": "nosuch(a)"}}, ""),
        ({"status": "a" * 1001}, "at most 1000 characters"),
        ({"firing": ["on"], "resolved": ["ON"]}, "named twice"),
        ({"confirm": {}}, "one of promql, http and api"),
        ({"confirm": {"promql": "up", "http": "http://x"}}, "one of promql, http and api"),
        ({"confirm": {"api": "http://x"}}, "need each other"),
        ({"confirm": {"promql": "up > $instance"}}, "quoted value of a matcher"),
    ],
)
def test_a_table_that_cannot_work_is_refused_with_a_sentence(
    changes: dict[str, Any], said: str
) -> None:
    if said:
        with pytest.raises(ValueError, match=re.escape(said)):
            sender(**changes)
        return
    # What is wrong only once it is evaluated makes dead letters, and no error of ours.
    with pytest.raises(BadDelivery, match=r"labels\.alertname"):
        senders.read(body(told()), sender(**changes), AT)


def test_two_sources_of_one_name_are_refused(tmp_path: Path) -> None:
    twice = {"sources": [{"name": "one", **PLAIN}, {"name": "one", **PLAIN}]}
    with pytest.raises(ConfigError, match="sources names one twice"):
        config.build({"intake": twice}, root=tmp_path)


CONFIRM = {"promql": 'up{instance="$instance"} == 0'}


@pytest.mark.parametrize(
    ("source", "sources", "level"),
    [
        ("webhook", [], None),
        ("plain", [{}], Level.APPROVE),
        ("plain", [{"level": "observe"}], Level.OBSERVE),
        ("plain", [{"level": "auto", "confirm": CONFIRM}], None),
        ("plain", [], Level.APPROVE),
    ],
)
def test_the_source_s_level_is_a_limit(
    source: str, sources: list[dict[str, Any]], level: Level | None
) -> None:
    made = [{"name": "plain", **PLAIN, **each} for each in sources]
    situation = policy_case.case(
        alert=replace(policy_case.alert(), source=source),
        config=config.Config.model_validate({"level": "auto", "intake": {"sources": made}}),
    )
    reasons = list(ceilings.sender(situation))
    assert [reason.level for reason in reasons] == ([] if level is None else [level])


# Who confirms


class Api(BaseHTTPRequestHandler):
    """A sender's API that answers what the server holds, and notes what it was asked."""

    def do_POST(self) -> None:
        length = int(self.headers.get("content-length", 0))
        asked = self.path, self.headers.get("authorization"), self.rfile.read(length)
        self.server.asked.append(asked)  # type: ignore[attr-defined]
        status, answer = self.server.answer  # type: ignore[attr-defined]
        self.send_response(status)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def api() -> Iterator[Any]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    server.asked, server.answer = [], (200, b"{}")  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def asking(tmp_path: Path, api: Any, **confirm: Any) -> tuple[Project, Incident]:
    """A project whose source `one` confirms by this API, and the incident of its alert."""
    url = f"http://127.0.0.1:{api.server_address[1]}/rpc"
    given = {"api": url, "firing": "length(result) > `0`"} | confirm
    opened = project(tmp_path, confirm={k: v for k, v in given.items() if v}, level="auto")
    hand_in(desk_of(opened), opened, "one", told(id='7", "x": "', svc='a"b'))
    return opened, every(opened)[0]


def test_the_sender_s_api_says_whether_it_fires(tmp_path: Path, api: Any) -> None:
    """Values are texts of the JSON, whatever stands in them, and Alertmanager is not asked."""
    (tmp_path / "api").write_text("token-of-api\n")
    opened, incident = asking(
        tmp_path,
        api,
        body={"params": {"eventids": ["$id"], "of": "${service}!"}},
        auth={"bearer_token_file": "api"},
    )
    api.answer = 200, b'{"result": [1]}'
    assert still_fires(opened, incident) is True
    path, login, sent = api.asked[0]
    assert (path, login) == ("/rpc", "Bearer token-of-api")
    assert json.loads(sent) == {"params": {"eventids": ['7", "x": "'], "of": 'a"b!'}}
    assert confirm.cleared(opened, incident) is Result.NOT_FIXED
    carry_out._still_firing(opened, incident, True)
    api.answer = 200, b'{"result": []}'
    assert confirm.cleared(opened, incident) is Result.FIXED
    with pytest.raises(carry_out.Stale, match="no longer fires") as stale:
        carry_out._still_firing(opened, incident, True)
    assert stale.value.state is State.RESOLVED
    opened.close()


@pytest.mark.parametrize(
    "answer",
    [(500, b'{"result": [1]}'), (200, b"{}"), (200, b"<html>"), (302, b""),
     (200, b'{"result": "' + b"x" * 2**20 + b'"}')],
)  # fmt: skip
def test_who_cannot_tell_lets_nothing_run(
    tmp_path: Path, api: Any, answer: tuple[int, bytes]
) -> None:
    """Invariant 10: an answer that does not say so is unknown."""
    opened, incident = asking(tmp_path, api, query={"q": "$id"})
    api.answer = answer
    with pytest.raises(RemoteError):
        still_fires(opened, incident)
    assert confirm.cleared(opened, incident) is Result.UNKNOWN
    with pytest.raises(carry_out.Stale, match="cannot tell") as stale:
        carry_out._still_firing(opened, incident, True)
    assert stale.value.state is State.ESCALATED
    opened.close()


@pytest.mark.real
def test_what_its_sender_confirms_runs_by_itself(tmp_path: Path, api: Any) -> None:
    """The whole path at `auto`. Alertmanager, which would not answer, is not asked."""
    url = f"http://127.0.0.1:{api.server_address[1]}/rpc"
    api.answer = 200, b'{"result": [1]}'
    opened = project(
        tmp_path,
        more={"alertmanagers": [{"url": "http://127.0.0.1:9"}]},
        level="auto",
        confirm={"api": url, "firing": "length(result) > `0`", "query": {"id": "$id"}},
    )
    worker = Daemon(opened, intake=False)
    worker.start()
    try:
        acts.deliver(opened, body(told(id="7")), source="one")
        acts.deliver(opened, body(told(h="web2")), source="two")
        assert small.wait(opened, 1).incident.state is State.FIXED
        assert small.wait(opened, 2, small.waiting).incident.level is Level.APPROVE
    finally:
        worker.stop()
        opened.close()
    assert [path for path, _, _ in api.asked] == ["/rpc?id=7"]
    assert (small.runs(tmp_path), small.runs(tmp_path, "web2")) == (1, 0)


def test_a_password_in_the_address_of_an_api_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds a password"):
        project(tmp_path, confirm={"api": "http://ann:secret@zabbix.example.com/", "firing": "a"})


def test_a_url_of_the_host_says_whether_it_fires(tmp_path: Path, api: Any) -> None:
    inventory = json.loads(json.dumps(small.INVENTORY))
    inventory["all"]["hosts"]["web1"] = {"ansible_host": "127.0.0.1"}
    (tmp_path / "token").write_text("t")
    confirm_ = {"http": f"http://$host:{api.server_address[1]}/health"}
    one = {**PLAIN, "name": "one", "confirm": confirm_}
    path = small.make(tmp_path, settings={"intake": {"sources": [one]}}, inventory=inventory)
    opened = small.project(path)
    hand_in(desk_of(opened), opened, "one", told())
    with pytest.raises(Refused, match="about no host"):
        still_fires(opened, every(opened)[0])
    locate.locate(opened, 1)
    assert still_fires(opened, every(opened)[0]) is False
    api.answer = 503, b""
    assert still_fires(opened, every(opened)[0]) is True
    opened.close()


def test_an_answer_that_cannot_be_compared_is_unknown(tmp_path: Path, api: Any) -> None:
    opened, incident = asking(tmp_path, api, firing="result > `0`")
    api.answer = 200, b'{"result": "x"}'
    with pytest.raises(RemoteError, match="cannot be read"):
        still_fires(opened, incident)
    opened.close()


class Samples:
    """A Prometheus that answers each query by its text."""

    def __init__(self, **answers: list[Any]) -> None:
        self.answers, self.asked = answers, []

    def query(self, promql: str) -> list[Any]:
        self.asked.append(promql)
        return self.answers["trouble" if "==" in promql else "data"]


@pytest.mark.parametrize(("trouble", "data", "fires"), [(1, 1, True), (0, 1, False), (0, 0, None)])
def test_a_query_says_whether_it_fires(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: int, data: int, fires: bool | None
) -> None:
    """Invariant 10: no data is no answer."""
    opened = project(tmp_path, confirm=CONFIRM, level="auto")
    hand_in(desk_of(opened), opened, "one", told(h='web1"} or up{x="'))
    sample = type("Sample", (), {"value": 1.0})()
    asked = Samples(trouble=[sample] * trouble, data=[sample] * data)
    monkeypatch.setattr(Project, "prometheus", asked)
    if fires is None:
        with pytest.raises(RemoteError):
            still_fires(opened, every(opened)[0])
    else:
        assert still_fires(opened, every(opened)[0]) is fires
    assert asked.asked[0] == r'up{instance="web1\"} or up{x=\""} == 0'
    opened.close()


def test_without_confirm_a_message_proves_nothing(opened: Project) -> None:
    """A person may let it run; nobody says that it helped."""
    desk = desk_of(opened)
    hand_in(desk, opened, "one", told())
    incident = every(opened)[0]
    assert still_fires(opened, incident) is None
    carry_out._still_firing(opened, incident, True)
    assert confirm.cleared(opened, incident) is Result.UNKNOWN
    with pytest.raises(carry_out.Stale):
        carry_out._still_firing(opened, incident, False)


def test_a_source_that_is_gone_lets_nothing_run(tmp_path: Path) -> None:
    opened = project(tmp_path)
    hand_in(desk_of(opened), opened, "one", told())
    opened.close()
    bare = small.project(small.make(tmp_path))
    with pytest.raises(carry_out.Stale, match=r"no longer in intake\.sources"):
        carry_out._still_firing(bare, every(bare)[0], True)
    bare.close()


# The command line


def test_a_body_from_a_file_is_read_by_the_same_table(tmp_path: Path) -> None:
    project(tmp_path).close()
    file = tmp_path / "body.json"
    file.write_bytes(body(told()))
    path = tmp_path / "runner.yml"
    assert answered(path, "alert", "handle", "--source", "one", "--no-wait", file) == {
        "delivery": 1
    }
    unknown = call(path, "alert", "handle", "--source", "none", file)
    assert unknown.exit_code != 0 and "no source none in intake.sources" in unknown.stderr
