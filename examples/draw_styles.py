"""Draw thousands of paintings of nothing in particular, for painters of any style to learn on.

    python examples/draw_styles.py drawn --count 2000

writes drawn/00000.jpg and so on: a random composition of tones and shapes, in a palette of three to
seven colours, in one or two of the media below. What differs among them is what a painter learns
that it may differ: no painting of anybody is among them. Each picture depends on its number and
`--seed` alone. All are this project's own (MIT).
"""

from __future__ import annotations

import argparse
import colorsys
from pathlib import Path

import numpy as np
from draw import smooth_noise
from PIL import Image, ImageDraw, ImageFilter

SIDE = 320  # pixels
OVER = 2  # drawn larger and scaled down, for smooth edges
N = SIDE * OVER
HARMONIES = (  # the hues beside the first one, in turns of the wheel
    (0.0, 0.04, -0.05, 0.09),
    (0.0, 0.03, 0.5, 0.53),
    (0.0, 0.33, 0.67, 0.36),
    (0.0, 0.42, 0.58, 0.03),
    (0.0, 0.25, 0.5, 0.75),
    (0.0, 0.08, 0.54, 0.6),
)


def colours(random) -> np.ndarray:
    """Three to seven colours from dark to light, (n, 3) in 0..255: by a harmony or, of some, at
    random; muted, as most paintings are, or pure."""
    count = random.integers(3, 8)
    first, harmony = random.random(), HARMONIES[random.integers(len(HARMONIES))]
    purity, contrast = random.beta(2, 1.6), random.uniform(0.45, 1)
    middle = random.uniform(0.35, 0.65)
    values = middle + contrast * (np.linspace(0, 1, count) - 0.5) + random.normal(0, 0.05, count)
    found = []
    for value in np.clip(values, 0.02, 0.98):
        hue = first + harmony[random.integers(len(harmony))] + random.normal(0, 0.015)
        if random.random() < 0.12:
            hue = random.random()
        share = np.clip(purity * random.uniform(0.5, 1.3), 0, 1)
        found.append(colorsys.hls_to_rgb(hue % 1, value, share))
    return 255 * np.array(found)


