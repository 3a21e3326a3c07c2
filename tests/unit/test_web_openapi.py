"""The OpenAPI document is true: requests made from it are answered as it says."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode, checks

from tests import web_site

UNENDING = "/api/v1/events"  #: has tests of its own


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    opened = web_site.project(tmp_path_factory.mktemp("openapi"))
    web_site.fixed(opened)
    web_site.waiting(opened, web_site.alert("b" * 16))
    with web_site.site(opened) as made:
        yield made


CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
]
FEW = settings(
    max_examples=25,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_every_answer_is_one_that_the_document_names(
    client: httpx.Client, mode: GenerationMode
) -> None:
    """Invariant 1: whatever is sent, right or wrong, no answer says that the runner failed."""
    document = client.get("/api/v1/openapi.json").json()
    api = schemathesis.openapi.from_dict(document).exclude(path=UNENDING)
    tried = [_try(client, found.ok(), mode) for found in api.get_all_operations()]
    assert len(tried) >= 14


def _try(client: httpx.Client, operation: Any, mode: GenerationMode) -> None:
    address = str(client.base_url).rstrip("/")

    @FEW
    @given(operation.as_strategy(generation_mode=mode))
    def every_case(case: Any) -> None:
        case.call_and_validate(base_url=address, checks=CHECKS)

    with contextlib.suppress(Unsatisfiable):  # nothing wrong can be sent to some
        every_case()


def test_no_route_of_the_api_is_missing_from_the_document(
    client: httpx.Client,
) -> None:
    paths = client.get("/api/v1/openapi.json").json()["paths"]
    assert {UNENDING, "/api/v1/alerts", "/metrics", "/readyz"} <= set(paths)
    assert not any(path.startswith("/incidents") for path in paths)
