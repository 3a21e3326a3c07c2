"""Secrets never survive, whatever stands around them (invariant 13)."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.errors import ConfigError
from runner.evidence.mask import MASKED, MAX_TEXT, Mask

SECRET = "hunter2-Zq9xV"
LONG = "Zq9xVbN3mK7pL1wR5tY8uI2oA4sD6fGhJ0cE"


@pytest.mark.parametrize(
    "text",
    [
        f"password={SECRET}",
        f"Password: {SECRET}",
        f"PGPASSWORD={SECRET} psql",
        f"db_passwd = '{SECRET}'",
        f'{{"password": "{SECRET}", "user": "ann"}}',
        f'{{"msg": "{{\\"password\\":\\"{SECRET}\\"}}"}}',
        f"{{'client_secret': '{SECRET}'}}",
        f'password="a \\" {SECRET}"',
        f'password="unterminated {SECRET}',
        f"api-key: {SECRET}",
        f"X-Api-Key: {SECRET}",
        f"secret_key => {SECRET}",
        f"auth_token:={SECRET}",
        f"password: |\n  {SECRET}\n",
        f"password:\n  {SECRET}",
        f"https://example.com/?access_token={SECRET}&x=1",
        f"https://example.blob/x?se=1&sig={SECRET}",
        f"mysqldump --password {SECRET} db",
        f"tool --api-token='{SECRET}'",
        f"curl -u ann:{SECRET} http://example.com",
        f"curl --user=ann:{SECRET} http://example.com",
        f"postgresql://ann:{SECRET}@db.example.com/app",
        f"amqp://ann:p@ss/{SECRET}@mq.example.com",
        f"https://:{SECRET}@example.com",
        f"https://{LONG}@example.com/repository",
        f"Server=db;User Id=ann;Password={SECRET};",
        f"AccountKey={LONG}==;EndpointSuffix=x",
        f"SharedAccessKey={LONG}",
        f"Authorization: Bearer {SECRET}",
        f"authorization: Basic {SECRET}",
        f"Authorization: Custom a b {SECRET}",
        f'"Authorization": "Token {SECRET}"',
        f"Proxy-Authorization: {SECRET}",
        f"Set-Cookie: session={SECRET}; Path=/",
        f"sent bearer {LONG} to x",
        "sent Basic aHVudGVyMi1acTl4Vg== to x".replace("aHVudGVyMi1acTl4Vg==", LONG),
        f"CREATE USER ann IDENTIFIED BY '{SECRET}'",
        f"\x1b[31mpassword\x1b[0m=\x1b[1m{SECRET}\x1b[0m",
        f"aws_secret_access_key = {LONG}",
        f"-----BEGIN RSA PRIVATE KEY-----\n{LONG}\n-----END RSA PRIVATE KEY-----",
        f"{LONG}\n-----END RSA PRIVATE KEY-----\nafter",
        f"-----BEGIN OPENSSH PRIVATE KEY-----\n{LONG}\ncut off",
        f"ghp_{LONG}",
        f"github_pat_{LONG}",
        f"glpat-{LONG}",
        f"xoxb-{LONG}",
        f"https://hooks.slack.com/services/{LONG}",
        f"sk-{LONG}",
        f"sk_live_{LONG}",
        f"hvs.{LONG}",
        f"root:$6${LONG}:19000:",
        f"$2b$12${LONG}",
        "AKIAIOSFODNN7EXAMPLE",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJlLWhlcmU",
        "$ANSIBLE_VAULT;1.1;AES256\n  6638643965323\n  3532396333",
    ],
)
def test_it_masks_what_is_known_to_be_secret(text: str) -> None:
    """Invariant 13: secrets are not stored, sent to the model or shown."""
    masked = Mask()(text)
    for secret in (SECRET, LONG, "IOSFODNN7", "c2lnbmF0", "eyJzdWIi", "6638643", "35323963"):
        assert secret not in masked
    assert MASKED in masked


@pytest.mark.parametrize(
    "text",
    [
        'node_filesystem_avail_bytes{mountpoint="/data"} < 0.1',
        "disk full on web1, design=2 signal 9 assigned: ann",
        "Failed password for invalid user ann from 192.0.2.1 port 22",
        "GET http://web1:8080/health?x=1 200, tell ann@example.com",
        "https://example.com/runbooks/disk",
        "basic authentication is off, bearer of news",
        'rate(http_requests_total{code=~"5.."}[5m]) > 0.05',
        "ssh://git@example.com/repository",
        "2026-03-04T12:00:00Z nginx[12]: worker process 7 exited on signal 9",
        "",
    ],
)
def test_it_leaves_ordinary_text_alone(text: str) -> None:
    assert Mask()(text) == text


def test_what_stands_around_a_secret_stays_readable() -> None:
    text = f'level=error user=ann url=postgresql://ann:{SECRET}@db/app {{"token": "{SECRET}"}} end'
    assert Mask()(text) == (
        f'level=error user=ann url=postgresql://ann:{MASKED}@db/app {{"token": {MASKED}}} end'
    )


def test_the_users_patterns_are_masked_too() -> None:
    mask = Mask([r"CUST-\d+", r"pin (?P<secret>\d{4})"])
    assert mask("CUST-123 has pin 4321 set") == f"{MASKED} has pin {MASKED} set"


@pytest.mark.parametrize("pattern", ["(", "[a", "(?P<secret"])
def test_a_pattern_that_is_no_pattern_is_a_configuration_error(pattern: str) -> None:
    with pytest.raises(ConfigError, match=r"mask\.patterns"):
        Mask([pattern])


@pytest.mark.parametrize("pattern", [r"(?<!a)b", r"(a)\1", r"a(?=b)", r"(?>a)"])
def test_a_pattern_that_could_take_for_ever_is_a_configuration_error(pattern: str) -> None:
    """Invariant 14: text from outside cannot hold the runner up, whatever the pattern."""
    with pytest.raises(ConfigError, match=r"mask\.patterns: .* RE2 .*look-around"):
        Mask([pattern])


def test_it_reads_a_bounded_text_only() -> None:
    """Invariant 14: a log of any size is looked at up to a bound."""
    assert len(Mask()("x" * (MAX_TEXT + 10))) == MAX_TEXT


SECRETS = st.text(string.ascii_letters + string.digits + "!#%*+-./_~?^", min_size=12, max_size=40)
AROUND = st.text(string.ascii_letters + string.digits + " \t\n.,:;{}[]()<>=-_/|", max_size=60)
FRAMES = st.sampled_from(
    [
        "password={}",
        '"password": "{}"',
        "token: {}",
        "API_KEY='{}'",
        "--password {}",
        "postgres://ann:{}@db",
        "Authorization: Bearer {}",
        "client_secret => {}",
    ]
)


@given(SECRETS, AROUND, FRAMES, AROUND)
def test_a_planted_secret_never_survives(secret: str, before: str, frame: str, after: str) -> None:
    """Invariant 13: in random surroundings, no framed secret is left whole or in its middle."""
    planted = f"{before} {frame.format(secret)} {after}"
    masked = Mask()(planted)
    if secret not in before and secret not in after:
        assert secret not in masked
        assert secret[2:-2] not in masked or secret[2:-2] in before + after


@given(st.text(max_size=200))
def test_masking_twice_changes_nothing_more(text: str) -> None:
    once = Mask()(text)
    assert Mask()(once) == once


@given(SECRETS, AROUND)
def test_a_planted_secret_in_a_log_of_many_lines_never_survives(secret: str, around: str) -> None:
    """Invariant 13: lines before and after do not hide it."""
    text = "\n".join([around, f"password={secret}", around])
    assert secret not in Mask()(text).replace(around, "")
