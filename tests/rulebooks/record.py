"""What ansible-rulebook itself says of conditions: writes verdicts.json beside this file.

Run it with the Python of an environment that has ansible-rulebook 1.3 (it needs Java 17), in the
root of the project: `python -m tests.rulebooks.record`. Tests compare the importer with the file.
"""

from __future__ import annotations

import json
import random
import uuid
from pathlib import Path
from typing import Any

LABELS = ("a", "b", "severity")
VALUES = ("x", "y", "xy", "web1", "critical", "x.y")
PATTERNS = (
    "x", "^x", "y$", "^xy$", "x|y", "web[0-9]", r"web\d+", "w.b", "[xy]+", "[^x]y", ".*y", "x.*",
    "(?:x|w)y?", r"\w+\.y", "CRIT", "k", r"x\sy", "x{1,2}y", "x.+", "^(x|web)", r"[\w.]+$", "x-y",
)  # fmt: skip
#: Values of labels, some of which tell Java's regular expressions from RE2's.
SEEN = (
    "x", "y", "X", "xy", "yx", "xxy", "x.y", "x-y", "x y", "web1", "web", "WEB1", "critical",
    "Critical", "x\ny", "xy\n", "x\ry", "w\u2028b", "wab", "\u212a", "k", "\u00e9",
)  # fmt: skip
COUNT, SIZE = 240, 12


def label(draw: random.Random) -> str:
    name = draw.choice(LABELS)
    return draw.choice((f"event.alert.labels.{name}", f"event.alert.labels['{name}']"))


def atom(draw: random.Random, *, negated: bool) -> str:
    path, value = label(draw), draw.choice(VALUES)
    several = ", ".join(f'"{each}"' for each in draw.sample(VALUES, draw.randint(1, 3)))
    kind = draw.choice(("match", "search", "regex"))
    fold = draw.choice(("", "", ", ignorecase=true", ", ignorecase=false"))
    found = [
        f'{path} == "{value}"', f"{path} == '{value}'", f'"{value}" == {path}',
        f'{path} != "{value}"', f"{path} in [{several}]", f"{path} not in [{several}]",
        *(f'{path} is {kind}("{draw.choice(PATTERNS)}"{fold})' for _ in range(3)),
        f'{path} is not {kind}("{draw.choice(PATTERNS)}"{fold})',
        'event.alert.status == "firing"', 'event.alert.status != "firing"',
    ]  # fmt: skip
    if not negated:
        found += [f"{path} is defined", f"{path} is not defined"]
    return draw.choice(found)


def condition(draw: random.Random, depth: int = 3, *, negated: bool = False) -> str:
    """`not` inside of `not`, and `defined` there, are left out: the engine reads both wrongly."""
    if depth == 0 or draw.random() < 0.35:
        return atom(draw, negated=negated)
    form = draw.choice(("{}", "({})") if negated else ("{}", "({})", "not ({})"))
    below = negated or form.startswith("not")
    parts = [condition(draw, depth - 1, negated=below) for _ in range(draw.randint(2, 3))]
    text = parts[0]
    for part in parts[1:]:
        text += f" {draw.choice(('and', 'or'))} {part}"
    return form.format(text)


def alert(draw: random.Random) -> dict[str, str]:
    names = draw.sample(LABELS, draw.randint(0, len(LABELS)))
    return {name: draw.choice(SEEN) for name in sorted(names)}


def verdicts(conditions: list[str], alerts: list[dict[str, str]]) -> list[list[int]]:
    """For each condition the numbers of the alerts that fire it, as the engine says."""
    from ansible_rulebook.json_generator import generate_condition
    from ansible_rulebook.rules_parser import parse_condition
    from drools.exceptions import MessageNotHandledException, MessageObservedException
    from drools.rule import Rule
    from drools.ruleset import Ruleset, post

    fired: list[list[int]] = [[] for _ in conditions]
    content: dict[str, Any] = {"name": uuid.uuid4().hex, "hosts": ["all"], "sources": []}
    content |= {"match_multiple_rules": True, "rules": []}
    for number, text in enumerate(conditions):
        tree = generate_condition(parse_condition(text), {})
        rule = {"name": str(number), "condition": tree, "enabled": True}
        rule["actions"] = [{"Action": {"action": "none", "action_args": {}}}]
        content["rules"].append({"Rule": rule})
    ruleset = Ruleset(name=content["name"], serialized_ruleset=json.dumps(content))
    now: list[int] = []
    for number in range(len(conditions)):
        ruleset.add_rule(Rule(name=str(number), callback=lambda _, n=number: now.append(n)))
    for number, labels in enumerate(alerts):
        now.clear()
        try:
            post(ruleset.name, json.dumps({"alert": {"status": "firing", "labels": labels}}))
        except (MessageNotHandledException, MessageObservedException):
            pass
        for each in set(now):
            fired[each].append(number)
    ruleset.end_session()
    return fired


def main() -> None:
    draw = random.Random(1303)
    conditions = list(dict.fromkeys(condition(draw) for _ in range(COUNT)))
    alerts = [alert(draw) for _ in range(40)] + [{"a": value, "severity": value} for value in SEEN]
    found = []
    for start in range(0, len(conditions), SIZE):
        some = conditions[start : start + SIZE]
        found += [list(pair) for pair in zip(some, verdicts(some, alerts), strict=True)]
    path = Path(__file__).with_name("verdicts.json")
    path.write_text(
        '{"engine": "ansible-rulebook 1.3.2",\n"alerts": '
        + json.dumps(alerts)
        + ',\n"conditions": [\n'
        + ",\n".join(json.dumps(each) for each in found)
        + "\n]}\n"
    )


if __name__ == "__main__":
    main()
