"""Ways to reach a host that no run takes: nothing of them could be tried."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_WINDOWS, _NETWORK = "Windows", "network devices"
_REFUSED = {
    "winrm": _WINDOWS,
    "psrp": _WINDOWS,
    "network_cli": _NETWORK,
    "netconf": _NETWORK,
    "httpapi": _NETWORK,
    "grpc": _NETWORK,
    "persistent": _NETWORK,
}


def refused(connection: object) -> str:
    """Why nothing runs over this connection, a clause; empty for every other one."""
    what = _REFUSED.get(str(connection).rpartition(".")[2])
    if what is None:
        return ""
    return f"connection {connection} is for {what}, which the runner does not support"


def of_host(variables: Mapping[str, Any]) -> str:
    """Why nothing runs on a host with these variables, a clause; empty for every other one."""
    return refused(variables.get("ansible_connection"))
