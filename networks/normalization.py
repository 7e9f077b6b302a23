"""Networks whose filters have a mean activation of one, as that of the papers has.

"We normalized the network by scaling the weights such that the mean activation of each
convolutional filter over images and positions is equal to one" (Gatys, Ecker, Bethge, arXiv
1508.06576, section Methods, and arXiv 1505.07376, section 2). What a filter gives after its ReLU is
scaled, and the layer after it takes the scale back: nothing else changes.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
from keras import ops
from tqdm import tqdm

from .. import backend, pictures, vgg
from ..settings import PROGRAM, Settings

MEANS = Path(__file__).with_name("means.npz")  # made by distill/means.py
PHOTOGRAPHS = 200  # of a folder, at most: as many in a larger one, evenly spread
SIDE = 224  # of the squares that are measured, as the networks were trained on them
BATCH = 8
# The least mean, over the median of the layer's: what hardly ever fires is not made to shout.
LEAST = 1e-2

Means = Mapping[str, np.ndarray]  # convolution -> (filters,) float32, after the ReLU


def normalized(parameters: vgg.Parameters, means: Means) -> vgg.Parameters:
    """The network with each filter's weights and bias divided by its mean activation, and the next
    layer's inputs multiplied by it."""
    floors = {name: np.maximum(mean, LEAST * np.median(mean)) for name, mean in means.items()}
    # A filter that never fired, in a layer where most never did.
    factors = {name: 1 / np.where(mean > 0, mean, 1) for name, mean in floors.items()}
    return vgg.scaled(parameters, factors)


def means(parameters: vgg.Parameters, settings: Settings) -> Means:
    """The means that the settings ask for: the package's, or measured on a folder's photographs.

    Raises ValueError where the package has none for this network, or a layer that the losses take
    is not of filters with a mean; OSError for a folder with no photographs.
    """
    folder = settings.normalization_folder()
    found = None if folder else packaged(parameters, settings.pooling)
    if found is None and not folder:
        raise ValueError(
            "there is no table of this network's mean activations: --normalize-network FOLDER "
            "measures them on photographs"
        )
    for name in settings.layers():
        conv = next(x for x in reversed(parameters.up_to([name])) if x.type == "conv")
        if conv.name not in (found or parameters.filters()):
            raise ValueError(
                f"{name} of this network has no mean activations to be normalised by, as no ReLU "
                "follows its convolution: choose conv layers, or another network"
            )
    if folder:
        photographs = squares(folder, quiet=settings.quiet)
        found = measured(parameters, photographs, settings.pooling, settings.layers())
    return found


def digest(means: Means) -> str:
    """What tells means apart: the SHA-256 of all."""
    return hashlib.sha256(np.concatenate(list(means.values())).tobytes()).hexdigest()


def packaged(parameters: vgg.Parameters, pooling: str) -> Means | None:
    """The means of a network that the package has a table for; None for any other.

    A network is known by its biases, which are the same in every file that it is published in.
    """
    found = fingerprint(parameters)
    with np.load(MEANS) as tables:
        names = [key.split("/")[0] for key in tables.files if key.endswith("/biases")]
        for name in names:
            biases = tables[f"{name}/biases"]
            # A file may go on where the one that was measured ends.
            same = found[: len(biases)]
            if same.shape == biases.shape and np.allclose(same, biases, rtol=1e-3, atol=1e-6):
                return _split(parameters, tables[f"{name}/{pooling}"])
    return None


def measured(
    parameters: vgg.Parameters,
    photographs: Iterable[np.ndarray],
    pooling: str,
    names: Collection[str] | None = None,
) -> Means:
    """The mean activation of each filter over photographs and positions.

    They depend on the pooling: what is averaged is smaller than what is largest.

    Args:
        parameters: the network, as it is.
        photographs: (SIDE, SIDE, 3) RGB in 0..255, one or more.
        pooling: `max` or `avg`.
        names: measure the filters down to the deepest of these layers; all if not given.
    """
    kept = {layer.name for layer in parameters.up_to(names or parameters.filters())}
    relus = {conv: relu for conv, relu in parameters.filters().items() if conv in kept}
    model = vgg.build(parameters, list(relus.values()), pooling)

    def sums(images):
        given = model(images)
        return {conv: ops.sum(ops.mean(given[relu], (1, 2)), 0) for conv, relu in relus.items()}

    run, total, count = backend.compiled(sums, model), None, 0
    for batch in _batches(photographs):
        count += len(batch)
        part = run(ops.convert_to_tensor(batch - parameters.mean_pixel))
        part = {conv: ops.convert_to_numpy(x).astype(np.float64) for conv, x in part.items()}
        total = {conv: x + total[conv] for conv, x in part.items()} if total else part
    return {conv: (x / count).astype(np.float32) for conv, x in total.items()}


def squares(folder, most: int = PHOTOGRAPHS, quiet: bool = True) -> Iterator[np.ndarray]:
    """The middle of each photograph of a folder, (SIDE, SIDE, 3) RGB in 0..255; of `most` of them,
    evenly spread, with a bar unless `quiet`.

    What this program has made is no photograph: a run's own output may lie in the same folder.

    Raises OSError if there is no such folder, no picture in it, or one that cannot be read.
    """
    paths = [path for path in pictures.found(folder) if PROGRAM not in pictures.comment(path)]
    paths = [paths[i * len(paths) // most] for i in range(most)] if len(paths) > most else paths
    for path in tqdm(paths, "mean activations", leave=False, disable=quiet or None):
        yield pictures.middle_square(pictures.read(path), SIDE)


def fingerprint(parameters: vgg.Parameters) -> np.ndarray:
    """What tells a network: the mean bias of each convolution that a ReLU follows."""
    return np.array(
        [layer.bias.mean() for layer in parameters.layers if layer.name in parameters.filters()],
        np.float32,
    )


def _split(parameters: vgg.Parameters, means: np.ndarray) -> Means:
    """The means of filters, one after the other, by convolution."""
    found = {}
    for name in parameters.filters():
        if len(means):
            count = parameters.channels(name)
            found[name], means = means[:count], means[count:]
    return found


def _batches(photographs: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """(n, H, W, 3), n at most BATCH."""
    iterator = iter(photographs)
    while batch := list(itertools.islice(iterator, BATCH)):
        yield np.stack(batch).astype(np.float32)
