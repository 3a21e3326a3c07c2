"""The rows of `runner simulate`, played to the runner's own intake, and to worse receivers."""

from __future__ import annotations

import http.server
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
import yaml

from runner.intake.simulate.bodies import PREFIX, Maker, message
from runner.intake.simulate.play import Webhook, play_row, requests_of
from runner.intake.simulate.rows import BY_NAME, ROWS, Expected, Row
from runner.store.tables import incidents
from tests.command_line import call
from tests.conformance.lab import TOKEN, Site
from tests.real_alertmanager import _Server


def opened(site: Site, make: Maker) -> int:
    """How many incidents there are of the alerts of this row."""
    name = make.alert()["labels"]["alertname"]
    query = sa.select(sa.func.count()).where(
        incidents.c.alertname == name,
        incidents.c.alert["labels"]["runner_simulate"].as_string() == make.mark,
    )
    site.settle()
    with site.project.database.read() as tx:
        return int(tx.execute(query).scalar_one())


@pytest.mark.real
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_our_own_intake_answers_as_it_should(site: Site, row: Row) -> None:
    """Each row: the answer, and one incident for each activation, none of which fires on."""
    make = Maker(row=row.name)
    with httpx.Client(timeout=30, trust_env=False) as client:
        result = play_row(row, Webhook(client, site.url, TOKEN), make)
    assert result.result == "ok", result
    assert opened(site, make) == row.opens
    left = [one for one in site.incidents(make.alert()["labels"]["alertname"]) if site.firing(one)]
    assert [one for one in left if one.alert.labels["runner_simulate"] == make.mark] == []


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_row_sends_what_it_says(row: Row) -> None:
    """Nothing that could be taken for a real alert, and never more than was announced."""
    bodies = list(row.bodies(Maker(row=row.name)))
    assert len(bodies) == row.requests and row.words[0].isupper() and not row.words.endswith(".")
    for body in bodies if row.reads or row.anonymous else ():
        for alert in json.loads(body)["alerts"]:
            assert alert["labels"]["alertname"].startswith(PREFIX)
            assert alert["labels"]["instance"].endswith(".invalid")
    assert len(BY_NAME) == len(ROWS)


class Bad(_Server):
    """A receiver that answers everything the same way."""

    def __init__(self, status: int, text: str = "") -> None:
        self.seen: list[dict[str, Any]] = []
        bad = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                bad.seen.append({"auth": self.headers["Authorization"], "body": body})
                self.send_response(status)
                if status == 307:
                    self.send_header("Location", "http://127.0.0.1:1/elsewhere")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_: Any) -> None:
                pass

        super().__init__(Handler)


@pytest.fixture
def bad(request: pytest.FixtureRequest) -> Iterator[Bad]:
    made = Bad(*request.param)
    yield made
    made.stop()


def answered(url: str, *words: object) -> tuple[int, dict[str, dict[str, str]]]:
    result = call(Path("none.yml"), "simulate", "--against", url, *words, "-o", "json")
    return result.exit_code, {row["row"]: row for row in json.loads(result.stdout)}


@pytest.mark.parametrize(
    ("bad", "row", "words"),
    [
        ((429,), "first", "does not slow down"),
        ((307,), "first", "without the token"),
        ((500,), "first", "again and again"),
        ((409,), "redelivered", "dropped until the next flush"),
        ((200,), "custom-payload", "never sent again"),
        ((429,), "broken-json", "does not slow down"),
        ((400, "x" * 2000), "custom-payload", "the refusal is long"),
    ],
    indirect=["bad"],
)
def test_a_wrong_answer_fails_the_row_and_says_what_follows(bad: Bad, row: str, words: str) -> None:
    code, found = answered(bad.url, "--only", row)
    assert code == 1 and list(found) == [row]
    assert found[row]["result"] == "failed" and words in found[row]["problem"]
    assert found[row]["expected"] == BY_NAME[row].expected


@pytest.mark.parametrize("bad", [(200,)], indirect=True)
def test_it_sends_no_more_than_it_says(bad: Bad, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("secret\n")
    result = call(Path("none.yml"), "simulate", "--against", bad.url, "--token-file", token)
    assert result.exit_code == 1  # it takes everything, custom payload and strangers included
    assert f"At most {requests_of(ROWS)} messages" in result.stderr
    assert len(bad.seen) == requests_of(ROWS)
    assert [post["auth"] for post in bad.seen].count(None) == BY_NAME["no-token"].requests
    assert "secret" not in result.output
    assert "custom-payload" in result.stdout and f"{len(ROWS)} ok" not in result.stdout


@pytest.mark.parametrize("bad", [(202,)], indirect=True)
def test_a_row_that_needs_a_token_is_left_out_without_one(bad: Bad) -> None:
    code, found = answered(bad.url, "--only", "no-token", "--only", "first")
    assert code == 0
    assert [row["result"] for row in found.values()] == ["ok", "skipped"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--against", "ftp://example.com/"], 2, "not an http or https URL"),
        (["--against", "file:///etc/passwd"], 2, "not an http or https URL"),
        (["--against", "http://"], 2, "not an http or https URL"),
        (["--against", "http://x:99999/"], 2, "not an http or https URL"),
        (["--against", "http://me:secret@127.0.0.1:1/"], 2, "--token-file"),
        (["--against", "http://127.0.0.1:1/", "--only", "nothing"], 2, "there is no row nothing"),
        (["--against", "http://127.0.0.1:1/"], 7, "cannot be reached"),
        (["--against", "http://127.0.0.1:1/", "--token-file", "/dev/null"], 3, "one token"),
        ([], 2, "--against"),
    ],
)
def test_a_call_that_cannot_work_says_why(words: list[str], code: int, said: str) -> None:
    result = call(Path("none.yml"), "simulate", *words)
    assert result.exit_code == code and said in result.stderr
    assert "secret" not in result.stderr and "Traceback" not in result.output


def test_it_lists_its_rows_without_sending() -> None:
    result = call(Path("none.yml"), "simulate", "--list", "-o", "json")
    assert [row["name"] for row in json.loads(result.stdout)] == [row.name for row in ROWS]
    assert "stale-retry" in call(Path("none.yml"), "simulate", "--list").stdout


def test_it_prints_a_route_to_try() -> None:
    url = "http://192.0.2.1:9095/api/v1/alerts"
    result = call(Path("none.yml"), "simulate", "--against", url, "--route")
    content = yaml.safe_load(result.stdout)
    assert content["receivers"][1]["webhook_configs"][0]["url"] == url


def test_an_expectation_fits_its_statuses() -> None:
    fits = {
        each: [s for s in (200, 202, 302, 401, 413, 429, 503) if each.fits(s)] for each in Expected
    }
    assert fits == {
        Expected.TAKEN: [200, 202],
        Expected.REFUSED: [401, 413],
        Expected.STRANGER: [401],
        Expected.TAKEN_OR_TOO_LARGE: [200, 202, 413],
    }


def test_a_message_of_nothing_is_still_one() -> None:
    assert json.loads(message())["alerts"] == []
