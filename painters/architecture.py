"""What a painter is made of: convolutions, normalised anew for each style.

J. Johnson, A. Alahi, L. Fei-Fei, "Perceptual Losses for Real-Time Style Transfer", arXiv
1603.08155; D. Ulyanov et al., "Texture Networks", arXiv 1603.03417, and "Instance Normalization",
arXiv 1607.08022; V. Dumoulin, J. Shlens, M. Kudlur, "A Learned Representation for Artistic Style",
arXiv 1610.07629.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from .. import backend
from ..settings import Training
from . import ADAPTED, ARGUMENTS, COLOURS, EMBEDDING, SHARES, STATISTICS
from .predictor import (
    GRAMS,
    MIDDLE,
    REACH,
    Glorot,
    StylePredictor,
    adaptation,
    by_layer,
    eyes,
    of_adapted,
)

EPSILON = 1e-5  # added to the variances
RESIDUAL = (32, 64, 128)  # channels at the full, half and quarter size
BLOCKS = 5  # residual ones
PYRAMID, LEVELS = 8, 6  # channels of each level alone, and how many there are
DECODER = (56, 112, 216)  # channels at half, a quarter and an eighth of the size
# The names of what each style has of its own: what is learnt, and how its painting looks.
STYLE_VARIABLES = ("style_scale", "style_shift", "style_statistics", "style_grams")


class ReflectedConv2D(keras.layers.Conv2D):
    """A convolution of what goes on mirrored beyond its edges, so that a picture has no frame."""

    def __init__(self, filters: int, size: int, strides: int = 1):
        super().__init__(filters, size, strides, padding="valid", kernel_initializer=Glorot())

    def call(self, x):
        return super().call(_mirrored(x, self.kernel_size[0] // 2, "reflect"))


class UpsampledConv2D(keras.layers.Conv2D):
    """A convolution of what is enlarged twofold, bilinearly: it makes no checkerboard, as a
    transposed one does (Odena et al., distill.pub, 2016), and no blocks, as doubled pixels do.

    What it gives at even and at odd positions is a function of the three pixels around each given
    one. So it is computed at the small size, for the four positions at once, which takes the same
    multiplications and, going back, on processors half of the time.
    """

    # What a kernel (a, b, c) at even positions, and then at odd ones, is to the pixels around.
    HALVES = np.array(
        [
            [[0.75, 0.25, 0], [0.25, 0.75, 0.75], [0, 0, 0.25]],
            [[0.25, 0, 0], [0.75, 0.75, 0.25], [0, 0.25, 0.75]],
        ],
        np.float32,
    )

    def __init__(self, filters: int, smooth: bool = False):
        """
        Args:
            filters: how many.
            smooth: blur what is given first, by 1, 2, 1 over 4 along both axes, of which nothing
                is left that changes its sign from position to position: the activations after it
                would make dots of that, a position apart.
        """
        super().__init__(filters, 3, padding="valid", kernel_initializer=Glorot())
        self.smooth = smooth

    def call(self, x):
        n, height, width, _ = ops.shape(x)
        if self.smooth:
            x = _mirrored(x, 1, "symmetric")
            x = (x[:, :-2] + x[:, 2:]) / 4 + x[:, 1:-1] / 2
            x = (x[:, :, :-2] + x[:, :, 2:]) / 4 + x[:, :, 1:-1] / 2
        halves = ops.convert_to_tensor(self.HALVES, self.compute_dtype)
        kernel = ops.convert_to_tensor(self.kernel, self.compute_dtype)
        # p, q: which half; u, v: the pixels around; i, j: of the kernel; c, d: channels.
        kernel = ops.einsum("pui,qvj,ijcd->uvcpqd", halves, halves, kernel)
        kernel = ops.reshape(kernel, (3, 3, self.kernel.shape[2], 4 * self.filters))
        x = ops.conv(_mirrored(x, 1, "symmetric"), kernel, padding="valid")
        x = ops.reshape(x, (n, height, width, 2, 2, self.filters))
        x = ops.transpose(x, (0, 1, 3, 2, 4, 5))
        x = ops.reshape(x, (n, 2 * height, 2 * width, self.filters))
        return x + ops.cast(self.bias, x.dtype)


class StyleNormalization(keras.layers.Layer):
    """Conditional instance normalisation: (x - μ)/σ, of each picture and channel, with a scale and
    a shift of its own for each style; several are mixed by their shares (arXiv 1610.07629,
    equation 5). With `kind` "batch", μ and σ are those of a batch, and later of the training."""

    def __init__(self, styles: int, kind: str = "instance"):
        super().__init__()
        self.styles, self.batch = styles, None
        if kind == "batch":
            self.batch = keras.layers.BatchNormalization(center=False, scale=False, epsilon=EPSILON)

    def build(self, shape, *_):
        channels = shape[-1]
        scale, shift, *_ = STYLE_VARIABLES
        self.scale = self.add_weight(shape=(self.styles, channels), initializer="ones", name=scale)
        self.shift = self.add_weight(shape=(self.styles, channels), initializer="zeros", name=shift)
        if self.batch is not None:
            self.batch.build(shape)

    def call(self, x, shares, statistics=None):
        """
        Args:
            x: (n, H, W, C).
            shares: of each style, (n, styles), each row summing to 1.
            statistics: μ and σ² of the whole of each picture, (n, 1, 1, C), where x is a part.
        """
        scale, shift = (ops.matmul(shares, one)[:, None, None] for one in (self.scale, self.shift))
        if self.batch is not None:
            return self.batch(x) * scale + shift
        mean, variance = statistics or ops.moments(x, axes=(1, 2), keepdims=True)
        # As one product and one sum of each number.
        scale = scale * ops.rsqrt(variance + EPSILON)
        return x * scale + (shift - mean * scale)


class Section(keras.layers.Layer):
    """Convolutions, each normalised and, but for a residual's last, rectified."""

    def __init__(
        self,
        convolutions: Sequence[keras.layers.Layer],
        styles: int,
        kind: str,
        activation=ops.relu,
        last=None,
        is_residual: bool = False,
        halo: int = 0,
        beside: str | None = None,
    ):
        """
        Args:
            convolutions: or what else gives features.
            styles, kind: of the normalisations.
            activation: after each normalisation.
            last: what takes its place after the last one.
            is_residual: whether what is given is added to the result.
            halo: how far beyond a tile it looks, at most, in positions of what is given.
            beside: the layer of `ADAPTED` whose features are to be given after the other channels.
        """
        super().__init__()
        self.halo, self.beside = halo, beside
        self.convolutions = list(convolutions)
        self.normalizations = [StyleNormalization(styles, kind) for _ in convolutions]
        self.activations = [activation] * (len(self.convolutions) - 1) + [last or activation]
        self.is_residual = is_residual

    def build(self, shape, *_, **__):
        for convolve, normalize in zip(self.convolutions, self.normalizations):
            convolve.build(shape)
            shape = _channels(convolve.filters)
            normalize.build(shape)

    @functools.cached_property
    def parts(self):
        """For each `until` of `call`, itself as a compiled function of the other arguments."""

        def part(until):
            return backend.compiled(
                lambda x, shares, statistics: self(x, shares, statistics, until=until), self
            )

        return {until: part(until) for until in (*range(len(self.convolutions)), None)}

    def call(self, x, shares, statistics=(), until: int | None = None):
        """
        Args:
            x: (n, H, W, C).
            shares: (n, styles).
            statistics: of the first normalisations, where x is a part of a picture.
            until: the convolution whose result is wanted, not yet normalised; None for all.
        """
        given = x
        layers = zip(self.convolutions, self.normalizations, self.activations)
        for i, (convolve, normalize, activate) in enumerate(layers):
            x = convolve(x)
            if i == until:
                return x
            x = activate(normalize(x, shares, statistics[i] if i < len(statistics) else None))
        return x + given if self.is_residual else x


