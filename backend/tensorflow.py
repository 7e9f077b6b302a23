"""TensorFlow's part of `backend`; see there for what each function does."""

from __future__ import annotations

import tensorflow as tf

tf.get_logger().setLevel("ERROR")  # one compilation per shape of tile is what is wanted


def compiled(function, frozen):
    # Without AutoGraph, which takes seconds to rewrite Python that has no loop to be rewritten.
    return tf.function(function, autograph=False)


def uncompiled(function, frozen):
    return function


def differentiated(function, frozen):
    @tf.function(autograph=False)
    def run(x, *rest):
        with tf.GradientTape() as tape:
            tape.watch(x)
            value, more = function(x, *rest)
        return more, tape.gradient(value, x)

    return run


def stepper(loss, frozen, variable, optimizer):
    def step(i):
        with tf.GradientTape() as tape:
            value = loss(variable.value)
        optimizer.apply([tape.gradient(value, variable.value)], [variable])
        return [i + 1]

    @tf.function(autograph=False)
    def run(n):
        tf.while_loop(lambda i: i < n, step, [tf.constant(0)])

    # A tensor, since a Python number would be a constant, and each new one compiled anew.
    return lambda n: run(tf.constant(n))


def applier(variable, optimizer):
    # Fused, since the temporaries of a large picture's step would stay in TensorFlow's pool.
    return tf.function(lambda g: optimizer.apply([g], [variable]), jit_compile=True)


def device_count(kind: str) -> int:
    return len(tf.config.list_physical_devices(kind.upper()))


def gpu_memory() -> int | None:
    return None
