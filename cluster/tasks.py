"""Many independent pieces of work, as Ray's tasks or here: pictures, the scenes of films."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ..settings import VERSION, Settings
from .connection import Cluster, check_version, connected

ATTEMPTS = 3  # after which work is given up whose worker dies, or that fails without a sentence
AHEAD = 2  # pieces that are sent out for each that has a place: the next is there when one ends


def run_each(
    work: Callable[[Any, Any], Any],
    common,
    items: Iterable,
    settings: Settings,
    *,
    load: Callable[[Any], Any] = lambda item: item,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[tuple[Any, Any]]:
    """Do `work(common, load(item))` for each item: on the cluster that the settings name, many
    side by side, or without one here, in order.

    A worker that dies has its work done again elsewhere, as has one that fails without a sentence
    (a ValueError or an OSError is one, and final); after three times it is given up.

    Args:
        work: a function of a module, whose results can be pickled. What `common` keeps for the next
            item stays with each worker.
        common: what all items need, as the networks; sent to each machine once.
        items: what is to be done.
        settings: of them, what concerns the cluster.
        load: makes of an item what is sent out, here and not before it has its turn; None for an
            item that needs no work.
        stop: asked about once a second; once true, nothing more is begun, and what is not done is
            given up.

    Yields:
        Each item, as it is done, with its result; or with the exception that it failed with, of
        which the text is a sentence; or with None, where it needed no work.

    Raises OSError where there is no cluster.
    """
    if settings.cluster is None:
        yield from _run_here(work, common, items, load, stop)
        return
    with connected(settings) as cluster:
        yield from _run_there(cluster, work, common, items, load, stop)


def _run_here(work, common, items, load, stop):
    for item in items:
        if stop():
            return
        try:
            loaded = load(item)
            result = None if loaded is None else work(common, loaded)
        except Exception as error:
            result = error
        yield item, result


def _run_there(cluster: Cluster, work, common, items, load, stop):
    ray = cluster.ray
    task = ray.remote(_attempt).options(
        **cluster.options, max_retries=ATTEMPTS - 1, retry_exceptions=True
    )
    given = cluster.environment, VERSION, work
    shared, sent = ray.put(common), {}
    try:
        for item in items:
            if stop():
                return
            try:
                loaded = load(item)
            except Exception as error:
                yield item, error
                continue
            if loaded is None:
                yield item, None
                continue
            # In a list, since the worker is to read them only once it is prepared.
            sent[task.remote(*given, [shared, ray.put(loaded)])] = item
            while len(sent) >= AHEAD * cluster.side_by_side and not stop():
                yield from _ended(ray, sent)
        while sent and not stop():
            yield from _ended(ray, sent)
    finally:
        for ref in sent:
            ray.cancel(ref, force=True)


def _ended(ray, sent: dict):
    """Those that end within a second, with what came of them."""
    done, _ = ray.wait(list(sent), timeout=1)
    for ref in done:
        yield sent.pop(ref), _result(ray, ref)


def _attempt(environment, version, work, refs):
    """A task: the result, or a sentence as an exception that is returned."""
    import ray

    from ..runs.console import loading_keras, sentence

    os.environ.update(environment)
    try:
        check_version(version)
        common, loaded = refs
        with loading_keras():
            return work(_common(common), ray.get(loaded))
    except (ValueError, OSError) as error:
        return ValueError(sentence(error))
    except Exception as error:  # some cannot be pickled
        raise RuntimeError(sentence(error)) from None


@functools.lru_cache(maxsize=1)
def _common(ref):
    import ray

    return ray.get(ref)


def _result(ray, ref):
    """What a task has returned, or an exception that says why it has not."""
    try:
        return ray.get(ref)
    except ray.exceptions.RayTaskError as error:
        return RuntimeError(f"{error.cause} ({ATTEMPTS} times)")
    except ray.exceptions.OutOfMemoryError:
        return MemoryError("out of memory")
    except ray.exceptions.RayError as error:
        return OSError(f"its worker died {ATTEMPTS} times ({type(error).__name__})")
