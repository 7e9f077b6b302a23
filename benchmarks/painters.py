"""How good painters are, and how fast.

    python benchmarks/painters.py loss --painter paintbox --network imagenet-vgg-verydeep-19.mat \\
        --photos DIR --styles the_scream=scream.jpg ... --peers painters.json
    python benchmarks/painters.py time --painter paintbox [--size 256 512 1024] [--rounds 5]

`loss` judges what a painter makes of photographs it was not trained on by an objective of this
program, and sets it beside what published networks reach, from a file of their losses.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

import numpy as np
from keras import ops
from neural_style_keras import painters, pictures, vgg
from neural_style_keras.painters.architecture import Painter
from neural_style_keras.painters.painting import paint
from neural_style_keras.painters.training import PerceptualLoss
from neural_style_keras.settings import RECIPES, Settings

SIDE = 256  # pixels: of the photographs that the published networks' losses are of


def loss(arguments: argparse.Namespace) -> None:
    """A row for each style: the mean of each loss, and the total over the peers'."""
    settings = Settings(**RECIPES["fast-style-transfer"].settings)
    network = vgg.load(arguments.network)
    painter = painters.load(arguments.painter)
    peers = json.loads(Path(arguments.peers).read_text())
    photos = [
        pictures.middle_square(pictures.read(Path(arguments.photos) / name), SIDE)
        for name in peers["photos"]
    ]
    print("| style | content | style | tv | total | published | ratio |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for given in arguments.styles:
        name, _, path = given.partition("=")
        criterion, rows = PerceptualLoss([pictures.read(path)], settings, network, SIDE), []
        for photo in photos:
            painted = paint(painter, photo, name)
            one = criterion(painted[np.newaxis], photo[np.newaxis], np.zeros(1, np.int32))
            terms = ops.convert_to_numpy(one)[0]
            rows.append([*terms, terms.sum()])
        means = np.mean(rows, axis=0)
        numbers = " | ".join(f"{x:.4g}" for x in means)
        peer = peers["styles"].get(name)
        told = f"{peer['mean_total']:.4g} | {means[-1] / peer['mean_total']:.2f}" if peer else " | "
        print(f"| {name} | {numbers} | {told} |", flush=True)


def seconds(arguments: argparse.Namespace) -> None:
    """Seconds for a picture, of this painter and of the published architecture, in turn."""
    painter = painters.load(arguments.painter)
    published = Painter(width_factor=1.0, upsampling="transposed", edge_kernel=9)
    print("| size | painter | published architecture | ratio |")
    print("| --- | --- | --- | --- |")
    for side in arguments.size:
        photo = np.random.default_rng(0).uniform(0, 255, (side, side, 3)).astype(np.float32)
        took = {painter: [], published: []}
        for _ in range(arguments.rounds + 1):
            for one, times in took.items():
                began = time.perf_counter()
                paint(one, photo, one.names[0], tile=arguments.tile)
                times.append(time.perf_counter() - began)
        ours, theirs = (times[1:] for times in took.values())
        ratios = [a / b for a, b in zip(ours, theirs)]
        told = " | ".join(
            f"{statistics.median(x):.3f} ({min(x):.3f} to {max(x):.3f})"
            for x in (ours, theirs, ratios)
        )
        print(f"| {side}x{side} | {told} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=["loss", "time"])
    parser.add_argument("--painter", default="paintbox")
    parser.add_argument("--network", help="VGG-19, which judges")
    parser.add_argument("--photos", help="a folder with the photographs of the peers' file")
    parser.add_argument("--peers", help="the losses of published networks")
    parser.add_argument(
        "--styles", nargs="+", metavar="NAME=PICTURE", help="the painter's name of each style"
    )
    parser.add_argument("--size", type=int, nargs="+", default=[256, 512, 1024])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tile", type=int, default=0)
    arguments = parser.parse_args()
    {"loss": loss, "time": seconds}[arguments.command](arguments)


if __name__ == "__main__":
    main()
