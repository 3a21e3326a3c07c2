#!/usr/bin/python
"""Has a certificate renewed by what renews it anyway, and proves that it is good for longer."""

from __future__ import annotations

DOCUMENTATION = """
module: acme_certificate
short_description: Has a certificate renewed by what renews it anyway, and proves it
description:
  - Reads when a certificate ends. One that ends within O(renew_days) is renewed by the unit that
    its timer starts, or by the command that cron runs, as certbot and lego are set up.
  - Where the service is asked too, and shows another certificate than the file holds, its unit is
    reloaded.
  - Fails where the certificate ends no later than before, or is not the one that is served.
  - The certificate, or what a link to it says, and the program of a command must be files that only
    root can change, in directories that only root can change.
options:
  name:
    description: The certificate, by its name, by one of its names of hosts, or by a URL with one.
    type: str
    required: true
  certificates:
    description: Those of the host.
    type: list
    elements: dict
    required: true
    suboptions:
      name: {description: What a decision calls it., type: str, required: true}
      names: {description: Names of hosts that are in it., type: list, elements: str, default: []}
      path: {description: The file., type: path, required: true}
      unit: {description: The unit that the timer starts., type: str}
      command: {description: "What cron runs: a program and its words.", type: list, elements: str}
      reload: {description: The unit that serves it., type: str}
      served: {description: Address and port where it is served., type: str}
  renew_days:
    description: A certificate that is good for more days is left alone.
    type: int
    default: 30
  timeout: {description: Seconds that the unit or the command may take., type: int, default: 600}
  settle_retries:
    description: Times that the service is asked, one second apart, until it shows the new one.
    type: int
    default: 10
extends_documentation_fragment: [runner.remediation.modes]
author: Remediation runner authors (!UNKNOWN)
"""

EXAMPLES = """
- name: Renew the certificate of the shop
  runner.remediation.acme_certificate:
    name: https://shop.example.com/
    certificates:
      - name: shop.example.com
        path: /etc/letsencrypt/live/shop.example.com/fullchain.pem
        unit: certbot.service
        reload: nginx
        served: 127.0.0.1:443
  become: true
"""

RETURN = """
certificate: {description: Its name., type: str, returned: success}
ended: {description: When it ended before, in UTC., type: str, returned: success}
ends: {description: When it ends now., type: str, returned: success}
valid:
  description: Whether it is good for more than O(renew_days), and is served where that is asked.
  type: bool
  returned: success
"""

import os
import re
import socket
import ssl
import stat
import time
from typing import Any
from urllib.parse import urlsplit

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runner.remediation.plugins.module_utils.trusted_paths import (
    Directory,
    Untrusted,
    check,
    parent_of,
    shown,
    walk,
)
from ansible_collections.runner.remediation.plugins.module_utils.units import Systemd

_MOST = 1_000_000  #: bytes of a file that are read
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----")
_SECONDS = 10  #: until an address that does not answer shows nothing


class Refused(Exception):
    """A sentence."""


def chosen(name: str, certificates: list[dict[str, Any]]) -> dict[str, Any]:
    """The one that is called so, or has the host of this URL or address among its names."""
    try:
        host = urlsplit(name if "://" in name else f"//{name}").hostname or ""
    except ValueError:
        host = ""
    found = [
        one for one in certificates if name == one["name"] or host in (one["name"], *one["names"])
    ]
    if len(found) != 1:
        known = ", ".join(one["name"] for one in certificates) or "none"
        why = "is no certificate" if not found else "is more than one certificate"
        raise Refused(f"{shown(name)[:200]} {why} of this host; there are: {known}")
    return found[0]


def content(path: str) -> str:
    """The first certificate in the file, as PEM. Raises Untrusted, OSError, Refused."""
    above, name = parent_of(path)
    check(above)  # so that a link in it is one of root's, such as certbot makes
    with walk(above) as folder:
        if stat.S_ISLNK(folder.look(name).st_mode):
            target = os.path.normpath(os.path.join(above, folder.link(name)))
            check(target)
            above, name = parent_of(target)
            with walk(above) as elsewhere:
                return _first(elsewhere, name)
        check(path)
        return _first(folder, name)


def _first(folder: Directory, name: str) -> str:
    file = folder.file(name)
    try:
        found = _PEM.search(os.read(file, _MOST).decode("ascii", "replace"))
    finally:
        os.close(file)
    if not found:
        raise Refused(f"{shown(os.path.join(folder.path, name))} holds no certificate")
    return found[0]


def end_of(module: Any, pem: str) -> int:
    """When the certificate ends, in seconds since 1970."""
    program = module.get_bin_path("openssl", required=True)
    status, out, err = module.run_command([program, "x509", "-noout", "-enddate"], data=pem)
    if status:
        raise Refused(f"openssl cannot read the certificate: {shown(err.strip())[:200]}")
    return ssl.cert_time_to_seconds(out.strip().partition("=")[2])


