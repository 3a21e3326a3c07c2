"""What an error made read-only becomes writable again, a real ext4 too; what is meant stays."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.called_module import called, stand_in
from tests.role_code import module_of

LINE = "41 1 8:17 / {path} {options} shared:1 - {kind} /dev/none {super}\n"
BROKEN, FINE = "ro,errors=remount-ro", "rw,errors=remount-ro"
NEWER = "rw,errors=remount-ro,emergency_ro"  #: what kernels say from 6.15 on


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "data").mkdir()
    stand_in(
        tmp_path, "mount", f"cd {tmp_path}; echo $* >>done; [ ! -e refuses ] && cat fine >mountinfo"
    )
    stand_in(tmp_path, "umount", f"cd {tmp_path}; echo umount >>done; [ ! -e busy ]")
    stand_in(
        tmp_path, "fsck", f"cd {tmp_path}; echo fsck $* >>done; rm -f refuses; exit $(cat code)"
    )
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    (tmp_path / "code").write_text("1")
    (tmp_path / "fine").write_text(line(tmp_path))
    return tmp_path


def line(host: Path, options: str = "rw,relatime", kind: str = "ext4", of_all: str = FINE) -> str:
    fields = {"path": host / "data", "options": options, "kind": kind, "super": of_all}
    return LINE.format(**fields)


def remount(
    host: Path, capsys: pytest.CaptureFixture[str], text: str, fstab: str = "", **given: Any
) -> dict[str, Any]:
    (host / "mountinfo").write_text(text)
    (host / "fstab").write_text(fstab.format(host))
    module = module_of("modules/writable_mount.py")
    module.FSTAB = str(host / "fstab")
    arguments = {"path": str(host / "data"), "mountinfo": str(host / "mountinfo")}
    return called(capsys, module, **arguments | given)


def done(host: Path) -> list[str]:
    path = host / "done"
    return path.read_text().splitlines() if path.exists() else []


@pytest.mark.parametrize("of_all", [BROKEN, NEWER])
def test_after_an_error_it_is_remounted_and_written_to(
    host: Path, capsys: pytest.CaptureFixture[str], of_all: str
) -> None:
    text = line(host, of_all=of_all)
    shown = remount(host, capsys, text, _ansible_check_mode=True)
    assert (shown["changed"], shown["writable"], done(host)) == (True, False, [])
    found = remount(host, capsys, text)
    assert (found["changed"], found["writable"], found["done"]) == (True, True, "remounted")
    assert found["diff"] == shown["diff"]
    assert done(host) == [f"-o remount,rw {host}/data"]
    assert list((host / "data").iterdir()) == []


def test_what_is_writable_is_left_alone(host: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = remount(host, capsys, line(host, of_all=BROKEN) + line(host))  # the last one counts
    assert (found["changed"], found["writable"], done(host)) == (False, True, [])


@pytest.mark.parametrize(
    ("options", "kind", "of_all", "fstab", "said"),
    [
        (
            "ro,relatime",
            "ext4",
            BROKEN,
            "",
            "was mounted read-only by somebody, and not by an error",
        ),
        ("ro,relatime", "ext4", FINE, "", "was mounted read-only by somebody"),
        ("rw", "squashfs", "ro", "", "is a squashfs, which is not remounted here"),
        ("rw", "ext4", BROKEN, "/dev/x {}/data ext4 noatime,ro 0 2", "on purpose"),
    ],
)
def test_what_is_meant_to_be_read_only_stays_so(
    host: Path,
    capsys: pytest.CaptureFixture[str],
    options: str,
    kind: str,
    of_all: str,
    fstab: str,
    said: str,
) -> None:
    for check in (True, False):
        text = line(host, options, kind, of_all)
        found = remount(host, capsys, text, fstab, _ansible_check_mode=check)
        assert said in found["msg"] and found["msg"].endswith("; nothing was changed.")
        assert done(host) == []


@pytest.mark.parametrize("path", ["/no/such", "data", "/a/../b", ""])
def test_what_is_no_mount_point_is_refused(
    host: Path, capsys: pytest.CaptureFixture[str], path: str
) -> None:
    found = remount(host, capsys, line(host, of_all=BROKEN), path=path)
    assert found["msg"].endswith("; nothing was changed.") and done(host) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory to somebody else")
def test_a_path_that_others_can_lead_elsewhere_is_refused(
    host: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.chown(host, 65534, 65534)
    found = remount(host, capsys, line(host, of_all=BROKEN))
    assert f"can write to {host}; nothing was changed." in found["msg"]
    assert done(host) == []


def test_where_a_remount_is_refused_it_is_checked_and_mounted_as_it_was(
    host: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (host / "refuses").touch()
    found = remount(host, capsys, line(host, of_all=BROKEN))
    assert f"{host}/data cannot be remounted: exit status 1" in found["msg"]
    found = remount(host, capsys, line(host, of_all=BROKEN), repair=True)
    assert (found["writable"], found["done"]) == (True, "checked")
    assert done(host)[-3:] == [
        "umount",
        "fsck -p /dev/none",
        f"-t ext4 -o relatime,rw,errors=remount-ro /dev/none {host}/data",
    ]


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("busy", "", "is in use and cannot be checked"),
        ("code", "4", "is unmounted, and stays so: fsck ended with 4"),
    ],
)
def test_nothing_is_forced(
    host: Path, capsys: pytest.CaptureFixture[str], file: str, text: str, said: str
) -> None:
    (host / "refuses").touch()
    (host / file).write_text(text)
    found = remount(host, capsys, line(host, of_all=BROKEN), repair=True)
    assert found["failed"] and said in found["msg"]


SECOND = "52 1 8:17 / /srv/second rw - ext4 /dev/none ro\n"
OF_ANOTHER_NAMESPACE = "52 1 0:99 / /srv/second rw - ext4 /dev/none ro\n"
ABOVE = "52 1 8:17 / {}/data rw - ext4 /dev/none ro\n"


@pytest.mark.parametrize(
    ("kind", "more", "said"),
    [
        ("ext4", SECOND, "/srv/second, too."),
        ("ext4", OF_ANOTHER_NAMESPACE, "/srv/second, too."),
        ("ext4", ABOVE, "/data, too."),
        ("btrfs", "", "is a btrfs, which is not unmounted and checked here."),
    ],
)
def test_what_would_stay_unmounted_is_not_unmounted(
    host: Path, capsys: pytest.CaptureFixture[str], kind: str, more: str, said: str
) -> None:
    (host / "refuses").touch()
    text = more.format(host) + line(host, kind=kind, of_all=BROKEN)
    found = remount(host, capsys, text, repair=True)
    assert found["failed"] and found["msg"].endswith(said)
    assert done(host) == [f"-o remount,rw {host}/data"]  # which was refused


def test_names_with_blanks_are_read_as_they_are(host: Path) -> None:
    (host / "mountinfo").write_text(line(host).replace("/data ", "/my\\040data\\012 "))
    (one,) = module_of("modules/writable_mount.py").mounted(str(host / "mountinfo"))
    assert one.path == f"{host}/my data\n"


#: Brings a file system of its own, in a mount namespace of its own, into its error state.
REAL = """
set -e
cd "$1"
truncate -s 8M image
mkfs.ext4 -q -F image
mkdir disk
device=$(losetup --find --show image)
trap 'umount disk; losetup --detach $device' EXIT
mount -o errors=remount-ro $device disk
echo broken >/sys/fs/ext4/${device##*/}/trigger_fs_error
if touch disk/x 2>/dev/null; then exit 1; fi
(cd "$4" && "$2" - "$1/disk" "$3") <<'END'
import json, sys
from ansible.module_utils.testing import patch_module_args
from tests.role_code import module_of
given = {"path": sys.argv[1], **json.loads(sys.argv[2])}
with patch_module_args(given):
    module_of("modules/writable_mount.py").main()
END
touch disk/x
"""


@pytest.mark.real
@pytest.mark.skipif(
    os.geteuid() != 0 or not Path("/dev/loop-control").exists() or not shutil.which("mkfs.ext4"),
    reason="only root can mount, and only where there are loop devices",
)
def test_a_real_ext4_after_an_error_is_checked_and_writable_again(tmp_path: Path) -> None:
    words = ["unshare", "--mount", "sh", "-c", REAL, "sh", str(tmp_path), sys.executable]
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [*words, json.dumps({"repair": True}), str(root)],
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert (found["done"], found["writable"], found["errors"]) == ("checked", True, 1)
