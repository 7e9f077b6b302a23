"""What memory this machine has left for the program, and whether an error says that it ran out.

Only the host's memory: that of a GPU is its backend's to tell (`backend.available_memory`).
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil

# Of a control group, by its version: where the kernel says how much it may use and how much it
# does, and what it calls the pages of files, which it gives back when memory runs short.
_LIMITS = {
    1: ("memory.limit_in_bytes",),
    2: ("memory.max", "memory.high"),  # above `high`, a program is slowed down until it stands
}
_USED = {1: "memory.usage_in_bytes", 2: "memory.current"}
_FILES = {1: ("total_active_file", "total_inactive_file"), 2: ("active_file", "inactive_file")}

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h


def available(root: Path = Path("/")) -> int:
    """Bytes that the program may still use: of the machine, or of its container if that is less.

    In a container, the machine's memory is no measure: the kernel ends what outgrows the limit of
    its control group (cgroup, of version 1 or 2), or of any group that this one is in.

    Args:
        root: where `proc` and `sys` are; a folder of such files in tests.
    """
    return max(0, min([psutil.virtual_memory().available, *_left_to_groups(root)]))


def _left_to_groups(root: Path) -> Iterator[int]:
    """Bytes left to each control group with a limit that this process is in."""
    for version, mount, path in _groups(root):
        # What a container is mounted on is its own group; what the kernel calls it is outside.
        group = mount / path.lstrip("/")
        folders = [group, *group.parents]
        for folder in folders[: folders.index(mount) + 1]:
            limits = [_number(folder / name) for name in _LIMITS[version]]
            used = _number(folder / _USED[version])
            limits = [limit for limit in limits if limit is not None]
            if limits and used is not None:
                yield min(limits) - used + _files(folder / "memory.stat", _FILES[version])


def _groups(root: Path) -> Iterator[tuple[int, Path, str]]:
    """Version, mount and path of each control group for memory that this process is in."""
    mounts = root / "sys" / "fs" / "cgroup"
    for line in _text(root / "proc" / "self" / "cgroup").splitlines():
        number, controllers, path = line.split(":", 2)
        if ".." in path.split("/"):  # outside of what is mounted here
            path = "/"
        if "memory" in controllers.split(","):
            yield 1, mounts / "memory", path
        elif number == "0" and not controllers:
            yield 2, mounts, path


def _files(stat: Path, names: tuple[str, ...]) -> int:
    """Bytes of the pages of files, which are used only as long as nothing else wants them."""
    pairs = (line.split() for line in _text(stat).splitlines())
    return sum(int(pair[1]) for pair in pairs if len(pair) == 2 and pair[0] in names)


def _number(path: Path) -> int | None:
    """The number in a file; None for `max`, which is no limit, and where there is no such file."""
    text = _text(path).strip()
    return int(text) if text.isdigit() else None


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def ran_out(error: BaseException) -> bool:
    """Whether an error says that memory could not be had, of the host or of the device.

    By name and wording, since the backend that it came from is not to be imported for it:
    `MemoryError` (Python, numpy), `ResourceExhaustedError` (TensorFlow), `OutOfMemoryError`
    (PyTorch on CUDA; on the CPU and on Apple's GPUs it raises a `RuntimeError`), `JaxRuntimeError`
    that begins with RESOURCE_EXHAUSTED, and the CUDA_ERROR_OUT_OF_MEMORY of whatever library.
    """
    if isinstance(error, MemoryError):
        return True
    if type(error).__name__ in ("ResourceExhaustedError", "OutOfMemoryError"):
        return True
    if isinstance(error, (OSError, ValueError)):  # a sentence of ours, which may speak of memory
        return False
    text = str(error)
    wordings = ("RESOURCE_EXHAUSTED", "OUT_OF_MEMORY", "DefaultCPUAllocator", "out of memory")
    return any(wording in text for wording in wordings)


def keep_freed() -> None:
    """Have glibc keep freed memory for the next step, as it does where it is left alone.

    With the first dataset that is made of a Python generator, as all of Keras's are, TensorFlow
    has it give back whatever is larger than 128 kB at once ("M_TRIM_THRESHOLD=128 kb was set"):
    every tensor of every step is then mapped, cleared and unmapped anew, and a step of training
    takes twice as long. So this is called after the first step.
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(M_MMAP_THRESHOLD, 2**25)  # the largest that it takes
        libc.mallopt(M_TRIM_THRESHOLD, 2**30)
