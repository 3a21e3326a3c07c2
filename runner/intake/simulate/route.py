"""The part of alertmanager.yml that leads real alerts to a receiver, to try it."""

from __future__ import annotations

_ROUTE = """\
# alertmanager.yml: lead alerts with the label runner_trial="true" to the receiver, and go on.
route:
  receiver: people
  routes:
    - receiver: runner
      matchers: ['runner_trial="true"']
      group_by: [alertname, instance]
      group_wait: 10s
      group_interval: 1m
      repeat_interval: 4h
      continue: true
    - receiver: people

receivers:
  - name: people
  - name: runner
    webhook_configs:
      - url: {url}
        send_resolved: true
        max_alerts: 0
        # timeout: 10s    # Alertmanager 0.28 and newer
        http_config:
          authorization:
            type: Bearer
            credentials_file: {token}
"""


def route(url: str, token_file: str | None = None) -> str:
    """The snippet for this receiver; its URL is taken as it is, so check it first."""
    return _ROUTE.format(url=_quoted(url), token=_quoted(token_file or "/etc/alertmanager/token"))


def _quoted(text: str) -> str:
    """A YAML scalar in single quotes, in which nothing has a meaning but the quote itself."""
    return "'" + text.replace("'", "''") + "'"
