"""What the command line does, from arrays to arrays: sizes, networks, device and colours."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from .. import backend, memory, networks, pictures, vgg
from ..networks import normalization
from ..objective import Objective, check_sizes, region_sides
from ..pictures import Masks
from ..settings import Settings
from ..stylize import Diverged, OutOfMemory, Progress, State, stylize
from ..tiles import fitted
from ..vgg import Parameters
from .masks import placed_masks


@dataclass(frozen=True)
class Networks:
    """The networks of a run."""

    path: Path
    network: Parameters
    warm: Parameters | None  # the one that begins, where it helps
    normalization: str | None = None  # SHA-256 of the means that the network is divided by, if any


def load_networks(settings: Settings) -> Networks:
    """The networks that the settings name, normalised as they say; a published one is fetched if
    it is not there.

    Raises OSError or ValueError, in one sentence, where there is none, it cannot be read, or it
    cannot be normalised.
    """
    path = networks.find(settings.network, settings.quiet)
    network = vgg.load(path, settings.cache)
    warm = None
    if settings.warm_start:
        warm = vgg.load(networks.find(settings.warm_start, settings.quiet), settings.cache)
        known = {layer.name for layer in warm.layers}
        if warm.sha256 == network.sha256 or not known.issuperset(settings.layers()):
            warm = None
    return normalized(Networks(path, network, warm), settings)


def normalized(used: Networks, settings: Settings) -> Networks:
    """Networks with their filters scaled to a mean activation of one, if the settings say so. A
    warm start that cannot be scaled as the network itself is, is none.

    Raises OSError or ValueError for a network that cannot be normalised as asked for.
    """
    if settings.normalize_network == "off":
        return used
    try:
        means = normalization.means(used.network, settings)
    except ValueError:
        if settings.normalize_network == "auto":
            return used
        raise
    warm = used.warm
    try:
        warm = warm and normalization.normalized(warm, normalization.means(warm, settings))
    except ValueError:
        warm = None
    network = normalization.normalized(used.network, means)
    return replace(used, network=network, warm=warm, normalization=normalization.digest(means))


def transfer_style(
    content: np.ndarray | None,
    styles: Sequence[np.ndarray],
    settings: Settings | None = None,
    *,
    masks: Sequence[np.ndarray] | None = None,
    style_masks: Sequence[np.ndarray | None] | None = None,
    initial: np.ndarray | None = None,
    network: Networks | Parameters | None = None,
    state: State | None = None,
    stop: Callable[[], bool] = lambda: False,
    on_step: Callable[[float], None] = lambda iteration: None,
) -> Iterator[Progress]:
    """Paint a picture as the command line does, every setting that concerns a picture included.

    Args:
        content: (H, W, 3) RGB in 0..255, of any dtype; resized to `settings.width`. None with a
            `content_weight` of 0: a texture of the styles, of `settings.width` and `height`.
        styles: likewise, of any size; resized by `settings.style_scales`. None of them with a
            `style_weight` of 0: the content, as its layers have it.
        settings: the defaults if not given; `preset("fast")` is one place to begin.
        masks: where each style goes on the content: for each, (H, W) of any size, in 0..1 or in
            0..255, or a picture of shades of grey (H, W, 3); `settings.masks` if not given, and
            without those, everywhere. Where all are 0, the content's pixels stay as they are.
        style_masks: likewise, what of each style is taken; None for all of one;
            `settings.style_masks` if not given.
        initial: a picture to start from, of any size, without a `settings.painter`;
            `settings.initial` if not given.
        network: from `load_networks`, or from `load_network` and normalised here if the settings
            say so; the one that the settings name if not given.
        state: of an interrupted run with the same inputs, to go on with.
        stop: asked about once a second; once true, the run ends early.
        on_step: called about once a second with the iterations that are done.

    Yields:
        `Progress` at every print, every checkpoint and at the end.

    Raises:
        ValueError: for inputs that cannot be, in one sentence.
        OSError: for a network or a picture that the settings name and that cannot be had.
        Diverged: a loss became NaN or infinite.
        OutOfMemory: memory could not be had while the run was on.
    """
    settings = settings or Settings()
    if settings.cluster:
        raise ValueError("transfer_style paints in this process: transfer_each takes --cluster")
    settings.check_pictures(content is not None, len(styles))
    if settings.colors == "content":
        pictures.check_color_space(settings.color_space)
    if initial is not None and settings.painter:
        raise ValueError(
            f"initial and the painter {settings.painter} are both where to start: give one, "
            'as with preset("fast", painter=None)'
        )
    if initial is None and settings.initial:
        initial = pictures.read(settings.initial)
    numbers = ["the content", *(f"style {i}" for i in range(1, len(styles) + 1)), "the initial"]
    for name, picture in zip(numbers, (content, *styles, initial)):
        if picture is not None:
            pictures.check_finite(picture, name)
    with backend.device(settings.device):
        if network is None:
            network = load_networks(settings)
        elif not isinstance(network, Networks):
            network = normalized(Networks(None, network, None), settings)
    if content is None and masks is not None:  # those of the settings are refused above
        raise ValueError("masks say where on a content styles go, and there is none")
    shapes = [None if picture is None else picture.shape[1::-1] for picture in (content, *styles)]
    shapes = settings.sizes(shapes)
    if masks is None and settings.masks:
        masks = [pictures.mask(path) for path in settings.masks]
    if style_masks is None and settings.style_masks:
        style_masks = [pictures.mask(path) for path in settings.style_masks]
    placed = placed_masks(masks, style_masks, settings, shapes)
    settings = resolved(settings, shapes, network, placed)
    return painted(
        content, styles, settings, shapes, network, initial, state, stop, on_step, placed
    )


def resolved(
    settings: Settings,
    shapes: Sequence[tuple[int, int]],
    used: Networks,
    masks: Masks | None = None,
) -> Settings:
    """The settings with what `auto` stands for on this machine: the precision, the tile.

    Args:
        settings: as they were asked for.
        shapes: width and height of the content and of each style, as they are worked on.
        used: the networks.
        masks: from `placed_masks`.

    Raises ValueError for a picture, or the region of a mask, that is too small for the network, and
    for a picture that is too large for the memory.
    """
    for network in filter(None, (used.network, used.warm)):
        check_sizes(shapes, settings, network)
        region_sides(masks, settings, network)
    with backend.device(settings.device):
        chosen = backend.precision(settings.precision, settings.device)
        regions = len(masks.regions) if masks else 0
        settings = replace(settings, precision=chosen)
        return fitted(shapes, settings, used.network, used.warm, regions)


def painted(
    content,
    styles,
    settings,
    shapes,
    used,
    initial,
    state,
    stop,
    on_step,
    masks: Masks,
    objective: Callable[..., Objective] = Objective,
) -> Iterator[Progress]:
    """As `transfer_style`, with settings from `resolved`, the shapes that they were for, masks
    from `placed_masks`, and what makes objectives."""
    if content is None:  # a canvas for the noise, that nothing looks at
        content = np.zeros((*shapes[0][::-1], 3), np.float32)
        if initial is None:
            settings = replace(settings, initial_noiseblend=1.0)
    content, styles = worked_on(content, styles, settings, shapes, masks)
    if initial is not None:
        initial = pictures.resize(initial, *shapes[0])
    with backend.device(settings.device):
        if settings.painter and initial is None and state is None:
            initial = first_picture(content, styles, settings, masks)
        more = (stop, used.warm, on_step, masks, objective)
        steps = stylize(content, styles, settings, used.network, initial, state, *more)
    steps = _on_device(steps, settings.device)
    if settings.colors == "content":
        space = settings.color_space
        steps = _changed(steps, lambda image: pictures.preserve_colors(image, content, space))
    if masks.painted is not None:
        steps = _changed(steps, lambda image: pictures.composed(image, content, masks.painted))
    return steps


def worked_on(content, styles, settings: Settings, shapes, masks: Masks) -> tuple:
    """The content and the styles at the sizes that they are worked on, and in those colours."""
    content, *styles = (
        pictures.resize(np.asarray(picture, np.float32), *shape)
        for picture, shape in zip((content, *styles), shapes)
    )
    if settings.colors == "match":
        styles = matched(styles, content, masks)
    return content, styles


def matched(styles, content: np.ndarray, masks: Masks) -> list[np.ndarray]:
    """The styles with the colours of the content, or each with those of its region of it."""
    nothing = [None] * len(styles)
    return [
        pictures.match_colors(style, content, taken, region)
        for style, taken, region in zip(styles, masks.styles or nothing, masks.regions or nothing)
    ]


def first_picture(content: np.ndarray, styles, settings: Settings, masks: Masks) -> np.ndarray:
    """What the painter makes of the content, (H, W, 3); one for any style, in these, each where
    its mask has it.

    Raises ValueError for a content that is too small for it, and OutOfMemory.
    """
    from .. import painters
    from ..painters import painting
    from ..painters.predictor import LEAST

    size, refine = content.shape[1::-1], settings.refine
    if min(size) < LEAST:
        raise ValueError(
            f"{settings.painter} paints pictures of {LEAST}x{LEAST} pixels and more: --painter "
            "none starts without it"
        )
    stat = painters.find(settings.painter).stat()
    stamp = stat.st_size, stat.st_mtime_ns
    with backend.device(settings.device):
        painter = _painter(settings.painter, stamp, settings.device)
        tile = painting.choose_tile(painter, size, settings.device, refine=refine)

        def paint(style):
            how = dict(refine=refine, device=settings.device)
            return painting.paint(painter, content, style, settings.seed, tile, **how)

        try:
            if not painter.any_style:
                return paint(painters.shares_asked(painter.names, settings.style, settings))
            if masks.styles:
                styles = [pictures.filled(*one) for one in zip(styles, masks.styles)]
            if not masks.regions:
                shares = settings.style_shares(len(styles))
                return paint(painting.embed_styles(painter, styles, shares))
            each = [paint(painting.embed_styles(painter, [style])) for style in styles]
            return pictures.joined(each, masks.regions, content)
        except Exception as error:
            if not memory.ran_out(error):
                raise
            raise OutOfMemory(0, None) from error


@functools.lru_cache(maxsize=1)
def _painter(name: str, stamp, device: str | None):
    """A painter on a device, which stays loaded for the next picture while its file is what it
    was."""
    from .. import painters

    return painters.load(name)


def _on_device(steps: Iterator[Progress], device: str | None) -> Iterator[Progress]:
    """The steps, each taken in the scope of the device, which the caller's own work is not in."""
    while True:
        with backend.device(device):
            step = next(steps, None)
        if step is None:
            return
        yield step
        del step


def _changed(
    steps: Iterator[Progress], change: Callable[[np.ndarray], np.ndarray]
) -> Iterator[Progress]:
    """The steps, each with its picture changed."""
    try:
        for step in steps:
            yield replace(step, image=change(step.image))
    except (Diverged, OutOfMemory) as error:
        if error.image is not None:
            error.image = change(error.image)
        raise
