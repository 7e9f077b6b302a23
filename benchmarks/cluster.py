"""Measure many pictures, and one picture over many machines; print tables.

    python benchmarks/cluster.py pictures --photos FOLDER --style a.jpg --count 40
    python benchmarks/cluster.py scale --network vgg19.mat --sizes 4096 16384

`pictures`: pictures per minute of the preset `fast`, with few iterations, or of a painter: in one
process, on `--cluster local`, and with the program started anew for each (of a few of them).

`scale`: of one picture over N machines, the bytes that a step moves, and from the time that this
machine takes to compute a pixel and networks of 1, 10 and 100 Gbit/s the number of machines from
which on the network takes longer than the computing.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

ROOT = Path(__file__).resolve().parent.parent
GBIT = 1e9 / 8  # bytes a second
NETWORKS = (1, 10, 100)
MACHINES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
REPEATS = 3


def timed(words: list[str]) -> float:
    """Seconds that the program takes, from its start to its end."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "neural_style_keras", *words, "--quiet"]
    subprocess.run(command, check=True, cwd=ROOT.parent)
    return time.perf_counter() - began


def pictures(options) -> None:
    """Print pictures per minute, three ways."""
    photos = sorted(Path(options.photos).glob("*.jpg"))[: options.count]
    fast = ["--styles", options.style, "--network", "compact", "--preset", "fast"]
    words = {
        "fast": [*fast, "--painter", "none", "--iterations", str(options.iterations)],
        "painter": ["apply", "--painter", "paintbox", "--style", "wave"],
    }[options.by] + ["--width", str(options.width)]
    print(f"{options.by}, {len(photos)} photographs, {options.width} pixels wide")
    with tempfile.TemporaryDirectory() as folder:
        output = f"{folder}/{{name}}.png"
        together = [*words, "--content", *map(str, photos), "--overwrite", "--output", output]
        for name, more in (("one process", []), ("two workers", ["--cluster", "local"])):
            seconds = timed([*together, *more])
            print(
                f"{name}: {60 * len(photos) / seconds:.1f} a minute ({seconds:.0f} s)", flush=True
            )
            for path in Path(folder).iterdir():
                path.unlink()
        alone = [
            timed([*words, "--content", str(photo), "--output", f"{folder}/{photo.stem}.png"])
            for photo in photos[: options.alone]
        ]
        rate, seconds = 60 / statistics.median(alone), ", ".join(f"{x:.0f}" for x in alone)
        print(f"the program anew for each: {rate:.1f} a minute (of {len(alone)}: {seconds} s)")


def seconds_per_pixel(network: str, tile: int) -> float:
    """Of both passes over a tile, per pixel of its crop."""
    import numpy as np
    from neural_style_keras import networks
    from neural_style_keras.objective import Block, Statistics, TileWork
    from neural_style_keras.settings import Settings

    parameters, settings = networks.load(network), Settings()
    statistics_ = Statistics((2 * tile, 2 * tile), 1, settings, parameters, tile)
    [one, *_] = statistics_.cut(2 * tile, 2 * tile)
    side = one.shape.height
    image = np.random.default_rng(0).uniform(0, 255, (side, side, 3)).astype(np.float32)
    work = TileWork(statistics_, Block([one], image))
    took = []
    for _ in range(REPEATS + 1):
        began = time.perf_counter()
        work.gradient(image[np.newaxis], work.sums(image[np.newaxis]))
        took.append(time.perf_counter() - began)
    return statistics.median(took[1:]) / side**2


def moved(side: int, tile: int, machines: int, parameters, settings) -> tuple[int, int, int]:
    """Bytes that a step sends out and takes in, and the pixels of the machine with the most."""
    from neural_style_keras.cluster.tiles import Part, parted
    from neural_style_keras.tiles import grid

    layers = settings.layers()
    stride = parameters.stride(layers)
    halo = -(-parameters.reach(layers) // stride) * stride
    tiles = grid(side, side, tile=tile, halo=halo)
    parts = [Part(None, one) for one in parted(tiles, machines)]
    pixels = 0
    for part in parts:
        rows, columns = part.box
        pixels += (rows.stop - rows.start) * (columns.stop - columns.start)
    sums = 4 * sum(parameters.channels(layer) ** 2 for layer in settings.style_weights())
    busiest = max(sum(t.shape.height * t.shape.width for t in part.tiles) for part in parts)
    each = 12 * pixels + len(parts) * sums
    return each, each, busiest


def scale(options) -> None:
    """Print bytes per step and per pixel, and where the network becomes the limit."""
    from neural_style_keras import networks
    from neural_style_keras.cluster.tiles import balanced_tile
    from neural_style_keras.settings import Settings

    parameters, settings = networks.load(options.network), Settings(tile="0")
    pixel = options.seconds or seconds_per_pixel(options.network, options.tile)
    print(f"{1e6 * pixel:.2f} s for a megapixel of both passes on one machine\n")
    header = "| picture | machines | bytes a step | bytes a pixel | s computing |"
    print(header + "".join(f" s at {n} Gbit/s |" for n in NETWORKS))
    print("| --- " * (5 + len(NETWORKS)) + "|")
    for side in options.sizes:
        limits = dict.fromkeys(NETWORKS)
        for machines in MACHINES:
            tile = balanced_tile((side, side), settings, parameters, machines)
            if not tile:
                continue
            out, back, busiest = moved(side, tile, machines, parameters, settings)
            computing = busiest * pixel
            # The driver's line is full duplex, but its two ways are not used at once.
            sending = {n: (out + back) / (n * GBIT) for n in NETWORKS}
            for n in NETWORKS:
                if limits[n] is None and sending[n] > computing:
                    limits[n] = machines
            times = "".join(f" {sending[n]:.2f} |" for n in NETWORKS)
            print(
                f"| {side}x{side} | {machines} | {(out + back) / 1e6:.0f} MB | "
                f"{(out + back) / side**2:.0f} | {computing:.1f} |{times}"
            )
        told = (f"{n} Gbit/s from {limits[n] or f'more than {MACHINES[-1]}'}" for n in NETWORKS)
        print(
            f"| **{side}x{side}** | the network is the limit: {', '.join(told)} machines |"
            + " |" * 6
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    actions = parser.add_subparsers(required=True)
    many = actions.add_parser("pictures")
    many.set_defaults(run=pictures)
    many.add_argument("--photos", required=True)
    many.add_argument("--style", required=True)
    many.add_argument("--by", choices=("fast", "painter"), default="fast")
    many.add_argument("--count", type=int, default=40)
    many.add_argument("--alone", type=int, default=4)
    many.add_argument("--width", type=int, default=128)
    many.add_argument("--iterations", type=int, default=20)
    one = actions.add_parser("scale")
    one.set_defaults(run=scale)
    one.add_argument("--network", default="vgg19")
    one.add_argument("--sizes", type=int, nargs="+", default=[4096, 16384])
    one.add_argument("--tile", type=int, default=512)
    one.add_argument("--seconds", type=float, help="per pixel; measured if not given")
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
