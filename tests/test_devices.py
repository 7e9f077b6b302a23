"""GPUs, which the machines that these tests run on have none of: on fakes of each backend's own
functions, by their documentation. What only a GPU can show is in the README."""

import contextlib
import sys
import types

import keras
import numpy as np
import psutil
import pytest
from neural_style_keras import backend

pytestmark = pytest.mark.every_backend


def only(name):
    return pytest.mark.skipif(name != backend.NAME, reason=f"{name}'s own functions are faked")


@pytest.fixture
def gpus(monkeypatch):
    """Two of NVIDIA's, which the backend takes where it is not told."""
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(backend, "device_count", lambda kind: {"cpu": 1, "gpu": 2}.get(kind, 0))
    monkeypatch.setattr(backend, "default_device", lambda: "gpu")
    backend.precision.cache_clear()
    yield
    backend.precision.cache_clear()


@pytest.fixture
def arithmetic(gpus, monkeypatch):
    """What GPUs are asked for: whether TF32 is allowed, each time."""
    asked = []
    monkeypatch.setattr(backend, "gpu_arithmetic", asked.append)
    return asked


@only("tensorflow")
def test_the_memory_of_a_gpu_on_tensorflow(gpus, monkeypatch):
    import tensorflow as tf

    used = {"GPU:0": 1_000, "GPU:1": 2_000}
    limits = {"CPU:0": 268, "GPU:0": 10_000, "GPU:1": 20_000}

    class Session:
        def __init__(self, graph):
            pass

        def list_devices(self):
            return [
                types.SimpleNamespace(name=f"/job:localhost/device:{name}", memory_limit_bytes=size)
                for name, size in limits.items()
            ]

        __enter__ = lambda self: self  # noqa: E731
        __exit__ = lambda self, *_: None  # noqa: E731

    def info(name):
        if name not in used:
            raise ValueError(f"Allocator stats not available for device '{name}'")
        return {"current": used[name], "peak": 99_999}

    monkeypatch.setattr(tf.config.experimental, "get_memory_info", info)
    monkeypatch.setattr(tf.compat.v1, "Session", Session)
    assert backend.available_memory(None) == backend.available_memory("gpu") == 9_000
    assert backend.available_memory("gpu:1") == 18_000
    limits["GPU:1"] = 0  # as a plugin's devices say
    assert backend.available_memory("gpu:1") is None
    used.clear()
    assert backend.available_memory("gpu") is None


@only("jax")
def test_the_memory_of_a_gpu_on_jax(gpus, monkeypatch):
    import jax

    stats = [{"bytes_limit": 10_000, "bytes_in_use": 1_000}, {"bytes_limit": 20_000}, None]
    devices = [types.SimpleNamespace(memory_stats=lambda one=one: one) for one in stats]
    monkeypatch.setattr(jax, "devices", lambda kind: devices)
    assert backend.available_memory(None) == backend.available_memory("gpu") == 9_000
    assert backend.available_memory("gpu:1") == 20_000
    assert backend.available_memory("gpu:2") is None


@only("torch")
def test_the_memory_of_a_gpu_on_torch(gpus, monkeypatch):
    """What its pool holds and does not use is free to it."""
    import torch

    fakes = {
        "mem_get_info": lambda n: ([5_000, 7_000][n], 80_000),
        "memory_reserved": [3_000, 0].__getitem__,
        "memory_allocated": [1_000, 0].__getitem__,
    }
    for name, fake in fakes.items():
        monkeypatch.setattr(torch.cuda, name, fake)
    assert backend.available_memory(None) == backend.available_memory("gpu") == 7_000
    assert backend.available_memory("gpu:1") == 7_000


@pytest.fixture
def apple(monkeypatch):
    """A Mac with 8 GB to spare."""
    monkeypatch.setattr(sys, "platform", "darwin")
    machine = types.SimpleNamespace(available=8_000_000_000)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: machine)


@only("torch")
def test_apples_gpu_is_mps_to_torch(apple, monkeypatch):
    import torch

    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.mps, "recommended_max_memory", lambda: 6_000_000_000)
    monkeypatch.setattr(torch.mps, "driver_allocated_memory", lambda: 1_000_000_000)
    on_mps = types.SimpleNamespace(device=types.SimpleNamespace(type="mps"))
    monkeypatch.setattr(keras.ops, "zeros", lambda shape: on_mps)
    scopes = []

    def scope(name):
        scopes.append(name)
        return contextlib.nullcontext()

    monkeypatch.setattr(keras, "device", scope)
    for name in (None, "gpu", "mps"):
        assert backend.device_name(name) == "mps"
        assert backend.shares_memory(name)
        assert backend.available_memory(name) == 5_000_000_000
        with backend.device(name):
            pass
    assert scopes == ["mps:0", "mps:0"]
    with pytest.raises(ValueError, match=r"no device gpu:1: torch sees 1 GPU of Apple's$"):
        backend.device("gpu:1")


