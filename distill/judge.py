"""How good is a network's picture, in the eyes of VGG-19?

    python -m distill.judge --network imagenet-vgg-verydeep-19.mat --candidate compact.mat \\
        --content tubingen.jpg --styles starry-night.jpg the_scream.jpg --output pictures/

For each style, from the content and from noise, each network paints with 100 evaluations of
L-BFGS and every other setting at its default; VGG-19 in float32 says what each picture's loss is.
VGG-19's own pictures are kept in the output folder and not painted again. Prints a markdown
table, and writes the pictures side by side: VGG-19's on the left.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
from neural_style_keras import pictures, stylize, vgg
from neural_style_keras.objective import Objective
from neural_style_keras.settings import Settings

STARTS = {"content": 0.0, "noise": 1.0}


def paint(content, style, network: vgg.Parameters, start: str, precision: str) -> np.ndarray:
    """The picture (H, W, 3) after 100 evaluations of L-BFGS."""
    settings = Settings(
        optimizer="lbfgs",
        iterations=100,
        print_iterations=100,
        initial_noiseblend=STARTS[start],
        precision=precision,
    )
    *_, last = stylize.stylize(content, [style], settings, network)
    return last.image


def gradient_times(content, style, networks, precision: str, repeats: int = 7) -> list[float]:
    """Median seconds of a gradient with each network, in turn."""
    aims = [
        (
            Objective(content, [style], Settings(precision=precision), network),
            vgg.preprocess(content[:, ::-1], network.mean_pixel),
        )
        for network in networks
    ]
    took = [[] for _ in networks]
    for _ in range(repeats + 1):
        for times, (aim, image) in zip(took, aims):
            began = time.perf_counter()
            aim.gradient(image)
            times.append(time.perf_counter() - began)
    return [statistics.median(times[1:]) for times in took]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--network", required=True, help="VGG-19, the judge")
    parser.add_argument("--candidate", required=True, help="the .mat that is judged")
    parser.add_argument("--content", required=True)
    parser.add_argument("--styles", required=True, nargs="+")
    parser.add_argument("--output", required=True, type=Path, help="a folder for the pictures")
    parser.add_argument("--width", type=int, default=320)
    parser.add_argument("--starts", nargs="+", default=list(STARTS), choices=STARTS)
    parser.add_argument("--precision", default="float32")
    arguments = parser.parse_args()
    teacher, candidate = vgg.load(arguments.network), vgg.load(arguments.candidate, cache=False)
    width = arguments.width

    def read(path):
        picture = pictures.read(path)
        return pictures.resize(picture, width, int(picture.shape[0] * width / picture.shape[1]))

    arguments.output.mkdir(parents=True, exist_ok=True)
    content = read(arguments.content)
    print("| style | start | VGG-19's picture | the candidate's | ratio |")
    print("| --- | --- | --- | --- | --- |")
    ratios = {start: [] for start in arguments.starts}
    rows = []
    for path in map(Path, arguments.styles):
        style = read(path)
        judge = Objective(content, [style], Settings(), teacher)

        def judged(picture, judge=judge):
            return judge.evaluate(vgg.preprocess(picture, teacher.mean_pixel)).total

        row = []
        for start in arguments.starts:
            kept = arguments.output / f"vgg19-{path.stem}-{start}-{width}.png"
            if not kept.exists():
                pictures.write(kept, paint(content, style, teacher, start, arguments.precision))
            best = pictures.read(kept)
            other = paint(content, style, candidate, start, arguments.precision)
            losses = judged(best), judged(other)
            ratios[start].append(losses[1] / losses[0])
            print(
                f"| {path.stem} | {start} | {losses[0]:.4g} | {losses[1]:.4g} "
                f"| {ratios[start][-1]:.2f} |",
                flush=True,
            )
            row += [best, other]
        rows.append(np.concatenate(row, axis=1))
        pictures.write(arguments.output / "side-by-side.png", np.concatenate(rows))
    for start, values in ratios.items():
        print(f"| the mean | {start} | | | {statistics.mean(values):.2f} |")
    for precision in ("float32", "bfloat16"):
        slow, fast = gradient_times(content, style, (teacher, candidate), precision)
        print(
            f"\nA gradient in {precision}: {slow:.3f} s and {fast:.3f} s, {slow / fast:.1f} times"
        )


if __name__ == "__main__":
    main()
