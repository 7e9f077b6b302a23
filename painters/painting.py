"""Paint pictures with a painter: whole, or in tiles with the very same result.

In tiles, the picture goes through the painter a section at a time, and through each section as
often as it has normalisations, whose means and variances are those of the whole picture: each time
the next of them become known. Between sections the whole is kept at a quarter of the size; of a
decoder at an eighth, a quarter and a half.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from keras import ops, tree

from .. import backend
from ..tiles import Tile, grid
from . import shares_of
from .architecture import Painter, Section, prepared
from .predictor import LEAST, adaptation, eyes

# Bytes for each pixel and channel at the full size, at the peak, and whatever the size. Of the
# paintbox at 2048x1536 pixels, 16 were measured on TensorFlow, 23 on PyTorch and 20 on JAX; of the
# painter for any style, 22 on TensorFlow.
MEMORY, MEMORY_BASE = 30, 0.5e9
TILE = 1024  # pixels


@dataclass(frozen=True, eq=False)
class Embedding:
    """What a painter for any style makes of paintings, or how much of each style one that has
    learnt its own is asked for."""

    vector: np.ndarray  # (`EMBEDDING`,) or (styles,) float32, that the painter paints by
    grams: np.ndarray | None  # (`GRAMS`,) float32, by which the picture is refined, if it is

    @classmethod
    def mixed(cls, embeddings: Sequence[Embedding], shares: Sequence[float]) -> Embedding:
        """Their mean by shares that sum to 1: the losses to several Gram matrices, by such shares,
        have the gradient of the loss to their mean."""
        shares = np.array(shares, np.float32)
        each = zip(*((one.vector, one.grams) for one in embeddings))
        return cls(*(shares @ np.stack(values) for values in each))


def paint(
    painter: Painter,
    picture: np.ndarray,
    style: str | Mapping[str, float] | Embedding | None = None,
    seed: int = 0,
    tile: int = 0,
    *,
    styles: Sequence[np.ndarray] = (),
    strength: float = 1.0,
    refine: int = 0,
    device: str | None = None,
) -> np.ndarray:
    """Paint a picture: `paint(painter, photo, "wave")` in a style that the painter has learnt, or
    `paint(painter, photo, styles=[painting])` by a painter for any style.

    Args:
        painter: from `painters.load`.
        picture: (H, W, 3) RGB in 0..255; for a painter of textures, only its size counts.
        style: the name of one of the painter's, or the share of each of several: what is between
            two styles has scales and shifts between theirs (arXiv 1610.07629, section 3.3). Of a
            painter for any style, what `embed_styles` makes of paintings, in place of `styles`.
        seed: of the noise, where the painter takes noise.
        tile: the side of the tiles in pixels; 0 for the whole at once. A pyramid has no tiles.
        styles: paintings, (H, W, 3) RGB in 0..255 each, for a painter for any style; of several,
            what is in the middle. `embed_styles` has other mixtures, and is asked only once for
            many pictures.
        strength: 0..1, of a painter for any style: a part is the style that is seen in the picture
            itself, and as much of what the painter loses in that style is given back, so that at 0
            the picture is as it was. Between 0 and 1, it is painted and refined twice.
        refine: of a decoder, how many steps of L-BFGS by the compact network follow on the
            picture, for the objective of the recipe `ours`; see `refining`.
        device: where it is refined, as in `Settings`.

    Returns:
        (H, W, 3) float32 RGB in 0..255.

    Raises ValueError for a picture that is too small, a style that the painter does not have,
    styles of the other kind than the painter's, or what such a painter does not do.
    """
    style = _style(painter, style, styles, strength, refine)
    if refine:
        from . import refining  # with an optimiser, which painting alone does without

        refined = refining.refiner(device)
        first_step = refining.FIRST_STEP if painter.any_style else refining.LEARNT_FIRST_STEP
    height, width = picture.shape[:2]
    least = max(LEAST, 2 * painter.stride)  # what is less cannot be mirrored
    if min(height, width) < least:
        raise ValueError(
            f"the picture is {width}x{height} pixels; for this painter it must be at least "
            f"{least}x{least}"
        )
    noise = None
    if painter.takes_noise:
        noise = np.random.default_rng(seed).uniform(0, 255, (1, *picture.shape)).astype(np.float32)
    photograph = np.asarray(picture, np.float32)[np.newaxis]
    x = ops.convert_to_numpy(painter.canvas(photograph, noise))
    x = _padded(x, painter.stride)

    def painted(one):
        shares = one.vector[np.newaxis]
        if tile:
            found = _in_tiles(painter, x, shares, tile)
        else:
            found = painter.painted(*map(ops.convert_to_tensor, (x, shares)))
        found = np.clip(ops.convert_to_numpy(found)[0, :height, :width], 0, 255)
        if refine:
            found = refined(found, photograph[0], one.grams, refine, tile, first_step)
        return found

    if strength == 1:
        return painted(style)
    if strength == 0:
        return np.clip(photograph[0], 0, 255)
    own = embed_styles(painter, [picture])
    lost = photograph[0] - painted(own)
    between = Embedding.mixed([style, own], [strength, 1 - strength])
    return np.clip(painted(between) + np.float32(1 - strength) * lost, 0, 255)


def embed_styles(
    painter: Painter, styles: Sequence[np.ndarray], weights: Sequence[float] | None = None
) -> Embedding:
    """What a painter for any style makes of paintings, for `paint`.

    Args:
        painter: from `painters.load`.
        styles: (H, W, 3) RGB in 0..255 each, of any size; strokes become as large as they are in
            them. What is large is seen smaller.
        weights: how much of each; the same of all if not given.

    Returns:
        A mixture of what is predicted from each.

    Raises ValueError for a painter of named styles, no styles, or other than one weight for each.
    """
    if not painter.any_style:
        raise ValueError(
            f"the painter has learnt its styles: choose from {', '.join(painter.names)}"
        )
    weights = (1.0,) * len(styles) if weights is None else tuple(weights)
    if not len(styles) or len(weights) != len(styles) or not sum(weights):
        raise ValueError("there must be a style, and a weight for each, not all of them 0")
    eyes().check(painter.about)
    embeddings = []
    for style in styles:
        statistics, grams = eyes().look(style)
        vector = ops.convert_to_numpy(painter.predictor(ops.convert_to_tensor(statistics)))[0]
        embeddings.append(Embedding(vector, grams[0]))
    return Embedding.mixed(embeddings, [weight / sum(weights) for weight in weights])


def _style(painter: Painter, style, styles, strength: float, refine: int) -> Embedding:
    """What is painted by, from what `paint` is given."""
    if refine and not painter.is_decoder:
        raise ValueError("only what a decoder paints is refined")
    if refine < 0:
        raise ValueError(f"a picture is refined by 0 steps or more, not {refine}")
    if not painter.any_style:
        if strength != 1:
            raise ValueError("the strength is of painters for any style")
        if len(styles) or not isinstance(style, (str, Mapping)):
            raise ValueError(
                "the painter has learnt its styles, and takes no others: choose from "
                f"{', '.join(painter.names)}"
            )
        style = {style: 1.0} if isinstance(style, str) else style
        shares, grams = np.array(shares_of(painter.names, style), np.float32), None
        if refine:
            grams = shares @ ops.convert_to_numpy(painter.style_grams)
        return Embedding(shares, grams)
    if not 0 <= strength <= 1:
        raise ValueError(f"the strength is from 0 to 1, not {strength}")
    if len(styles):
        style = embed_styles(painter, styles)
    elif not isinstance(style, Embedding):
        raise ValueError("the painter has no styles of its own: give it the picture of one")
    return style


def choose_tile(
    painter: Painter,
    size: tuple[int, int],
    device: str | None,
    asked: str = "auto",
    refine: int = 0,
) -> int:
    """The side of the tiles that are asked for, or with `auto` that the memory at hand asks for;
    0 for the whole at once. `refine` is as for `paint`.

    Raises ValueError for a pyramid, which has no tiles, where they are needed, and where not even
    the smallest tile can be refined.
    """
    if refine:
        from .refining import refiner

        tiles = (
            refiner(device).choose_tile(size, refine, asked),
            choose_tile(painter, size, device, asked),
        )
        return min(filter(None, tiles), default=0)
    if asked != "auto":
        if painter.is_pyramid and int(asked):
            raise ValueError("a pyramid does not paint in tiles: leave --tile out")
        return int(asked)
    free = backend.available_memory(device)
    needed = MEMORY_BASE + MEMORY * painter.full_channels * size[0] * size[1]
    if free is None or needed <= free:
        return 0
    if painter.is_pyramid:
        raise ValueError(
            f"this needs about {needed / 1e9:.1f} GB of memory and {free / 1e9:.1f} GB are free, "
            "and a pyramid does not paint in tiles: choose a smaller --width"
        )
    return TILE


def _padded(x: np.ndarray, stride: int) -> np.ndarray:
    """Mirrored beyond its lower and right edges, up to multiples of the stride."""
    beyond = [(0, -length % stride) for length in x.shape[1:3]]
    return np.pad(x, ((0, 0), *beyond, (0, 0)), mode="reflect")


def _in_tiles(painter: Painter, x: np.ndarray, shares: np.ndarray, tile: int) -> np.ndarray:
    if painter.is_decoder:
        shares, wanted = painter.split(ops.convert_to_tensor(shares))
        features, canvas = _adapted_in_tiles(painter, x[..., :3], wanted, tile), x
        x = x[:, :: painter.stride, :: painter.stride, :0]  # nothing but the features
    else:
        x = prepared(x)
    shares = ops.convert_to_tensor(shares)
    for section, stride in zip(painter.sections, painter.strides):
        if section.beside:
            beside = (features.pop(section.beside), painter.noise(canvas, stride))
            x = np.concatenate([x, *beside], axis=3)
        side = max(1, tile // 8) * 8 // stride
        tiles = grid(*x.shape[1:3], tile=side, halo=section.halo)
        statistics = []
        for i, normalization in enumerate(section.normalizations):
            if normalization.batch is not None:  # its statistics are those of the training
                break
            run = _until(section, i)
            statistics.append(_moments(run(x, one, shares, statistics)[0] for one in tiles))
        run, result = _until(section, None), None
        for one in tiles:
            part, place, size = run(x, one, shares, statistics)
            if result is None:
                result = np.empty((1, *size, part.shape[3]), np.float32)
            result[place] = part
        x = result
    return x


def _adapted_in_tiles(painter: Painter, x: np.ndarray, wanted, tile: int) -> dict:
    """The features of a photograph, adapted to those of a painting; each is kept whole."""
    eyes, found = painter.eyes, {}
    side, halo = (-(-n // eyes.stride) * eyes.stride for n in (max(1, tile), eyes.reach))
    for one in grid(*x.shape[1:3], tile=side, halo=halo):
        given = eyes.features_of(ops.convert_to_tensor(one.crop(x)))
        for layer, features in given.items():
            part, place, size = _owned(ops.convert_to_numpy(features), one, x.shape)
            if layer not in found:
                found[layer] = np.empty((1, *size, part.shape[3]), np.float32)
            found[layer][place] = part
    for layer, features in found.items():
        rows = (features[:, i : i + 64] for i in range(0, features.shape[1], 64))
        gain, offset = adaptation(*_moments(rows), *wanted[layer])
        features *= ops.convert_to_numpy(gain)
        features += ops.convert_to_numpy(offset)
    return found


def _moments(parts: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of each channel, (1, 1, 1, C), of (1, h, w, C) each."""
    count, total, squares = 0, 0.0, 0.0
    for part in parts:
        count += part.shape[1] * part.shape[2]
        total += part.sum((1, 2), np.float64, keepdims=True)
        squares += np.square(part, dtype=np.float64).sum((1, 2), keepdims=True)
    mean = total / count
    return mean.astype(np.float32), (squares / count - np.square(mean)).astype(np.float32)


