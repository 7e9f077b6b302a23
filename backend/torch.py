"""PyTorch's part of `backend`; see there for what each function does."""

from __future__ import annotations

import torch
from keras import tree


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

    def run(n):
        for _ in range(n):
            [gradient] = torch.autograd.grad(loss(variable.value), variable.value)
            step(gradient)

    return run


def applier(variable, optimizer):
    return torch.no_grad()(lambda gradient: optimizer.apply([gradient], [variable]))


def device_count(kind: str) -> int:
    return 1 if kind == "cpu" else torch.cuda.device_count()


def gpu_memory() -> int | None:
    return torch.cuda.mem_get_info()[0]
