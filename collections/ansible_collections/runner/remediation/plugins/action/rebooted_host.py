"""Reboots a host by its module of the same name, and waits for it where Ansible runs."""

from __future__ import annotations

import shlex
import time
from typing import Any

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase

POLL = 2  #: seconds between two looks at a host that is away
DEFAULT = ["shutdown", "-r", "now"]
BOOT_ID = "/proc/sys/kernel/random/boot_id"


class ActionModule(ActionBase):
    """See plugins/modules/rebooted_host.py."""

    _supports_check_mode = True

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        """What came of it; the host is out of service only where the result says so."""
        super().run(tmp, task_vars)
        self._variables = task_vars
        given = self._task.args
        found = self._phase("look")
        if found.get("failed"):
            return found
        reasons = found["reasons"]
        result: dict[str, Any] = {"reasons": reasons, "rebooted": False, "failed_units": []}
        if not reasons:
            return {"changed": False, "healthy": True, **result}
        result["diff"] = self._difference(reasons)
        if self._task.check_mode:
            return {"changed": True, "healthy": False, **result}
        command = list(given.get("command") or DEFAULT)
        if self._connection.transport == "local" and command == DEFAULT:
            return {"failed": True, "msg": "the host is the machine that runs this.", **result}
        boot = self._boot()
        if given.get("drain"):
            drained = self._phase("drain")
            if drained.get("failed"):
                return {**drained, **result}
        left = "; it was drained before, and still is" if given.get("drain") else ""
        try:
            self._reboot(command)
        except AnsibleError as error:
            msg = f"the host was not rebooted: {error}{left}."
            return {"failed": True, "changed": bool(left), "msg": msg, **result}
        seconds = int(given.get("timeout") or 600)
        if not self._is_back(boot, seconds):
            msg = f"the host did not come back within {seconds} s{left}."
            return {"failed": True, "changed": True, "msg": msg, **result}
        result |= {"rebooted": True, "changed": True}
        after = self._phase("back", failed_before=found["failed_units"])
        if after.get("failed"):
            return {**after, **result}
        return {**result, **{name: after[name] for name in ("healthy", "said", "failed_units")}}

    def _phase(self, phase: str, **more: Any) -> dict[str, Any]:
        """A part of the work, by the module on the host."""
        done: dict[str, Any] = self._execute_module(
            module_name="runner.remediation.rebooted_host",
            module_args={**self._task.args, "phase": phase, **more},
            task_vars=self._variables,
        )
        return done

    def _difference(self, reasons: list[str]) -> dict[str, str]:
        """What happens to the host; the same in a dry run and in its run."""
        given = self._task.args
        hooks = {name: " ".join(given.get(name) or ()) for name in ("drain", "check", "undrain")}
        after = [f"drained by {hooks['drain']}"] if hooks["drain"] else []
        after += ["rebooted"]
        after += [f"well, as {hooks['check']} says"] if hooks["check"] else []
        after += [f"put back by {hooks['undrain']}"] if hooks["undrain"] else []
        lines = {"before": [f"needs a reboot: {reason}" for reason in reasons], "after": after}
        return {side: "".join(f"{line}\n" for line in lines[side]) for side in lines}

    def _boot(self) -> str:
        """What is another one after each boot. In a container only its first process is.

        Raises AnsibleError, also where the host does not answer.
        """
        name = shlex.quote(str(self._task.args.get("boot_id") or BOOT_ID))
        done = self._low_level_execute_command(f"cat {name} && cut -d ' ' -f 22 /proc/1/stat")
        if done["rc"]:
            raise AnsibleError(f"the boot cannot be told: {done['stderr'].strip()[-300:]}")
        return str(done["stdout"].strip())

    def _reboot(self, command: list[str]) -> None:
        """A connection that is cut short meanwhile is no failure. Raises AnsibleError."""
        try:
            done = self._low_level_execute_command(shlex.join(command))
        except AnsibleConnectionFailure:
            return
        if done["rc"]:
            said = (done["stderr"] or done["stdout"]).strip()[-300:]
            raise AnsibleError(f"{command[0]} ended with {done['rc']}: {said}")

    def _is_back(self, boot: str, seconds: int) -> bool:
        """Whether the host answers, after another boot, within so many seconds."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                self._connection.reset()
                if self._boot() != boot:
                    return True
            except AnsibleError:  # it is away
                pass
            time.sleep(POLL)
        return False
