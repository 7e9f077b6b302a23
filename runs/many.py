"""Many pictures by one command: which they are, where each is written, what became of each."""

from __future__ import annotations

import glob
import re
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tqdm

from .. import files, pictures
from ..settings import PLACES, PROGRAM
from . import checks
from .console import sentence, tell
from .job import Job
from .progress import Reporter


def begun(jobs: Sequence[Job]) -> Reporter:
    """What the person at the terminal is told by, once what all of many pictures need is known to
    be there. Raises OSError or ValueError where it is not."""
    settings = jobs[0].settings
    checks.check_painter(jobs[0])
    checks.check_normalization(settings)
    for folder in dict.fromkeys(job.output.parent for job in jobs):
        checks.check_folder(folder)
    reporter = Reporter(settings.quiet, is_of_many=True)
    reporter.say(f"{len(jobs)} picture{'s' * (len(jobs) != 1)}")
    return reporter


def contents(words: Sequence[str]) -> list[Path]:
    """The pictures that --content names: files, patterns as `photos/*.jpg`, and folders, of which
    what this program has made is left out.

    Raises ValueError for an address, a pattern that nothing matches, or an empty folder.
    """
    found = {}
    for word in words:
        path = files.local(word)
        if path.is_dir():
            paths = _in_folder(path)
        elif glob.has_magic(str(word)) and not path.exists():
            paths = [one for one in map(Path, sorted(glob.glob(str(word)))) if one.is_file()]
            if not paths:
                raise ValueError(f"there is no picture that {word} matches")
        else:
            paths = [path]
        found |= {one.resolve(): one for one in paths if one.resolve() not in found}
    return list(found.values())


def _in_folder(folder: Path) -> list[Path]:
    try:
        found = pictures.found(folder)
    except OSError as error:
        raise ValueError(str(error)) from error
    photographs = [path for path in found if PROGRAM not in pictures.comment(path)]
    if not photographs:
        raise ValueError(f"there are no pictures in {folder} but those that {PROGRAM} has made")
    return photographs


def is_pattern(output: str) -> bool:
    """Whether an output has a place for the name of a content, or of a style."""
    return any(place in output for place in PLACES)


def placed(pattern: str, content: Path | None, styles: Sequence[str]) -> str:
    """A pattern with the names of a content and of its styles in their places."""
    names = content.stem if content else "texture", "-".join(Path(style).stem for style in styles)
    for place, name in zip(PLACES, names):
        pattern = pattern.replace(place, name)
    return pattern


def outputs(
    contents: Sequence[Path | None], styles: Sequence[str], output: str, each_style: bool
) -> list[tuple[Path | None, list[str], Path]]:
    """What is to be painted: a content, the styles that it is painted in, and where it is written.

    Args:
        contents: None for a picture of the styles alone.
        styles: paths of paintings, or names of a painter's styles.
        output: a path, with places for what differs.
        each_style: each content in each style by itself, not in all of them mixed.

    Raises ValueError for a place that is not known, or that is missing, or two pictures of one
    name.
    """
    groups = [[style] for style in styles] if each_style and styles else [list(styles)]
    _check_places(output, len(contents), groups)
    asked, used = [], {}
    for content in contents:
        for group in groups:
            path = files.local(placed(output, content, group))
            asked.append((content, group, path))
            named = " in ".join(map(str, filter(None, (content, *(group if each_style else ())))))
            other = used.setdefault(path.resolve(), named)
            if other != named:
                raise ValueError(
                    f"{other} and {named} would both be written to {path}: give no two the same "
                    "name"
                )
    return asked


def _check_places(output: str, contents: int, groups: Sequence[list[str]]) -> None:
    """Raise ValueError for a place that is not known, or that is missing."""
    for place in re.findall(r"\{[^{}/]*\}", output):
        if place not in PLACES:
            known = " and ".join(PLACES)
            raise ValueError(f"--output has {place} in it, and the places are {known}")
    if "{style}" in output and len(groups[0]) != 1:
        why = "each picture has several: add --each-style" if groups[0] else "there are none"
        raise ValueError(f"--output has a place for a {{style}}, and {why}")
    for number, place, example in (
        (contents, "{name}", "out/{name}.png"),
        (len(groups), "{style}", "out/{name}-{style}.png"),
    ):
        if number > 1 and place not in output:
            raise ValueError(
                f"several pictures would be written to {output}: let it have a place for the "
                f"{place}, as '{example}'"
            )


