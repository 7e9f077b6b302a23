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
    @tf.function(autograph=False)
    def run(n, *rest):
        def step(i):
            with tf.GradientTape() as tape:
                value = loss(variable.value, *rest)
            optimizer.apply([tape.gradient(value, variable.value)], [variable])
            return [i + 1]

        tf.while_loop(lambda i: i < n, step, [tf.constant(0)])

    # A tensor, since a Python number would be a constant, and each new one compiled anew.
    return lambda n, *rest: run(tf.constant(n), *rest)


def applier(variable, optimizer):
    def step(gradient):
        optimizer.apply([gradient], [variable])

    # Fused, since the temporaries of a large picture's step would stay in TensorFlow's pool.
    apply, is_fused = tf.function(step, jit_compile=True), True

    def run(gradient):
        nonlocal apply, is_fused
        try:
            apply(gradient)
        except (tf.errors.UnimplementedError, tf.errors.NotFoundError):
            if not is_fused:
                raise
            # XLA compiles for no GPU but NVIDIA's and AMD's: "could not find registered compiler
            # for platform METAL", it says, before anything is computed.
            apply, is_fused = tf.function(step), False
            apply(gradient)

    return run


def device_count(kind: str) -> int:
    return len(tf.config.list_physical_devices(kind.upper()))


def default_device() -> str:
    return "gpu" if device_count("gpu") else "cpu"


def free_memory(kind: str, number: int) -> int | None:
    name = f"{kind.upper()}:{number}"
    try:
        # This first: it starts TensorFlow on the GPU as the run will use it. What a session then
        # lists is the limit of the very same pool, by growth or not.
        used = tf.config.experimental.get_memory_info(name)["current"]
        with tf.compat.v1.Session(graph=tf.Graph()) as session:
            limits = {d.name: d.memory_limit_bytes for d in session.list_devices()}
    except (tf.errors.OpError, ValueError):  # a plugin's device that keeps no account
        return None
    limit = sum(size for device, size in limits.items() if device.endswith(f"device:{name}"))
    return limit - used if limit else None


def gpu_arithmetic(tf32: bool) -> None:
    tf.config.experimental.enable_tensor_float_32_execution(tf32)
    tf.config.experimental.enable_op_determinism()
