"""The photographs that a painter learns on: squares out of a folder of any size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np

from .. import pictures

AHEAD, READERS = 4, 2  # batches that are read before they are asked for, and by how many threads
ITSELF = 0.06  # of the photographs are to be painted in their own style, and so as they are
ENLARGED = 2.0  # a square is enlarged by this at most: what is enlarged more has no detail
# Grey levels of standard deviation, and squares in a row. Where nothing varies, each normalisation
# divides by next to nothing, and the gradient through all of them is no number any more.
FLAT, FLAT_SQUARES = 1.0, 100


class Photographs(keras.utils.PyDataset):
    """Batches of squares, the same for the same seed wherever a training begins.

    A batch is a dictionary: `photographs` (n, side, side, 3) float32 RGB in 0..255, and `style`
    (n,) int32, the style that each is to be painted in; `noise`, of the shape of the photographs,
    where it is wanted. Without paths there is noise alone. With pictures of styles, `style` is one
    of them for each, (n, side, side, 3) as the photographs are.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        styles: int,
        batch: int,
        side: int,
        steps: int,
        seed: int,
        say: Callable[[str], None] = print,
        has_noise: bool = False,
        groups: Sequence[Sequence[Path]] = (),
    ):
        """
        Args:
            paths: of the photographs; none for noise alone.
            styles: how many there are to draw from, if they are numbers.
            batch, side: how many squares at once, and of how many pixels a side.
            steps: batches in an epoch.
            seed: of all that is drawn.
            say: is told of photographs that cannot be read.
            has_noise: whether the painter takes noise as well.
            groups: pictures of styles, if they are pictures; each group is drawn from as often.
        """
        super().__init__()
        self.epoch = 0  # to be set before each
        self._paths, self._styles, self._steps = list(paths), styles, steps
        self._shape = (batch, side, side, 3)
        self._seed, self._say, self._has_noise = seed, say, has_noise
        self._groups, self._damaged = list(groups), set()
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="photographs")
        self._ahead = {}

    def __len__(self):
        return self._steps

    def __getitem__(self, index):
        number = self.epoch * self._steps + index
        for n in range(number, number + AHEAD):
            if n not in self._ahead:
                self._ahead[n] = self._readers.submit(self.batch, n)
        # What is behind was drawn for another beginning.
        self._ahead = {n: one for n, one in self._ahead.items() if n >= number}
        return (self._ahead.pop(number).result(),)

    def batch(self, number: int) -> dict[str, np.ndarray]:
        """The batch of this number since the beginning of the training.

        Raises OSError if none of the pictures can be read, and ValueError if all that is seen of
        them is of a single colour.
        """
        random = np.random.default_rng((self._seed, number))
        count, side = self._shape[:2]
        drawn = {}
        if not self._groups:
            drawn["style"] = random.integers(self._styles, size=count, dtype=np.int32)
        if self._paths:
            cut = [self._square(self._paths, square, side, random) for _ in range(count)]
            drawn["photographs"] = np.stack(cut)
        if self._groups:
            chosen = random.integers(len(self._groups), size=count)
            cut = [self._square(self._groups[i], style_square, side, random) for i in chosen]
            itself = random.random(count) < ITSELF
            drawn["style"] = np.where(itself[:, None, None, None], drawn["photographs"], cut)
        if self._has_noise:
            drawn["noise"] = random.uniform(0, 255, self._shape).astype(np.float32)
        return drawn

    def _square(self, paths: Sequence[Path], cut: Callable, side: int, random) -> np.ndarray:
        flat = 0
        while not self._damaged.issuperset(paths):
            # From all of them: which ones are known to be damaged depends on the other reader.
            path = paths[random.integers(len(paths))]
            if path in self._damaged:
                continue
            try:
                found = cut(pictures.read(path), side, random)
                if found.std((0, 1)).max() >= FLAT:
                    return found
                flat += 1
                if flat == FLAT_SQUARES:
                    raise ValueError(
                        f"{flat} squares in a row, the last from {path}, are of a single colour: "
                        "there is nothing to learn on"
                    )
            except OSError as error:
                if path not in self._damaged:
                    self._damaged.add(path)
                    self._say(f"left out: {error}")
        raise OSError(f"none of the {len(paths)} pictures can be read, {paths[0]} among them")


def square(picture: np.ndarray, side: int, random) -> np.ndarray:
    """A square out of a picture, mirrored or not, at least half as long as the shorter side.

    Args:
        picture: (H, W, 3) RGB in 0..255.
        side: of the square that is returned, in pixels.
        random: numpy's generator.

    Returns:
        (side, side, 3) float32.
    """
    height, width = picture.shape[:2]
    short = min(height, width)
    least = min(short, max(short // 2, int(side / ENLARGED)))
    taken = int(random.integers(least, short + 1))
    y, x = (int(random.integers(length - taken + 1)) for length in (height, width))
    cut = pictures.resize(picture[y : y + taken, x : x + taken], side, side)
    return np.ascontiguousarray(cut[:, ::-1] if random.random() < 0.5 else cut, np.float32)


def style_square(picture: np.ndarray, side: int, random) -> np.ndarray:
    """A square out of a picture of a style, as `square`, with strokes up to twice as fine or as
    broad, turned or mirrored, and of some in other colours."""
    height, width = picture.shape[:2]
    short = min(height, width)
    least, most = min(short, side / ENLARGED), min(short, side * ENLARGED)
    taken = max(1, round(np.exp(random.uniform(np.log(least), np.log(most)))))
    y, x = (int(random.integers(length - taken + 1)) for length in (height, width))
    cut = pictures.resize(picture[y : y + taken, x : x + taken], side, side)
    cut = np.rot90(cut, random.integers(4))
    cut = cut[:, ::-1] if random.random() < 0.5 else cut
    return np.ascontiguousarray(
        recoloured(cut, random) if random.random() < 0.5 else cut, np.float32
    )


def recoloured(picture: np.ndarray, random) -> np.ndarray:
    """A picture in other colours: turned about the grey axis, more or less pure, in contrast and in
    brightness; (H, W, 3) RGB in 0..255, as it is given."""
    turn = random.uniform(0, 2 * np.pi)
    # Rodrigues' rotation about (1, 1, 1).
    about = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / np.sqrt(3)
    grey = np.full((3, 3), 1 / 3)
    rotation = np.cos(turn) * (np.eye(3) - grey) + np.sin(turn) * about
    mixed = picture @ (random.uniform(0.4, 1.4) * rotation + grey).T.astype(np.float32)
    middle = mixed.mean((0, 1))
    changed = (mixed - middle) * random.uniform(0.7, 1.3) + middle + random.uniform(-40, 40)
    return np.clip(changed, 0, 255)
