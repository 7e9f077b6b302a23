"""What Keras has no words for: gradients, compiled loops, devices. One file per Keras backend,
with the same names in each:

`compiled(function, frozen)`
    Compile a function of tensors, in nested structures or not. The model `frozen`, which the
    function calls, is a constant of it; so is whatever else the function closes over.
`uncompiled(function, frozen)`
    The same for what is called so seldom that compiling it does not pay.
`differentiated(function, frozen)`
    Compile `run(x, *rest) -> (more, gradient)` of a function (x, *rest) -> (scalar, more): the
    gradient of the scalar with respect to x, a tensor or a nested structure of tensors.
`stepper(loss, frozen, variable, optimizer)`
    Compile `run(n, *rest)`: n steps of the optimiser on the variable without Python in between.
    `loss` goes from the variable's value and the rest, tensors in nested structures, to a scalar;
    the Keras optimiser is built for that variable.
`applier(variable, optimizer)`
    Compile `run(gradient)`: one step of the optimiser on the variable.
`device_count(kind)`
    How many devices of kind `cpu`, `gpu` or `mps` there are.
`default_device()`
    The device that the backend uses where it is not told: `cpu`, `gpu`, `mps`, ...
`free_memory(kind, number)`
    Free bytes of a device that has a memory of its own; None where the backend cannot say.
`gpu_arithmetic(tf32)`
    Have GPUs multiply float32 numbers exactly, or as TF32 (10 bits of the fraction, not 23); and
    in an order that is always the same, so that a run that is resumed is as if never stopped.

What concerns GPUs was written from the backends' documentation and tested on fakes: see the README.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import math
import sys
import time

import keras

from .. import memory

NAME = keras.backend.backend()

if NAME not in ("tensorflow", "jax", "torch"):
    raise ValueError(f"KERAS_BACKEND is tensorflow, jax or torch, not {NAME}")
_own = importlib.import_module(f".{NAME}", __name__)
applier = _own.applier
compiled = _own.compiled
default_device = _own.default_device
device_count = _own.device_count
differentiated = _own.differentiated
free_memory = _own.free_memory
gpu_arithmetic = _own.gpu_arithmetic
stepper = _own.stepper
uncompiled = _own.uncompiled

__all__ = [
    "NAME",
    "applier",
    "arithmetic",
    "available_memory",
    "compiled",
    "default_device",
    "device",
    "device_name",
    "differentiated",
    "dtype",
    "precision",
    "shares_memory",
    "stepper",
    "uncompiled",
    "version",
]

# The convolutions that a precision is timed by, in turn until they take long enough: how large a
# picture of 256 channels, in pixels a side, and how many in a row. On a GPU the first are over
# sooner than they are begun.
PROBES = ((64, 1), (128, 1), (256, 1), (256, 4), (256, 16), (256, 64))
PROBE_SECONDS = 0.005  # long enough: the least that the fastest precision must take
PROBE_REPEATS = 8  # of which the fastest counts


def version() -> str:
    """The backend and Keras's version, as metadata has them."""
    return f"{NAME}, keras {keras.version()}"


def device_name(name: str | None) -> str:
    """What the backend calls the device that a run on `name` uses; None leaves it the choice.

    Apple's GPU is `mps` to PyTorch and `gpu` to TensorFlow: each takes either name.
    """
    kind, number = _parts(name or default_device())
    if kind == "gpu" and not device_count("gpu") and device_count("mps"):
        kind = "mps"
    elif kind == "mps" and sys.platform == "darwin" and not device_count("mps"):
        kind = "gpu"
    return f"{kind}:{number}" if number else kind


def device(name: str | None):
    """A scope in which everything is made and run on `cpu`, `gpu`, `gpu:N` or `mps`.

    Raises ValueError if there is no such device; None leaves the choice to the backend.
    """
    if name is None:
        return contextlib.nullcontext()
    kind, number = _parts(device_name(name))
    there = device_count(kind)
    if number >= there:
        what = ("GPU" if kind == "mps" else kind) + "s" * (there != 1)
        whose = " of Apple's" if kind == "mps" else ""
        raise ValueError(f"there is no device {name}: {NAME} sees {there} {what}{whose}")
    return keras.device(f"{kind}:{number}")


