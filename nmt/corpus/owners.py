"""Names of processes, by which another process of the same machine finds out whether they have ended."""

import os
import platform
from pathlib import Path


def name_owner() -> str:
    """Return a name of this process that no other process ever has: its machine, its id, and the time of its start."""
    pid = os.getpid()
    return f"{platform.node().replace('@', '-')}@{pid}@{_read_start(pid)}"


def has_ended(owner: str) -> bool:
    """Return whether a process has surely ended. For a process of another machine, the answer is False."""
    try:
        node, pid, start = owner.rsplit("@", 2)
        if node != platform.node().replace("@", "-"):
            return False
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except (ValueError, OverflowError, PermissionError):  # not a name, or a process of another user
        return False
    return start != _read_start(int(pid))


def _read_start(pid: int) -> str:
    """Return the time at which a process started, in clock ticks since the start of the machine, or 0 if unknown."""
    try:
        # The name of the program, in parentheses, may contain spaces. The time of the start is the 22nd field.
        return Path(f"/proc/{pid}/stat").read_text("utf-8", errors="replace").rpartition(")")[2].split()[19]
    except (OSError, IndexError):  # only Linux has this file
        return "0"