@dataclass
class Tally:
    """What becomes of each of many pictures, told as it does and at the end."""

    total: int
    reporter: Reporter
    made: int = 0
    there: int = 0  # already, with the same settings
    failed: list[str] = field(default_factory=list)  # a sentence for each
    began: float = field(default_factory=time.monotonic)

    @property
    def done(self) -> int:
        return self.made + self.there + len(self.failed)

    def begin(self, job: Job) -> None:
        """Say which picture is next, and when all will be done."""
        self.reporter.title = f"{self.done + 1} of {self.total}"
        self.reporter.say(f"picture {self.reporter.title}: {_named(job)}{self.left()}")

    def left(self) -> str:
        """The time that the pictures to come will take, in words; nothing before one is made."""
        if not self.made:
            return ""
        each = (time.monotonic() - self.began) / (self.made + len(self.failed))
        return f"; {tqdm.tqdm.format_interval(each * (self.total - self.done))} left"

    def make(self, job: Job) -> None:
        """Say that a picture was made, where many are at once."""
        self.made += 1
        self.reporter.say(f"{self.done} of {self.total}: {_named(job)}{self.left()}")

    def fail(self, job: Job, error: Exception) -> None:
        """Keep what is wrong with a picture for the end."""
        self.failed.append(f"{_named(job)}: {sentence(error)}")
        self.reporter.say(f"failed: {self.failed[-1]}")

    def stopped(self, code: int) -> int:
        """Say how far it came when it was asked to stop; the exit code."""
        said = f"{self.made + self.there} of {self.total} pictures are there"
        tell(f"{PROGRAM}: stopped; {said}; the same command goes on", sys.stderr)
        return code

    def end(self) -> int:
        """Name the pictures that failed; the exit code."""
        there = f", {self.there} were there already" if self.there else ""
        self.reporter.say(f"{self.made} of {self.total} pictures were made{there}")
        for said in self.failed:
            tell(f"{PROGRAM}: error: {said}", sys.stderr)
        return 1 if self.failed else 0


def _named(job: Job) -> str:
    return f"{job.content or 'no content'} to {job.output}"


def each(
    jobs: Sequence[Job],
    paint: Callable[[Job], int | None],
    signals: list,
    reporter: Reporter,
    debug: bool = False,
) -> int:
    """Paint pictures one after another; one that fails does not keep the others from it.

    Args:
        jobs: what is to be painted.
        paint: paints one. Returns 0, None where it is there already, or the exit code with which it
            was stopped.
        signals: what has asked the program to stop.
        reporter: what it is told by.
        debug: raise what goes wrong.

    Returns the exit code.
    """
    tally = Tally(len(jobs), reporter)
    for job in jobs:
        if signals:
            return tally.stopped(128 + signals[0])
        tally.begin(job)
        try:
            code = paint(job)
        except Exception as error:
            if debug:
                raise
            tally.fail(job, error)
            continue
        if code:
            return tally.stopped(code)
        tally.made += code == 0
        tally.there += code is None
    return tally.end()


def gather(
    results: Iterable[tuple[Job, Any]],
    keep: Callable[[Job, Any], None],
    tally: Tally,
    signals: list,
    debug: bool = False,
) -> int:
    """Keep pictures as they come from elsewhere, as `each` does those that are painted here.

    Args:
        results: each job with what has come of it: None where it was there already, an exception
            where it failed.
        keep: writes one.
        tally, signals, debug: as for `each`.
    """
    for job, result in results:
        try:
            if isinstance(result, Exception):
                raise result
            if result is not None:
                keep(job, result)
        except Exception as error:
            if debug:
                raise
            tally.fail(job, error)
            continue
        if result is None:
            tally.there += 1
        else:
            tally.make(job)
    return tally.stopped(128 + signals[0]) if signals else tally.end()
