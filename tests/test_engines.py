"""The same code on Keras's other engines, where they are installed."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import needs_shared

HERE = Path(__file__).parent
ENGINES = ["torch", "jax"]


def run(engine, *command):
    if importlib.util.find_spec(engine) is None:
        pytest.skip(f"{engine} is not installed")
    done = subprocess.run(
        [sys.executable, *command],
        env=os.environ | {"KERAS_BACKEND": engine},
        capture_output=True,
        text=True,
        cwd=HERE,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@needs_shared
@pytest.mark.parametrize(("engine", "case"), [("torch", "default"), ("jax", "avg_pool")])
def test_the_losses_are_those_of_the_reference(engine, case):
    run(engine, "reference.py", case)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_optimisation_passes_its_tests(engine):
    run(engine, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "test_stylize.py")
