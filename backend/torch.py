"""PyTorch's part of `backend`; see there for what each function does."""

from __future__ import annotations

import os
import warnings

import torch
from keras import ops, tree


def compiled(function, frozen):
    return torch.no_grad()(function)


uncompiled = compiled


def differentiated(function, frozen):
    def run(x, *rest):
        x = tree.map_structure(lambda t: t.detach().requires_grad_(True), x)
        value, more = function(x, *rest)
        gradient = torch.autograd.grad(value, tree.flatten(x))
        return more.detach(), tree.pack_sequence_as(x, gradient)

    return run


def stepper(loss, frozen, variable, optimizer):
    step = applier(variable, optimizer)

    def run(n, *rest):
        for _ in range(n):
            [gradient] = torch.autograd.grad(loss(variable.value, *rest), variable.value)
            step(gradient)

    return run


def applier(variable, optimizer):
    return torch.no_grad()(lambda gradient: optimizer.apply([gradient], [variable]))


def device_count(kind: str) -> int:
    if kind == "gpu":
        return torch.cuda.device_count()
    return int(kind == "cpu" or (kind == "mps" and torch.backends.mps.is_available()))


def default_device() -> str:
    kind = ops.zeros(()).device.type  # where Keras puts things: on MPS before CUDA
    return "gpu" if kind == "cuda" else kind


def free_memory(kind: str, number: int) -> int | None:
    if kind == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    if kind != "gpu":
        return None
    free, _ = torch.cuda.mem_get_info(number)
    # What PyTorch has in its pool and does not use is free to it alone.
    return free + torch.cuda.memory_reserved(number) - torch.cuda.memory_allocated(number)


def gpu_arithmetic(tf32: bool) -> None:
    with warnings.catch_warnings():
        # The names of all versions: 2.9 warns of them, and has new ones that go with no old one.
        warnings.simplefilter("ignore")
        torch.set_float32_matmul_precision("high" if tf32 else "highest")
        torch.backends.cudnn.allow_tf32 = tf32
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # what cuBLAS asks for
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    # To warn, not to fail, where there is none; and those warnings are no news to the person.
    torch.use_deterministic_algorithms(True, warn_only=True)
    warnings.filterwarnings("ignore", message=".*does not have a deterministic implementation")
