"""From what a visitor has chosen to jobs in the queues: checked, copied into a folder of their own,
and remembered, so that a page that is loaded anew goes on watching."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shlex
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from .. import files, networks, painters, pictures
from ..commands import video
from ..runs import checks
from ..runs.job import Job
from ..runs.like import settings_like
from ..runs.painting import PaintingJob
from ..settings import PRESETS, PROGRAM, Page, Settings, unpainted
from ..video import film
from . import controls
from .command import command
from .folders import Folders
from .guard import plain_name
from .jobs import FILM, PICTURE, Queue, Task, Words

PAINTER = "paintbox"
ANY = "any"  # the painter for any style, where it is in the package
STYLES = Path(__file__).with_name("styles")  # those of the painter's paintings that are ours
THUMBNAILS = Path(__file__).with_name("thumbnails")
FIRST_WIDTH = 512  # pixels, at most, of the picture in one pass that is seen at once
PRINT_ITERATIONS = 5  # from one look at the picture to the next
MOST_STYLES = 4  # for as many there are brushes
# Photographs and paintings; of all that Pillow reads, EPS would call another program.
FORMATS = {"PNG", "JPEG", "MPO", "WEBP", "TIFF", "BMP", "GIF", "HEIF", "AVIF", "PPM", "JPEG2000"}
FILM_WIDTHS = (64, 1280)  # pixels: of a painted film, whose frames are kept until it is written
FILM_RATE = 60  # frames a second of a film, at most
# What an .mp4 may hold for sound that browsers play; other sound is left out.
SOUND = {"aac", "mp3", "opus", "flac"}
NICENESS = 5  # of what takes minutes, beside what somebody waits for


@dataclass(frozen=True)
class Asked:
    """A painting that was asked for, or a film."""

    tasks: tuple[Task, ...] = ()  # in one pass, and optimised, or one of them
    command: str = ""  # that makes the same

    @property
    def over(self) -> bool:
        return all(task.over for task in self.tasks)

    @property
    def is_pressed(self) -> bool:
        """Whether it is being painted because the visitor has pressed for it."""
        return bool(self.command) and not self.over

    def stop(self) -> None:
        for task in self.tasks:
            task.stop()


@dataclass
class Visitor:
    """What a visitor has asked for last."""

    asked: Asked = Asked()
    film: Asked = Asked()
    seen: float = field(default_factory=time.monotonic)


class Studio:
    """What the page can do, without what it looks like."""

    def __init__(self, page: Page, folders: Folders, network: str, device: str | None, debug: bool):
        self.page, self.folders = page, folders
        self.device, self.debug = device, debug
        self.visitors: dict[Path, Visitor] = {}
        self.networks = _networks(network)
        self.styles = painters.styles(painters.read_config(PAINTER))
        about = painters.read_config(PAINTER)["about"]["styles"]
        self.hashes = {style["sha256"]: style["name"] for style in about}
        self.takes_any = ANY in painters.NAMES
        ready = (PAINTER, ANY) if self.takes_any else (PAINTER,)
        self.quick = Queue(1, page.waiting, painters=ready, debug=debug)
        self.slow = Queue(page.jobs, page.waiting, NICENESS, debug=debug)

    def start(self) -> None:
        """Start the workers."""
        self.quick.start()
        self.slow.start()

    def ask_to_close(self) -> None:
        """Let every job end."""
        for queue in (self.quick, self.slow):
            queue.ask_to_close()

    def close(self) -> None:
        """End every job and every worker, within seconds."""
        self.ask_to_close()
        for queue in (self.quick, self.slow):
            queue.close()

    def visitor(self, folder: Path) -> Visitor:
        """What is remembered of the visitor of a folder."""
        one = self.visitors.setdefault(folder, Visitor())
        one.seen = time.monotonic()
        return one

    def sweep(self) -> None:
        """Delete what is too old, and forget those who have not been seen for as long."""
        for queue in (self.quick, self.slow):
            for task in queue.tasks():
                # What it may still read; folders of it may vanish meanwhile, which `walk` bears.
                for inside, _, names in os.walk(task.output.parent):
                    for path in (inside, *(os.path.join(inside, name) for name in names)):
                        with contextlib.suppress(OSError):
                            os.utime(path)
        self.folders.sweep(self.page.keep_minutes)
        before = time.monotonic() - 60 * self.page.keep_minutes
        for folder, one in list(self.visitors.items()):
            if one.seen < before and one.asked.over and one.film.over:
                del self.visitors[folder]

    def check(self, path, folder: Path) -> Path:
        """An upload as a path, if it is the visitor's own and a picture that may be painted.

        Raises ValueError or OSError in one sentence.
        """
        if not path:
            raise ValueError("there is no photograph: drop one")
        path = self._own(path, folder)
        with _plainly(path.parent):
            width, height = pictures.size(path)
            self._check_pixels(path.name, width, height)
            with open(path, "rb") as file, _any_size(), Image.open(file) as image:
                if image.format not in FORMATS:
                    raise ValueError(f"{path.name} is a {image.format} file: save it as a PNG")
        return path

    def check_film(self, path, folder: Path):
        """An upload as a path, and its `video.reading.Extent`, if it is the visitor's own and a
        film that may be painted.

        Raises ValueError or OSError in one sentence.
        """
        film.check_installed()
        from ..video import reading

        if not path:
            raise ValueError("there is no film: drop one")
        path, most = self._own(path, folder), self.page.film_seconds
        with _plainly(path.parent):
            extent = reading.extent(path, most=int(FILM_RATE * most))
        if extent.seconds > most:
            raise ValueError(
                f"{path.name} lasts {extent.seconds:.4g} seconds or longer, and this page allows "
                f"{most:g} (--film-seconds)"
            )
        if extent.frames > FILM_RATE * most:
            raise ValueError(
                f"{path.name} has more than the {FILM_RATE * most:g} frames that this page allows, "
                f"{FILM_RATE} a second (--film-seconds)"
            )
        self._check_pixels(path.name, extent.width, extent.height)
        return path, extent

    def _own(self, path, folder: Path) -> Path:
        """An upload as a path, if it is the visitor's own, and not too large a file; else
        ValueError."""
        if not self.folders.belongs(path, folder):
            raise ValueError("this file is not there any more: upload it again")
        path, most = Path(path), self.page.upload_megabytes
        if path.stat().st_size > most * 1e6:
            raise ValueError(
                f"{path.name} has over {most:g} MB, the most that this page takes "
                "(--upload-megabytes)"
            )
        return path

    def _check_pixels(self, name: str, width: int, height: int) -> None:
        if width * height > self.page.megapixels * 1e6:
            raise ValueError(
                f"{name} is {width}x{height} pixels, more than the {self.page.megapixels:g} "
                "megapixels that this page allows (--megapixels)"
            )

    def like(self, path, folder: Path) -> Settings:
        """The settings that a picture of this program holds; those that are not to be chosen on the
        page are left as they are by default.

        Raises ValueError or OSError in one sentence.
        """
        path = self.check(path, folder)
        with _plainly(path.parent):
            found = unpainted(settings_like(path))
        known = {name: value for name, value in found.items() if name in controls.FIELDS}
        if known.get("width") is None:
            known["width"] = pictures.size(path)[0]
        if known.get("network") not in self.networks:
            known["network"] = next(iter(self.networks))
        for name, allowed in controls.ONLY.items():
            if known.get(name) not in (*allowed, None):
                del known[name]
        return Settings(**known)

    def first(
        self,
        folder: Path,
        content,
        style: str | None,
        width: int,
        paintings: Sequence = (),
        shares: tuple[float, ...] | None = None,
    ) -> Task:
        """What a painter makes of a photograph in one pass.

        Args:
            folder: the visitor's.
            content: the path of the photograph.
            style: the name of one of the paintbox's; None for that of `paintings`.
            width: of the picture, in pixels.
            paintings: their paths.
            shares: how much of each painting; the same of all if not given.

        Raises ValueError or OSError in one sentence.
        """
        content = self.check(content, folder)
        if style:
            self._check_style(style)
        paintings = [] if style else self._check_paintings(paintings, folder)
        own = self.folders.new(folder)
        kept, *styles = (_kept(one, own, n) for n, one in enumerate((content, *paintings)))
        settings = Settings(
            width=int(width), quiet=True, device=self.device, style_blend_weights=shares
        )
        self._check_pixels("the painting", *settings.sizes([pictures.size(kept)])[0])
        names, painter = ([style], PAINTER) if style else (None, ANY)
        output = str(own / "painted.png")
        work = PaintingJob(painter, names, [kept], output, settings, styles=styles)
        return self._put(self.quick, work, folder, own / "painted.png")

    def paint(
        self,
        folder: Path,
        content,
        paintings: Sequence,
        style: str | None,
        values: Mapping,
        masks: Sequence[np.ndarray | None] = (),
    ) -> Asked:
        """Paint: in one pass, where a painter knows the style, and optimised, where its painting is
        at hand.

        Args:
            folder: the visitor's.
            content: the path of the photograph; None for a texture.
            paintings: paths of the styles.
            style: the name of one in the package, or None.
            values: of the settings, by name.
            masks: for each style, (H, W) in 0..1, where it goes, or None where nothing was said.

        Raises ValueError or OSError in one sentence, before anything is begun.
        """
        content = self.check(content, folder) if content else None
        styles = self._check_paintings(paintings, folder)
        if style:
            self._check_style(style)
        in_package = STYLES / f"{style}.jpg"
        if style and not styles and in_package.exists():
            styles = [in_package]
        known = self.hashes.get(files.sha256(styles[0])) if len(styles) == 1 else None
        settings = controls.settings_of(values, len(styles))
        self._check_settings(settings)
        if style and not styles and content:
            task = self.first(folder, content, style, settings.width)
            words = [PROGRAM, "apply", "--painter", PAINTER, "--style", style]
            words += ["--content", content.name, "--width", str(settings.width)]
            return Asked((task,), shlex.join([*words, "--output", "painted.png"]))
        if content is None and settings.content_weights():
            raise ValueError("there is no photograph: drop one, or set the content weight to 0")
        if not styles and settings.style_weights():
            raise ValueError("there is no style: choose one, or drop a painting")
        begin = style if styles == [in_package] else known
        is_first = content and not any(one is not None for one in masks)
        begins = is_first and (begin or (self.takes_any and settings.style_weights()))
        if begins:
            how = {"painter": PAINTER, "style": (begin,)} if begin else {"painter": ANY}
            fast = PRESETS["fast"]
            for name, value in fast.painted.items():
                if getattr(settings, name) == fast.settings[name]:
                    how[name] = value
            settings = dataclasses.replace(settings, **how)
        own = self.folders.new(folder)
        job = self._job(own, content, styles, settings, masks)
        with _plainly(*own.iterdir(), own):
            checks.check_arguments([job])
            shapes = checks.shapes(job)
            self._check_pixels("the painting", *checks.sizes(job, shapes)[0])
        tasks = [self._put(self.slow, job, folder, job.output)]
        if begins:
            width, drawn = min(settings.width, FIRST_WIDTH), [] if begin else styles
            shares = settings.style_blend_weights
            with contextlib.suppress(ValueError, OSError):  # it comes without one
                tasks.insert(0, self.first(folder, content, begin, width, drawn, shares))
        if job.settings.masks:  # which the command line reads from files of these names
            settings = dataclasses.replace(
                settings, masks=tuple(Path(path).name for path in job.settings.masks)
            )
        names = [path.name for path in styles]
        line = command(content and content.name, names, "painted.png", settings)
        return Asked(tuple(tasks), line)

    def film(self, folder: Path, content, style: str, width: int, colors: str) -> Asked:
        """Paint a film by the painter in the package.

        Args:
            folder: the visitor's.
            content: the path of the film.
            style: the name of one of the painter's.
            width: of the painted film, in pixels.
            colors: whose: the style's or the content's.

        Raises ValueError or OSError in one sentence, before anything is begun.
        """
        content, extent = self.check_film(content, folder)
        self._check_style(style)
        low, high = FILM_WIDTHS
        if not isinstance(width, (int, float)) or not low <= width <= high:
            raise ValueError(f"a film is from {low} to {high} pixels wide here, not {width}")
        own = self.folders.new(folder)
        chosen = {
            "content": str(_kept(content, own, 0)),
            "styles": [],
            "output": str(own / "painted.mp4"),
            "preset": None,
            "painter": PAINTER,
            "style": (style,),
            "width": int(width),
            "colors": colors,
            "mute": not SOUND.issuperset(extent.sound),
            "device": self.device,
        }
        job = video.job_of(chosen)
        film.check_arguments(job)
        # It may be upright only once it is decoded.
        lengths = extent.width, extent.height
        for size in (lengths, lengths[::-1]):
            self._check_pixels("the painted film", *job.settings.sizes([size])[0])
        note, sound = "", ", ".join(extent.sound)
        if job.film.mute:
            note = f"Its sound ({sound}) is left out, which not every browser plays."
        task = self._put(self.slow, job, folder, job.output, FILM, note)
        words = [PROGRAM, "video", "--content", content.name]
        words += ["--painter", PAINTER, "--style", style]
        words += ["--width", str(job.settings.width)]
        words += ["--colors", colors] * (colors != "style") + ["--mute"] * job.film.mute
        return Asked((task,), shlex.join([*words, "--output", "painted.mp4"]))

    def reduced(self, path, folder: Path, most: int = 1024) -> str:
        """A small copy of a photograph for a browser to brush on, upright.

        Raises ValueError or OSError in one sentence.
        """
        small = self.folders.new(folder) / "small.jpg"
        with _any_size(), Image.open(self.check(path, folder)) as image:
            image.draft("RGB", (most, most))
            image = ImageOps.exif_transpose(image).convert("RGB")
            image.thumbnail((most, most))
            image.save(small, quality=90)
        return str(small)

    def _check_paintings(self, paintings: Sequence, folder: Path) -> list[Path]:
        if len(paintings) > MOST_STYLES:
            raise ValueError(f"the page takes up to {MOST_STYLES} paintings: leave some out")
        return [self.check(path, folder) for path in paintings]

    def _check_style(self, style: str) -> None:
        if style not in self.styles:
            raise ValueError(f"there is no style {style}: it is one of {', '.join(self.styles)}")

    def _check_settings(self, settings: Settings) -> None:
        if settings.iterations > self.page.job_iterations:
            raise ValueError(
                f"{settings.iterations} iterations are more than the {self.page.job_iterations} "
                "that this page allows (--job-iterations)"
            )
        if settings.network not in self.networks:
            raise ValueError(f"the network is one of {', '.join(self.networks)}")
        if settings.width is None:
            raise ValueError("say how large the picture is to be")

    def _job(self, own: Path, content, styles, settings: Settings, masks) -> Job:
        """The run of the command line with copies of the pictures: what was uploaded may be deleted
        meanwhile."""
        kept = [_kept(path, own, i) for i, path in enumerate(styles, start=1)]
        paths = None
        if any(one is not None for one in masks):
            paths = tuple(
                str(_write_mask(own / f"mask-{i}.png", one))
                for i, one in enumerate(_completed(masks[: len(styles)]), start=1)
            )
        settings = dataclasses.replace(
            settings,
            masks=paths,
            network=self.networks[settings.network],
            device=self.device,
            print_iterations=PRINT_ITERATIONS,
            state_minutes=60.0,  # nobody resumes what lies in this folder
        )
        return Job(content and _kept(content, own, 0), kept, own / "painted.png", settings)

    def _put(
        self, queue: Queue, work, folder: Path, output: Path, words: Words = PICTURE, note: str = ""
    ) -> Task:
        seconds, patience = 60 * self.page.job_minutes, self.page.unwatched_seconds
        task = Task(work, folder, output, seconds, patience, words, note=note)
        queue.put(task)
        return task


def _networks(asked: str) -> dict[str, str]:
    """What a visitor calls the networks on this machine -> what `--network` calls them; first the
    one that the page was begun with. None is fetched for a visitor."""
    found = {} if asked in networks.NAMES else {Path(asked).name: asked}
    there = [name for name in networks.NAMES if name == "auto" or networks.there(name)]
    names = sorted(there, key=lambda name: name != asked)
    return found | {name: name for name in names}


def _kept(path: Path, own: Path, number: int) -> Path:
    """A copy of a picture in a job's own folder, under its own name."""
    folder = own / str(number)
    folder.mkdir(mode=0o700)
    kept = folder / plain_name(path.name)
    shutil.copyfile(path, kept)
    return kept


def _write_mask(path: Path, mask: np.ndarray) -> Path:
    pictures.write(path, np.repeat(255 * mask[..., np.newaxis], 3, axis=2))
    return path


def _completed(masks: Sequence[np.ndarray | None]) -> list[np.ndarray]:
    """Masks for all styles: those without one have what the others leave."""
    given = [one for one in masks if one is not None]
    rest = np.clip(1 - sum(given), 0, 1)
    return [rest if one is None else one for one in masks]


@contextlib.contextmanager
def _plainly(*folders: Path):
    """Let what is wrong be said without the folders, which are nobody's to know."""
    try:
        yield
    except (ValueError, OSError) as error:
        text = str(error)
        for folder in folders:
            text = text.replace(f"{folder}/", "")
        raise type(error)(text) from error


def _any_size():
    from ..pictures.reading import _without_pillows_limit

    return _without_pillows_limit()