def coloured(tone: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """Tones in 0..1, of any shape, through a palette: (..., 3)."""
    at = np.linspace(0, 1, len(palette))
    return np.stack([np.interp(tone, at, palette[:, i]) for i in range(3)], -1)


def field(random, cells: int, octaves: int = 3) -> np.ndarray:
    """Smooth noise that fills 0..1, (N, N)."""
    noise = smooth_noise(random, N // 4, N // 4, cells, octaves)
    return enlarged((noise - noise.min()) / (np.ptp(noise) + 1e-6))


def enlarged(tones: np.ndarray) -> np.ndarray:
    """Tones of any size as (N, N)."""
    image = Image.fromarray(tones.astype(np.float32))
    return np.asarray(image.resize((N, N), Image.Resampling.BILINEAR))


def composition(random) -> np.ndarray:
    """What there is to paint, as tones (N, N) in 0..1: grounds, ridges, bodies, lights, facets."""
    half = N // 2
    y, x = np.mgrid[0:half, 0:half].astype(np.float32) / half
    tone = field(random, int(random.integers(1, 5)), int(random.integers(1, 5)))[::2, ::2]
    if random.random() < 0.5:
        slope = random.uniform(-1, 1)
        tone = 0.4 * tone + 0.6 * np.clip(y + slope * (x - 0.5), 0, 1)
    for _ in range(random.integers(0, 5)):  # ridges, each before the last
        line = field(random, int(random.integers(2, 9)), 4)[0, ::2] * random.uniform(0.05, 0.4)
        inside = y > random.uniform(0.2, 0.95) - line[None]
        tone = np.where(inside, random.random() + random.uniform(-0.4, 0.4) * (tone - 0.5), tone)
    for _ in range(random.integers(0, 9)):  # bodies
        cx, cy, a, b = *random.random(2), *random.uniform(0.03, 0.3, 2)
        turn = random.random() * np.pi
        u = (x - cx) * np.cos(turn) + (y - cy) * np.sin(turn)
        v = (y - cy) * np.cos(turn) - (x - cx) * np.sin(turn)
        if random.random() < 0.3:
            inside = (np.abs(u) < a) & (np.abs(v) < b)
        else:
            inside = (u / a) ** 2 + (v / b) ** 2 < 1
        shade = random.random() + random.uniform(0, 0.5) * (u / a)
        tone = np.where(inside, shade, tone)
    for _ in range(random.integers(0, 4)):  # lights
        distance = np.hypot(x - random.random(), y - random.random())
        reach = random.uniform(0.05, 0.3)
        rings = 0.5 + 0.5 * np.cos(distance * random.uniform(20, 120))
        tone = tone + random.uniform(-1, 1) * np.exp(-((distance / reach) ** 2)) * rings
    return enlarged(np.clip(tone, 0, 1))


def directions(random, tone: np.ndarray) -> np.ndarray:
    """A field of angles for the brush, (N, N): straight, wandering, in whirls, along what is
    painted, towards a point, or in a few directions."""
    y, x = np.mgrid[0:N, 0:N] / N
    kind = random.integers(6)
    if kind == 0:
        return np.full((N, N), random.random() * np.pi) + 0.3 * field(random, 3)
    if kind == 1:
        return random.uniform(2, 8) * field(random, int(random.integers(1, 5)), 2)
    if kind == 2:
        flow = np.full((N, N), 0.4 + 0j)
        for _ in range(random.integers(2, 8)):
            dx, dy = x - random.random(), y - random.random()
            r = np.hypot(dx, dy) + 1e-3
            reach = np.exp(-((r / random.uniform(0.1, 0.3)) ** 2))
            flow = flow + random.choice([-2, 2]) * reach * 1j * (dx + 1j * dy) / r
        return np.angle(flow)
    if kind == 3:
        soft = Image.fromarray(tone.astype(np.float32)).resize((40, 40), Image.Resampling.BOX)
        soft = np.asarray(soft.resize((N, N), Image.Resampling.BICUBIC))
        down, right = np.gradient(soft)
        return np.arctan2(down, right) + np.pi / 2
    if kind == 4:
        return np.arctan2(y - random.random(), x - random.random()) + random.choice([0, np.pi / 2])
    steps = random.integers(2, 5)
    return np.round(field(random, int(random.integers(2, 6))) * 9) * np.pi / steps


def paths(random, angle: np.ndarray, count: int, length: float, step: float = 6.0) -> np.ndarray:
    """Curves along a field of angles, (count, points, 2) in pixels."""
    at = random.random((count, 2)) * N
    points = [at]
    for _ in range(max(1, round(length / step))):
        column, row = np.clip(points[-1], 0, N - 1).astype(int).T
        turn = angle[row, column]
        points.append(points[-1] + step * np.stack([np.cos(turn), np.sin(turn)], 1))
    return np.stack(points, 1)


def picked(random, tone, palette, points, spread: float) -> np.ndarray:
    """The colours of strokes that begin at these points, (count, 3): of a palette, a little off."""
    column, row = np.clip(points, 0, N - 1).astype(int).T
    tones = np.clip(tone[row, column] + random.normal(0, spread, len(points)), 0, 1)
    if random.random() < 0.3:
        return palette[np.round(tones * (len(palette) - 1)).astype(int)]
    return coloured(tones, palette) + random.normal(0, 80 * spread, (len(points), 3))


def drawn(canvas: np.ndarray):
    """A picture to draw on, and what draws on it."""
    image = Image.fromarray(np.clip(canvas, 0, 255).astype(np.uint8))
    return image, ImageDraw.Draw(image)


def ink(colour) -> tuple[int, ...]:
    return tuple(int(c) for c in np.clip(colour, 0, 255))


# The media. Each paints over a canvas (N, N, 3) in 0..255, and gives one.


def brush(random, canvas, tone, palette):
    """Bristled strokes, from the broad brush to the fine one."""
    image, draw = drawn(canvas)
    angle, spread = directions(random, tone), random.uniform(0.02, 0.12)
    width, length = random.uniform(8, 44), random.uniform(20, 200)
    bristled = random.random() < 0.7
    for size in (1.0, 0.6, 0.36)[: random.integers(1, 4)]:
        count = int(min(1600, 2.2 * N * N / (width * size * (length * size + width))))
        lines = paths(random, angle, count, length * size)
        tones = picked(random, tone, palette, lines[:, 0], spread)
        for line, colour in zip(lines, tones):
            bristles = max(1, int(width * size / 5)) if bristled else 1
            thick = width * size / bristles + 2
            dx, dy = line[-1] - line[0]
            across = np.array([-dy, dx]) / (np.hypot(dx, dy) + 1e-3)
            for bristle in range(bristles):
                offset = (bristle - (bristles - 1) / 2) * width * size / bristles
                tint = colour + (random.normal(0, 14) if bristled else 0)
                moved = (line + across * offset).ravel().tolist()
                draw.line(moved, fill=ink(tint), width=int(thick), joint="curve")
    return np.asarray(image, float)


def dabs(random, canvas, tone, palette):
    """Points of pure colour, one beside the other."""
    image, draw = drawn(canvas)
    size, spread = random.uniform(4, 17), random.uniform(0.05, 0.25)
    at = random.random((int(min(7000, 1.5 * (N / size) ** 2)), 2)) * N
    long = random.uniform(1, 2.2)
    for (x, y), colour in zip(at, picked(random, tone, palette, at, spread)):
        r = size / 2 * random.uniform(0.7, 1.4)
        draw.ellipse((x - r * long, y - r, x + r * long, y + r), fill=ink(colour))
    return np.asarray(image, float)


def hatching(random, canvas, tone, palette):
    """Thin lines, the denser the darker, crossed in the shadows."""
    dark, paper = palette[0], palette[-1]
    if random.random() >= 0.7:
        dark, paper = paper, dark
    share = random.uniform(0, 1)
    image, draw = drawn(canvas * share + paper * (1 - share))
    turn, length = random.random() * np.pi, random.uniform(20, 120)
    width = int(random.integers(1, 6))
    for layer in range(random.integers(1, 4)):
        angle = turn + layer * random.uniform(0.5, 1.6) + 0.5 * field(random, 3)
        lines = paths(random, angle, int(random.uniform(1000, 3500)), length, 10.0)
        middle = lines[:, lines.shape[1] // 2]
        column, row = np.clip(middle, 0, N - 1).astype(int).T
        kept = random.random(len(lines)) > tone[row, column] * 1.1 + 0.15 * layer
        for line in lines[kept]:
            draw.line(line.ravel().tolist(), fill=ink(dark + random.normal(0, 10)), width=width)
    return np.asarray(image, float)


def cells(random, tone, count: int):
    """Which of many random points is the nearest, and the points themselves."""
    at = random.random((count, 2)) * N
    stretch = random.uniform(0.4, 1)
    y, x = np.mgrid[0:N:4, 0:N:4].astype(np.float32)
    best = np.full(y.shape, np.inf, np.float32)
    nearest = np.zeros(y.shape, int)
    for i, (px, py) in enumerate(at.astype(np.float32)):
        distance = np.abs(x - px) ** 2 + stretch * (y - py) ** 2
        closer = distance < best
        best[closer], nearest[closer] = distance[closer], i
    return np.kron(nearest, np.ones((4, 4), int)), at


def facets(random, canvas, tone, palette):
    """Planes with edges, each shaded from one side to the other; some with lead between them."""
    nearest, at = cells(random, tone, int(random.integers(25, 220)))
    base = picked(random, tone, palette, at, random.uniform(0.02, 0.25))
    y, x = np.mgrid[0:N, 0:N]
    shade = random.normal(0, random.uniform(0, 0.6), (len(at), 2))
    along = (x - at[nearest, 0]) * shade[nearest, 0] + (y - at[nearest, 1]) * shade[nearest, 1]
    painted = base[nearest] + along[..., None]
    if random.random() < 0.5:
        return outlined(random, painted, nearest, palette)
    return painted


def outlined(random, canvas, regions, palette):
    """Lines where one region meets another."""
    edge = np.zeros((N, N), bool)
    edge[1:] |= regions[1:] != regions[:-1]
    edge[:, 1:] |= regions[:, 1:] != regions[:, :-1]
    lines = Image.fromarray(255 * edge.astype(np.uint8))
    lines = lines.filter(ImageFilter.MaxFilter(int(random.choice([3, 5, 7, 9, 13]))))
    lines = np.asarray(lines.filter(ImageFilter.GaussianBlur(1.5)), float)[..., None] / 255
    return canvas * (1 - lines) + palette[0 if random.random() < 0.8 else -1] * lines


def flat(random, canvas, tone, palette):
    """Areas of one colour each, as in posters and prints, outlined or not."""
    levels = random.integers(2, len(palette) + 1)
    rough = tone + random.uniform(0, 0.15) * (field(random, 40, 2) - 0.5)
    regions = np.clip(np.round(rough * (levels - 1)), 0, levels - 1).astype(int)
    chosen = palette[np.linspace(0, len(palette) - 1, levels).round().astype(int)]
    painted = chosen[regions]
    return outlined(random, painted, regions, palette) if random.random() < 0.6 else painted


def woodcut(random, canvas, tone, palette):
    """A print: lines that swell with the shadows, in two or three colours."""
    y, x = np.mgrid[0:N, 0:N]
    turn, bend = random.random() * np.pi, random.uniform(0, 60) * field(random, 3, 2)
    if random.random() < 0.35:
        phase = np.hypot(x - random.random() * N, y - random.random() * N)
    else:
        phase = x * np.cos(turn) + y * np.sin(turn)
    lines = 0.5 + 0.5 * np.sin((phase + bend) * 2 * np.pi / random.uniform(9, 32))
    cut = np.clip((lines - (1.1 - 1.2 * tone)) * 5 + 0.5, 0, 1)[..., None]
    light = palette[-1]
    if random.random() < 0.5:
        light = palette[-2 - (tone > random.uniform(0.4, 0.8)).astype(int)]
    return palette[0] * (1 - cut) + light * cut


def wash(random, canvas, tone, palette):
    """Water colour: soft areas, darker where they dried, over a grain of paper."""
    painted = coloured(np.ones((N, N)), palette) * random.uniform(0.9, 1.05)
    for _ in range(random.integers(3, 12)):
        shape = tone * random.uniform(0, 1) + field(random, int(random.integers(2, 7)), 4)
        shape = (shape - random.uniform(0.5, 1.1)) * random.uniform(4, 40)
        inside = 1 / (1 + np.exp(-np.clip(shape, -20, 20)))
        rim = np.exp(-((shape - 1.5) ** 2)) * random.uniform(0, 0.35)
        colour = palette[random.integers(len(palette) - 1)]
        strength = (inside * random.uniform(0.25, 0.85) + rim)[..., None]
        painted = painted * (1 - strength) + colour * strength
    return painted + random.uniform(0, 30) * (field(random, 60, 3) - 0.5)[..., None]


def ribbons(random, canvas, tone, palette):
    """Contours of the tones as bands of colour, as in enamel, agate or a marbled paper."""
    bent = tone + random.uniform(0.1, 1) * field(random, int(random.integers(2, 7)), 3)
    phase = (bent * random.uniform(4, 18)) % 1
    if random.random() < 0.5:
        phase = np.abs(2 * phase - 1)
    return coloured(phase, palette)


def tesserae(random, canvas, tone, palette):
    """A mosaic, or a weave: small tiles of one colour each, with joints."""
    width, height = (int(random.integers(8, 36)) for _ in range(2))
    y, x = np.mgrid[0:N, 0:N]
    bend = random.uniform(0, 80)
    u, v = x + bend * field(random, 3, 2), y + bend * field(random, 3, 2)
    row = (v // height).astype(int)
    column = ((u + (row % 2) * random.choice([0, 0.5]) * width) // width).astype(int)
    column, row = column % 101, row % 103
    jitter = random.normal(0, random.uniform(0.03, 0.3), (103, 101))
    mean = canvas_tone(tone, width, height)
    painted = coloured(np.clip(mean + jitter[row, column], 0, 1), palette)
    joint = ((u % width) < 2.5) | ((v % height) < 2.5)
    return np.where(joint[..., None], palette[0] * 0.8, painted)


def canvas_tone(tone, width: int, height: int):
    """The tones in blocks of about this size."""
    small = Image.fromarray(tone.astype(np.float32))
    small = small.resize((max(1, N // width), max(1, N // height)), Image.Resampling.BOX)
    return np.asarray(small.resize((N, N), Image.Resampling.NEAREST))


def scribble(random, canvas, tone, palette):
    """Long lines of a pen or a crayon, over what is there."""
    image, draw = drawn(canvas)
    angle = directions(random, tone) + random.uniform(0, 2) * field(random, 6)
    width = int(random.integers(2, 12))
    lines = paths(random, angle, int(random.integers(30, 500)), random.uniform(100, 500))
    tones = picked(random, tone, palette, lines[:, 0], 0.3)
    for line, colour in zip(lines, tones):
        draw.line(line.ravel().tolist(), fill=ink(colour), width=width, joint="curve")
    return np.asarray(image, float)


def splashes(random, canvas, tone, palette):
    """Drops of all sizes, thrown."""
    image, draw = drawn(canvas)
    for _ in range(random.integers(20, 400)):
        x, y = random.random(2) * N
        r = np.exp(random.uniform(np.log(1.5), np.log(34)))
        colour = palette[random.integers(len(palette))]
        draw.ellipse((x - r, y - r, x + r, y + r), fill=ink(colour + random.normal(0, 8)))
    return np.asarray(image, float)


GROUNDS = (brush, brush, dabs, facets, flat, woodcut, wash, ribbons, tesserae, hatching)
OVERS = (brush, dabs, hatching, scribble, splashes)


def finished(random, canvas: np.ndarray) -> Image.Image:
    """At its size, with the relief of the paint, the weave of the canvas, or neither."""
    if random.random() < 0.35:  # light from a side
        grey = canvas.mean(2)
        relief = np.clip(grey - np.roll(grey, (2, 2), (0, 1)), -40, 40)
        canvas = canvas + random.uniform(-0.8, 0.8) * relief[..., None]
    if random.random() < 0.25:
        y, x = np.mgrid[0:N, 0:N]
        period = random.uniform(5, 11)
        weave = np.sin(2 * np.pi * x / period) * np.sin(2 * np.pi * y / period)
        canvas = canvas + random.uniform(2, 12) * weave[..., None]
    if random.random() < 0.4:
        grain = random.normal(0, random.uniform(2, 12), (N, N, 1))
        canvas = canvas + grain
    image = Image.fromarray(np.clip(canvas, 0, 255).astype(np.uint8))
    if random.random() < 0.3:
        image = image.filter(ImageFilter.GaussianBlur(random.uniform(0.5, 3)))
    return image.resize((SIDE, SIDE), Image.Resampling.LANCZOS)


def painting(random) -> Image.Image:
    """One picture, of `SIDE` pixels a side."""
    palette, tone = colours(random), composition(random)
    canvas = coloured(tone * random.uniform(0.6, 1), palette)
    ground = GROUNDS[random.integers(len(GROUNDS))]
    canvas = ground(random, canvas, tone, palette)
    if random.random() < 0.45:
        canvas = OVERS[random.integers(len(OVERS))](random, canvas, tone, palette)
    return finished(random, canvas)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for number in range(arguments.count):
        random = np.random.default_rng((arguments.seed, number))
        painting(random).save(arguments.folder / f"{number:05}.jpg", quality=92)


if __name__ == "__main__":
    main()
