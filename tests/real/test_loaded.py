"""What is approved is what runs: every file that Ansible loads is in the plan's hash, and a run
loads nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner import plan as plans
from runner.catalog import Catalog
from runner.errors import Refused
from runner.execute.request import RunResult
from runner.incident import Outcome, Plan
from tests.loading_project import FILES, Lab
from tests.local_hosts import needs_ansible

pytestmark = [*needs_ansible, pytest.mark.slow]


class Traced:
    """One dry run of the whole project, for the tests that only look."""

    def __init__(self, root: Path) -> None:
        self.lab = Lab.at(root)
        self.catalog: Catalog = self.lab.catalog
        self.plan, self.ended, self.dry = self.lab.dry_run(
            self.catalog, self.lab.draft(self.catalog)
        )


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Traced:
    return Traced(tmp_path_factory.mktemp("loaded"))


def test_the_dry_run_reports_files_of_every_kind(traced: Traced) -> None:
    assert traced.dry.outcome is Outcome.CHANGED, traced.dry.reason
    seen = {str(Path(path).relative_to(traced.lab.root)) for path in traced.dry.loaded}
    missed = {Path(name).name for name in FILES if name not in seen}
    # Read before the watch begins, counted by its values, and read by nobody.
    assert missed == {"ansible.cfg", "hosts.yml", "MANIFEST.json"}


def test_each_file_that_a_traced_run_opened_is_in_the_hash(traced: Traced) -> None:
    """Invariant 16: the hash changes with any byte of any file that Ansible opened."""
    assert traced.lab.draft(traced.catalog, traced.plan).hash == traced.plan.hash
    for path in map(Path, traced.dry.loaded):
        last = path.stat().st_size - 1
        _changes_with(traced, path, {0, last // 2, last})
    assert traced.lab.draft(traced.catalog, traced.plan).hash == traced.plan.hash


@pytest.mark.nightly
def test_each_byte_of_these_files_is_in_the_hash(traced: Traced) -> None:
    """Invariant 16, byte by byte."""
    for path in map(Path, traced.dry.loaded):
        _changes_with(traced, path, set(range(path.stat().st_size)))


def _changes_with(traced: Traced, path: Path, places: set[int]) -> None:
    before = path.read_bytes()
    for place in places:
        changed = bytearray(before)
        changed[place] ^= 1
        path.write_bytes(bytes(changed))
        try:
            now = traced.lab.draft(traced.catalog, traced.plan)
        except Refused:
            continue  # with this byte there is no plan at all: the play is for nobody, say
        finally:
            path.write_bytes(before)
        assert now.hash != traced.plan.hash, (path, place)


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("roles/author.role/tasks/more.yml", "playbook or role (roles/author.role/tasks/more.yml)"),
        ("roles/my-role/tasks/main.yml", "playbook or role (roles/my-role/tasks/main.yml)"),
        ("shared/vars.yml", "what Ansible loads (ROOT/shared/vars.yml)"),
        ("plugins/module_utils/project_words.py",
         "what Ansible loads (ROOT/plugins/module_utils/project_words.py)"),
        ("collections/ansible_collections/ns/coll/plugins/modules/mark.py",
         "what Ansible loads (collection ns.coll 1.2.3)"),
    ],
)  # fmt: skip
def test_what_changed_is_named(traced: Traced, file: str, said: str) -> None:
    """A file of `author.role` and a module in an installed collection among them."""
    path = traced.lab.root / file
    before = path.read_bytes()
    path.write_bytes(before + b"\n# more\n")
    try:
        now = traced.lab.draft(traced.catalog, traced.plan)
    finally:
        path.write_bytes(before)
    assert plans.difference(traced.plan, now).replace(str(traced.lab.root), "ROOT") == said


def test_ansibles_version_is_part_of_the_plan(traced: Traced) -> None:
    import ansible.release  # type: ignore[import-untyped]

    assert traced.plan.loaded["ansible-core"] == ansible.release.__version__
    assert "jinja2" in traced.plan.loaded


def test_all_of_this_is_in_the_plan_before_any_dry_run(traced: Traced) -> None:
    """What Ansible says of itself, and what the files name, is enough here."""
    drafted = traced.lab.draft(traced.catalog)
    assert (drafted.files, drafted.loaded) == (traced.plan.files, traced.plan.loaded)
    assert str(traced.lab.root / "ansible.cfg") in drafted.loaded


def test_an_include_that_the_dry_run_filled_in_is_covered(traced: Traced) -> None:
    assert traced.plan.uncovered == ()
    unseen = plans.watched(traced.lab.draft(traced.catalog), None, traced.catalog).uncovered
    assert len(unseen) == 1
    assert unseen[0].endswith("includes '{{ system }}.yml', which no dry run has filled in")


def test_the_run_reads_a_copy_and_does_the_same(traced: Traced) -> None:
    result = traced.lab.run(traced.catalog, traced.plan)
    assert result.outcome is Outcome.CHANGED, result.reason
    assert (traced.lab.root / "conf").read_text() == "SHARED linux\n"
    assert (traced.lab.root / "plain").read_text() == "plain\n"
    assert result.diff_hash == traced.dry.diff_hash
    assert not (result.artifacts / "files").exists()


BEFORE = '- ansible.builtin.copy: {content: x, dest: "ROOT/before", mode: "0600"}\n'
AFTER = '- ansible.builtin.copy: {content: x, dest: "ROOT/after", mode: "0600"}\n'


def _planned(lab: Lab) -> tuple[Catalog, Plan]:
    """The plan without a dry run: here one would show nothing new, and it takes its time."""
    catalog = lab.catalog
    return catalog, lab.draft(catalog)


def _stopped(lab: Lab, result: RunResult, file: str) -> None:
    assert result.outcome is Outcome.FAILED
    said = f"it was stopped before its next task, because it would have loaded {lab.root / file}"
    assert result.reason.startswith(said), result.reason
    assert not (lab.root / "after").exists()


def test_a_file_that_the_plan_lacks_stops_the_run_before_its_next_task(tmp_path: Path) -> None:
    """Invariant 16: also where the play would ignore the error."""
    include = (
        "- block:\n"
        "    - ansible.builtin.include_role: {name: \"{{ 'un' ~ 'seen' }}\"}\n"
        "  ignore_errors: true\n"
        "  rescue:\n"
        "    - ansible.builtin.meta: noop\n"
    )
    lab = Lab.at(tmp_path, BEFORE + include + AFTER)
    lab.write("roles/unseen/tasks/main.yml", "- ansible.builtin.meta: noop\n")
    catalog, plan = _planned(lab)
    result = lab.run(catalog, plan)
    _stopped(lab, result, "roles/unseen/tasks/main.yml")
    assert (lab.root / "before").exists()


def test_what_changes_while_it_runs_does_not_reach_the_run(tmp_path: Path) -> None:
    """Invariant 16: the run reads a copy that only the runner can change."""
    more = tmp_path / "roles/author.role/tasks/more.yml"
    spoil = f'- ansible.builtin.raw: "cat ROOT/evil.yml > {more}"\n  changed_when: true\n'
    lab = Lab.at(tmp_path, spoil + "- ansible.builtin.include_tasks: more.yml\n" + BEFORE)
    lab.write("evil.yml", AFTER.replace("ROOT", str(tmp_path)))
    catalog, plan = _planned(lab)
    result = lab.run(catalog, plan)
    assert result.outcome is Outcome.CHANGED, result.reason
    assert more.read_text() == (tmp_path / "evil.yml").read_text()
    assert (tmp_path / "before").exists() and not (tmp_path / "after").exists()


def test_a_file_elsewhere_is_compared_when_it_is_opened(tmp_path: Path) -> None:
    """Invariant 16: an absolute path leads past the copy, in one of Ansible's workers here."""
    lab = Lab.at(
        tmp_path,
        "- ansible.builtin.raw: echo other > ROOT/elsewhere.j2\n  changed_when: true\n"
        '- ansible.builtin.template: {src: ROOT/elsewhere.j2, dest: "ROOT/after", mode: "0600"}\n'
        "  ignore_errors: true\n" + AFTER,
    )
    elsewhere = lab.write("elsewhere.j2", "approved\n")
    catalog = lab.catalog
    plan, _, dry = lab.dry_run(catalog, lab.draft(catalog))
    assert dry.outcome is Outcome.CHANGED, dry.reason
    assert str(elsewhere) in plan.loaded
    result = lab.run(catalog, plan)
    _stopped(lab, result, "elsewhere.j2")
    assert result.reason.endswith("it is not what it was when the plan was made")
    lab.write("elsewhere.j2", "a third text\n")
    assert plans.difference(plan, lab.draft(catalog, plan)) == f"what Ansible loads ({elsewhere})"


