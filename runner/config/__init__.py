"""runner.yml becomes one frozen object; nothing else reads it or the environment.

Every key is documented in `runner.example.yml`; `tests/unit/test_config.py` compares
the two. Unknown keys are refused with the nearest known one.
"""

from __future__ import annotations

from runner.config.access import Credentials, Listen, User, WebLimits
from runner.config.client import Client
from runner.config.document import Config
from runner.config.intake import Alertmanager, Correlation, Intake, Prometheus, Watch
from runner.config.locate import Join, Locate
from runner.config.model import (
    Endpoint,
    Injection,
    Model,
    ModelBreaker,
    ModelBudget,
    ModelMask,
    Prices,
)
from runner.config.nodes import Greylist, Nodes, Signal
from runner.config.notify import Mask, Notify, Receiver, StormRules
from runner.config.policy import Autonomy, Breaker, Budget, Freeze, Policy, Rung, UpliftRules
from runner.config.problems import explain
from runner.config.reading import ENVIRONMENT, ENVIRONMENT_PREFIX, build, load, secret_files
from runner.config.section import AlertName, Finite, Section, Text
from runner.config.senders import Confirm, Sender
from runner.config.work import (
    Approval,
    Execution,
    Project,
    Retention,
    Retry,
    Store,
    Turns,
    Verification,
)

__all__ = [
    "ENVIRONMENT",
    "ENVIRONMENT_PREFIX",
    "AlertName",
    "Alertmanager",
    "Approval",
    "Autonomy",
    "Breaker",
    "Budget",
    "Client",
    "Config",
    "Confirm",
    "Correlation",
    "Credentials",
    "Endpoint",
    "Execution",
    "Finite",
    "Freeze",
    "Greylist",
    "Injection",
    "Intake",
    "Join",
    "Listen",
    "Locate",
    "Mask",
    "Model",
    "ModelBreaker",
    "ModelBudget",
    "ModelMask",
    "Nodes",
    "Notify",
    "Policy",
    "Prices",
    "Project",
    "Prometheus",
    "Receiver",
    "Retention",
    "Retry",
    "Rung",
    "Section",
    "Sender",
    "Signal",
    "Store",
    "StormRules",
    "Text",
    "Turns",
    "UpliftRules",
    "User",
    "Verification",
    "Watch",
    "WebLimits",
    "build",
    "explain",
    "load",
    "secret_files",
]
