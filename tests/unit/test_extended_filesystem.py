"""The module that extends file systems, against answers of LVM's programs as in their manuals.

There is no device mapper on machines that run these tests, so that no real LVM was tried.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from tests.role_code import module_of

GIB = 2**30
#: Size as text, as some releases write it.
MOUNTED = {
    "target": "/srv/data", "source": "/dev/mapper/vg0-data", "fstype": "ext4",
    "options": "rw,relatime", "size": f"{10 * GIB}", "used": 9 * GIB, "avail": GIB // 2,
}  # fmt: skip
VOLUME = {
    "vg_name": "vg0", "lv_name": "data", "lv_size": f"{10 * GIB}", "lv_attr": "-wi-ao----",
    "segtype": "linear", "vg_free": f"{100 * GIB}", "vg_extent_size": f"{4 * 2**20}",
}  # fmt: skip
LVEXTEND = """\
#!/bin/sh
echo "$@" >> {root}/ran
[ ! -e {root}/full ] || {{ echo '  Insufficient free space'; exit 5; }}
[ ! -e {root}/larger ] || mv {root}/larger {root}/mounted
"""


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file system of 10 GiB, of which 9 are used, in a group with 100 GiB to spare."""
    programs = {
        "findmnt": f"#!/bin/sh\ncat {tmp_path}/mounted\n",
        "lvs": f"#!/bin/sh\ncat {tmp_path}/volumes\n",
        "lvextend": LVEXTEND.format(root=tmp_path),
    }
    for name, text in programs.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    answer(tmp_path)
    answer(tmp_path, "larger", size=f"{15 * GIB}", avail=5 * GIB)
    return tmp_path


def answer(host: Path, name: str = "mounted", **more: Any) -> None:
    (host / name).write_text(json.dumps({"filesystems": [MOUNTED | more]}))
    if name == "mounted":
        volumes(host)


def volumes(host: Path, *rows: dict[str, Any]) -> None:
    found = [VOLUME | row for row in rows or ({},)]
    (host / "volumes").write_text(json.dumps({"report": [{"lv": found}], "log": []}))


def ran(host: Path) -> str:
    path = host / "ran"
    return path.read_text() if path.exists() else ""


def called(
    capsys: pytest.CaptureFixture[str], *, check: bool = False, most: str = "40G", **given: Any
) -> Any:
    module = module_of("modules/extended_filesystem.py")
    arguments: dict[str, Any] = {
        "mountpoint": "/srv/data",
        "filesystems": [{"mountpoint": "/srv/data", "max": most, "step": "5G"}],
        "_ansible_check_mode": check,
        **given,
    }
    with patch_module_args(arguments), pytest.raises(SystemExit):
        module.main()
    return json.loads(capsys.readouterr().out)


def test_a_full_file_system_grows_by_a_step_and_is_looked_at_again(
    host: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dry = called(capsys, check=True)
    assert (dry["changed"], dry["enough"], ran(host)) == (True, False, "")
    found = called(capsys)
    assert ran(host) == f"--resizefs --size {15 * GIB}b vg0/data\n"
    assert (found["changed"], found["enough"], found["used_percent"]) == (True, True, 65)
    assert (found["size_before"], found["size_after"]) == (10 * GIB, 15 * GIB)
    assert dry["diff"] == found["diff"] == {
        "before": "/srv/data, ext4 on vg0/data: 10.00 GiB\n",
        "after": "/srv/data, ext4 on vg0/data: 15.00 GiB of 40.00 GiB at most\n",
    }  # fmt: skip
    again = called(capsys)
    assert (again["changed"], again["enough"]) == (False, True)


def test_it_grows_to_its_bound_only_in_whole_extents(
    host: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    called(capsys, most="12290M")
    assert ran(host) == f"--resizefs --size {12288 * 2**20}b vg0/data\n"


@pytest.mark.parametrize(
    ("mounted", "rows", "given", "sentence"),
    [
        ({}, [], {"mountpoint": "/srv"}, "/srv may not be extended here; there are: /srv/data"),
        ({}, [], {"most": "10G"}, "/srv/data has 10.00 GiB, and may have 10.00 GiB at most"),
        ({}, [], {"most": "lots"}, "/srv/data: human_to_bytes() can't interpret"),
        ({"fstype": "btrfs"}, [], {}, "/srv/data is btrfs, and none of ext3, ext4, xfs"),
        ({"options": "ro,relatime"}, [], {}, "/srv/data is mounted read-only"),
        ({}, [{"segtype": "thin"}], {}, "lies on a volume that is no plain one (thin)"),
        ({}, [{"segtype": "linear"}, {"segtype": "raid1"}], {}, "no plain one (linear, raid1)"),
        ({}, [{"lv_attr": "owi-aos---"}], {}, "lies on a volume that is no plain one (linear)"),
        ({}, [{"vg_free": f"{GIB}"}], {}, "vg0 has 1.00 GiB free, and /srv/data would need 5.00"),
    ],
)
def test_it_refuses_before_anything_changes(
    host: Path,
    capsys: pytest.CaptureFixture[str],
    mounted: dict[str, Any],
    rows: list[dict[str, Any]],
    given: dict[str, Any],
    sentence: str,
) -> None:
    answer(host, **mounted)
    volumes(host, *rows)
    for check in (True, False):
        found = called(capsys, check=check, **given)
        assert found["failed"] and sentence in found["msg"]
    assert ran(host) == ""


def test_what_is_no_mount_point_or_lies_on_no_volume_is_refused(
    host: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (host / "lvs").write_text("#!/bin/sh\nexit 5\n")
    said = "/srv/data does not lie on a logical volume, but on /dev/mapper/vg0-data"
    assert said in called(capsys)["msg"]
    (host / "findmnt").write_text("#!/bin/sh\nexit 1\n")
    said = "/srv/data is not the mount point of one file system of this host"
    assert said in called(capsys)["msg"]


def test_an_extension_that_fails_or_gives_no_room_is_said(
    host: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (host / "full").touch()
    assert "lvextend ended with 5: Insufficient free space" in called(capsys)["msg"]
    (host / "full").unlink()
    (host / "larger").unlink()
    assert "vg0/data was extended, and /srv/data has no more room" in called(capsys)["msg"]


@pytest.mark.parametrize(("file", "program"), [("mounted", "findmnt"), ("volumes", "lvs")])
@pytest.mark.parametrize("text", ["WARNING: locked", "[]"])
def test_an_answer_that_is_no_json_is_one_sentence(
    host: Path, capsys: pytest.CaptureFixture[str], file: str, program: str, text: str
) -> None:
    (host / file).write_text(text)
    assert called(capsys)["msg"] == (
        f"the answer of {program} is no JSON: {text}; nothing more was done."
    )
    assert ran(host) == ""
