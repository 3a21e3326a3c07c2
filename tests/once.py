"""Which parameters of a promise CI shows, and which `make nightly` counts."""

from __future__ import annotations

from typing import Any

import pytest


def once(first: Any, *others: Any) -> list[Any]:
    """Parameters for `parametrize`, a tuple where it has several names: the others are nightly."""
    return [first, *(_nightly(each) for each in others)]


def _nightly(values: Any) -> Any:
    values = values if isinstance(values, tuple) else (values,)
    return pytest.param(*values, marks=pytest.mark.nightly)
