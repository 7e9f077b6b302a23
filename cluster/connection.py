"""A connection to a Ray cluster: one that is there, or one of this machine's own processes."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import math
import os
import signal
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..settings import DISTRIBUTION, LOCAL_CLUSTER, PROGRAM, VERSION, Settings

SECONDS = 5  # that an address is given to answer
# How HTTP/2 begins, which gRPC, and so Ray, speaks: its preface and empty settings (RFC 9113, 3.4).
GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
ALONE = "127.0.0.1"  # where a cluster of this machine's processes is, and no other machine looks


@dataclass(frozen=True)
class Cluster:
    """What work is sent to."""

    ray: Any  # the module
    side_by_side: int  # how many tasks or actors have a place at once
    options: dict  # for Ray: the CPUs and the GPUs of each
    environment: dict[str, str]  # of the processes that do it


def check_ray() -> None:
    """Raise ValueError where Ray is not installed."""
    if importlib.util.find_spec("ray") is None:
        raise ValueError(f"--cluster needs Ray: pip install '{DISTRIBUTION}[cluster]'")


@contextlib.contextmanager
def connected(settings: Settings) -> Iterator[Cluster]:
    """A connection for as long as it is needed. One that the caller has made with `ray.init` is
    used, and left as it is.

    Raises OSError, in a sentence, where there is no cluster, or none of its machines has a place
    for the work.
    """
    check_ray()
    # Before it is imported: it would tell its makers what it is used for.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    # How often, a second apart, it looks for a machine's part of the cluster; 20 if not told.
    os.environ.setdefault("RAY_NUM_REDIS_GET_RETRIES", str(SECONDS))
    import ray

    if ray.is_initialized():
        yield _cluster(ray, settings)
        return
    _connect(ray, settings)
    try:
        yield _cluster(ray, settings)
    finally:
        ray.shutdown()


def _connect(ray, settings: Settings) -> None:
    from ..runs.console import silenced

    given = dict(logging_level=logging.ERROR, log_to_driver=False)
    if settings.cluster == LOCAL_CLUSTER:
        cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        given |= dict(num_cpus=cpus, include_dashboard=False, _node_ip_address=ALONE)
    check_address(settings.cluster)
    with silenced(settings.debug), _own_signals():
        try:
            ray.init(settings.cluster, **given)
        except Exception as error:  # each layer of Ray's fails in its own way
            if settings.cluster == LOCAL_CLUSTER:
                raise OSError(f"Ray could not be started on this machine: {error}") from error
            raise OSError(
                f"this machine is not part of a Ray cluster at {settings.cluster}: run `ray start "
                f"--address={settings.cluster}` on it first, or use --cluster {LOCAL_CLUSTER}"
            ) from error


def check_address(address: str) -> None:
    """Raise OSError where nobody answers, or nobody of Ray's: it would itself ask for minutes."""
    if address == LOCAL_CLUSTER:
        return
    host, _, port = address.rpartition(":")
    sentence = (
        f"there is no Ray cluster at {address}: start one with `ray start --head --port={port}` "
        f"there, or use --cluster {LOCAL_CLUSTER}"
    )
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=SECONDS) as line:
            line.sendall(GREETING)
            answer = line.recv(9)
    except OSError as error:
        raise OSError(sentence) from error
    # Only what speaks HTTP/2 answers with settings, unless all is encrypted.
    if answer[3:4] != b"\4" and os.environ.get("RAY_USE_TLS", "0") == "0":
        raise OSError(sentence)


@contextlib.contextmanager
def _own_signals():
    """Keep what SIGTERM does: Ray has it end the process wherever it is."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _cluster(ray, settings: Settings) -> Cluster:
    """What each piece of work gets, and how many have a place."""
    there = ray.cluster_resources()
    gpus = settings.cluster_gpus
    if gpus is None:
        gpus = 1.0 if there.get("GPU") else 0.0
    options = dict(num_cpus=settings.cluster_cpus, num_gpus=gpus)
    places = 0
    for node in ray.nodes():
        has = node["Resources"] if node["Alive"] else {}
        fits = [has.get("CPU", 0) / settings.cluster_cpus]
        fits += [has.get("GPU", 0) / gpus] if gpus else []
        places += math.floor(min(fits) + 1e-6)
    if not places:
        raise OSError(
            f"no machine of the cluster has {settings.cluster_cpus:g} CPUs and {gpus:g} GPUs: "
            "lower --cluster-cpus or --cluster-gpus"
        )
    from ..runs.console import loading_keras

    with loading_keras(settings.debug):
        from .. import backend
    threads = str(max(1, math.ceil(settings.cluster_cpus)))
    environment = {
        "KERAS_BACKEND": backend.NAME,
        "TF_CPP_MIN_LOG_LEVEL": "3",
        # TensorFlow would take all CPUs of the machine for each process.
        "TF_NUM_INTRAOP_THREADS": threads,
        "TF_NUM_INTEROP_THREADS": "1",
    }
    if not gpus:
        environment["CUDA_VISIBLE_DEVICES"] = ""
    return Cluster(ray, places, options, environment)


def check_version(version: str) -> None:
    """Raise ValueError where this machine has another version of this program than the one that
    sends it work."""
    if version != VERSION:
        raise ValueError(
            f"{socket.gethostname()} has {PROGRAM} {VERSION} and this machine {version}: install "
            "the same on both"
        )
