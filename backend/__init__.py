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
    Compile `run(n)`: n steps of the optimiser on the variable without Python in between. `loss`
    goes from the variable's value to a scalar; the Keras optimiser is built for that variable.
`applier(variable, optimizer)`
    Compile `run(gradient)`: one step of the optimiser on the variable.
`device_count(kind)`
    How many devices of kind `cpu` or `gpu` there are.
`gpu_memory()`
    Free bytes of the GPU; None where the backend cannot say.
"""

from __future__ import annotations

import contextlib
import functools
import time

import keras
import psutil

NAME = keras.backend.backend()

if NAME == "tensorflow":
    from .tensorflow import (
        applier,
        compiled,
        device_count,
        differentiated,
        gpu_memory,
        stepper,
        uncompiled,
    )
elif NAME == "jax":
    from .jax import (
        applier,
        compiled,
        device_count,
        differentiated,
        gpu_memory,
        stepper,
        uncompiled,
    )
elif NAME == "torch":
    from .torch import (
        applier,
        compiled,
        device_count,
        differentiated,
        gpu_memory,
        stepper,
        uncompiled,
    )
else:
    raise ValueError(f"KERAS_BACKEND is tensorflow, jax or torch, not {NAME}")

__all__ = [
    "NAME",
    "applier",
    "available_memory",
    "compiled",
    "default_device",
    "device",
    "differentiated",
    "precision",
    "stepper",
    "uncompiled",
]


def device(name: str | None):
    """A scope in which everything is made and run on `cpu`, `gpu` or `gpu:N`.

    Raises ValueError if there is no such device; None leaves the choice to the backend.
    """
    if name is None:
        return contextlib.nullcontext()
    kind, _, number = name.partition(":")
    there = device_count(kind)
    if int(number or 0) >= there:
        raise ValueError(
            f"there is no device {name}: {NAME} sees {there} {kind}{'s' * (there != 1)}"
        )
    return keras.device(f"{kind}:{number or 0}")


def default_device() -> str:
    """What the backend uses where it is not told: `gpu` if it sees one."""
    return "gpu" if device_count("gpu") else "cpu"


@functools.cache
def precision(wanted: str) -> str:
    """`float32` or `bfloat16`; for `auto`, the one in which this machine convolves faster."""
    if wanted != "auto":
        return wanted
    took = {}
    for dtype in ("float32", "bfloat16"):
        x = keras.ops.ones((1, 64, 64, 256), dtype)
        kernel = keras.ops.ones((3, 3, 256, 256), dtype)
        times = []
        for _ in range(8):
            began = time.perf_counter()
            keras.ops.convert_to_numpy(keras.ops.conv(x, kernel, padding="same")[0, 0, 0, :1])
            times.append(time.perf_counter() - began)
        took[dtype] = min(times)
    # Near a draw, the exact one.
    return "bfloat16" if took["bfloat16"] < 0.9 * took["float32"] else "float32"


def available_memory(device: str | None) -> int | None:
    """Bytes that a run on this device may use; None where the backend cannot say."""
    if (device or default_device()).startswith("cpu"):
        return psutil.virtual_memory().available
    return gpu_memory()
