"""The rows of docs/reliability.md: each a fault with what is promised. Tests name them by key.

`@pytest.mark.fault("KEY")` says which row a test injects; what it saw comes from the run.
"""

from __future__ import annotations

from dataclasses import dataclass

ONCE = "it ends, its playbook ran once"
PERSON = "it is for a person, and nothing is called fixed"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One fault."""

    fault: str
    promised: str


MATRIX: dict[str, Row] = {
    "kill_step": Row(
        fault="`kill -9` before and after every step, and while alerts are admitted",
        promised="After a restart " + ONCE,
    ),
    "kill_run": Row(
        fault="`kill -9` between intent and start of a run, in the middle, and at its end",
        promised="What became of the run is found out; it is not started again",
    ),
    "kill_intake": Row(
        fault="`kill -9` of the process that takes alerts in, at random, under live webhooks",
        promised="What was answered with 2xx becomes exactly one incident",
    ),
    "kill_random": Row(
        fault="`kill -9` of the whole runner at random, under live webhooks, with real plays",
        promised="Every incident ends, and no playbook runs twice",
    ),
    "takeover": Row(
        fault="`kill -9` of one of several workers on PostgreSQL, for good",
        promised="Another one takes over: " + ONCE,
    ),
    "power_cut": Row(
        fault="Power cut: runner, supervisor and Ansible gone at once, memory lost, WAL left",
        promised="The run is unknown and not started again: " + PERSON,
    ),
    "frozen": Row(
        fault="A worker is frozen around the start of a run, and wakes up after the takeover",
        promised="It runs once at most; who wakes up late ends itself",
    ),
    "deploy": Row(
        fault="Another release is started where the last one was killed",
        promised="The new one goes on: " + ONCE,
    ),
    "second_process": Row(
        fault="A second runner is started on the same SQLite file",
        promised="It is refused with a sentence, and the first goes on",
    ),
    "engine_error": Row(
        fault="The engine fails to record a step's answer, once or always",
        promised="It is handled again; after three times it is for a person",
    ),
    "disk_full": Row(
        fault="The disk is full before, during and after a run",
        promised="New alerts get 503; with space again " + ONCE,
    ),
    "store_locked": Row(
        fault="Another process locks the database for longer than anybody waits",
        promised="Steps wait for it: " + ONCE,
    ),
    "postgres_crash": Row(
        fault="PostgreSQL crashes in the middle of a run",
        promised="Steps wait for it: " + ONCE,
    ),
    "ssh_cut": Row(
        fault="SSH to the host is cut in the middle of a play",
        promised="The outcome is unreachable: " + PERSON,
    ),
    "host_dies": Row(
        fault="The host dies in the middle of a play and answers no packet",
        promised="The outcome is unreachable or timeout: " + PERSON,
    ),
    "prometheus_away": Row(
        fault="Prometheus cannot be reached while a run is verified",
        promised="Unknown: " + PERSON,
    ),
    "prometheus_slow": Row(
        fault="Prometheus answers later than its timeout",
        promised="Unknown: " + PERSON,
    ),
    "prometheus_lies": Row(
        fault="Prometheus gives an old answer in which all is well",
        promised="Every check must hold, Alertmanager's too: " + PERSON,
    ),
    "alertmanager_away": Row(
        fault="Alertmanager cannot be reached before the run, or while it is verified",
        promised="Nothing runs, or the run is unknown: " + PERSON,
    ),
    "alertmanager_slow": Row(
        fault="Alertmanager answers later than its timeout",
        promised="Unknown: " + PERSON,
    ),
    "alertmanager_lies": Row(
        fault="Alertmanager gives an old answer: the alert is gone, or it still fires",
        promised="Every check must hold; what arrives again is handled again",
    ),
    "alertmanager_restarted": Row(
        fault="Alertmanager restarts and has forgotten an alert that still fires",
        promised="It is not taken for cleared: " + PERSON,
    ),
    "clock_jump": Row(
        fault="The clock jumps hours ahead or back in the middle, or during verification",
        promised="It ends, ran once, and a jump does not count as time in which checks held",
    ),
    "long_line": Row(
        fault="A host's file has a line of 55,000 characters, and a play changes it",
        promised="Health answers throughout: " + ONCE,
    ),
    "one_line_json": Row(
        fault="A host's file is 300 kB of JSON in one line, and a play changes it",
        promised="Health answers throughout: " + ONCE,
    ),
    "endless_output": Row(
        fault="A task prints 300 MB",
        promised="Health answers throughout, memory stays below its limit, and the run says so",
    ),
    "thousand": Row(
        fault="A thousand incidents at once, and a `kill -9` in the middle of them",
        promised="Each is admitted once and ends",
    ),
    "slow_headers": Row(
        fault="1,200 half-sent requests without a credential, with 1,024 descriptors",
        promised="Health answers at once, the log stays small, and the connections are closed",
    ),
    "slow_bodies": Row(
        fault="200 bodies with a valid token, at one byte a second",
        promised="Another sender's alert is answered at once; the slow ones are refused",
    ),
    "flood_of_one_host": Row(
        fault="Thousands of alerts of one host, and then a critical one of another host",
        promised="The critical one is decided at once; each alert is one incident",
    ),
    "storm_of_unknown": Row(
        fault="Hundreds of hosts that the inventory does not know, and a known one among them",
        promised="At most three messages per receiver, and the known one is reported on its own",
    ),
}
