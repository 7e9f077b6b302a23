"""What Keras has no words for, a few lines per engine: gradients, compiled loops, devices."""

from __future__ import annotations

import contextlib
import functools
import time

import keras
import psutil

ENGINE = keras.backend.backend()

if ENGINE == "tensorflow":
    import tensorflow as tf

    tf.get_logger().setLevel("ERROR")  # one compilation per shape of tile is what is wanted

    def evaluator(function, frozen):
        """Compile a function of tensors; the model `frozen` is a constant of it."""
        return tf.function(function)

    def seldom(function, frozen):
        """As `evaluator`, for what is called so seldom that compiling it does not pay."""
        return function

    def differentiator(function, frozen):
        """Compile the gradient of a function of tensors with respect to the first.

        The function returns the scalar and whatever else is wanted; what is compiled returns
        that, and the gradient.
        """

        @tf.function
        def run(x, *rest):
            with tf.GradientTape() as tape:
                tape.watch(x)
                value, more = function(x, *rest)
            return more, tape.gradient(value, x)

        return run

    def stepper(loss, frozen, variable, optimizer):
        """Compile `run(n)`: n steps of the optimiser on the variable, without a look at Python.

        Args:
            loss: from the variable's value to the scalar to lower.
            frozen: the model that `loss` uses, which is not trained.
            variable: the keras.Variable that is optimised.
            optimizer: a Keras optimiser, built for that variable.
        """

        @tf.function
        def run(n):
            for _ in tf.range(n):
                with tf.GradientTape() as tape:
                    value = loss(variable.value)
                gradient = tape.gradient(value, variable.value)
                optimizer.apply([gradient], [variable])

        return lambda n: run(tf.constant(n))

    def applier(variable, optimizer):
        """Compile `run(gradient)`: one step of the optimiser on the variable.

        Fused, since the temporaries of a large picture's step would stay in TensorFlow's pool.
        """
        return tf.function(lambda g: optimizer.apply([g], [variable]), jit_compile=True)

    def _count(kind: str) -> int:
        return len(tf.config.list_physical_devices(kind.upper()))

elif ENGINE == "jax":
    import jax

    def _with_weights(function, frozen):
        """Make the weights an argument, lest they become 80 MB of constants in the program."""

        def stateless(weights, *arguments):
            with keras.StatelessScope(state_mapping=list(zip(frozen.variables, weights))):
                return function(*arguments)

        return stateless, [v.value for v in frozen.variables]

    def evaluator(function, frozen):
        stateless, weights = _with_weights(function, frozen)
        compiled = jax.jit(stateless)
        return lambda *tensors: compiled(weights, *tensors)

    seldom = evaluator  # left alone, each operation would be compiled by itself

    def differentiator(function, frozen):
        stateless, weights = _with_weights(function, frozen)
        compiled = jax.jit(jax.value_and_grad(stateless, argnums=1, has_aux=True))

        def run(*tensors):
            (_, more), gradient = compiled(weights, *tensors)
            return more, gradient

        return run

    def stepper(loss, frozen, variable, optimizer):
        stateless, weights = _with_weights(loss, frozen)
        gradient = jax.grad(stateless, argnums=1)

        @jax.jit
        def run(n, weights, value, state):
            def step(_, carried):
                value, state = carried
                [value], state = optimizer.stateless_apply(
                    state, [gradient(weights, value)], [value]
                )
                return value, state

            return jax.lax.fori_loop(0, n, step, (value, state))

        def steps(n):
            state = [v.value for v in optimizer.variables]
            value, state = run(n, weights, variable.value, state)
            variable.assign(value)
            for v, new in zip(optimizer.variables, state):
                v.assign(new)

        return steps

    def applier(variable, optimizer):
        return lambda gradient: optimizer.apply([gradient], [variable])

    def _count(kind: str) -> int:
        try:
            return len(jax.devices(kind))
        except RuntimeError:
            return 0

elif ENGINE == "torch":
    import torch

    def evaluator(function, frozen):
        return torch.no_grad()(function)

    seldom = evaluator

    def differentiator(function, frozen):
        def run(x, *rest):
            x = x.detach().requires_grad_(True)
            value, more = function(x, *rest)
            return more.detach(), torch.autograd.grad(value, x)[0]

        return run

    def stepper(loss, frozen, variable, optimizer):
        step = applier(variable, optimizer)

        def run(n):
            for _ in range(n):
                [gradient] = torch.autograd.grad(loss(variable.value), variable.value)
                step(gradient)

        return run

    def applier(variable, optimizer):
        return torch.no_grad()(lambda gradient: optimizer.apply([gradient], [variable]))

    def _count(kind: str) -> int:
        return 1 if kind == "cpu" else torch.cuda.device_count()

else:
    raise ValueError(f"KERAS_BACKEND is tensorflow, jax or torch, not {ENGINE}")


def device(name: str | None):
    """A scope in which everything is made and run on `cpu`, `gpu` or `gpu:N`.

    Raises ValueError if there is no such device; None leaves the choice to the engine.
    """
    if name is None:
        return contextlib.nullcontext()
    kind, _, number = name.partition(":")
    there = _count(kind)
    if int(number or 0) >= there:
        raise ValueError(
            f"there is no device {name}: {ENGINE} sees {there} {kind}{'s' * (there != 1)}"
        )
    return keras.device(f"{kind}:{number or 0}")


def default_device() -> str:
    """What the engine uses where it is not told: `gpu` if it sees one."""
    return "gpu" if _count("gpu") else "cpu"


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
    """Bytes that a run on this device may use; None where the engine cannot say."""
    if (device or default_device()).startswith("cpu"):
        return psutil.virtual_memory().available
    if ENGINE == "torch":
        return torch.cuda.mem_get_info()[0]
    return None
