"""What the cases say of a decider: accuracy, precision, coverage, harm, agreement, cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

from runner.cases.run import Tried
from runner.text import storable, visible


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Of one decider over all cases. A share is None where there is nothing to share."""

    decider: str
    cases: int
    failed: int
    known: int  #: wrong as `misses` says
    accuracy: float | None  #: of all trials, those that were right
    acted: int  #: trials whose entry could change a host, by itself or after a yes
    acted_precision: float | None  #: of those, the right ones
    coverage: float | None  #: of the trials that should act, those that did
    nothing: int  #: cases in which nothing may be done
    harmful: int  #: trials that chose what a case rules out
    agreement: float | None  #: over repeats, the mean share of the most frequent answer
    stolen: int
    unanswered: int  #: trials in which a model gave no answer
    calls: int
    tokens: int
    money: float
    seconds: float


def figures(decider: str, tried: Sequence[Tried]) -> Figures:
    """The figures of these cases."""
    trials = [trial for each in tried for trial in each.trials]
    right = [ok for each in tried for ok in each.right]
    acted = [ok for ok, trial in zip(right, trials, strict=True) if trial.acts]
    due = [trial for each in tried if not each.case.expect.nothing for trial in each.trials]
    return Figures(
        decider=decider,
        cases=len(tried),
        failed=sum(bool(each.failures) for each in tried),
        known=sum(bool(each.wrong and not each.failures) for each in tried),
        accuracy=_share(sum(right), len(right)),
        acted=len(acted),
        acted_precision=_share(sum(acted), len(acted)),
        coverage=_share(sum(trial.acts for trial in due), len(due)),
        nothing=sum(each.case.expect.nothing for each in tried),
        harmful=sum(bool(each.harm) for each in tried),
        agreement=_share(sum(each.agreement for each in tried), len(tried)),
        stolen=sum(bool(each.stolen_by) for each in tried),
        unanswered=sum(bool(trial.answer.problem) for trial in trials),
        calls=sum(trial.answer.calls for trial in trials),
        tokens=sum(trial.answer.tokens for trial in trials),
        money=sum(trial.answer.money for trial in trials),
        seconds=sum(trial.seconds for trial in trials),
    )


def _share(part: float, whole: int) -> float | None:
    return part / whole if whole else None


def junit(tried: Sequence[Tried], broken: Sequence[str] = ()) -> str:
    """The cases as JUnit's XML, which CI servers read; `broken` files are errors."""
    root = ElementTree.Element("testsuite", name="runner case run")
    root.set("tests", str(len(tried) + len(broken)))
    root.set("failures", str(sum(bool(each.failures) for each in tried)))
    root.set("errors", str(len(broken)))
    for each in tried:
        owner, _, name = each.case.name.rpartition("/")
        node = ElementTree.SubElement(root, "testcase", classname=owner, name=name)
        node.set("time", f"{sum(trial.seconds for trial in each.trials):.3f}")
        if each.failures:
            text = "; ".join(each.failures)
            failure = ElementTree.SubElement(node, "failure", message=_xml(text))
            failure.text = _xml("\n".join([str(each.case.path), each.trials[0].reason]))
    for line in broken:
        node = ElementTree.SubElement(root, "testcase", classname="cases", name=_xml(line)[:80])
        ElementTree.SubElement(node, "error", message=_xml(line))
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _xml(text: str) -> str:
    """`text` without what XML cannot hold."""
    return visible(storable(text), lines=True)
