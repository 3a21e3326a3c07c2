"""The walk by descriptors that every role acts on files with."""

from __future__ import annotations

import os
import shutil
import stat
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.role_code import shared

paths = shared()
NOBODY, OTHER = 65534, 12345  #: two users without privileges, each with a group of its number
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to others")


@pytest.fixture
def top() -> Iterator[Path]:
    """A directory of the acting user that others can pass through."""
    path = Path(tempfile.mkdtemp(prefix="walk"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def give(path: Path, user: int = 0, group: int | None = None, mode: int = 0o755) -> Path:
    """Make the directory where it is not there, and give it away."""
    path.mkdir(exist_ok=True)
    os.chown(path, user, user if group is None else group)
    path.chmod(mode)
    return path


@contextmanager
def acting_as(user: int) -> Iterator[None]:
    """The kernel's own answer to what somebody may do."""
    os.setegid(user)
    os.seteuid(user)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


def can_replace(path: Path, user: int) -> bool:
    """Whether the user can give the entry another name, and so put another in its place."""
    away = path.with_name(f"{path.name}.away")
    with acting_as(user):
        try:
            path.rename(away)
        except OSError:
            return False
        away.rename(path)
        return True


TREES = st.recursive(
    st.sampled_from(["file", "link to outside", "link to a file outside", "loop", "second name"]),
    lambda below: st.dictionaries(
        st.sampled_from(["a", "b", "\n", "-rf", "*", "é\u202e"]), below, max_size=3
    ),
    max_leaves=12,
)


def grow(tree: Any, path: Path, outside: Path) -> None:
    """Make the tree of directories, files and links."""
    if isinstance(tree, dict):
        path.mkdir()
        for name, below in tree.items():
            grow(below, path / name, outside)
    elif tree == "file":
        path.write_text("inside")
    elif tree == "second name":
        os.link(outside / "file", path)
    else:
        target = {"link to outside": outside, "link to a file outside": outside / "file"}
        path.symlink_to(target.get(tree, path))


@settings(max_examples=150)
@given(tree=TREES)
@example(tree={"\n": {"a": "link to outside"}, "-rf": "second name"})
def test_no_tree_of_links_leads_outside(tree: Any) -> None:
    """Invariant 20: whatever names and links are there, all that is reached lies inside."""
    with tempfile.TemporaryDirectory() as scratch:
        outside, inside = Path(scratch, "outside"), Path(scratch, "inside")
        (outside / "deeper").mkdir(parents=True)
        (outside / "file").write_text("outside")
        grow({"tree": tree}, inside, outside)

        for folder, names, files in os.walk(inside, followlinks=True):
            if os.path.realpath(folder) != folder:
                with pytest.raises(paths.Untrusted):
                    paths.walk(folder)
                names.clear()
                continue
            with paths.walk(folder) as here:
                assert sorted(names + files) == here.names()
                for name in here.names():
                    touch(here, name)
        assert (outside / "file").read_text() == "outside"
        assert (outside / "deeper").is_dir()


def touch(here: Any, name: str) -> None:
    """All that is ever done to an entry."""
    try:
        file = here.file(name, os.O_RDWR)
    except (paths.Untrusted, OSError):
        pass
    else:
        assert os.read(file, 100) in (b"inside", b"")
        os.ftruncate(file, 0)
        os.close(file)
    if not stat.S_ISDIR(here.look(name).st_mode):
        here.rename(name, "other")
        here.unlink("other")


DIRECTORIES = st.tuples(
    st.sampled_from([0, NOBODY, OTHER]),
    st.sampled_from([0, NOBODY, OTHER]),
    st.sampled_from([0o755, 0o700, 0o775, 0o770, 0o777, 0o1777, 0o1775, 0o1755, 0o2775]),
)


@as_root
@settings(max_examples=300)
@given(chain=st.lists(DIRECTORIES, min_size=2, max_size=4))
@example(chain=[(NOBODY, NOBODY, 0o755), (0, 0, 0o755)])  # a directory of root's, renamed
@example(chain=[(0, NOBODY, 0o775), (0, 0, 0o755)])
@example(chain=[(0, 0, 0o1777), (NOBODY, NOBODY, 0o755), (0, 0, 0o755)])
def test_who_can_lead_a_walk_elsewhere_could_empty_that_place_anyway(
    chain: list[tuple[int, int, int]],
) -> None:
    """Invariant 20: asked of the kernel, for every owner, group and mode on the way."""
    with tempfile.TemporaryDirectory() as scratch:
        os.chmod(scratch, 0o755)
        here, entries = Path(scratch), []
        for user, group, mode in chain:
            here = give(here / "d", user, group, mode)
            entries.append(here)
        (here / "file").write_text("of root")
        try:
            paths.walk(str(here)).__exit__()
        except paths.Untrusted:
            return
        for user in (NOBODY, OTHER):
            if any(can_replace(entry, user) for entry in entries):
                assert can_replace(here / "file", user), (user, chain)


@as_root
@pytest.mark.parametrize("mode", [0o755, 0o775, 0o777])
@pytest.mark.parametrize("owner", [0, NOBODY])
def test_a_directory_of_nobody_else_is_reached_through_one_of_theirs_only_if_it_is_theirs(
    top: Path, owner: int, mode: int
) -> None:
    give(give(top / "app", NOBODY) / "log", owner, mode=mode)

    if owner == NOBODY:
        paths.walk(str(top / "app/log")).__exit__()
    else:
        with pytest.raises(paths.Untrusted, match=r"user nobody can write to .*/app and could"):
            paths.walk(str(top / "app/log"))


@as_root
def test_groups_are_trusted_by_name(top: Path) -> None:
    give(give(top / "log", 0, 4, 0o775) / "below")
    with pytest.raises(paths.Untrusted, match="group adm can write"):
        paths.walk(str(top / "log/below"))
    paths.walk(str(top / "log/below"), ["adm", "no-such-group"]).__exit__()


@as_root
def test_an_access_list_counts(top: Path) -> None:
    """The group is root's, but the list lets one more user write."""
    log = give(top / "log", mode=0o775)
    give(log / "below")
    rows = [
        (1, 7, 2**32 - 1),
        (2, 7, NOBODY),
        (4, 5, 2**32 - 1),
        (16, 7, 2**32 - 1),
        (32, 5, 2**32 - 1),
    ]
    listed = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *row) for row in rows)
    try:
        os.setxattr(log, "system.posix_acl_access", listed)
    except OSError as error:
        pytest.skip(f"this file system has no access lists: {error}")
    assert can_replace(log / "below", NOBODY)
    with pytest.raises(paths.Untrusted, match="somebody in the access list"):
        paths.walk(str(log / "below"))


