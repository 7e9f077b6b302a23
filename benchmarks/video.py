"""How steady films are: the temporal error, and what steadiness costs in style.

    python benchmarks/video.py --photo tubingen.jpg --clips fox.mp4 cockatoo.mp4 \\
        --style starry-night.jpg --painter paintbox --name starry_night [--network compact] \\
        [--width 160] [--frames 8] [--weights 2000] [--holds 2]

The temporal error is that of arXiv 1604.08610, section 6: the mean squared difference, in grey
levels, between a painted frame and the one before it, warped along the true flow, where that is
valid. Over the photograph a camera pans and zooms, and the true flow is known; of a film, it is
what DIS finds. What is painted knows DIS's flow in either case. The style loss is that of the
default recipe, by the network.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from neural_style_keras import backend, painters, pictures, vgg
from neural_style_keras.objective import Objective, Objectives
from neural_style_keras.pictures import Masks
from neural_style_keras.runs import transfer
from neural_style_keras.settings import Film, Settings, preset
from neural_style_keras.video import flow, reading
from neural_style_keras.video.artists import Optimiser, Painting, held_to

PAN, ZOOM = (1.7, 0.9), 0.99  # pixels and factor, from a frame to the next


@dataclass(frozen=True)
class Clip:
    """Frames (H, W, 3) uint8; of each but the first, the flow back and where it is valid."""

    name: str
    frames: list[np.ndarray]
    backs: list[np.ndarray]
    valid: list[np.ndarray]


def panned(path, width: int, count: int) -> Clip:
    """A camera that pans and zooms over a photograph."""
    photo = pictures.read(path)
    photo = pictures.resize(photo, 2 * width, round(2 * width * photo.shape[0] / photo.shape[1]))
    height = photo.shape[0] // 2
    rows, columns = np.indices((height, width), dtype=np.float32)
    middle = np.array([width / 2, height / 2], np.float32)
    places = np.stack([columns, rows], axis=2) - middle
    views = [
        (0.8 * middle * 2 + np.multiply(PAN, i), 1.3 * ZOOM**i) for i in range(count)
    ]  # where the camera looks, and how wide
    frames = []
    for where, scale in views:
        looked = places * np.float32(scale) + np.asarray(where, np.float32)
        frame = cv2.remap(
            photo, looked[..., 0], looked[..., 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
        )
        frames.append(np.rint(frame.clip(0, 255)).astype(np.uint8))
    backs, valid = [], []
    for (before, wide), (where, scale) in itertools.pairwise(views):
        back = (places * scale + np.asarray(where) - before) / wide - places
        back = back.astype(np.float32)
        x, y = columns + back[..., 0], rows + back[..., 1]
        backs.append(back)
        valid.append((x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1))
    return Clip("pan and zoom", frames, backs, valid)


def filmed(path, width: int, count: int) -> Clip:
    """The first frames of a film, with DIS's flow."""
    read = itertools.islice(reading.frames(reading.probe(path)), count)
    frames = []
    for frame in read:
        height = round(width * frame.picture.shape[0] / frame.picture.shape[1])
        frames.append(pictures.resize(frame.picture, width, height - height % 2).astype(np.uint8))
    backs, valid = [], []
    for before, frame in itertools.pairwise(frames):
        back = flow.optical_flow(frame, before)
        backs.append(back)
        valid.append(flow.reliable(back, flow.optical_flow(before, frame)) > 0)
    return Clip(str(path).rsplit("/", 1)[-1], frames, backs, valid)


def temporal_error(clip: Clip, painted: Sequence[np.ndarray]) -> float:
    """The mean over the frames but the first, in squared grey levels."""
    errors = []
    for (before, frame), back, valid in zip(itertools.pairwise(painted), clip.backs, clip.valid):
        squares = np.square(frame - flow.warped(np.asarray(before, np.float32), back))
        errors.append(squares[valid].mean())
    return float(np.mean(errors))


def film(clip: Clip, artist: Callable, is_held: bool) -> tuple[list[np.ndarray], float]:
    """The painted frames, rounded as they are kept, and the seconds of one but the first two."""
    painted, took, before = [], [], None
    for content in clip.frames:
        began = time.perf_counter()
        held = None
        if is_held and before is not None:
            held = held_to(painted[-1], before, content)
        painted.append(np.rint(artist(content, held).clip(0, 255)).astype(np.float32))
        took.append(time.perf_counter() - began)
        before = content
    return painted, float(np.median(took[2:]))


