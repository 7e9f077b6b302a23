"""Write the table of the mean activations of a network's filters that `--normalize-network` takes:

    python -m distill.means --networks imagenet-vgg-verydeep-19.mat compact --names vgg19 compact \
        --photos DIR --output networks/means.npz

from the middles of photographs evenly spread over the folder, at 224 pixels, for either pooling.
"""

from __future__ import annotations

import argparse

import numpy as np
from neural_style_keras import files, networks, vgg
from neural_style_keras.networks import normalization


def tables(parameters: vgg.Parameters, folder, most: int) -> dict[str, np.ndarray]:
    """What the package keeps of one network: its biases' means, by which it is known, and under
    each pooling the mean activations of all filters, one after the other."""
    found = {"biases": normalization.fingerprint(parameters)}
    for pooling in ("max", "avg"):
        photographs = normalization.squares(folder, most, quiet=False)
        means = normalization.measured(parameters, photographs, pooling)
        found[pooling] = np.concatenate(list(means.values()))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--networks", required=True, nargs="+", help="names or files")
    parser.add_argument("--names", required=True, nargs="+", help="what each is called")
    parser.add_argument("--photos", required=True, help="a folder of photographs")
    parser.add_argument("--most", type=int, default=normalization.PHOTOGRAPHS)
    parser.add_argument("--output", required=True, help="the .npz to write")
    arguments = parser.parse_args()
    arrays = {}
    for name, network in zip(arguments.names, arguments.networks, strict=True):
        found = tables(networks.load(network), arguments.photos, arguments.most)
        arrays |= {f"{name}/{key}": value for key, value in found.items()}
    with files.replacing(arguments.output) as file:
        np.savez_compressed(file, **arrays)


if __name__ == "__main__":
    main()
