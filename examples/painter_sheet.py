"""One sheet of what a painter makes of photographs: a row for each, a column for each style.

    python examples/painter_sheet.py --painter paintbox --contents a.jpg b.jpg --output sheet.jpg

With --blend it shows the way from one style to another instead, in five steps.
"""

from __future__ import annotations

import argparse

import numpy as np
from neural_style_keras import painters, pictures
from neural_style_keras.painters.painting import paint
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
    arguments = parser.parse_args()

    painter, side = painters.load(arguments.painter), arguments.side
    if arguments.blend:
        one, other = arguments.blend
        shares = np.linspace(1, 0, 5)
        columns = {f"{one} {x:.2f}": {one: x, other: 1 - x} for x in shares}
    else:
        columns = {name: {name: 1.0} for name in painter.names}
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
        painted = [paint(painter, photo, style) for style in columns.values()]
        for i, picture in enumerate([photo, *painted]):
            picture = Image.fromarray(pictures.eight_bits(picture))
            sheet.paste(picture, (i * step, TITLE + row * step))
    sheet.save(arguments.output, quality=88, optimize=True)


if __name__ == "__main__":
    main()
