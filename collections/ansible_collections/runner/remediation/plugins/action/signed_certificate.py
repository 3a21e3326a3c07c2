"""Signs a request by openssl, on the machine that runs Ansible."""

from __future__ import annotations

import os
import secrets
import subprocess
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

SECONDS = 30


class ActionModule(ActionBase):
    """See plugins/modules/signed_certificate.py."""

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        """The certificate. Nothing is sent to the host, and nothing changes on it."""
        super().run(tmp, task_vars)
        _, given = self.validate_argument_spec(
            {
                "request": {"type": "str", "required": True},
                "ca": {"type": "path", "required": True},
                "ca_key": {"type": "path", "required": True, "no_log": True},
                "days": {"type": "int", "required": True},
            }
        )
        for name in ("ca", "ca_key"):
            if not os.path.isfile(given[name]):
                raise AnsibleActionFail(f"there is no file {given[name]}; see certificate_{name}")
        if self._task.check_mode:
            return {"changed": False, "content": f"a certificate for {given['days']} days\n"}
        return {"changed": False, "content": sign(**given)}


def sign(request: str, ca: str, ca_key: str, days: int) -> str:
    """The certificate as PEM, with the names that the request asks for."""
    command = ["openssl", "x509", "-req", "-CA", ca, "-CAkey", ca_key, "-days", str(days)]
    command += ["-set_serial", f"0x{secrets.token_hex(16)}", "-copy_extensions", "copy"]
    try:
        done = subprocess.run(
            command, input=request, capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise AnsibleActionFail(f"openssl could not sign: {error}") from None
    if done.returncode:
        raise AnsibleActionFail(f"openssl could not sign: {done.stderr.strip()[-500:]}")
    return done.stdout
