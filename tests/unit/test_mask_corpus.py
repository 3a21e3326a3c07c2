"""What real machines write stays readable, and every kind of secret is hidden (invariant 13).

`inputs/exporters` are the series of real exporters, `inputs/units.txt` are systemd's names.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.decide.personal import HIDDEN, Hide
from runner.evidence.mask import MASKED, Mask
from runner.vault import Known, Secrets

INPUTS = Path(__file__).parents[1] / "inputs"
EXPORTERS = sorted(path.stem for path in (INPUTS / "exporters").glob("*.txt"))
UNITS = (INPUTS / "units.txt").read_text().splitlines()
HIDE = Hide(Mask(), personal=True)


def test_the_corpus_is_of_several_exporters() -> None:
    assert {"node_exporter", "prometheus", "alertmanager", "etcd", "blackbox_exporter"} <= set(
        EXPORTERS
    )
    assert len(UNITS) > 200


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_every_series_of_a_real_exporter_passes_unmasked(exporter: str) -> None:
    series = (INPUTS / "exporters" / f"{exporter}.txt").read_text().splitlines()
    changed = {
        text: HIDE(text)
        for name in series
        for text in (name, f"{name} 1", f"{name}: 0.91 0.95 - 1.2e+06", f"rate({name}[5m]) > 0.9")
        if HIDE(text) != text
    }
    assert changed == {}
    whole = "\n".join(f"{name}: 1 2 3" for name in series)[:60_000]
    assert HIDE(whole) == whole


@pytest.mark.parametrize(
    "sentence",
    ["{}", "{}: Failed with result 'exit-code'.", "Started {} - A daemon.", 'name="{}",state="up"'],
)
def test_names_of_units_pass_unmasked(sentence: str) -> None:
    texts = [sentence.format(unit) for unit in UNITS]
    assert [text for text in texts if HIDE(text) != text] == []


NUMBERS = st.one_of(
    st.integers(0, 10**19).map(str),
    st.integers(1000, 9999).map(str),
    st.floats(allow_nan=False).map(lambda value: f"{value:.4g}"),
    st.floats(allow_nan=False).map(repr),
    st.just("-"),
)


@given(st.lists(NUMBERS, min_size=2, max_size=13), st.sampled_from(["up: ", 'a{b="c"}: ', ""]))
def test_a_series_of_numbers_passes_unmasked(values: list[str], name: str) -> None:
    """No guess by bare groups of digits: most of what a model reads are such lines."""
    text = name + " ".join(values)
    assert HIDE(text) == text


@pytest.mark.parametrize("count", range(1, 14))
def test_equal_values_of_four_digits_pass_unmasked(count: int) -> None:
    for value in ("4242", "4444", "5555", "3000"):
        text = f'node_load1{{instance="web1:9100"}}: {" ".join([value] * count)}'
        assert HIDE(text) == text
        assert HIDE(f"{text} - -") == f"{text} - -"


WORD = "Zq9xVbN3mK7pL1wR5tY8uI2oA4sD6fGhJ0cE"
SECRETS = [
    ("password in a URL", "postgres://ann:{}@db.example.com/app", "hunter2-Zq9x"),
    ("password in a redis URL", "redis://:{}@cache:6379/0", "hunter2-Zq9x"),
    ("password in an ini file", "db_password = {}", "hunter2-Zq9x"),
    ("password in YAML", "  smtp_auth_password: '{}'", "hunter2-Zq9x"),
    ("password in JSON", '{{"password":"{}","user":"ann"}}', "hunter2-Zq9x"),
    ("password in a shell", "export PGPASSWORD={}", "hunter2-Zq9x"),
    ("password on a command line", "mysqldump --password {} db", "hunter2-Zq9x"),
    ("password of curl", "curl -u ann:{} https://example.com", "hunter2-Zq9x"),
    ("password of SQL", "ALTER USER ann IDENTIFIED BY '{}'", "hunter2-Zq9x"),
    ("password of a .NET string", "Server=db;User Id=ann;Password={};", "hunter2-Zq9x"),
    ("token of a query", "GET /x?access_token={} HTTP/1.1", WORD),
    ("signature of a query", "https://x.blob.example/y?se=1&sig={}", WORD),
    ("bearer header", "Authorization: Bearer {}", WORD),
    ("bearer alone", "sent bearer {} to it", WORD),
    ("basic header", "Authorization: Basic {}", "YW5uOmh1bnRlcjItWnE5eA=="),
    ("api key header", "X-Api-Key: {}", WORD),
    ("cookie", "Set-Cookie: session={}; Path=/", WORD),
    ("AWS key id", "using {}", "AKIAIOSFODNN7EXAMPLE"),
    ("AWS session key id", "key={}", "ASIAIOSFODNN7EXAMPLE"),
    ("AWS secret key", "aws_secret_access_key = {}", WORD + "a/b+"),
    ("Azure storage", "AccountKey={}==;EndpointSuffix=x", WORD),
    ("JWT", "got {}", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"),
    ("GitHub", "remote {}", "ghp_" + WORD),
    ("GitHub, fine-grained", "remote {}", "github_pat_" + WORD),
    ("GitLab", "remote {}", "glpat-" + WORD),
    ("Slack", "bot {}", "xoxb-123456789012-" + WORD),
    ("Slack webhook", "to {}", "https://hooks.slack.com/services/T0/B0/" + WORD),
    ("Discord webhook", "to {}", "https://discord.com/api/webhooks/1/" + WORD),
    ("Teams webhook", "to {}", "https://example.webhook.office.com/webhookb2/" + WORD),
    ("OpenAI", "key is {}", "sk-" + WORD),
    ("OpenAI, project", "key is {}", "sk-proj-" + WORD),
    ("Stripe", "key is {}", "sk_live_" + WORD),
    ("Google", "key is {}", "AIza" + WORD),
    ("Google OAuth", "key is {}", "ya29." + WORD),
    ("npm", "key is {}", "npm_" + WORD),
    ("PyPI", "key is {}", "pypi-" + WORD),
    ("Vault", "key is {}", "hvs." + WORD),
    ("SendGrid", "key is {}", f"SG.{WORD[:22]}.{WORD}"),
    ("Telegram", "key is {}", "123456789:AA" + WORD[:33]),
    ("age", "{}", "AGE-SECRET-KEY-1" + "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L" * 2),
    ("password hash", "root:{}:19000:0", f"$6$salt${WORD}"),
    ("bcrypt", "hash {}", f"$2b$12${WORD}"),
    ("private key", "-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----", WORD),
    ("private key, open", "-----BEGIN OPENSSH PRIVATE KEY-----\n{}", WORD),
    ("Ansible vault", "$ANSIBLE_VAULT;1.1;AES256\n  {}", "66386439653236336462626566653063"),
]


@pytest.mark.parametrize(
    ("frame", "secret"), [row[1:] for row in SECRETS], ids=[row[0] for row in SECRETS]
)
@pytest.mark.parametrize("line", ["{}", "Mar 04 web1 app[12]: {}", "\t{}\nnext line: 1"])
def test_every_kind_of_secret_is_masked(frame: str, secret: str, line: str) -> None:
    """Invariant 13: whatever stands before it on its line."""
    masked = Mask()(line.format(frame.format(secret)))
    assert secret not in masked
    assert secret[4:-4] not in masked
    assert MASKED in masked


@pytest.mark.parametrize(
    "text",
    [
        "ann.smith+ops@mail.example.com",
        "+49 30 901820",
        "+1 (212) 555-2368",
        "4111111111111111",
        "4111-1111-1111-1111",
        "4111 1111 1111 1111",
        "378282246310005",
        "DE89370400440532013000",
        "GB29 NWBK 6016 1331 9268 19",
    ],
)
def test_personal_data_in_a_sentence_is_hidden(text: str) -> None:
    """Invariant 13: what docs/model.md promises."""
    hidden = HIDE(f"paid by {text}, thanks")
    assert hidden == f"paid by {HIDDEN}, thanks"


def test_a_card_behind_its_name_is_hidden_even_where_a_series_could_stand() -> None:
    assert HIDE("card: 4111 1111 1111 1111") == f"card: {HIDDEN}"
    assert HIDE("visa 4111111111111111 200") == f"visa {HIDDEN} 200"


def test_a_number_beside_a_telephone_number_stays() -> None:
    assert HIDE("rang +1 212-555-2368 500 times") == f"rang {HIDDEN} 500 times"
    assert HIDE("1e+06 4.2e+09 +Inf") == "1e+06 4.2e+09 +Inf"


def test_a_known_secret_is_hidden_by_its_value_in_any_process() -> None:
    values = frozenset({"correct horse", "correct horse battery"})
    mask = Mask.of(Mask(["x9"], vault=Known(secrets=Secrets(values=values))).described())
    assert mask("x9") == MASKED
    assert mask("x correct horse battery y correct horse") == f"x {MASKED} y {MASKED}"


def test_what_a_name_says_is_secret_is_withheld_however_short() -> None:
    assert Mask().hides("vault_db_password", "abc")
    assert not Mask().hides("http_port", 80)