@as_root
def test_what_goes_to_people_is_only_what_the_directorys_writers_may_read(top: Path) -> None:
    app = give(top / "app", NOBODY)
    for name, mode in (("secret", 0o600), ("log", 0o644)):
        (app / name).write_text(name)
        (app / name).chmod(mode)
    with paths.walk(str(app)) as here:
        os.close(here.file("log", shared=True))
        os.close(here.file("secret"))
        with pytest.raises(paths.Untrusted, match=r"user nobody could have put .*/secret there"):
            here.file("secret", shared=True)


def test_a_file_is_a_regular_one_with_one_name(top: Path) -> None:
    (top / "file").write_text("x")
    os.link(top / "file", top / "second")
    (top / "link").symlink_to("file")
    os.mkfifo(top / "pipe")
    (top / "folder").mkdir()
    said = {"second": "has a second name", "link": "is a link", "pipe": "is not a regular file"}
    with paths.walk(str(top)) as here:
        for name, sentence in {**said, "folder": "is not a regular file"}.items():
            with pytest.raises(paths.Untrusted, match=sentence):
                here.file(name)
        with pytest.raises(paths.Untrusted, match="is not a plain name"):
            here.file("../file")


def test_a_tree_is_removed_without_what_its_links_lead_to(top: Path) -> None:
    (top / "kept").mkdir()
    (top / "kept/file").write_text("x")
    (top / "gone/a/b").mkdir(parents=True)
    (top / "gone/a/link").symlink_to(top / "kept")
    (top / "gone/a/b/file").write_text("x")
    with paths.walk(str(top)) as here:
        here.remove_tree("gone")
    assert sorted(path.name for path in top.rglob("*")) == ["file", "kept"]


