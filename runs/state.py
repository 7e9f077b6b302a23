"""The state of a run in one file, from which it goes on as if it had never stopped."""

from __future__ import annotations

import json

import numpy as np

from .. import files
from ..stylize import State


def save(path, state: State, about: dict, chosen: dict) -> None:
    """Write a state, whole or not at all.

    Args:
        path: where.
        state: of the run.
        about: what the run was asked for, to be compared when it goes on.
        chosen: what was chosen for this machine, to be taken over when it goes on.

    Raises OSError if it cannot be written; an earlier state stays.
    """
    arrays = {f"optimizer.{i}": value for i, value in enumerate(state.optimizer)}
    if state.best_image is not None:
        arrays["best_image"] = state.best_image
    with files.replacing(path) as file:
        np.savez(
            file,
            about=np.array(json.dumps(about)),
            chosen=np.array(json.dumps(chosen)),
            iteration=state.iteration,
            image=state.image,
            best_total=state.best_total,
            **arrays,
        )


def load(path, about: dict) -> tuple[State, dict]:
    """Read back a state, and what was chosen for its machine.

    Raises:
        OSError: if there is none, or it is damaged.
        ValueError: if the run that it belongs to is not the one described, naming a difference.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            saved, chosen = (json.loads(str(file[name])) for name in ("about", "chosen"))
            count = sum(name.startswith("optimizer.") for name in file.files)
            state = State(
                iteration=int(file["iteration"]),
                image=file["image"],
                optimizer=[file[f"optimizer.{i}"] for i in range(count)],
                best_image=file["best_image"] if "best_image" in file.files else None,
                best_total=float(file["best_total"]),
            )
    except FileNotFoundError:
        raise
    except Exception as error:
        raise OSError(f"{path} is damaged ({error}): delete it to start anew") from error
    check_same(saved, about, path)
    return state, chosen


def belongs(path, about: dict) -> bool:
    """Whether there is a state at `path`, and it is of the run described."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return not _difference(json.loads(str(file["about"])), json.loads(json.dumps(about)))
    except Exception:  # none, or a damaged one
        return False


def check_same(saved: dict, about: dict, path) -> None:
    """Raise ValueError, which names a difference, where a state at `path` is of a run that was
    asked for something else."""
    difference = _difference(saved, json.loads(json.dumps(about)))
    if difference:
        raise ValueError(
            f"cannot resume: {difference}; run it as before, or delete {path} to start anew"
        )


def _difference(saved, wanted, where="") -> str:
    """The first place where two descriptions differ, in words; empty if they agree."""
    if isinstance(saved, dict) and isinstance(wanted, dict):
        for key in sorted({*saved, *wanted}):
            path = f"{where} {key}".strip()
            if found := _difference(saved.get(key), wanted.get(key), path):
                return found
        return ""
    if saved == wanted:
        return ""
    return f"{where} was {json.dumps(saved)} in the interrupted run and is {json.dumps(wanted)}"
