"""What memory is left: of the machine, of a container; and which errors say that there was none."""

import psutil
import pytest
from neural_style_keras import memory
from neural_style_keras.runs.console import sentence

MACHINE = 16_000_000_000


@pytest.fixture
def root(tmp_path, monkeypatch):
    """Where /proc and /sys are to be, on a machine with 16 GB to spare."""
    machine = type("svmem", (), {"available": MACHINE})
    monkeypatch.setattr(psutil, "virtual_memory", lambda: machine)
    return tmp_path


def write(root, **files):
    """Files by their paths below `root`."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def group(root, path, version, limit, used, active, inactive):
    """A control group as the kernel shows it, in bytes; pages of files are part of what is used."""
    names, prefix = {
        1: (("memory.limit_in_bytes", "memory.usage_in_bytes"), "total_"),
        2: (("memory.max", "memory.current"), ""),
    }[version]
    folder = "sys/fs/cgroup" + ("/memory" if version == 1 else "") + path
    stat = f"anon 5\n{prefix}active_file {active}\n{prefix}inactive_file {inactive}\nshmem 7\n"
    values = {names[0]: f"{limit}\n", names[1]: f"{used}\n", "memory.stat": stat}
    write(root, **{f"{folder}/{name}": text for name, text in values.items()})


def test_without_control_groups_it_is_what_the_machine_has(root):
    assert memory.available(root) == MACHINE
    write(root, **{"proc/self/cgroup": "0::/\n"})
    assert memory.available(root) == MACHINE


@pytest.mark.parametrize("version", [1, 2])
def test_in_a_container_it_is_what_the_container_has_left(root, version):
    """Pages of files are given back when memory runs short: they are not used up."""
    line = {1: "9:cpu,cpuacct:/\n4:memory:/\n1:name=systemd:/\n0::/\n", 2: "0::/\n"}[version]
    write(root, **{"proc/self/cgroup": line})
    group(root, "", version, 4_000_000_000, 3_000_000_000, 400_000_000, 600_000_000)
    assert memory.available(root) == 2_000_000_000


@pytest.mark.parametrize("version", [1, 2])
def test_the_tightest_of_the_groups_around_it_counts(root, version):
    line = {1: "4:memory:/outer/inner\n", 2: "0::/outer/inner\n"}[version]
    write(root, **{"proc/self/cgroup": line})
    group(root, "/outer/inner", version, 8_000_000_000, 1_000_000_000, 0, 0)
    group(root, "/outer", version, 5_000_000_000, 4_000_000_000, 0, 500_000_000)
    assert memory.available(root) == 1_500_000_000


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("path", ["/docker/0123abcd", "/../../outside"])
def test_a_group_that_has_another_name_outside_the_container(root, version, path):
    """Where /proc gives the host's path, what is mounted is the container's own group."""
    line = {1: f"4:memory:{path}\n", 2: f"0::{path}\n"}[version]
    write(root, **{"proc/self/cgroup": line})
    group(root, "", version, 2_000_000_000, 500_000_000, 0, 0)
    assert memory.available(root) == 1_500_000_000


def test_a_group_without_a_limit_is_none(root):
    write(root, **{"proc/self/cgroup": "4:memory:/user\n0::/user\n"})
    group(root, "/user", 1, 9223372036854771712, 3_000_000_000, 0, 0)  # what version 1 calls none
    group(root, "/user", 2, "max", 3_000_000_000, 0, 0)
    assert memory.available(root) == MACHINE


def test_where_a_group_is_slowed_down_before_it_is_ended(root):
    write(root, **{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.high": "3000000000\n"})
    group(root, "", 2, 4_000_000_000, 1_000_000_000, 0, 0)
    assert memory.available(root) == 2_000_000_000


def test_a_group_over_its_limit_has_nothing_left(root):
    write(root, **{"proc/self/cgroup": "0::/\n"})
    group(root, "", 2, 1_000_000_000, 1_100_000_000, 0, 0)
    assert memory.available(root) == 0


def error(name, base, text):
    """An error as a backend raises it, without the backend."""
    return type(name, (base,), {})(text)


@pytest.mark.parametrize(
    "one",
    [
        MemoryError(),
        MemoryError("Unable to allocate 3.1 TiB for an array with shape (9,)"),
        error("ResourceExhaustedError", Exception, "OOM when allocating tensor with shape[1]"),
        error("OutOfMemoryError", RuntimeError, "CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate "
            "memory: you tried to allocate 4000000000000000 bytes."
        ),
        RuntimeError("MPS backend out of memory (MPS allocated: 1.00 GB, max allowed: 2.00 GB)"),
        error("JaxRuntimeError", RuntimeError, "RESOURCE_EXHAUSTED: Out of memory allocating 4"),
        error("XlaRuntimeError", RuntimeError, "RESOURCE_EXHAUSTED: Failed to allocate request"),
        error("InternalError", Exception, "CUDA_ERROR_OUT_OF_MEMORY: failed to allocate 2G"),
    ],
    ids=lambda one: f"{type(one).__name__} {one}"[:30],
)
def test_each_backends_want_of_memory_is_told_in_one_sentence(one):
    assert memory.ran_out(one)
    assert sentence(one) == "out of memory: choose a smaller --width or --tile"


def test_other_errors_are_not_want_of_memory():
    for other in (
        RuntimeError("shapes do not match"),
        KeyError("out"),
        ValueError("out of memory"),
    ):
        assert not memory.ran_out(other)
    assert "this should not happen" in sentence(RuntimeError("shapes do not match"))