def served(certificate: dict[str, Any]) -> bytes | None:
    """What the service shows to who asks for the certificate's name; nothing without an answer."""
    host, _, port = certificate["served"].rpartition(":")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # it is looked at only
    name = (certificate["names"] or [certificate["name"]])[0]
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=_SECONDS) as plain:
            with context.wrap_socket(plain, server_hostname=name) as answered:
                return answered.getpeercert(binary_form=True)
    except (OSError, ValueError):
        return None


def is_served(certificate: dict[str, Any], pem: str, tries: int) -> bool:
    """Whether the service shows this one, asked once a second; true where it is not asked."""
    if not certificate["served"]:
        return True
    for number in range(tries):
        if number:
            time.sleep(1)
        if served(certificate) == ssl.PEM_cert_to_DER_cert(pem):
            return True
    return False


def renew(module: Any, certificate: dict[str, Any]) -> None:
    """Let the unit or the command of its timer do it. Raises Refused, Untrusted."""
    limit = [module.get_bin_path("timeout", required=True), str(module.params["timeout"])]
    if certificate["unit"]:
        if said := Systemd(module).start(certificate["unit"], *limit):
            raise Refused(f"{certificate['unit']} failed: {shown(said)[:500]}")
        return
    words = certificate["command"]
    check(words[0])
    status, out, err = module.run_command([*limit, *words], cwd="/")
    if status:
        said = shown(" ".join((err or out).split()))[-500:]
        raise Refused(f"{words[0]} ended with {status}: {said}")


def can_be_renewed(module: Any, certificate: dict[str, Any]) -> None:
    """Raises Refused, Untrusted where there is nothing that would renew it."""
    unit, words = certificate["unit"], certificate["command"]
    if unit:
        found = Systemd(module).read(unit)
        if not found["known"]:
            raise Refused(f"systemd has no unit {unit} that it could start ({found['name']})")
    else:
        check(words[0])
        if not os.access(words[0], os.X_OK):
            raise Refused(f"there is no program {words[0]}")


def difference(certificate: dict[str, Any], ends: str, due: bool, reload: bool) -> dict[str, str]:
    """What changes; the same in a dry run and in its run."""
    by = certificate["unit"] or " ".join(certificate["command"] or [])
    after = [f"{certificate['name']}: renewed by {by}\n"] if due else []
    after += [f"{certificate['reload']}: reloaded\n"] if reload else []
    before = f"{certificate['name']}: ends {ends}\n"
    before += "" if due else "another certificate is served\n"
    return {"before": before, "after": "".join(after)}


def day(seconds: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))


def heal(module: Any) -> None:
    """Ends the module. Raises Refused, Untrusted, OSError."""
    given = module.params
    certificate = chosen(given["name"], given["certificates"])
    try:
        pem = content(certificate["path"])
    except FileNotFoundError:
        raise Refused(f"there is no certificate {certificate['path']}") from None
    before = end_of(module, pem)
    due = before - time.time() < given["renew_days"] * 86400
    seen = served(certificate) if certificate["served"] else None
    stale = seen not in (None, ssl.PEM_cert_to_DER_cert(pem))
    result = {"certificate": certificate["name"], "ended": day(before)}
    if not due and not stale:
        module.exit_json(changed=False, ends=day(before), valid=True, **result)
    if due:
        can_be_renewed(module, certificate)
    elif not certificate["reload"]:
        raise Refused(f"{certificate['served']} shows another certificate than the file holds")
    diff = difference(certificate, day(before), due, bool(certificate["reload"]))
    if module.check_mode:
        module.exit_json(changed=True, ends=day(before), valid=False, diff=diff, **result)
    if due:
        renew(module, certificate)
        pem = content(certificate["path"])
    after = end_of(module, pem)
    if due and after <= before:
        by = certificate["unit"] or certificate["command"][0]
        raise Refused(f"{by} went well, and the certificate ends at {day(after)} as before")
    if certificate["reload"]:
        if said := Systemd(module).reload(certificate["reload"]):
            raise Refused(f"{certificate['reload']} was not reloaded: {shown(said)[:500]}")
    lasts = after - time.time() >= given["renew_days"] * 86400
    valid = lasts and is_served(certificate, pem, given["settle_retries"])
    module.exit_json(changed=True, ends=day(after), valid=valid, diff=diff, **result)


def main() -> None:
    certificate = {
        "name": {"type": "str", "required": True},
        "names": {"type": "list", "elements": "str", "default": []},
        "path": {"type": "path", "required": True},
        "unit": {"type": "str"},
        "command": {"type": "list", "elements": "str"},
        "reload": {"type": "str"},
        "served": {"type": "str"},
    }
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "certificates": {
                "type": "list", "elements": "dict", "required": True, "options": certificate,
                "mutually_exclusive": [("unit", "command")],
                "required_one_of": [("unit", "command")],
            },
            "renew_days": {"type": "int", "default": 30},
            "timeout": {"type": "int", "default": 600},
            "settle_retries": {"type": "int", "default": 10},
        },
        supports_check_mode=True,
    )  # fmt: skip
    try:
        heal(module)
    except (Refused, Untrusted) as why:
        module.fail_json(msg=f"{why}; nothing more was done.")
    except OSError as error:
        module.fail_json(msg=f"{shown(str(error.filename))}: {error.strerror}")


if __name__ == "__main__":
    main()