def _until(section: Section, number: int | None):
    """A function that gives, of a tile, what a convolution of a section does, or with None the
    section, as `_owned` does."""
    compute = section.parts[number]

    def run(x, tile: Tile, shares, statistics):
        crop = ops.convert_to_tensor(tile.crop(x))
        given = tree.map_structure(ops.convert_to_tensor, statistics)
        return _owned(ops.convert_to_numpy(compute(crop, shares, given)), tile, x.shape)

    return run


def _owned(given: np.ndarray, tile: Tile, shape: tuple[int, ...]):
    """Of what was computed of a tile's crop, at whatever size: what the tile owns, where that is in
    the whole, and the height and the width of the whole; `shape` is that of what was cut."""
    s, own, place, size = tile.shape, [], [], []
    axes = ((s.top, s.own_height, s.height, tile.y), (s.left, s.own_width, s.width, tile.x))
    for axis, (first, owned, length, start) in enumerate(axes, start=1):

        def scaled(position, length=length, given_length=given.shape[axis]):
            return position * given_length // length

        own.append(slice(scaled(first), scaled(first + owned)))
        place.append(slice(scaled(start + first), scaled(start + first + owned)))
        size.append(scaled(shape[axis]))
    return given[(slice(None), *own)], (slice(None), *place), tuple(size)
