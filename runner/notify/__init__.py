"""Notify: people are told of transitions, by the outbox, at least once."""

from runner.notify.notifier import Notifier

__all__ = ["Notifier"]
