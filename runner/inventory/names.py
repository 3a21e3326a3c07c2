"""All the ways in which an inventory host is called, compared by equality only."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_BRACKETS = re.compile(r"\[([^\[\]]+)\](?::([0-9]{1,5}))?")
_PORT = re.compile(r"([^:]+):([0-9]{1,5})")
_HIGHEST = 65_535  #: port
_PLAIN = re.compile(r"[^\W_][\w.-]*|_[\w.-]+")

#: Names that every machine gives to itself.
_OWN = frozenset({"localhost", "localhost4", "localhost6", "ip6-localhost", "ip6-loopback"})

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Table = dict[Any, set[str]]


@dataclass
class Names:
    """Tables from a name, alias or address to the hosts that have it."""

    exact: Table = field(default_factory=dict)
    folded: Table = field(default_factory=dict)
    aliases: Table = field(default_factory=dict)
    connection: Table = field(default_factory=dict)  #: by ansible_host
    addresses: Table = field(default_factory=dict)
    short: Table = field(default_factory=dict)
    further: Table = field(default_factory=dict)  #: by names in the variables of `locate`
    #: that may be cut off a name: the configuration's, and those of names and aliases
    domains: set[str] = field(default_factory=set)

    @classmethod
    def of(
        cls,
        hosts: Mapping[str, Mapping[str, Any]],
        domains: Iterable[str] = (),
        further: Iterable[str] = (),
    ) -> Names:
        """The tables of these hosts, each with its variables, of which `further` hold names and
        addresses, too."""
        also = tuple(further)
        names = cls(domains={_folded(domain).strip(".") for domain in domains})
        for host, variables in hosts.items():
            given = variables.get("runner_aliases")
            items = given if isinstance(given, list) else [given]
            aliases = [alias for alias in items if isinstance(alias, str) and alias]
            addresses = [variables.get(name) for name in ("ansible_host", "ansible_ssh_host")]
            connection = [text for text in addresses if isinstance(text, str) and text][:1]
            reached = [text for text in connection if not is_loopback(text)]
            _put(names.exact, host, host)
            _put(names.folded, _folded(host), host)
            for alias in aliases:
                _put(names.aliases, _folded(alias), host)
            for text in reached:
                _put(names.connection, _folded(text), host)
            values = [variables.get(name) for name in also]
            more = [
                text
                for each in values
                for text in (each if isinstance(each, list) else [each])
                if isinstance(text, str) and text and not is_loopback(text) and "{{" not in text
            ]
            for text in (host, *aliases, *reached, *more):
                if (address := address_of(text)) is not None:
                    _put(names.addresses, address, host)
            for text in (host, *aliases, *more):
                if address_of(text) is None:
                    name, _, domain = _folded(text).partition(".")
                    _put(names.short, name, host)
                    if text not in more:  # a cloud's domain says nothing of our names
                        names.domains.add(domain)
            for text in more:
                _put(names.further, _folded(text), host)
        return names

    def find(self, text: str, host: str) -> tuple[tuple[str, ...], str]:
        """(hosts, sorted; the way in which they were found) for a label and the host in it.

        The first way that gives any host decides. Several hosts mean: not known which.
        """
        loopback = is_loopback(host)  # everybody calls himself so: only an alias tells who
        ways: list[tuple[str, Table, Any]] = []
        for part in (text, host):
            if not loopback:
                ways += [("name", self.exact, part), ("name", self.folded, _folded(part))]
            ways.append(("alias", self.aliases, _folded(part)))
        if not loopback:
            name, _, domain = _folded(host).partition(".")
            way = "name without domain"
            address = address_of(host)
            known = self.connection.get(_folded(host))
            # An address of two networks may be one host's by ansible_host and another's too.
            if address is None or known == self.addresses.get(address):
                ways.append(("ansible_host", self.connection, _folded(host)))
            ways.append(("variable", self.further, _folded(host) if address is None else None))
            if address is not None:
                ways.append(("address", self.addresses, address))
            # A domain that only one of the two has. Two different domains are different hosts.
            elif not domain:
                ways.append((way, self.short, name))
            elif domain in self.domains:
                ways += [(way, self.folded, name), (way, self.aliases, name)]
        for way, table, key in ways:
            if found := table.get(key):
                return tuple(sorted(found)), way
        return (), ""

    def why_not(self, text: str) -> str:
        """The clause that a person needs when nobody is called `text`; often there is none."""
        host = host_of(text)
        if is_loopback(host):
            return (
                ": a loopback name may be any machine; if it is a host of yours, add it to "
                "runner_aliases of that host"
            )
        name, _, domain = _folded(host).partition(".")
        if domain and address_of(host) is None and name in self.short:
            return f"; if {domain[:120]} is a domain of yours, add it to project.domains"
        return ""


def is_loopback(text: str) -> bool:
    """Whether `text` means the machine itself, whoever says it: as `localhost` and `::1` do."""
    if (address := address_of(text)) is not None:
        return address.is_loopback or address.is_unspecified
    name = _folded(text)
    return name.partition(".")[0] in _OWN or name.endswith(".localhost")


def host_of(text: str) -> str:
    """The host in `host:9100`, `[::1]:9100`, a bare address, a URL or a name with a final dot."""
    if scheme := _SCHEME.match(text):
        if "\\" in text:  # for some readers it ends the host, for others it is part of a name
            return text
        authority = re.split(r"[/?#]", text[scheme.end() :], maxsplit=1)[0]
        text = authority.rpartition("@")[2]
    if brackets := _BRACKETS.fullmatch(text):
        return brackets[1] if int(brackets[2] or 0) <= _HIGHEST else text
    if address_of(text) is None and (port := _PORT.fullmatch(text)):
        text = port[1] if int(port[2]) <= _HIGHEST else text
    return text.removesuffix(".") if len(text) > 1 else text


def port_of(text: str) -> int | None:
    """The port in `host:9100` or `[::1]:9100`; None in anything else, a URL included."""
    if _SCHEME.match(text) or address_of(text) is not None:
        return None
    found = _BRACKETS.fullmatch(text) or _PORT.fullmatch(text)
    return int(found[2]) if found and found[2] else None


def address_of(text: str) -> Address | None:
    """The IP address that `text` is, with IPv4 in IPv6 as IPv4; None when it is none."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def written_plainly(name: str) -> bool:
    """Whether Ansible can only read the name as one host, not as a pattern."""
    return bool(_PLAIN.fullmatch(name)) or address_of(name) is not None


def _folded(text: str) -> str:
    """Lower case; only ASCII, since letters of other scripts fold into look-alikes."""
    return text.lower() if text.isascii() else text


def _put(table: Table, key: Any, host: str) -> None:
    table.setdefault(key, set()).add(host)
