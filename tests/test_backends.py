"""The same code on Keras's other backends, where they are installed."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

# Most of the time here is XLA's, which compiles a program for each shape: less without LLVM's dear
# passes.
QUICK = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_what_depends_on_the_backend_passes(backend):
    """The tests marked `every_backend`, all in one process; see pyproject.toml."""
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-m", "every_backend", "-p", "no:cacheprovider"],
        env=os.environ | {"KERAS_BACKEND": backend, "XLA_FLAGS": QUICK},
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent.parent,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