def style_loss(clip: Clip, painted, styles, settings: Settings, network) -> float:
    """The mean over the frames."""
    width = clip.frames[0].shape[1]
    sized = [
        pictures.resize(one, width, round(width * one.shape[0] / one.shape[1])) for one in styles
    ]
    objective = Objective(clip.frames[0], sized, settings, network)
    return float(
        np.mean(
            [
                objective.evaluate(vgg.preprocess(one, network.mean_pixel)).terms["style"]
                for one in painted
            ]
        )
    )


def rows(clip: Clip, arguments: argparse.Namespace):
    """Name, frames, seconds of each way to paint a clip; those alone before those held."""
    iterations = max(1, arguments.iterations)
    settings = preset(
        "fast", painter=None, network=arguments.network, iterations=iterations, quiet=True
    )
    styles = [pictures.read(arguments.style)]
    shapes = [clip.frames[0].shape[1::-1]]
    [first, *others] = settings.sizes([shapes[0], styles[0].shape[1::-1]])
    used = transfer.load_networks(settings)
    settings = transfer.resolved(settings, [first, *others], used)
    compiled = Objectives()  # for all weights alike
    for weight in (0.0, *arguments.weights) if arguments.iterations else ():
        asked = Film(temporal_weight=weight, frame_iterations=arguments.frame_iterations)
        artist = Optimiser(styles, settings, asked, used, Masks(), [first, *others], clip.frames[0])
        artist.objectives = compiled
        yield "optimised", weight, *film(clip, artist, weight > 0)
    for path in arguments.painter:
        painter = painters.load(path)
        shares = {arguments.name: 1.0}
        for weight in (0.0, *arguments.holds):
            artist = Painting(painter, shares, settings, Film(temporal_weight=weight), first)
            yield path.rsplit("/", 1)[-1], weight, *film(clip, artist, weight > 0)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photo", required=True)
    parser.add_argument("--clips", nargs="*", default=[])
    parser.add_argument("--style", required=True, help="a picture, and the painter's NAME of it")
    parser.add_argument("--painter", nargs="*", default=["paintbox"])
    parser.add_argument("--name", required=True)
    parser.add_argument("--network", default="compact")
    parser.add_argument("--width", type=int, default=160)
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument(
        "--iterations", type=int, default=100, help="of a frame alone; 0 for painters only"
    )
    parser.add_argument("--frame-iterations", type=int, default=Film.frame_iterations)
    parser.add_argument("--weights", type=float, nargs="*", default=[Film().hold(True)])
    parser.add_argument("--holds", type=float, nargs="*", default=[Film().hold(False)])
    parser.add_argument("--keep", help="a folder for the frames")
    arguments = parser.parse_args()
    clips = [panned(arguments.photo, arguments.width, arguments.frames)]
    clips += [filmed(path, arguments.width, arguments.frames) for path in arguments.clips]
    styles = [pictures.read(arguments.style)]
    plain = replace(preset("neural-style"), tv_weight=0.0, content_weight=0.0)
    network = transfer.load_networks(Settings(network=arguments.network, quiet=True)).network
    print(f"{backend.version()}, {arguments.frames} frames, {arguments.width} pixels wide")
    print("| clip | frames | weight | temporal error | of alone | style loss | of alone | s |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for clip in clips:
        alone = {}
        for name, weight, painted, seconds in rows(clip, arguments):
            error = temporal_error(clip, painted)
            style = style_loss(clip, painted, styles, plain, network)
            of = alone.setdefault(name, (error, style))
            print(
                f"| {clip.name} | {name} | {weight:g} | {error:.1f} | {error / of[0]:.3f} | "
                f"{style:.4g} | {style / of[1]:.2f} | {seconds:.2f} |",
                flush=True,
            )
            for i, one in enumerate(painted if arguments.keep else ()):
                where = f"{arguments.keep}/{clip.name}-{name}-{weight:g}-{i:02}.png"
                pictures.write(where, one)


if __name__ == "__main__":
    main()
