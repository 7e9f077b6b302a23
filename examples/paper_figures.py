"""The papers' figures and the tool's tweaks, each a montage of pictures that are made here.

    python examples/paper_figures.py --images DIR --output figures/

DIR holds the inputs of figure 2 of arXiv 1508.06576 under the names in `STYLES`. It can be
stopped and started again: each picture is kept under `cells` in the output folder, and made only
once. `--only` names figures; `--network` is VGG-19, to be fetched if it is not there.

Everything is minimised with the machinery of the preset `fast`: L-BFGS on spatial frequencies,
from coarse to fine, begun with the compact network, in half precision where that is faster. The
objective is the recipe's own, and it ends with VGG-19.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from dataclasses import dataclass, field
from pathlib import Path

from neural_style_keras import files, neural_style, pictures
from neural_style_keras.settings import (
    CONV_STYLE_LAYERS,
    NEXT_STYLE,
    PRESETS,
    STYLE_LAYERS,
    flag,
)

CONTENT = "tubingen.jpg"
STYLES = {
    "shipwreck.jpg": "J. M. W. Turner",
    "starry-night.jpg": "Vincent van Gogh",
    "the_scream.jpg": "Edvard Munch",
    "seated-nude.jpg": "Pablo Picasso",
    "kandinsky.jpg": "Wassily Kandinsky",
}
TITLES = {"starry-night.jpg": "The Starry Night", "kandinsky.jpg": "Composition VII"}
FAST = [
    word for name, value in PRESETS["fast"].settings.items() for word in (flag(name), str(value))
]
FROM_NOISE = ["--preset", "fast", "--painter", "none"]
# From noise of the full range, coarse to fine leaves a grain that the paper's losses hardly see.
GATYS = ["--preset", "gatys", *FAST, "--noise", "normal"]
# The network normalised as the paper's, and each loss divided as in the first author's own code
# (leongatys/PytorchNeuralStyleTransfer): a mean of squares, and the style's over the square of the
# number of filters besides.
NORMALIZED = [*GATYS, "--normalize-network", "--content-loss", "mean", "--style-loss", "mean"]
RATIOS = (1e-5, 1e-4, 1e-3, 1e-2)
RECONSTRUCTION = [*NORMALIZED, "--width", "256", "--iterations", "100"]


@dataclass(frozen=True)
class Cell:
    """One picture of a montage."""

    label: str
    flags: list[str]
    styles: list[str] = field(default_factory=lambda: ["starry-night.jpg"])
    content: str | None = CONTENT


def of_content(layer: str) -> Cell:
    """A cell of figure 1: what one layer has kept of the photograph."""
    flags = [*RECONSTRUCTION, "--style-weight", "0", "--content-layers", layer]
    return Cell(f"content: {layer}", flags, [])


def of_style(layers: int) -> Cell:
    """A cell of figure 1: what the Gram matrices of so many layers have kept of the painting."""
    names = CONV_STYLE_LAYERS[:layers]
    shares = [f"{layer}:{1 / layers:.6g}" for layer in names]
    flags = [*RECONSTRUCTION, "--content-weight", "0", "--height", "192"]
    label = names[0] if layers == 1 else f"{names[0]} to {names[-1]}"
    return Cell(f"style: {label}", [*flags, "--style-layers", *shares], content=None)


def at_ratio(ratio: float, *layers: str) -> list[str]:
    """The flags for these style layers, each as it counts by itself, at α/β."""
    weights = [f"{layer}:1" for layer in layers or CONV_STYLE_LAYERS]
    return [*NORMALIZED, "--style-layers", *weights, "--style-weight", f"{1 / ratio:g}"]


def tweak(label: str, *flags: str, styles=("starry-night.jpg",)) -> Cell:
    return Cell(label, [*FROM_NOISE, "--width", "320", *flags], list(styles))


def colors(*flags: str, style: str) -> Cell:
    return tweak(" ".join(flags), *flags, "--width", "256", styles=(style,))


def strokes_and_forms(fine: str, coarse: str) -> Cell:
    """The shallow layers of one painting, the deep ones of another."""
    layers = [*STYLE_LAYERS[:2], NEXT_STYLE, *STYLE_LAYERS[2:]]
    label = f"strokes of {TITLES[fine]},\nforms of {TITLES[coarse]}"
    return tweak(label, "--width", "256", "--style-layers", *layers, styles=(fine, coarse))


# A painted picture as it is, by steps that change nothing.
ONE_PASS = ["--painter", "any", "--iterations", "1", "--learning-rate", "1e-6"]

# Name of the figure -> its rows.
FIGURES = {
    "reconstructions": [
        [of_style(n) for n in range(1, len(CONV_STYLE_LAYERS) + 1)],
        [of_content(f"conv{block}_2") for block in range(1, 6)],
    ],
    "styles": [
        [
            Cell(f"after {painter}, α/β = {ratio}", [*GATYS, "--width", "512", *flags], [name])
            for name, painter in STYLES.items()
        ]
        for ratio, flags in [("1e-3", []), ("1e-4", ["--style-weight", "10000"])]
    ],
    "styles-normalized": [
        [
            Cell(
                f"after {painter}, α/β = {ratio:.0e}".replace("e-0", "e-"),
                [*at_ratio(ratio), "--width", "384"],
                [name],
            )
            # The ratios of the paper's caption.
            for (name, painter), ratio in zip(STYLES.items(), (1e-3, 1e-3, 1e-3, 1e-4, 1e-4))
        ]
    ],
    "layers-and-ratios": [
        [
            Cell(
                f"to {CONV_STYLE_LAYERS[n - 1]}, α/β = {ratio:.0e}".replace("e-0", "e-"),
                [*at_ratio(ratio, *CONV_STYLE_LAYERS[:n]), "--width", "256"],
                ["kandinsky.jpg"],
            )
            for ratio in RATIOS
        ]
        for n in range(1, len(CONV_STYLE_LAYERS) + 1)
    ],
    "tweaks": [
        [
            tweak("the default: from noise, max, blend 1.0, scale 1"),
            tweak("from the content", "--initial-noiseblend", "0"),
            tweak("--pooling avg", "--pooling", "avg"),
        ],
        [
            tweak("--style-layer-weight-exp 0.2", "--style-layer-weight-exp", "0.2"),
            tweak("--style-layer-weight-exp 2.0", "--style-layer-weight-exp", "2.0"),
            tweak("--content-weight-blend 0.1", "--content-weight-blend", "0.1"),
        ],
        [
            tweak("--style-scales 0.5", "--style-scales", "0.5"),
            tweak("--style-scales 2", "--style-scales", "2"),
            tweak("--preserve-colors", "--preserve-colors"),
        ],
    ],
    "colors": [
        [
            colors("--colors", "style", style=style),
            colors("--colors", "content", style=style),
            colors("--colors", "content", "--color-space", "lab", style=style),
            colors("--colors", "match", style=style),
        ]
        for style in ("starry-night.jpg", "the_scream.jpg")
    ],
    "strokes-and-forms": [
        [tweak(TITLES[style], "--width", "256", styles=(style,)) for style in TITLES]
        + [strokes_and_forms(*TITLES), strokes_and_forms(*reversed(TITLES))]
    ],
    "strength": [
        [
            tweak(f"--strength {s}", "--strength", s, "--width", "256", "--iterations", "120")
            for s in ("0", "0.25", "0.5", "0.75", "1")
        ]
    ],
    "in-one-pass": [
        [
            Cell(f"after {painter}, {how}", [*flags, "--width", "256"], [name])
            for name, painter in STYLES.items()
        ]
        for how, flags in [
            ("in one pass", ONE_PASS),
            ("from that", ["--preset", "fast"]),
            ("from noise", FROM_NOISE),
        ]
    ],
    "two-styles": [
        [
            tweak(
                f"The Starry Night {share:.1f}, The Scream {1 - share:.1f}",
                *("--style-blend-weights", f"{share:.1f}", f"{1 - share:.1f}"),
                styles=("starry-night.jpg", "the_scream.jpg"),
            )
            for share in (0.8, 0.6, 0.4, 0.2)
        ]
    ],
}


def paint(cell: Cell, cells: Path, images: Path, network: str) -> tuple[Path, float]:
    """The picture of a cell in the folder `cells`, made if it is not there yet, and the seconds
    that making it took."""
    words = [cell.content, *cell.styles, *cell.flags]
    name = hashlib.sha256(json.dumps(words).encode()).hexdigest()[:16]
    path = cells / f"{name}.png"
    took = path.with_suffix(".json")
    if not (path.exists() and took.exists()):
        path.parent.mkdir(parents=True, exist_ok=True)
        named = ["--content", str(images / cell.content)] if cell.content else []
        if cell.styles:
            named += ["--styles", *(str(images / style) for style in cell.styles)]
        began = time.perf_counter()
        code = neural_style.main(
            [
                *named,
                *("--output", str(path), "--overwrite", "--network", network),
                *cell.flags,
            ]
        )
        if code:
            raise SystemExit(code)
        with files.replacing(took) as file:
            file.write(json.dumps(round(time.perf_counter() - began, 1)).encode())
    return path, json.loads(took.read_text())


def montage(rows: list[list[Cell]], output: Path, images: Path, network: str) -> float:
    """Make the pictures of a figure and the figure; the seconds that the pictures took.

    Args:
        rows: of pictures, from the inputs in the folder `images` with a network.
        output: the figure, a JPEG. Its pictures are kept under `cells` beside it.
    """
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    cells = output.parent / "cells"
    made = [[(cell, *paint(cell, cells, images, network)) for cell in row] for row in rows]
    columns = max(map(len, rows))
    wide = 4.2 if columns < 4 else 3.4
    figure, axes = plt.subplots(
        len(rows), columns, figsize=(wide * columns, wide * 0.84 * len(rows)), squeeze=False
    )
    for row, shown in zip(made, axes):
        for (cell, path, _), ax in zip(row, shown):
            ax.imshow(pictures.read(path).astype("uint8"), interpolation="lanczos")
            ax.set_title(cell.label, fontsize=11)
        for ax in shown:
            ax.axis("off")
    figure.tight_layout(pad=0.4)
    with files.replacing(output) as file:
        compact = {"quality": 75, "optimize": True}
        figure.savefig(file, format="jpeg", dpi=100, bbox_inches="tight", pil_kwargs=compact)
    plt.close(figure)
    return sum(seconds for row in made for *_, seconds in row)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=Path, required=True, help="the folder of the inputs")
    parser.add_argument("--output", type=Path, default=Path("figures"), help="where to write")
    parser.add_argument("--network", default="vgg19", help="as for neural-style")
    parser.add_argument("--only", nargs="+", choices=FIGURES, default=list(FIGURES))
    arguments = parser.parse_args()
    for name in (CONTENT, *STYLES):
        if not (arguments.images / name).is_file():
            parser.error(f"there is no {name} in {arguments.images}")
    for name in arguments.only:
        output = arguments.output / f"{name}.jpg"
        seconds = montage(FIGURES[name], output, arguments.images, arguments.network)
        print(f"{output}: {seconds / 60:.1f} minutes")


if __name__ == "__main__":
    main()
