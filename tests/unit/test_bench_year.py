"""The simulated year: what docs/autonomy.md says of it is what it gives."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from bench import year
from runner.autonomy.record import Helps, Mark
from runner.incident import Level

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def lives() -> dict[str, year.Life]:
    return {life.world.entry: life for life in year.simulate()}


def test_the_page_and_the_picture_are_what_it_gives(lives: dict[str, year.Life]) -> None:
    """Write them again with `make docs`."""
    page = (DOCS / "autonomy.md").read_text(encoding="utf-8")
    assert year.page(page, list(lives.values())) == page
    assert (DOCS / "autonomy.svg").read_text(encoding="utf-8") == year.picture(list(lives.values()))


def test_no_verdict_of_the_year_is_above_a_ceiling(lives: dict[str, year.Life]) -> None:
    """Invariant 7: thousands of incidents, and each at most where people allow it."""
    assert sum(life.incidents for life in lives.values()) > 3000
    assert [life.above for life in lives.values()] == [0] * len(lives)


def test_each_bad_trial_costs_a_level_before_the_next_incident(
    lives: dict[str, year.Life],
) -> None:
    """Invariant 8."""
    for life in lives.values():
        for bad in (each for each in life.trials if each.mark is Mark.BAD):
            before = [level for at, level in life.levels if at < bad.at][-1]
            after = next((level for at, level in life.levels if at > bad.at), None)
            near = [each for each in life.trials if abs(each.at - bad.at) < timedelta(days=1)]
            if after is not None and len(near) == 1 and before is not Level.OBSERVE:
                assert after.rank < before.rank


def test_a_good_entry_is_promoted_and_a_broken_one_loses_it(lives: dict[str, year.Life]) -> None:
    assert year.at_auto(lives["restart_service"]) > 100
    broken = lives["rollback_release"]
    while_broken = [level for at, level in broken.levels if 155 < (at - year.START).days < 180]
    assert while_broken and Level.AUTO not in while_broken
    assert year.at_auto(broken) > 50
    assert year.at_auto(lives["clean_disk"]) == 0
    assert year.at_auto(lives["renew_certificate"]) == 0


def test_what_clears_by_itself_is_found_out(lives: dict[str, year.Life]) -> None:
    found = {name: life.helps.helps for name, life in lives.items() if life.helps}
    assert found["flush_cache"] is Helps.NO
    assert found["restart_service"] is Helps.YES
    assert year.at_auto(lives["flush_cache"]) < 10


def test_another_year_is_another_story_with_the_same_end() -> None:
    lives = [year.live(world, year.random.Random("other")) for world in year.WORLDS[2:3]]
    assert [life.above for life in lives] == [0]
    assert year.at_auto(lives[0]) < 20
