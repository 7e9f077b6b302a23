"""One sheet of what a painter makes of photographs: a row for each, a column for each style.

    python examples/painter_sheet.py --painter paintbox --contents a.jpg b.jpg --output sheet.jpg

With --blend it shows the way from one style to another instead, in five steps. A painter for any
style takes pictures with --styles; --strengths shows the way from the photograph to the first of
them, --blended from one to the other, and --refine each of them after so many steps.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from neural_style_keras import painters, pictures
from neural_style_keras.painters.painting import embed_styles, paint
from PIL import Image, ImageDraw

GAP, TITLE = 6, 18  # pixels


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--painter", default="paintbox")
    parser.add_argument("--contents", nargs="+", required=True, metavar="PICTURE")
    parser.add_argument("--output", required=True)
    parser.add_argument("--side", type=int, default=256, help="pixels of each square")
    parser.add_argument("--blend", nargs=2, metavar="STYLE")
    parser.add_argument("--styles", nargs="+", default=[], metavar="PICTURE")
    parser.add_argument("--strengths", action="store_true")
    parser.add_argument("--blended", action="store_true")
    parser.add_argument("--refine", nargs="+", type=int, default=[0], metavar="STEPS")
    arguments = parser.parse_args()

    painter, side = painters.load(arguments.painter), arguments.side
    styles = {Path(path).stem: pictures.read(path) for path in arguments.styles}
    columns = columns_of(painter, styles, arguments)
    step = side + GAP
    sheet = Image.new(
        "RGB",
        (step * (1 + len(columns)) - GAP, TITLE + step * len(arguments.contents) - GAP),
        "white",
    )
    draw = ImageDraw.Draw(sheet)
    for i, label in enumerate(["photograph", *columns]):
        draw.text((i * step + 2, 2), label, fill="black")
    for row, path in enumerate(arguments.contents):
        photo = pictures.middle_square(pictures.read(path), side)
        painted = [paint(painter, photo, **how) for how in columns.values()]
        for i, picture in enumerate([photo, *painted]):
            picture = Image.fromarray(pictures.eight_bits(picture))
            sheet.paste(picture, (i * step, TITLE + row * step))
    sheet.save(arguments.output, quality=88, optimize=True)


def columns_of(painter, styles: dict[str, np.ndarray], arguments: argparse.Namespace) -> dict:
    """For each column its title and how `paint` is asked for it."""
    steps = np.linspace(1, 0, 5)
    if arguments.blend:
        one, other = arguments.blend
        return {f"{one} {x:.2f}": {"style": {one: x, other: 1 - x}} for x in steps}
    if not styles:
        return {name: {"style": name} for name in painter.names}
    if arguments.strengths:
        [name, style], *_ = styles.items()
        return {f"{name} {x:.2f}": {"styles": [style], "strength": x} for x in steps[::-1]}
    if arguments.blended:
        one, other = styles.values()
        mixtures = (embed_styles(painter, [one, other], [x, 1 - x]) for x in steps)
        return {f"{x:.2f}": {"style": style} for x, style in zip(steps, mixtures)}
    title = "{}, {} steps" if len(arguments.refine) > 1 else "{}"
    return {
        title.format(name, n): {"styles": [style], "refine": n}
        for name, style in styles.items()
        for n in arguments.refine
    }


if __name__ == "__main__":
    main()
