"""How good painters are, and how fast.

    python benchmarks/painters.py loss --painter paintbox --network imagenet-vgg-verydeep-19.mat \\
        --photos DIR --styles the_scream=scream.jpg ... --peers painters.json
    python benchmarks/painters.py loss --painter any.keras ...
    python benchmarks/painters.py time --painter paintbox [--size 256 512 1024] [--rounds 5]
    python benchmarks/painters.py evaluations --network ... --photos DIR --styles ... --peers ...
    python benchmarks/painters.py start --network ... --photos DIR --styles ... --peers ...

`loss` judges what a painter makes of photographs it was not trained on by an objective of this
program, and sets it beside what published networks reach, from a file of their losses.
`evaluations` is the measure of arXiv 1603.08155: how many evaluations of L-BFGS from noise reach
the loss of the painted picture, as it is or refined. `start` is what the preset `fast` saves where
it begins with it.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import time
from pathlib import Path

import numpy as np
from keras import ops
from neural_style_keras import load_network, painters, pictures, preset, transfer_style, vgg
from neural_style_keras.minimise.schedule import schedule
from neural_style_keras.painters.architecture import Painter
from neural_style_keras.painters.painting import embed_styles, paint
from neural_style_keras.painters.training import PerceptualLoss
from neural_style_keras.runs.transfer import Networks, load_networks
from neural_style_keras.settings import RECIPES, Settings

SIDE = 256  # pixels: of the photographs that the published networks' losses are of


def loss(arguments: argparse.Namespace) -> None:
    """A row for each style: the mean of each loss, and the total over the peers'."""
    settings = Settings(**RECIPES["fast-style-transfer"].settings)
    network = vgg.load(arguments.network)
    painter = painters.load(arguments.painter)
    peers = json.loads(Path(arguments.peers).read_text())
    photos = judged(arguments)
    print("| style | content | style | tv | total | published | ratio |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, style in named(arguments).items():
        criterion, rows = PerceptualLoss([style], settings, network, SIDE), []
        how = embed_styles(painter, [style]) if painter.any_style else name
        for photo in photos:
            painted = paint(painter, photo, how, refine=arguments.refine)
            terms = judged_by(criterion, painted, photo)
            rows.append([*terms, terms.sum()])
        means = np.mean(rows, axis=0)
        numbers = " | ".join(f"{x:.4g}" for x in means)
        # Theirs are of all photographs.
        peer = None if arguments.most else peers["styles"].get(name)
        told = f"{peer['mean_total']:.4g} | {means[-1] / peer['mean_total']:.2f}" if peer else " | "
        print(f"| {name} | {numbers} | {told} |", flush=True)


def judged_by(criterion: PerceptualLoss, painted: np.ndarray, photo: np.ndarray) -> np.ndarray:
    """The losses of a painted photograph, (terms,)."""
    one = criterion(painted[np.newaxis], photo[np.newaxis], np.zeros(1, np.int32))
    return ops.convert_to_numpy(one)[0]


def judged(arguments: argparse.Namespace) -> list[np.ndarray]:
    """The photographs of the peers' file, squares of `SIDE`; the first few with `--most`."""
    names = json.loads(Path(arguments.peers).read_text())["photos"][: arguments.most]
    folder = Path(arguments.photos)
    return [pictures.middle_square(pictures.read(folder / name), SIDE) for name in names]


def named(arguments: argparse.Namespace) -> dict[str, np.ndarray]:
    pairs = (given.partition("=") for given in arguments.styles)
    return {name: pictures.read(path) for name, _, path in pairs}


def evaluations(arguments: argparse.Namespace) -> None:
    """A row for each style: evaluations of plain L-BFGS from noise to the painted picture's loss,
    of each photograph, by the objective that the painter was trained for."""
    chosen = RECIPES["fast-style-transfer"].settings | {"precision": arguments.precision}
    network, painter = load_network(arguments.network), painters.load(arguments.painter)
    noise = {"optimizer": "lbfgs", "iterations": arguments.iterations, "print_iterations": 5}
    photos = judged(arguments)
    print("| style | painted | evaluations | median |")
    print("| --- | --- | --- | --- |")
    for name, style in named(arguments).items():
        criterion = PerceptualLoss([style], Settings(**chosen), network, SIDE)
        needed, totals = [], []
        for photo in photos:
            how = embed_styles(painter, [style]) if painter.any_style else name
            painted = paint(painter, photo, how, refine=arguments.refine)
            total = judged_by(criterion, painted, photo).sum()
            steps = transfer_style(photo, [style], Settings(**chosen | noise), network=network)
            reached = (p.iteration for p in steps if p.losses.total <= total)
            totals.append(total)
            needed.append(next(reached, arguments.iterations + 1))
        told = " ".join(str(n) if n <= arguments.iterations else f"> {n - 1}" for n in needed)
        row = f"{statistics.fmean(totals):.4g} | {told} | {statistics.median(needed):g}"
        print(f"| {name} | {row} |", flush=True)


# How the preset `fast` may go on from a painted picture.
FROM_PAINTED = {
    "all of fast": {},
    "one size": {"scales": "off"},
    "one size, no warm start": {"scales": "off", "warm_start": None},
}


def start(arguments: argparse.Namespace) -> None:
    """A row for each style and photograph: the seconds, without imports and loading, that `fast`
    takes from noise, and those after which it is at that loss from the painted picture."""
    fast = preset("fast", painter=None, network=arguments.network, print_iterations=5)
    networks = load_networks(fast)
    photos = judged(arguments)
    print(f"| style | photograph | from noise | {' | '.join(FROM_PAINTED)} |")
    print(f"| --- | --- | --- {'| --- ' * len(FROM_PAINTED)}|")
    for name, style in named(arguments).items():
        from_painted = {"painter": arguments.painter}
        if not painters.read_config(arguments.painter)["any_style"]:
            from_painted["style"] = (name,)
        for i, photo in enumerate(photos, start=1):
            took, wanted = course(photo, style, fast, networks)[-1]
            cells = []
            for chosen in FROM_PAINTED.values():
                settings = dataclasses.replace(fast, **from_painted, **chosen)
                times = course(photo, style, settings, networks)
                sooner = next((t for t, total in times if total <= wanted), None)
                told = f"{sooner:.1f} s" if sooner else "not reached"
                cells.append(f"{told}, ends at {times[-1][1] / wanted:.3f} in {times[-1][0]:.1f} s")
            print(f"| {name} | {i} | {took:.1f} s | {' | '.join(cells)} |", flush=True)


def course(photo, style, settings: Settings, networks: Networks) -> list[tuple[float, float]]:
    """Seconds and total loss at each report of the last stage, whose network is the real one."""
    if settings.warm_start is None:
        networks = dataclasses.replace(networks, warm=None)
    shapes = settings.sizes([picture.shape[1::-1] for picture in (photo, style)])
    stages = schedule(shapes, settings, networks.network, networks.warm)
    first = stages[-2].end if len(stages) > 1 else 0
    began, found = time.perf_counter(), []
    for p in transfer_style(photo, [style], settings, network=networks):
        if p.iteration > first:
            found.append((time.perf_counter() - began, p.losses.total))
    return found


def seconds(arguments: argparse.Namespace) -> None:
    """Seconds for a picture, of this painter and of the published architecture, in turn."""
    painter = painters.load(arguments.painter)
    published = Painter(width_factor=1.0, upsampling="transposed", edge_kernel=9)
    if arguments.precision != "auto":
        for one in (painter, published):
            one.multiply_in(arguments.precision)
    print("| size | painter | published architecture | ratio |")
    print("| --- | --- | --- | --- |")
    for side in arguments.size:
        photo = np.random.default_rng(0).uniform(0, 255, (side, side, 3)).astype(np.float32)
        took = {painter: [], published: []}
        for _ in range(arguments.rounds + 1):
            for one, times in took.items():
                how = embed_styles(one, [photo]) if one.any_style else one.names[0]
                began = time.perf_counter()
                refine = arguments.refine if one.is_decoder else 0
                paint(one, photo, how, tile=arguments.tile, refine=refine)
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
    parser.add_argument("command", choices=["loss", "time", "evaluations", "start"])
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
    parser.add_argument(
        "--refine",
        type=int,
        default=0,
        help="steps, after the pass; not in `start`",
    )
    parser.add_argument("--most", type=int, help="of the photographs; all of them if not given")
    parser.add_argument("--iterations", type=int, default=300, help="of L-BFGS, at most")
    parser.add_argument(
        "--precision",
        default="auto",
        help="of the network, in `evaluations`; of the painters, in `time`, where auto is float32",
    )
    arguments = parser.parse_args()
    commands = {"loss": loss, "time": seconds, "evaluations": evaluations, "start": start}
    commands[arguments.command](arguments)


if __name__ == "__main__":
    main()
