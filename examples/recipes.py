"""Pairs of a photograph and a painting, each painted by several recipes, in one sheet.

    python examples/recipes.py --pairs photo.jpg painting.jpg other.jpg painting.jpg \
        --presets neural-style gatys wasserstein best --width 320 --output recipes.jpg

It can be stopped and started again, as `paper_figures.py` can: the pictures are kept beside the
sheet, under `cells`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from neural_style_keras.settings import PRESETS
from paper_figures import Cell, montage


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", nargs="+", required=True, metavar="PICTURE")
    parser.add_argument("--presets", nargs="+", choices=PRESETS, required=True)
    parser.add_argument("--width", default="320")
    parser.add_argument("--output", type=Path, required=True, help="the sheet")
    parser.add_argument("--network", default="vgg19", help="as for neural-style")
    arguments = parser.parse_args()
    pairs = [str(Path(path).absolute()) for path in arguments.pairs]
    if len(pairs) % 2:
        parser.error("--pairs is a photograph and a painting, as often as you like")
    common = ["--width", arguments.width, "--precision", "auto"]
    rows = [
        [
            Cell(f"{Path(style).stem}, {preset}", ["--preset", preset, *common], [style], content)
            for preset in arguments.presets
        ]
        for content, style in zip(pairs[::2], pairs[1::2])
    ]
    seconds = montage(rows, arguments.output, Path(), arguments.network)
    print(f"{arguments.output}: {seconds / 60:.1f} minutes")


if __name__ == "__main__":
    main()
