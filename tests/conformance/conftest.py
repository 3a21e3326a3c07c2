"""One site for all tests of the kit, and a pair of clustered peers for those that need one.

They end with the package: what other tests do to this process must not reach their servers.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conformance.lab import Site
from tests.real_alertmanager import RealAlertmanager, free_port, require


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The runner's intake with a real Alertmanager in front of it."""
    require("prometheus-alertmanager")
    made = Site(tmp_path_factory.mktemp("site"))
    yield made
    made.close()


@pytest.fixture(scope="package")
def pair(
    site: Site, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[RealAlertmanager, RealAlertmanager]]:
    """Two peers of one cluster that tell the same site."""
    root = tmp_path_factory.mktemp("pair")
    ports = (free_port(), free_port())
    fast = ("--cluster.gossip-interval=20ms", "--cluster.peer-timeout=2s")
    made = [
        RealAlertmanager(
            root / str(number),
            site.routes,
            (
                f"--cluster.listen-address=127.0.0.1:{port}",
                f"--cluster.peer=127.0.0.1:{ports[1 - number]}",
                *fast,
            ),
        )
        for number, port in enumerate(ports)
    ]
    yield made[0], made[1]
    for one in made:
        one.stop()
