"""One run from a film to a film: read a frame, paint it, keep it; at the end, write them all."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import importlib.util
import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .. import files, painters, pictures
from ..runs import checks, masks
from ..runs.console import loading_keras, sentence, silenced, stop_signals, tell
from ..runs.job import Job
from ..settings import DISTRIBUTION, PROGRAM, VERSION, Film, Settings
from .keeping import Kept

if TYPE_CHECKING:  # they need PyAV, OpenCV and Keras, of which nothing is known yet
    from .artists import Held
    from .reading import Clip, Damage, Frame

# Of `Settings`, what there is no such thing as in a film.
WITHOUT = (
    "height",
    "masks",
    "style_masks",
    "feather",
    "alpha",
    "depth",
    "initial",
    "print_iterations",
    "checkpoint_output",
    "checkpoint_iterations",
    "progress_write",
    "progress_plot",
    "state_minutes",
)
EACH = 10.0  # seconds from one line to the next where there is no bar


@dataclass(frozen=True)
class FilmJob:
    """One run of `neural-style video`."""

    content: Path
    styles: list[Path]  # none for a film by a painter alone
    output: Path
    settings: Settings
    film: Film
    is_optimised: bool  # or by a painter alone

    @property
    def state(self) -> Path:
        """The folder in which the frames are kept until the film is written."""
        return self.output.with_name(self.output.name + ".frames")

    def as_picture(self) -> Job:
        """The same as of one picture."""
        return Job(self.content, self.styles, self.output, self.settings)


def check_installed() -> None:
    """Raise ValueError where what films need is not installed, without importing it."""
    for module, name in (("av", "PyAV"), ("cv2", "OpenCV")):
        if importlib.util.find_spec(module) is None:
            raise ValueError(f"films need {name}: pip install '{DISTRIBUTION}[video]'")


def check_arguments(job: FilmJob) -> None:
    """Raise ValueError for arguments that cannot be right, whatever the files hold."""
    check_installed()
    s = job.settings
    if job.is_optimised:
        if not job.styles and s.style_weights():
            raise ValueError("there are no styles: name one, or a --painter that has some")
        s.check_pictures(True, len(job.styles))
    elif job.film.passes > 1:
        raise ValueError("--passes are of an optimised film, and a painter needs one")
    elif s.colors == "match":
        raise ValueError("--colors match is of an optimised film")
    elif job.styles:
        s.check_styles(len(job.styles))
    if job.film.passes > 1 and not job.film.hold(job.is_optimised):
        raise ValueError("--passes hold frames to one another, and --temporal-weight 0 does not")
    if s.colors == "content":
        pictures.check_color_space(s.color_space)
    checks.check_apart([job.content, *job.styles], [job.output])


def run(
    job: FilmJob,
    reporter: Reporter | None = None,
    stops: list | None = None,
    writes_stopped: bool = False,
) -> int:
    """Do it. Returns the exit code; raises OSError or ValueError in one sentence.

    Args:
        job: what is asked for.
        reporter: who is told how far it is; the person at the terminal if not given.
        stops: once there is the number of a signal in it, the run ends; filled by Ctrl-C and
            SIGTERM if not given.
        writes_stopped: whether a film of one pass that is stopped is written as far as it goes,
            where nobody will go on with it.
    """
    from . import reading, writing

    s = job.settings
    may_be_complete = s.resume and job.output.exists() and not job.state.exists()
    checks.check_painter(job)
    if not job.is_optimised:
        config = painters.read_config(s.painter)
        painters.check_styles(s.painter, config, s.style, job.styles)
        painters.check_how(s.painter, config, s.strength)
    checks.check_normalization(s)
    styles = [pictures.size(path) for path in job.styles]
    clip = reading.probe(job.content)
    shapes = s.sizes([(clip.width, clip.height), *styles])
    shapes[0] = tuple(max(2, length - length % 2) for length in shapes[0])
    total = reading.count(clip, job.film.start, job.film.end)
    if not total:
        raise ValueError(f"{job.content} has no frames from --start to --end")
    codec, has_sound = writing.check_output(job.output, job.film, clip)
    with silenced(s.debug):
        writing.try_output(job.output, clip, job.film, codec, has_sound, shapes[0])
    if not may_be_complete:
        checks.check_outputs([job.output], job.state, s.resume, s.overwrite)
    reporter = reporter or Reporter(s.quiet)
    say = reporter.say
    width, height = shapes[0]
    sound = f", sound {', '.join(clip.sound)}" if has_sound else ", no sound"
    say(f"film: {job.content}, {total} frames, painted at {width}x{height} pixels{sound}")
    if clip.sound and not has_sound and not job.film.mute:
        say(f"{job.output.suffix} holds no sound: it is left out")
    with stop_signals() if stops is None else contextlib.nullcontext(stops) as signals:
        with loading_keras(s.debug):
            from .. import backend
        with backend.device(s.device):
            output = codec, has_sound
            return _paint(job, clip, shapes, total, output, signals, reporter, writes_stopped)


def _paint(
    job: FilmJob, clip, shapes, total: int, output, signals: list, reporter, writes_stopped: bool
) -> int:
    from . import reading, writing

    s, kept, damage, film = job.settings, Kept(job.state), reading.Damage(), job.film
    say = reporter.say
    prepare = _optimiser if job.is_optimised else _painting
    about, chosen, make = prepare(job, shapes, signals, say)
    whole = json.dumps({**about, "film": dataclasses.asdict(film)})
    if s.resume and job.output.exists() and not job.state.exists():
        if _comment(job.output) == whole:
            say(f"{job.output} is complete: there is nothing to resume")
            return 0
        checks.check_outputs([job.output], job.state, False, s.overwrite)
    chosen = _begun(job, kept, {**about, "film": film.frames(job.is_optimised)}, chosen, say)
    filming = _Filming(job, clip, shapes[0], kept, damage)
    reporter.begin(total * film.passes)
    done = 0
    try:
        for done, frame in filming.frames(lambda first: make(first, chosen)):
            reporter.step(done, frame)
            if signals:
                break
    except OSError as error:
        raise OSError(f"{sentence(error)}; {_goes_on(kept)}") from error
    except KeyboardInterrupt:  # the second signal
        pass
    finally:
        reporter.close()
        goes_on = _goes_on(kept)
        kept.drop_if_empty()
    if signals and not (done and writes_stopped):
        tell(f"{PROGRAM}: interrupted; {goes_on}", sys.stderr)
        return 128 + signals[0]
    if not done:
        raise OSError(f"{job.content} holds no frame that can be read: {damage.reason}")
    if signals:  # the sound ends with the pictures
        film = dataclasses.replace(film, end=(film.start or 0) + float(done / clip.rate))
    with silenced(s.debug):
        writing.write(job.output, clip, filming.painted(), film, *output, whole)
    shutil.rmtree(job.state)
    number = done // film.passes
    if not signals and (found := damage.found(clip)):
        reporter.warn(f"{job.content} {found}: what could be read, {number} frames, is painted")
    say(f"wrote {job.output}, {number} frames")
    return 128 + signals[0] if signals else 0


def _begun(job: FilmJob, kept: Kept, asked: dict, chosen: dict, say) -> dict:
    """Begin to keep frames, or go on; what was chosen for the machine that began."""
    if job.settings.resume and job.state.exists():
        return kept.chosen(asked)
    if job.settings.resume:
        say(f"nothing to resume: {job.state} is not there; from the start")
    kept.begin(asked, chosen)
    return chosen


def _goes_on(kept: Kept) -> str:
    if kept.is_empty():
        return "no frame was done"
    return f"the frames that are done are kept in {kept.folder}, and --resume goes on"


def _optimiser(job: FilmJob, shapes, signals: list, say):
    """What the frames depend on; what is chosen for this machine; and a function of the first frame
    and of what was chosen, which gives the artist."""
    from ..runs import description, transfer
    from ..runs.run import CHOSEN
    from .artists import Optimiser

    one = job.as_picture()
    used = transfer.load_networks(job.settings)
    taken = masks.read_masks(one, shapes)
    about = description.metadata(one, used)
    settings = transfer.resolved(job.settings, shapes, used, taken)
    chosen = {name: getattr(settings, name) for name in CHOSEN}
    styles = [pictures.read(path) for path in job.styles]
    shown = dataclasses.replace(settings, resume=False)
    for line in (*description.lines(one, shown, used, [], None), *masks.lines(one, taken)):
        say(line)

    def make(first, chosen: dict):
        settings = dataclasses.replace(job.settings, **chosen)
        return Optimiser(
            *(styles, settings, job.film, used, taken, shapes, first), stop=lambda: bool(signals)
        )

    return about, chosen, make


def _painting(job: FilmJob, shapes, signals: list, say):
    """As `_optimiser`."""
    from .. import backend
    from ..runs.painting import RECORDED, described_styles, styles_for
    from .artists import Painting

    s = job.settings
    painter = painters.load(s.painter)
    styles = job.styles or s.style or painter.names
    style_of = styles_for(painter.get_config(), s, lambda: painter)
    style = style_of(dataclasses.replace(job.as_picture(), styles=styles), None)
    about = {
        PROGRAM: VERSION,
        "backend": backend.version(),
        "content": files.named(job.content),
        "painter": files.named(painters.find(s.painter)),
        **described_styles(styles, s),
        "settings": {name: getattr(s, name) for name in RECORDED if name != "height"},
    }

    return about, {}, lambda first, chosen: Painting(painter, style, s, job.film, shapes[0])


@dataclass
class _Filming:
    """The frames of one run, from the film to those that are kept and from there to the output."""

    job: FilmJob
    clip: Clip
    size: tuple[int, int]  # width and height, as they are worked on
    kept: Kept
    damage: Damage

    def frames(self, artist_of: Callable) -> Iterator[tuple[int, Callable]]:
        """Paint what is not kept yet, pass by pass, with what `artist_of` gives of the first frame;
        yields how many frames are done, of all passes, and what gives the latest as `finished`
        does."""
        kept, passes = self.kept, self.job.film.passes
        artist, before, count = None, None, 0
        for number, content in enumerate(self._contents()):
            artist = artist or artist_of(content)
            if passes > 1 and not kept.has(0, number):
                kept.write(0, number, content)  # to go back through
            if not kept.has(1, number):
                held = None
                if before is not None:
                    held = self._held((1, number - 1), before, content)
                if (picture := artist(content, held)) is None:
                    return
                kept.write(1, number, picture)
            before, count = content, number + 1
            yield count, functools.partial(self.finished, (1, number), content)
        for which in range(2, passes + 1):
            numbers = range(count) if which % 2 else reversed(range(count))
            for done, number in enumerate(numbers, start=1):
                if not kept.has(which, number):
                    if (picture := self._again(which, number, count, artist)) is None:
                        return
                    kept.write(which, number, picture)
                content = kept.read(0, number)
                yield (
                    (which - 1) * count + done,
                    functools.partial(self.finished, (which, number), content),
                )

    def _again(self, which: int, number: int, count: int, artist: Callable):
        """A frame in a later pass: it begins half with what it was and half with its neighbour in
        the direction of the pass, where that can be relied on (arXiv 1604.08610, the algorithm of
        several passes)."""
        own = self.kept.read(which - 1, number)
        content = pictures.eight_bits(self.kept.read(0, number))
        neighbour, held = number - 1 if which % 2 else number + 1, None
        if 0 <= neighbour < count:
            beside = pictures.eight_bits(self.kept.read(0, neighbour))
            held = self._held((which, neighbour), beside, content)
        initial = own
        if held is not None:
            initial = own + 0.5 * held.reliable[..., None] * (held.before - own)
        return artist(content, held, initial)

    def _held(self, place: tuple[int, int], before, content) -> Held | None:
        """What a frame is held to; None where a scene begins, or frames are painted alone.

        Args:
            place: of the painted frame that was kept.
            before, content: that frame of the film and this one, (H, W, 3) uint8.
        """
        from .artists import held_to

        if not self.job.film.hold(self.job.is_optimised):
            return None
        return held_to(self.kept.read(*place), before, content)

    def _contents(self) -> Iterator[np.ndarray]:
        """The frames of the film as they are worked on, (H, W, 3) uint8."""
        from . import reading

        film = self.job.film
        for frame in reading.frames(self.clip, film.start, film.end, self.damage):
            yield pictures.eight_bits(pictures.resize(frame.picture, *self.size))

    def painted(self) -> Iterator[Frame]:
        """The painted frames, each with its time."""
        from . import reading

        film = self.job.film
        for number, frame in enumerate(reading.frames(self.clip, film.start, film.end)):
            place = film.passes, number
            if not self.kept.has(*place):
                return
            yield dataclasses.replace(frame, picture=self.finished(place, frame.picture))

    def finished(self, place: tuple[int, int], content) -> np.ndarray:
        """A painted frame as it is written, (H, W, 3) uint8.

        Args:
            place: of the painted frame that was kept.
            content: that frame of the film, (H, W, 3).
        """
        s, picture = self.job.settings, self.kept.read(*place)
        if s.colors == "content":
            content = pictures.resize(content, *self.size)
            picture = pictures.preserve_colors(picture, content, s.color_space)
        return pictures.eight_bits(picture)


def _comment(path: Path) -> str:
    """What a film says of what made it; empty if it says nothing."""
    from . import reading

    try:
        with reading.opened(path) as container:
            named = {name.lower(): value for name, value in container.metadata.items()}
            return named.get("comment", "")
    except OSError:
        return ""


class Reporter:
    """A bar over the frames on a terminal, a line now and then elsewhere, nothing if quiet."""

    def __init__(self, quiet: bool = False):
        self.quiet, self.bar, self.first = quiet, None, None

    def say(self, text: str) -> None:
        """One line for the person."""
        if not self.quiet:
            tell(text)

    def warn(self, text: str) -> None:
        """What the person should know, be it quiet or not."""
        tell(f"{PROGRAM}: {text}", sys.stderr)

    def begin(self, total: int) -> None:
        """So many frames are to be painted, of all passes."""
        from ..runs import progress

        self.total, self.said = total, time.monotonic()
        if not self.quiet and sys.stdout.isatty():
            self.bar = progress.bar(total)

    def step(self, done: int, frame: Callable[[], np.ndarray]) -> None:
        """So many frames are done; `frame` gives the latest, (H, W, 3) uint8."""
        seconds = self.seconds_left(done)
        left = f"{_interval(seconds)} left" if seconds is not None else ""
        if self.bar is not None:
            self.bar.set_postfix_str(left, refresh=False)
            self.bar.update(done - self.bar.n)
        elif not self.quiet and (time.monotonic() - self.said >= EACH or done == self.total):
            self.said = time.monotonic()
            tell(f"frame {done}/{self.total}" + (f"; {left}" if left else ""))

    def seconds_left(self, done: int) -> float | None:
        """As it seems after the frames since the first, which had all to load and to compile, or
        was there; None at that one."""
        now = time.monotonic()
        if self.first is None:
            self.first = done, now
        frames, seconds = done - self.first[0], now - self.first[1]
        return seconds / frames * (self.total - done) if frames else None

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()


def _interval(seconds: float) -> str:
    import tqdm

    return tqdm.tqdm.format_interval(seconds)