@keras.saving.register_keras_serializable("neural_style_keras")
class Painter(keras.Model):
    """A network that paints pictures in one pass, in one of its styles or between them.

    Its inputs are the pictures (n, H, W, C), RGB in 0..255, H and W multiples of `stride`, and the
    shares of the styles (n, styles). C is 3; 6 for a decoder and for a pyramid that paints
    photographs, with noise in 0..255 as the other three. It gives (n, H, W, 3), about 0..255: what
    is beyond is to be clipped.
    """

    def __init__(
        self,
        architecture: str = Training.architecture,
        styles: int = 1,
        width_factor: float = Training.width_factor,
        normalization: str = Training.normalization,
        upsampling: str = Training.upsampling,
        edge_kernel: int = Training.edge_kernel,
        of_photographs: bool = True,
        any_style: bool = False,
        about: dict | None = None,
        **options,
    ):
        """
        Args:
            architecture: `residual` (arXiv 1603.08155), `pyramid` (arXiv 1603.03417), or `decoder`,
                of what the compact network sees of the photographs, given the mean and the spread
                of each feature of a painting (arXiv 1703.06868); its numbers of channels are
                others, and its stride is 8.
            styles: how many; a painter for any style has the numbers of an embedding instead.
            width_factor: of the numbers of channels, which become multiples of 8.
            normalization: `instance` or `batch`.
            upsampling: `resize`, `smooth` or `transposed`.
            edge_kernel: side of the first and of the last convolution's kernel, of a residual; of
                a decoder's last one.
            of_photographs: or of noise alone, which makes textures of a pyramid.
            any_style: whether it is a decoder whose `predictor` gives embeddings, which take the
                place of shares.
            about: what made it, as JSON has it.
        """
        super().__init__(**options)
        given = locals()
        if any_style:
            given["styles"], styles = EMBEDDING, SHARES
            given["architecture"] = architecture = "decoder"
        self.arguments = {name: given[name] for name in ARGUMENTS}
        self.about = about or {}
        self.styles, self.of_photographs = given["styles"], of_photographs
        self.architecture = architecture
        self.is_pyramid, self.is_decoder = architecture == "pyramid", architecture == "decoder"
        self.takes_noise = self.is_pyramid or self.is_decoder or not of_photographs
        self.channels = 3 * (of_photographs + self.takes_noise)

        self.any_style, self.predictor = any_style, None
        self.eyes = eyes() if self.is_decoder else None
        if any_style:
            self.predictor = StylePredictor()
            self.predictor.build()
        elif self.is_decoder:
            kept = dict(initializer="ones", trainable=False)
            *_, statistics, grams = STYLE_VARIABLES
            self.style_statistics = self.add_weight((styles, STATISTICS), name=statistics, **kept)
            self.style_grams = self.add_weight((styles, GRAMS), name=grams, **kept)

        def section(*convolutions, **how):
            return Section(convolutions, styles, normalization, **how)

        def residual(channels):
            return section(
                ReflectedConv2D(channels, 3),
                ReflectedConv2D(channels, 3),
                last=keras.activations.linear,
                is_residual=True,
                halo=2,
            )

        def up(channels):
            if upsampling == "transposed":
                how = dict(padding="same", kernel_initializer=Glorot())
                return keras.layers.Conv2DTranspose(channels, 3, 2, **how)
            return UpsampledConv2D(channels, upsampling == "smooth")

        if self.is_decoder:
            self.stride = 8
            half, quarter, eighth = (_eights(width_factor * n) for n in DECODER)
            self.full_channels = half
            small = BLOCKS // 2  # of the blocks are at a quarter of the size
            self.strides = (*(8,) * (BLOCKS - small + 2), *(4,) * (small + 2), 2)
            self.sections = [
                section(ReflectedConv2D(eighth, 3), halo=1, beside="relu4_1"),
                *(residual(eighth) for _ in range(BLOCKS - small)),
                section(up(quarter), halo=2),
                section(ReflectedConv2D(quarter, 3), halo=1, beside="relu3_1"),
                *(residual(quarter) for _ in range(small)),
                section(up(half), halo=2),
                section(
                    ReflectedConv2D(half, 3),
                    up(half),
                    ReflectedConv2D(3, edge_kernel),
                    last=_colour,
                    halo=6,
                    beside="relu2_1",
                ),
            ]
        elif not self.is_pyramid:
            self.stride = 4
            self.strides = (1, *(4,) * (BLOCKS + 1))  # pixels from position to position, of each
            full, half, quarter = (_eights(width_factor * n) for n in RESIDUAL)
            self.full_channels = full
            self.sections = [
                section(
                    ReflectedConv2D(full, edge_kernel),
                    ReflectedConv2D(half, 3, 2),
                    ReflectedConv2D(quarter, 3, 2),
                    halo=8,
                ),
                *(residual(quarter) for _ in range(BLOCKS)),
                section(up(half), up(full), ReflectedConv2D(3, edge_kernel), last=_colour, halo=5),
            ]
        else:
            self.stride = 2 ** (LEVELS - 1)

            def level(channels):
                sizes = (3, 3, 1)
                return section(*(ReflectedConv2D(channels, n) for n in sizes), activation=_leaky)

            each = _eights(width_factor * PYRAMID)
            self.full_channels = each * LEVELS
            self.levels = [level(each) for _ in range(LEVELS)]
            self.joined = [level(each * (i + 1)) for i in range(1, LEVELS)]
            # Two for each level, in one list: Keras before 3.15 saves no lists in lists.
            self.balances = [
                StyleNormalization(styles, normalization) for _ in range(2 * (LEVELS - 1))
            ]
            self.sections = [section(ReflectedConv2D(3, 1), last=_colour)]
        self.build()

    def build(self, *_, **__):
        """Make all weights: of the numbers of channels alone, which takes a tenth of the time that
        Keras takes to find them by calling every layer."""
        if self.built:
            return
        found = self.channels
        if self.is_pyramid:
            found = each = self.full_channels // LEVELS
            for level in self.levels:
                level.build(_channels(self.channels))
            for i, level in enumerate(self.joined):
                one, other = self.balances[2 * i : 2 * i + 2]
                one.build(_channels(found))
                other.build(_channels(each))
                found += each
                level.build(_channels(found))
        if self.is_decoder:
            found = 0
        for section in self.sections:
            beside = ADAPTED[section.beside] + 3 if section.beside else 0
            section.build(_channels(found + beside))
            found = section.convolutions[-1].filters

    @functools.cached_property
    def painted(self):
        """`self` as a compiled function of the pictures and the shares, which pays from the second
        picture of a size on: 0.08 s and not 0.18 at 256 pixels, after 0.2 s more for the first."""
        return backend.compiled(lambda pictures, shares: self((pictures, shares)), self)

    def call(self, inputs):
        pictures, shares = inputs
        if self.is_decoder:
            return self._decoded(pictures, *self.split(shares))
        x = prepared(pictures)
        if self.is_pyramid:
            x = self._climbed(x, shares)
        for section in self.sections:
            x = section(x, shares)
        return x

    def split(self, shares):
        """Of a decoder: what its normalisations take, (n, k), and for each of `ADAPTED` the means
        and the spreads of the features that are wanted, (n, C) each, of the shares of the styles
        or of embeddings, (n, styles)."""
        if self.any_style:
            return shares[:, :SHARES], by_layer(shares[:, SHARES:])
        return shares, by_layer(ops.matmul(shares, self.style_statistics))

    def _decoded(self, pictures, shares, wanted):
        """From the smallest features up, each adapted to a painting's and joined where it is."""
        features, x = self.eyes.features(pictures[..., :3]), None
        for section, stride in zip(self.sections, self.strides):
            if section.beside:
                found = features[section.beside]
                moments = ops.moments(found, axes=(1, 2), keepdims=True)
                gain, offset = adaptation(*moments, *wanted[section.beside])
                found = ops.stop_gradient(found * gain + offset)
                beside = [found, self.noise(pictures, stride)]
                x = ops.concatenate(beside if x is None else [x, *beside], axis=3)
            x = section(x, shares)
        return x

    @staticmethod
    def noise(pictures, stride: int):
        """The noise beside features that are so many pixels apart, in -1..1. Where a photograph is
        flat, its features are the same everywhere, and without it so would be what is painted."""
        return prepared(pictures[:, ::stride, ::stride, 3:])

    def _climbed(self, x, shares):
        """From the smallest level up: each is enlarged, and joined with the next larger one."""
        for i, level in enumerate(self.levels):
            small = level(_reduced(x, 2 ** (LEVELS - 1 - i)), shares)
            if not i:
                found = small
                continue
            found = ops.repeat(ops.repeat(found, 2, axis=1), 2, axis=2)
            one, other = self.balances[2 * i - 2 : 2 * i]
            found = ops.concatenate([one(found, shares), other(small, shares)], axis=3)
            found = self.joined[i - 1](found, shares)
        return found

    def canvas(self, photographs, noise):
        """What the painter takes, (n, H, W, C), of photographs and noise, each (n, H, W, 3) in
        0..255; of those that it does not take, None will do."""
        taken = [photographs] * self.of_photographs + [noise] * self.takes_noise
        return ops.concatenate(taken, axis=3) if len(taken) > 1 else taken[0]

    @property
    def names(self) -> list[str]:
        """What its styles are called."""
        named = [style["name"] for style in self.about.get("styles", ())]
        if self.any_style:
            return []
        return named or [str(number) for number in range(1, self.styles + 1)]

    def begin_with(self, style: int, picture, is_new: bool = True):
        """Let the pictures in a style have the mean and the spread of its colours, from the first
        step on, if it is new, and of its features, where they are adapted; `picture` is (H, W, 3)
        RGB in 0..255, of that style."""
        wanted = np.arctanh((np.reshape(picture, (-1, 3)) - MIDDLE) / REACH)
        last, own = self.sections[-1].normalizations[-1], []
        if is_new:
            own += [(last.scale, wanted.std(0)), (last.shift, wanted.mean(0))]
        if self.is_decoder:
            seen, grams = self.eyes.look(picture)
            own += [(self.style_statistics, of_adapted(seen)[0]), (self.style_grams, grams[0])]
        for variable, value in own:
            values = ops.convert_to_numpy(variable.value).copy()
            values[style] = value
            variable.assign(values)

    @property
    def _all_sections(self) -> list[Section]:
        levels = [*self.levels, *self.joined] if self.is_pyramid else []
        return [*levels, *self.sections]

    def multiply_in(self, precision: str):
        """Have the convolutions compute in `float32` or `bfloat16`; weights, statistics and what
        lies between the convolutions stay float32."""
        policy = {"float32": "float32", "bfloat16": "mixed_bfloat16"}[precision]
        for section in self._all_sections:
            for layer in section.convolutions:
                layer.dtype_policy = keras.DTypePolicy(policy)
        if self.is_decoder:
            self.eyes = eyes(precision)

    def begin_with_any(self, seed: int):
        """Let the pictures have the colours of their style from the first step on, and let each
        number of an embedding change a little of how they are painted."""
        random = np.random.default_rng(seed)
        own = [layer for section in self._all_sections for layer in section.normalizations]
        for layer in own + (self.balances if self.is_pyramid else []):
            shape = layer.scale.shape
            scale, shift = random.normal(0, 0.2, (2, *shape))
            scale[0], shift[0] = 1, 0
            if layer is self.sections[-1].normalizations[-1]:
                scale, shift = scale * 0.1, shift * 0.1
                scale[: 1 + COLOURS] = shift[: 1 + COLOURS] = 0
                means, spreads = np.split(np.arange(1, 1 + COLOURS), 2)
                shift[means], scale[spreads] = np.eye(3), np.eye(3)
            layer.scale.assign(scale)
            layer.shift.assign(shift)

    def with_styles(self, origins: Sequence[int | None], keep: bool) -> tuple[Painter, int]:
        """A painter with the same weights and other styles, and the number of the first of them.

        Args:
            origins: for each new style, the number of the one whose scales and shifts it begins
                with; None for the mean of all.
            keep: whether the styles of this painter come before the new ones.
        """
        first = self.styles if keep else 0
        arguments = self.arguments | {"styles": first + len(origins)}
        other = Painter(**arguments, about=self.about)
        for old, new in zip(self.variables, other.variables):
            values = ops.convert_to_numpy(old.value)
            if old.name in STYLE_VARIABLES:
                began = [values.mean(0) if n is None else values[n] for n in origins]
                values = np.concatenate([values[:first], began])
            new.assign(values)
        return other, first

    def with_named(self, embeddings: Sequence, styles: Sequence[dict]) -> Painter:
        """A painter with the same convolutions that paints in styles of its own as this one, for
        any style, does with their embeddings.

        Args:
            embeddings: from `embed_styles`.
            styles: what is known of each, its "name" at least.
        """
        arguments = self.arguments | {"styles": len(embeddings), "any_style": False}
        other = Painter(**arguments, about={**self.about, "styles": [*styles]})
        vectors = np.stack([one.vector for one in embeddings])
        shares, statistics = np.split(vectors, [SHARES], axis=1)
        for old, new in zip(self.sections, other.sections):
            for one, its in zip(old.convolutions, new.convolutions):
                its.set_weights(one.get_weights())
            for one, its in zip(old.normalizations, new.normalizations):
                its.set_weights([shares @ values for values in one.get_weights()])
        other.style_statistics.assign(statistics)
        other.style_grams.assign(np.stack([one.grams for one in embeddings]))
        return other

    def get_config(self):
        return {**self.arguments, "about": self.about}


def prepared(pictures):
    """0..255 -> -1..1, as the first section takes them."""
    return pictures / MIDDLE - 1


def _colour(x):
    """What the last section gives, as colours: a little beyond 0..255, so that black and white can
    be reached."""
    return MIDDLE + REACH * ops.tanh(x)


def _reduced(x, step: int):
    """Every so many pixels: of a photograph their mean; the last three channels are noise, which
    would only become fainter by that."""
    if step == 1:
        return x
    noise = x[:, ::step, ::step, -3:]
    if x.shape[3] == 3:
        return noise
    return ops.concatenate([ops.average_pool(x[..., :-3], step, step), noise], axis=3)


def _mirrored(x, beyond: int, mode: str):
    sides = (beyond, beyond)
    return ops.pad(x, ((0, 0), sides, sides, (0, 0)), mode=mode) if beyond else x


def _leaky(x):
    return ops.leaky_relu(x, 0.01)


def _channels(number: int) -> tuple:
    """The shape of pictures of any number and size."""
    return None, None, None, number


def _eights(channels: float) -> int:
    return max(8, 8 * round(channels / 8))