@only("tensorflow")
def test_apples_gpu_is_a_gpu_to_tensorflow(apple, monkeypatch):
    import tensorflow as tf

    def listed(kind):
        return [f"/physical_device:{kind}:0"] if kind in ("CPU", "GPU") else []

    monkeypatch.setattr(tf.config, "list_physical_devices", listed)
    monkeypatch.setattr(backend, "free_memory", lambda kind, number: None)
    for name in (None, "gpu", "mps"):
        assert backend.device_name(name) == "gpu"
        assert backend.available_memory(name) == 8_000_000_000
    with pytest.raises(ValueError, match="--precision tf32 is for NVIDIA's GPUs"):
        backend.precision("tf32", "mps")


def test_where_there_is_no_gpu_of_apples_it_is_said():
    with pytest.raises(ValueError, match=r"there is no device mps: \w+ sees 0 GPUs of Apple's"):
        backend.device("mps")


def test_each_precision_is_what_it_says_on_a_gpu(arithmetic):
    dtypes = [backend.arithmetic(one) for one in ("float32", "tf32", "bfloat16")]
    assert dtypes == ["float32", "float32", "bfloat16"]
    # The losses of a network in bfloat16 are float32, and meant.
    assert arithmetic == [False, True, False]
    backend.arithmetic("float32", "cpu")
    assert len(arithmetic) == 3


def test_cpus_are_left_as_they_are(monkeypatch):
    monkeypatch.setattr(backend, "gpu_arithmetic", lambda tf32: pytest.fail("there is no GPU"))
    assert backend.arithmetic("float32", "cpu") == "float32"
    with pytest.raises(ValueError, match=r"for NVIDIA's GPUs, and this run is on cpu: choose"):
        backend.precision("tf32", "cpu")


def test_the_network_is_built_in_the_precision_asked_for(arithmetic, network):
    from conftest import picture
    from neural_style_keras.objective import Objective
    from neural_style_keras.settings import Settings

    for precision, device in [("float32", None), ("tf32", "gpu"), ("bfloat16", "gpu:1")]:
        s = Settings(precision=precision, device=device)
        built = Objective(picture(24, 32), [picture(24, 32, seed=1)], s, network).network
        dtypes = {keras.backend.standardize_dtype(x.dtype) for x in built.output.values()}
        assert dtypes == {"bfloat16" if precision == "bfloat16" else "float32"}
    assert arithmetic == [False, True, False]


@only("tensorflow")
def test_tensorflow_is_asked_for_exact_products_and_one_order(monkeypatch):
    import tensorflow as tf

    asked = []
    config = tf.config.experimental
    monkeypatch.setattr(config, "enable_tensor_float_32_execution", asked.append)
    monkeypatch.setattr(config, "enable_op_determinism", lambda: asked.append("deterministic"))
    backend.gpu_arithmetic(False)
    backend.gpu_arithmetic(True)
    assert asked == [False, "deterministic", True, "deterministic"]


@only("jax")
def test_jax_is_asked_for_exact_products(monkeypatch):
    import jax

    asked = []
    monkeypatch.setattr(type(jax.config), "update", lambda self, *change: asked.append(change))
    backend.gpu_arithmetic(False)
    backend.gpu_arithmetic(True)
    name = "jax_default_matmul_precision"
    assert asked == [(name, "float32"), (name, "tensorfloat32")]


@only("torch")
def test_torch_is_asked_for_exact_products_and_one_order(monkeypatch):
    import torch

    seen = {}
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    for module, name in [
        (torch, "set_float32_matmul_precision"),
        (torch, "use_deterministic_algorithms"),
    ]:
        monkeypatch.setattr(
            module, name, lambda value, name=name, **more: seen.update({name: (value, more)})
        )
    cudnn = types.SimpleNamespace()
    monkeypatch.setattr(torch.backends, "cudnn", cudnn)
    for tf32, level in [(False, "highest"), (True, "high")]:
        backend.gpu_arithmetic(tf32)
        assert seen["set_float32_matmul_precision"] == (level, {})
        assert seen["use_deterministic_algorithms"] == (True, {"warn_only": True})
        assert vars(cudnn) == {"allow_tf32": tf32, "deterministic": True, "benchmark": False}


