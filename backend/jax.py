"""JAX's part of `backend`; see there for what each function does."""

from __future__ import annotations

import jax
import keras


def compiled(function, frozen):
    run = jax.jit(_stateless(function, frozen))
    return lambda *tensors: run(_weights(frozen), *tensors)


uncompiled = compiled  # left alone, each operation would be compiled by itself


def differentiated(function, frozen):
    stateless = _stateless(function, frozen)
    value_and_gradient = jax.jit(jax.value_and_grad(stateless, argnums=1, has_aux=True))

    def run(*tensors):
        (_, more), gradient = value_and_gradient(_weights(frozen), *tensors)
        return more, gradient

    return run


def stepper(loss, frozen, variable, optimizer):
    gradient = jax.grad(_stateless(loss, frozen), argnums=1)

    @jax.jit
    def run(n, weights, value, state, rest):
        def step(_, carried):
            value, state = carried
            slope = gradient(weights, value, *rest)
            [value], state = optimizer.stateless_apply(state, [slope], [value])
            return value, state

        return jax.lax.fori_loop(0, n, step, (value, state))

    def steps(n, *rest):
        state = [v.value for v in optimizer.variables]
        value, state = run(n, _weights(frozen), variable.value, state, rest)
        variable.assign(value)
        for v, new in zip(optimizer.variables, state):
            v.assign(new)

    return steps


def applier(variable, optimizer):
    return lambda gradient: optimizer.apply([gradient], [variable])


def device_count(kind: str) -> int:
    try:
        return len(jax.devices(kind))
    except RuntimeError:
        return 0


def default_device() -> str:
    return jax.default_backend().lower()


def free_memory(kind: str, number: int) -> int | None:
    try:
        stats = jax.devices(kind)[number].memory_stats() or {}
    except RuntimeError:  # the platform has none
        return None
    # The limit is that of JAX's own pool: three quarters of a GPU's memory, unless told otherwise.
    if "bytes_limit" not in stats:
        return None
    return stats["bytes_limit"] - stats.get("bytes_in_use", 0)


def gpu_arithmetic(tf32: bool) -> None:
    jax.config.update("jax_default_matmul_precision", "tensorfloat32" if tf32 else "float32")
    # Determinism is not asked for: with --xla_gpu_deterministic_ops, XLA refuses to compile the
    # gradient of max pooling (github.com/google/flax/issues/4233).


def _stateless(function, frozen):
    """The function with the weights as an argument, lest they become 80 MB of constants in the
    program."""

    def stateless(weights, *arguments):
        with keras.StatelessScope(state_mapping=list(zip(frozen.variables, weights))):
            return function(*arguments)

    return stateless


def _weights(frozen):
    """Those of now: a painter that learns is painted with in between."""
    return [v.value for v in frozen.variables]
