"""The steps of a plan as policy judges them, and the hosts that they may act on."""

from __future__ import annotations

from dataclasses import replace

from runner import policy
from runner.catalog.entry import Entry
from runner.catalog.scan import scan
from runner.incident import BlastRadius, Decision, Incident, Plan, Verdict
from runner.plan import places
from runner.plan.places import Option
from runner.project import Project
from runner.steps.judge import healthy, placed_plans, situation_of
from runner.steps.part import part_of
from runner.steps.perform import settle_own
from runner.store import runs


def options(project: Project, incident: Incident, entry: Entry) -> tuple[Option, ...]:
    """The ways to fill the places of this entry, best first. Raises Refused for none."""
    if not entry.placed:
        return (Option(number=0, places={}),)
    settle_own(project, incident.id)
    with project.database.read() as tx:
        busy = {
            host for run in runs.locked(tx) for host in run.hosts if run.incident != incident.id
        }
    inventory = project.inventory()
    return places.options(
        places.in_order(entry, project.catalog),
        incident.hosts[0],
        inventory,
        healthy=healthy(project, inventory),
        busy=busy,
    )


def judged(
    project: Project, incident: Incident, plan: Plan, verdict: Verdict
) -> tuple[Verdict, BlastRadius]:
    """`verdict` with what policy says of each step, given that those before it did their work;
    and the blast radius of all steps together."""
    situations = _situations(project, incident, plan)
    serving = frozenset.intersection(*(situation.serving for situation in situations))
    # A plan of several steps has no part of its own: only what each of them acts on has one.
    whole = replace(
        situations[0], hosts=plan.hosts, touched=plan.touched, part=None, serving=serving
    )
    return policy.judge_steps(verdict, situations), policy.measure(whole)


def situation_at(project: Project, incident: Incident, plan: Plan, step: int) -> policy.Situation:
    """The situation of one step as things are now; of an ordinary plan it is the only one."""
    if not plan.places:
        return situation_of(project, incident, project.catalog.get(plan.entry))
    return _situations(project, incident, plan)[step - 1]


def held_midway(project: Project, incident: Incident, plan: Plan, step: int) -> Verdict:
    """What policy says right before a later step: is it still safe?"""
    return policy.judge(situation_at(project, incident, plan, step), policy.Moment.APPROACH)


def _situations(project: Project, incident: Incident, plan: Plan) -> tuple[policy.Situation, ...]:
    with project.database.read() as tx:
        others = placed_plans(tx, incident.id)
    entries = [project.catalog.get(step.entry) for step in plan.in_order]
    situation = situation_of(project, incident, entries[0])
    situations = []
    for entry, step in zip(entries, plan.in_order, strict=True):
        declared = Decision(decider="runner", entry=entry.id, reason=f"a step of {plan.entry}")
        # Hosts that the step uses without taking them out of service: who acts for the target.
        acts_for_another = plan.places["target"] in step.delegates
        situations.append(
            replace(
                situation,
                entry=entry,
                hosts=step.hosts,
                touched=step.touched,
                part=part_of(project, incident, entry, step.hosts, step.touched, step.variables),
                serving=frozenset(step.hosts) if acts_for_another else frozenset(),
                decisions=(declared,),
                acting=others,
                unknown_radius=scan(entry, project.catalog.roles).unknown,
            )
        )
    return policy.one_after_another(tuple(situations), plan.places)