def _parts(name: str) -> tuple[str, int]:
    kind, _, number = name.partition(":")
    return kind, int(number or 0)


def shares_memory(device: str | None) -> bool:
    """Whether a device works in the memory of the host: CPUs do, and Apple's GPUs."""
    kind, _ = _parts(device_name(device))
    return kind in ("cpu", "mps", "metal") or (kind == "gpu" and sys.platform == "darwin")


def available_memory(device: str | None) -> int | None:
    """Bytes of a device that a run may use; None where the backend cannot say."""
    kind, number = _parts(device_name(device))
    free = None if kind == "cpu" else free_memory(kind, number)
    if not shares_memory(device):
        return free
    left = memory.available()
    return left if free is None else min(left, free)


def dtype(precision: str) -> str:
    """The dtype of the network's numbers in a precision: TF32 is a way to multiply float32s."""
    return "bfloat16" if precision == "bfloat16" else "float32"


def arithmetic(wanted: str, device: str | None = None) -> str:
    """Have the device compute in a precision, a choice of `--precision`, and return its dtype.

    It is a setting of the process, so that of several runs at once the last one chooses. CPUs
    need none: they multiply float32 numbers exactly, in an order that does not change.
    """
    chosen = precision(wanted, device)
    if _has_tf32(device):
        gpu_arithmetic(chosen == "tf32")
    return dtype(chosen)


@functools.cache
def precision(wanted: str, device: str | None = None) -> str:
    """`float32`, `tf32` or `bfloat16`; for `auto`, the one in which the device convolves fastest.

    Raises ValueError for `tf32` on a device that has none.
    """
    if wanted == "tf32" and not _has_tf32(device):
        raise ValueError(
            f"--precision tf32 is for NVIDIA's GPUs, and this run is on {device_name(device)}: "
            "choose float32 or bfloat16"
        )
    if wanted != "auto":
        return wanted
    choices = ("float32", "tf32", "bfloat16") if _has_tf32(device) else ("float32", "bfloat16")
    chosen, *others = choices  # the exact ones first
    took = _timed(choices, device)
    for other in others:
        # The probe only goes forward, and where bfloat16 is emulated, going back is far slower: it
        # has to win clearly, as it does (by about half) where there are instructions for it.
        if took[other] < 0.75 * took[chosen]:
            chosen = other
    return chosen


def _has_tf32(device: str | None) -> bool:
    return not shares_memory(device) and _parts(device_name(device))[0] == "gpu"


def _timed(precisions, device: str | None) -> dict[str, float]:
    """Seconds that the same convolutions take in each precision."""
    for side, count in PROBES:
        took = {}
        for name in precisions:
            if _has_tf32(device):
                gpu_arithmetic(name == "tf32")
            took[name] = _seconds(dtype(name), side, count)
        if min(took.values()) >= PROBE_SECONDS:
            break
    return took


def _seconds(dtype: str, side: int, count: int) -> float:
    """Seconds for convolutions in a row; infinite where the device has none in this dtype."""
    try:
        picture = keras.ops.ones((1, side, side, 256), dtype)
        kernel = keras.ops.full((3, 3, 256, 256), 1 / (9 * 256), dtype)  # the sums stay near 1
        times = []
        for _ in range(PROBE_REPEATS):
            began = time.perf_counter()
            x = picture
            for _ in range(count):
                x = keras.ops.conv(x, kernel, padding="same")
            keras.ops.convert_to_numpy(x[0, 0, 0, :1])  # a number on the host: they are over
            times.append(time.perf_counter() - began)
        return min(times)
    except Exception:
        if dtype == "float32":
            raise
        return math.inf
