"""The warm process: it has Ansible imported, and forks. `parent.py FOLDER LIFELINE`.

Started by file, in the closed environment of a run. It takes one question after the other at a
socket that only its user can reach, looks whether every file that it loaded is still the same,
and forks; the fork does the rest. It never has a second thread, and never looks at a project. It
ends when whoever started it is gone, when something changed, and after ten idle minutes.
"""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":  # nothing but the installed packages is importable
    sys.dont_write_bytecode = True
    sys.path.append(os.path.realpath(os.path.join(os.path.dirname(__file__), "../../..")))

from pathlib import Path


def main(folder: Path, lifeline: int) -> None:
    """Be the only warm process of this folder, until it is time to end."""
    from runner.execute.warm.loaded import Loaded

    loaded = Loaded()  # before everything that it must know
    import fcntl
    import gc
    import shutil

    from ansible.release import __version__

    from runner.execute.warm import serving
    from runner.execute.warm.preload import PROVEN, Preload

    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return  # another one serves already
    mark = serving.mark()
    shutil.rmtree(folder / "tmp", ignore_errors=True)
    (folder / "tmp").mkdir(mode=0o700)
    if __version__ not in PROVEN:
        sys.exit(f"ansible-core {__version__} was not compared")
    Preload()
    from runner.execute import supervisor

    supervisor.preload()
    loaded.seal(str(folder))
    gc.collect()
    gc.freeze()
    serving.Parent(folder, lifeline, loaded, mark).serve()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