@as_root
def test_a_mount_inside_is_another_one_though_its_device_is_the_same(top: Path) -> None:
    for name in ("data", "log/app"):
        (top / name).mkdir(parents=True)
    if not shutil.which("unshare"):
        pytest.skip("the program unshare is missing")
    code = f"""
import importlib.util, sys
spec = importlib.util.spec_from_file_location("p", {str(Path(paths.__file__))!r})
p = importlib.util.module_from_spec(spec); spec.loader.exec_module(p)
with p.walk({str(top / "log")!r}) as log, log.enter("app") as app:
    print(log.device == app.device, log.mount == app.mount)
"""
    mount = f'mount --bind {top}/data {top}/log/app && exec python3 -c "$CODE"'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", mount],
        env={**os.environ, "CODE": code}, capture_output=True, text=True,
    )  # fmt: skip
    if "permitted" in done.stderr or "denied" in done.stderr:
        pytest.skip(f"no mounts can be made here: {done.stderr.strip()[-80:]}")
    assert done.stdout.split() == ["True", "False"], done.stderr


@as_root
@pytest.mark.parametrize(
    ("where", "sentence"),
    [
        ("ours/file", ""),
        ("ours/missing/too", ""),
        ("theirs/file", "user nobody can write to .*/theirs"),
        ("theirs/missing", "user nobody can write to .*/theirs"),
        ("sticky/file", "user nobody can write to"),
        ("sticky/ours", ""),
        ("sticky/missing", "everybody can write to .*/sticky"),
        ("ours/link", "is a link"),
        ("ours/theirs", "user nobody can write to .*/ours/theirs"),
        ("ours/open", "everybody can write to .*/ours/open"),
        ("ours/second", "has a second name"),
        ("link/file", "is a link"),
    ],
)
def test_what_only_root_can_change_is_told_apart(top: Path, where: str, sentence: str) -> None:
    """Invariant 20: after this check any module may act on the path."""
    give(top / "ours")
    give(top / "theirs", NOBODY)
    give(top / "sticky", mode=0o1777)
    (top / "link").symlink_to("ours")
    (top / "ours/link").symlink_to("file")
    for name in ("ours/file", "ours/theirs", "ours/open", "theirs/file", "sticky/file",
                 "sticky/ours", "ours/first"):  # fmt: skip
        (top / name).write_text("x")
    os.link(top / "ours/first", top / "ours/second")
    os.chown(top / "ours/theirs", NOBODY, NOBODY)
    os.chown(top / "sticky/file", NOBODY, NOBODY)
    (top / "ours/open").chmod(0o666)
    if sentence:
        with pytest.raises(paths.Untrusted, match=sentence):
            paths.check(str(top / where))
    else:
        paths.check(str(top / where))


@given(name=st.text())
def test_a_name_is_shown_in_one_line_and_tells_apart(name: str) -> None:
    told = paths.shown(name)
    assert told.isprintable()
    assert ("\n" in name) <= ("\\n" in told)


def test_descriptors_are_closed(top: Path) -> None:
    (top / "a").mkdir()
    (top / "link").symlink_to("a")
    before = len(os.listdir("/proc/self/fd"))
    for path in ("a", "link", "link/b", "missing", "a/missing"):
        with ExitStack() as opened:
            try:
                opened.enter_context(paths.walk(str(top / path)))
                paths.check(str(top / path))
            except (paths.Untrusted, OSError):
                pass
    assert len(os.listdir("/proc/self/fd")) == before
