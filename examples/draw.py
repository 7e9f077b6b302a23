"""Draw the example inputs: one landscape and two paintings, from nothing but numpy and Pillow.

    python examples/draw.py

writes content.jpg, swirls.jpg and embers.jpg beside this file. All are this project's own (MIT).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

HERE = Path(__file__).parent
SIZE = (768, 576)
OVER = 2  # drawn larger and scaled down, for smooth edges


def smooth_noise(random, width, height, cells, octaves=4):
    """Fractal value noise in 0..1."""
    total, weight, amplitude = np.zeros((height, width)), 0.0, 1.0
    for octave in range(octaves):
        n = cells * 2**octave
        grid = Image.fromarray(random.random((n + 1, n + 1)).astype(np.float32))
        total += amplitude * np.asarray(grid.resize((width, height), Image.Resampling.BICUBIC))
        weight += amplitude
        amplitude *= 0.5
    return total / weight


def gradient(width, height, stops):
    """A vertical gradient through (position, colour) stops, (height, width, 3)."""
    at = np.linspace(0, 1, height)
    positions = [p for p, _ in stops]
    columns = [np.interp(at, positions, [c[i] for _, c in stops]) for i in range(3)]
    return np.repeat(np.stack(columns, 1)[:, None], width, axis=1)


def landscape(random):
    """Evening over a lake: clouds, ridges fading with distance, a house, trees, a boat."""
    w, h = SIZE[0] * OVER, SIZE[1] * OVER
    x, y = np.meshgrid(np.arange(w) / w, np.arange(h) / h)
    horizon = 0.56
    sky = gradient(
        w,
        h,
        [(0, (52, 92, 152)), (0.3, (128, 168, 204)), (0.5, (244, 206, 160)), (1, (240, 180, 130))],
    )
    sun = np.array([0.7, 0.4])
    distance = np.hypot((x - sun[0]) * w / h, y - sun[1])
    sky += np.exp(-((distance / 0.22) ** 2))[..., None] * np.array([70, 45, 5])
    sky = np.where((distance < 0.045)[..., None], (255, 244, 205), sky)
    cloud = smooth_noise(random, w, h, 4, 5)
    cloud = np.clip((cloud + 0.28 * np.sin(y * 28 + 6 * cloud) * 0.3 - 0.52) * 5, 0, 1)
    cloud *= np.clip(1.5 - y / 0.36, 0, 1)
    lit = np.stack([250 - 20 * y, 226 - 50 * y, 205 - 40 * y], -1)
    image = sky * (1 - 0.8 * cloud[..., None]) + lit * 0.8 * cloud[..., None]

    ridges = [  # base, height, roughness, colour
        (0.47, 0.22, 3, (128, 148, 178)),
        (0.52, 0.17, 5, (88, 116, 142)),
        (0.56, 0.11, 8, (58, 92, 92)),
    ]
    for base, height, cells, colour in ridges:
        line = smooth_noise(random, w, 8, cells, 6)[4]
        line = (line - line.min()) / np.ptp(line)
        top = base - height * line
        inside = (y > top[None]) & (y < horizon)
        shade = 0.82 + 0.36 * smooth_noise(random, w, h, cells * 5, 3)
        haze = np.clip((y - top[None]) / height, 0, 1)[..., None] * 0.25
        hill = np.array(colour) * shade[..., None] * (1 - haze) + np.array([214, 190, 170]) * haze
        if cells == 3:  # snow where the far ridge is high
            high = (y - top[None] < 0.045 * line[None] ** 2) & (line[None] > 0.45)
            hill = np.where((high & inside)[..., None], (236, 232, 236), hill)
        image = np.where(inside[..., None], hill, image)

    # The lake mirrors what stands above it, darker and broken by ripples.
    rows = np.arange(h)
    shore = int(horizon * h)
    depth = (rows - shore) / (h - shore)
    for row in range(shore, h):
        wave = 5 * np.sin(row * 0.32) * depth[row] + random.normal(0, 1.2)
        source = image[np.clip(int(shore - (row - shore) * 0.92 + wave), 0, shore - 1)]
        shift = int(9 * np.sin(row * 0.21 + np.sin(row * 0.05) * 3) * (0.2 + depth[row]))
        tint = np.array([40, 74, 96]) * (0.25 + 0.35 * depth[row])
        image[row] = np.roll(source, shift, axis=0) * (0.72 - 0.3 * depth[row]) + tint
    glint = (np.abs(x - sun[0]) < 0.05 + 0.05 * depth[:, None]) & (y > horizon)
    glint &= smooth_noise(random, w, h, 60, 2) + 0.15 * np.sin(y * 500) > 0.58
    image = np.where(glint[..., None], image * 0.45 + np.array([255, 220, 160]) * 0.6, image)

    canvas = Image.fromarray(np.clip(image, 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(canvas)

    def points(*pairs):
        return [(px * w, py * h) for px, py in pairs]

    bank = [(0, 0.7), (0.1, 0.675), (0.22, 0.69), (0.34, 0.735), (0.42, 0.8), (0.5, 0.9), (0.53, 1)]
    draw.polygon(points(*bank, (0, 1)), fill=(66, 88, 48))
    draw.polygon(points((0.16, 0.72), (0.2, 0.72), (0.4, 1), (0.24, 1)), fill=(190, 158, 112))
    for _ in range(2600):  # grass
        gx, gy = random.random() * 0.55, 0.7 + 0.3 * random.random()
        edge = np.interp(gx, [p[0] for p in bank], [p[1] for p in bank])
        on_path = 0.16 + (gy - 0.72) * 0.29 < gx < 0.2 + (gy - 0.72) * 0.72
        if gy > edge + 0.01 and not on_path:
            size = 0.006 + 0.03 * (gy - 0.68)
            lean = random.normal(0, 0.3) * size
            tone = random.random()
            colour = (int(50 + 80 * tone), int(80 + 85 * tone), int(36 + 30 * tone))
            draw.line(points((gx, gy), (gx + lean, gy - size)), fill=colour, width=OVER * 2)

    # The house: light falls on it from the right.
    draw.polygon(points((0.08, 0.72), (0.08, 0.56), (0.2, 0.56), (0.2, 0.73)), fill=(206, 172, 142))
    draw.polygon(
        points((0.2, 0.73), (0.2, 0.56), (0.235, 0.47), (0.27, 0.56), (0.27, 0.715)),
        fill=(250, 222, 182),
    )
    draw.polygon(
        points((0.065, 0.57), (0.115, 0.465), (0.235, 0.465), (0.2, 0.57)), fill=(158, 62, 46)
    )
    draw.line(points((0.2, 0.57), (0.236, 0.46), (0.28, 0.572)), fill=(110, 40, 34), width=OVER * 5)
    draw.rectangle(points((0.135, 0.425), (0.16, 0.5)), fill=(128, 70, 60))
    for left in (0.1, 0.145):
        draw.rectangle(points((left, 0.61), (left + 0.025, 0.655)), fill=(255, 226, 130))
        draw.line(
            points((left + 0.0125, 0.61), (left + 0.0125, 0.655)), fill=(92, 52, 40), width=OVER * 2
        )
    draw.rectangle(points((0.222, 0.635), (0.25, 0.722)), fill=(96, 62, 50))
    draw.ellipse(points((0.225, 0.535), (0.247, 0.565)), fill=(255, 232, 150))

    def tree(tx, ty, size):
        trunk = points((tx - 0.008 * size, ty), (tx + 0.008 * size, ty), (tx, ty - 0.26 * size))
        draw.polygon(trunk, fill=(70, 50, 40))
        for _ in range(int(520 * size)):
            angle, radius = random.random() * 2 * np.pi, np.sqrt(random.random())
            lx = tx + 0.085 * size * radius * np.cos(angle)
            ly = ty - 0.26 * size + 0.13 * size * radius * np.sin(angle)
            light = 0.5 + 0.5 * np.clip((np.cos(angle) - np.sin(angle)) * radius * 0.7, -1, 1)
            light = np.clip(light + random.normal(0, 0.15), 0, 1)
            colour = (int(38 + 120 * light), int(66 + 88 * light), int(38 + 30 * light))
            r = 0.011 * size * (0.6 + random.random() * 0.7)
            draw.ellipse(points((lx - r, ly - r), (lx + r, ly + r)), fill=colour)

    tree(0.035, 0.78, 1.15)
    tree(0.335, 0.79, 0.8)
    tree(0.45, 0.95, 1.5)

    # A boat with its reflection.
    for side, fade in ((-1, 0.55), (1, 1)):

        def level(value, side=side):
            return 0.705 - side * value

        sail = tuple(int(c * fade) for c in (250, 240, 224))
        hull = tuple(int(c * fade) for c in (120, 50, 44))
        length = 1 if side > 0 else 0.5
        draw.polygon(
            points((0.775, level(0.012)), (0.775, level(0.15 * length)), (0.835, level(0.02))),
            fill=sail,
        )
        draw.polygon(
            points((0.768, level(0.014)), (0.768, level(0.12 * length)), (0.735, level(0.02))),
            fill=sail,
        )
        draw.polygon(
            points(
                (0.72, level(0.012)),
                (0.85, level(0.012)),
                (0.83, level(-0.004)),
                (0.74, level(-0.004)),
            ),
            fill=hull,
        )
    for _ in range(9):  # birds
        bx, by, s = (
            0.42 + 0.2 * random.random(),
            0.1 + 0.16 * random.random(),
            0.008 + 0.008 * random.random(),
        )
        draw.line(
            points((bx - s, by - s * 0.5), (bx, by), (bx + s, by - s * 0.6)),
            fill=(50, 56, 74),
            width=OVER * 2,
        )
    return canvas.resize(SIZE, Image.Resampling.LANCZOS)


def strokes(random, ground, angle, colours, passes):
    """Paint over a ground with bristled strokes that follow a field of angles.

    Args:
        ground: (h, w, 3), what shows through.
        angle: (h, w), the direction of the brush in radians.
        colours: a function of (x, y) in pixels to an RGB colour.
        passes: (count, length, width) from the broad brush to the fine one.
    """
    h, w = angle.shape
    canvas = Image.fromarray(np.clip(ground, 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(canvas)
    for count, length, width in passes:
        for _ in range(count):
            x, y = random.random() * w, random.random() * h
            colour = np.array(colours(x, y)) + random.normal(0, 13, 3)
            path = [(x, y)]
            for _ in range(int(length * (0.5 + random.random()))):
                a = angle[int(np.clip(y, 0, h - 1)), int(np.clip(x, 0, w - 1))]
                x, y = x + 4 * np.cos(a), y + 4 * np.sin(a)
                path.append((x, y))
            bristles = max(2, int(width / 2))
            for bristle in range(bristles):  # each hair carries a little more or less paint
                offset = (bristle / (bristles - 1) - 0.5) * width
                ridge = random.normal(0, 11) + 16 * (bristle == 0) - 16 * (bristle == bristles - 1)
                tone = tuple(int(np.clip(c + ridge, 0, 255)) for c in colour)
                moved = []
                for i, (px, py) in enumerate(path):
                    j = min(i, len(path) - 2)
                    dx, dy = path[j + 1][0] - path[j][0], path[j + 1][1] - path[j][1]
                    moved.append((px - dy / 4 * offset, py + dx / 4 * offset))
                draw.line(moved, fill=tone, width=3, joint="curve")
    return canvas.filter(ImageFilter.UnsharpMask(2, 60)).resize(SIZE, Image.Resampling.LANCZOS)


def palette(stops):
    """A function of 0..1 through a list of colours."""
    stops = np.array(stops, float)
    at = np.linspace(0, 1, len(stops))
    return lambda t: [np.interp(t, at, stops[:, i]) for i in range(3)]


def swirls(random):
    """A night of whirls: blue and yellow, long strokes that circle around lights."""
    w, h = SIZE[0] * OVER, SIZE[1] * OVER
    x, y = np.meshgrid(np.arange(w, dtype=float), np.arange(h, dtype=float))
    centres = [
        (0.2, 0.24, 1),
        (0.52, 0.42, -1),
        (0.82, 0.2, 1),
        (0.78, 0.66, -1),
        (0.28, 0.72, 1),
        (0.5, 0.08, 1),
    ]
    flow = np.zeros((h, w), complex) + 0.35 * np.exp(1j * 0.25)
    glow = np.zeros((h, w))
    for cx, cy, turn in centres:
        dx, dy = x - cx * w, y - cy * h
        r = np.hypot(dx, dy) + 1
        reach = np.exp(-((r / (0.2 * w)) ** 2))
        flow += turn * reach * 1.6 * (1j * (dx + 1j * dy) / r)
        glow += np.exp(-((r / (0.055 * w)) ** 2)) + 0.32 * reach * (
            0.5 + 0.5 * np.cos(r / (0.0125 * w))
        )
    tone = np.clip(0.14 + 0.75 * glow + 0.3 * (smooth_noise(random, w, h, 5) - 0.5), 0, 1)
    colour = palette(
        [
            (14, 22, 64),
            (28, 62, 138),
            (66, 124, 190),
            (150, 190, 190),
            (240, 208, 92),
            (255, 240, 170),
        ]
    )

    def pick(px, py):
        return colour(
            np.clip(tone[int(min(py, h - 1)), int(min(px, w - 1))] + random.normal(0, 0.06), 0, 1)
        )

    ground = np.stack(colour(tone * 0.7), -1)
    return strokes(
        random, ground, np.angle(flow), pick, [(2600, 26, 22), (5200, 20, 14), (5200, 11, 8)]
    )


def embers(random):
    """An autumn of patches: short crossed strokes in reds, ochres and a cold green."""
    w, h = SIZE[0] * OVER, SIZE[1] * OVER
    bend = smooth_noise(random, w, h, 3, 2)
    patch = smooth_noise(random, w, h, 5, 3)
    patch = np.clip((patch - patch.mean()) * 1.9 + 0.45, 0, 1)
    angle = np.round((bend * 9) + (np.indices((h, w)).sum(0) // 160 % 2)) * (np.pi / 4) + 0.3 * (
        patch - 0.5
    )
    colour = palette(
        [
            (24, 46, 48),
            (46, 104, 92),
            (120, 34, 38),
            (196, 56, 32),
            (230, 128, 36),
            (242, 186, 84),
            (248, 222, 150),
        ]
    )

    def pick(px, py):
        return colour(
            np.clip(patch[int(min(py, h - 1)), int(min(px, w - 1))] + random.normal(0, 0.1), 0, 1)
        )

    ground = np.stack(colour(patch * 0.6), -1)
    return strokes(random, ground, angle, pick, [(3000, 12, 40), (7000, 7, 26), (6000, 4, 13)])


if __name__ == "__main__":
    for seed, (name, draw) in enumerate(
        [("content.jpg", landscape), ("swirls.jpg", swirls), ("embers.jpg", embers)], start=7
    ):
        draw(np.random.default_rng(seed)).save(HERE / name, quality=92)
        print(HERE / name)
