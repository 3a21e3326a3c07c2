"""The OpenAPI document is true: requests made from it are answered as it says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis import checks

from tests import web_lab as lab

UNENDING = "/api/v1/events"  #: has tests of its own


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    opened = lab.project(tmp_path_factory.mktemp("openapi"))
    lab.fixed(opened)
    lab.waiting(opened, lab.alert("b" * 16))
    with lab.site(opened) as made:
        yield made


@pytest.fixture(scope="module")
def api(client: httpx.Client) -> Any:
    document = client.get("/api/v1/openapi.json").json()
    return schemathesis.openapi.from_dict(document)


schema = schemathesis.pytest.from_fixture("api").exclude(path=UNENDING)


@schema.parametrize()
@settings(
    max_examples=25,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_every_answer_is_one_that_the_document_names(case: Any, client: httpx.Client) -> None:
    """Invariant 1: whatever is sent, no answer says that the runner failed."""
    address = str(client.base_url).rstrip("/")
    case.call_and_validate(
        base_url=address,
        checks=[
            checks.not_a_server_error,
            checks.status_code_conformance,
            checks.content_type_conformance,
            checks.response_schema_conformance,
        ],
    )


def test_no_route_of_the_api_is_missing_from_the_document(
    client: httpx.Client, tmp_path: Path
) -> None:
    paths = client.get("/api/v1/openapi.json").json()["paths"]
    assert {UNENDING, "/api/v1/alerts", "/metrics", "/readyz"} <= set(paths)
    assert not any(path.startswith("/incidents") for path in paths)