def test_a_file_that_changed_since_the_plan_starts_nothing(tmp_path: Path) -> None:
    lab = Lab.at(tmp_path, BEFORE)
    catalog, plan = _planned(lab)
    path = lab.write("roles/author.role/tasks/more.yml", AFTER)
    with pytest.raises(Refused, match=f"{path} changed since the plan was made"):
        lab.run(catalog, plan)
    assert not (tmp_path / "before").exists()


def test_an_include_that_a_result_decides_is_not_covered(tmp_path: Path) -> None:
    tasks = (
        "- ansible.builtin.raw: echo more\n"
        "  changed_when: false\n"
        "  register: said\n"
        '- ansible.builtin.include_tasks: "{{ chosen }}.yml"\n'
        '  vars: {chosen: "{{ said.stdout | trim }}"}\n'
    )
    lab = Lab.at(tmp_path, tasks)
    plan = plans.watched(lab.draft(lab.catalog), None, lab.catalog)
    assert "which depends on said, which a task sets" in plan.uncovered[0]


def test_an_include_counts_as_seen_unless_a_result_left_it_out(tmp_path: Path) -> None:
    """By facts and inventory the run leaves out what the dry run did; by a result it may not."""
    tasks = (
        "- ansible.builtin.raw: echo more\n"
        "  register: said\n"
        '- ansible.builtin.include_tasks: "{{ system }}-left-out.yml"\n'
        "  when: system == 'other'\n"
        '- ansible.builtin.include_tasks: "{{ system }}-after-a-result.yml"\n'
        "  when: said.stdout is defined and said.stdout\n" + BEFORE
    )
    lab = Lab.at(tmp_path, tasks)
    catalog = lab.catalog
    plan, _, dry = lab.dry_run(catalog, lab.draft(catalog))
    assert dry.outcome is Outcome.CHANGED, dry.reason
    assert len(plan.uncovered) == 1
    assert "after-a-result.yml', which no dry run has filled in" in plan.uncovered[0]