class Tensor(types.SimpleNamespace):
    def __init__(self, shape, dtype):
        super().__init__(shape=shape, dtype=dtype)

    def __getitem__(self, _):
        return self


class Device:
    """A fake device with a fake clock. It computes at `rates` per second, by dtype, while the next
    convolution is being begun, which takes `dispatch` seconds and as many again in bfloat16."""

    def __init__(self, rates, dispatch):
        self.rates, self.dispatch = rates, dispatch
        self.now = self.done = 0.0
        self.largest = 0

    def ones(self, shape, dtype):
        """A tensor without its numbers."""
        return Tensor(shape, dtype)

    def full(self, shape, value, dtype):
        return Tensor(shape, dtype)

    def conv(self, x, kernel, padding):
        name = x.dtype
        self.now += self.dispatch * (2 if name == "bfloat16" else 1)
        operations = 2 * 9 * 256 * 256 * x.shape[1] * x.shape[2]
        self.largest = max(self.largest, operations)
        self.done = max(self.now, self.done) + operations / self.rates[name]
        return x

    def convert_to_numpy(self, x):
        self.now = max(self.now, self.done)
        return np.zeros(1)

    def clock(self):
        return self.now


@pytest.fixture
def fake(monkeypatch):
    def install(rates, dispatch):
        device = Device(rates, dispatch)
        for name in ("ones", "full", "conv", "convert_to_numpy"):
            monkeypatch.setattr(keras.ops, name, getattr(device, name))
        monkeypatch.setattr(backend.time, "perf_counter", device.clock)
        return device

    backend.precision.cache_clear()
    yield install
    backend.precision.cache_clear()


@pytest.mark.parametrize("faster", [True, False])
def test_the_fastest_precision_is_that_of_the_arithmetic(fake, faster):
    """On a device that is done with a small convolution before the next one is begun."""
    rates = {"float32": 60e12, "bfloat16": 600e12}
    if not faster:
        rates["bfloat16"] = 60e12
    device = fake(rates, dispatch=60e-6)
    assert backend.precision("auto") == ("bfloat16" if faster else "float32")
    assert device.largest > 50e9  # enough to be felt
    assert device.now < 5  # and not for long, in seconds


def test_a_slow_machine_is_not_kept_waiting(fake):
    device = fake({"float32": 50e9, "bfloat16": 100e9}, dispatch=60e-6)
    assert backend.precision("auto") == "bfloat16"
    assert device.now < 1.5


def test_tf32_is_tried_on_a_gpu(arithmetic, fake, monkeypatch):
    rates = {"float32": 20e12, "bfloat16": 290e12}
    device = fake(rates, dispatch=10e-6)

    def exactly(tf32):
        rates["float32"] = 300e12 if tf32 else 20e12

    monkeypatch.setattr(backend, "gpu_arithmetic", exactly)
    assert backend.precision("auto") == "tf32"
    rates["bfloat16"] = 900e12
    backend.precision.cache_clear()
    assert backend.precision("auto", "gpu:1") == "bfloat16"
    assert device.largest > 50e9


def test_a_precision_that_the_device_lacks_is_not_chosen(fake, monkeypatch):
    device = fake({"float32": 1e11, "bfloat16": 1e12}, dispatch=10e-6)

    def conv(x, kernel, padding):
        if x.dtype == "bfloat16":
            raise TypeError("BFloat16 is not supported on MPS")
        return device.conv(x, kernel, padding)

    monkeypatch.setattr(keras.ops, "conv", conv)
    assert backend.precision("auto") == "float32"


@only("tensorflow")
def test_where_xla_has_no_compiler_the_step_is_taken_without(monkeypatch):
    import tensorflow as tf

    real, compiled = tf.function, []

    def function(step, jit_compile=False, **more):
        compiled.append(jit_compile)
        if not jit_compile:
            return real(step, **more)

        def fails(*_):
            raise tf.errors.UnimplementedError(
                None, None, "Could not find compiler for platform METAL: NOT_FOUND"
            )

        return fails

    def stepped():
        variable = keras.Variable(np.ones((1, 2, 2, 3), "f4"))
        optimizer = keras.optimizers.Adam(0.1)
        optimizer.build([variable])
        step = backend.applier(variable, optimizer)
        for _ in range(3):
            step(keras.ops.ones((1, 2, 2, 3)))
        return keras.ops.convert_to_numpy(variable.value)

    fused = stepped()
    monkeypatch.setattr(tf, "function", function)
    assert np.allclose(stepped(), fused, atol=1e-6)
    assert compiled == [True, False]
