"""What a person sees of a run, and what is left of it: a bar or lines, a table, a plot."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import tqdm

from .. import files
from .console import tell

if TYPE_CHECKING:  # they import Keras, and the first words are to be there before
    from ..minimise.schedule import Stage
    from ..objective import Losses
    from ..stylize import Progress

    Row = tuple[int, Losses]

# Multiplications that take as long as writing and reading a number: with it, the compact network's
# gradient is 5.6 times as fast as VGG-19's, as measured.
PER_ACTIVATION = 60


class Reporter:
    """A progress bar on a terminal, plain lines elsewhere, nothing if quiet."""

    def __init__(self, quiet: bool = False, is_of_many: bool = False):
        """`is_of_many`: whether the run is one of many pictures: then what has been said of one is
        not said again of the next, and losses are told on the bar alone."""
        self.quiet, self.is_of_many = quiet, is_of_many
        self.title = None  # of the bar
        self.bar = None
        self.work = None
        self._said = set()

    def say(self, text: str) -> None:
        """One line for the person, above the bar if there is one."""
        if self.is_of_many:
            if text in self._said:
                return
            self._said.add(text)
        if self.bar is not None:
            self.bar.write(text, file=sys.stdout)
        elif not self.quiet:
            tell(text)

    def begin(self, stages: Sequence[Stage], layers: Sequence[str], start: int = 0) -> None:
        """Show where a run begins, at iteration `start` of the stages.

        Args:
            stages: the schedule, from which the time left is told.
            layers: those that the losses need.
        """
        self.work, self.start = Work(stages, layers), start
        self.iterations = stages[-1].end
        if not self.quiet and sys.stdout.isatty():
            self.bar = bar(self.iterations, start, self.title)

    def step(self, iteration: float) -> None:
        """Move the bar: so many iterations are done, in tiles with the share of the present one."""
        if self.bar is not None:
            self.bar.update(iteration - self.bar.n)

    def update(self, progress: Progress) -> None:
        """Show where the run is."""
        done, i = progress.iteration - self.start, progress.iteration
        left = f"{tqdm.tqdm.format_interval(self.seconds_left(progress))} left"
        if self.bar is not None:
            loss = f"loss {progress.losses.total:.4g}"
            self.bar.set_postfix_str(f"{loss}, {left}" if done > 0 else loss, refresh=False)
            self.step(progress.iteration)
            self.bar.refresh()
        elif progress.is_print and not self.is_of_many:
            pace = f"; {progress.seconds / done:.2f} s an iteration, {left}" if done > 0 else ""
            self.say(f"iteration {i}/{self.iterations}: {progress.losses}{pace}")

    def seconds_left(self, progress: Progress) -> float:
        """As it seems after the iterations of this session; 0 before the first."""
        done = self.work.between(self.start, progress.iteration)
        return progress.seconds * self.work.left(progress.iteration) / done if done else 0.0

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None


def bar(total: int, done: int = 0, title: str | None = None) -> tqdm.tqdm:
    """A bar on the terminal, with a place for what is said behind it."""
    columns = _columns()
    return tqdm.tqdm(
        desc=title,
        total=total,
        initial=done,
        file=sys.stdout,
        # Some terminals, as that of `script`, say that they have no columns and no rows.
        **(dict(dynamic_ncols=True) if columns else dict(ncols=80, nrows=24)),
        bar_format="{l_bar}{bar}| {n:.4g}/{total_fmt} [{elapsed}{postfix}]",
    )


def _columns() -> int:
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns
    except OSError:
        return 0


class Work:
    """How much there is to compute in a run from coarse to fine, whatever the machine."""

    def __init__(self, stages: Sequence[Stage], layers: Sequence[str]):
        self.stages = []
        for s in stages:
            a_pixel = s.network.multiplications(layers) + PER_ACTIVATION * s.network.activations(
                layers
            )
            self.stages.append((s.end, s.width * s.height * (a_pixel or 1.0)))

    def between(self, first: float, last: float) -> float:
        """Of the iterations from one to another."""
        total, begin = 0.0, 0
        for end, each in self.stages:
            total += each * max(0.0, min(end, last) - max(begin, first))
            begin = end
        return total

    def left(self, iteration: float) -> float:
        """Of the iterations after this one."""
        return self.between(iteration, self.stages[-1][0])


def write_table(path, rows: list[Row]) -> None:
    """Write the losses of each print as a text table, a `#` header first."""
    lines = ["# " + " ".join(["itr", *rows[0][1].terms, "total"])] if rows else []
    for iteration, losses in rows:
        values = [*losses.terms.values(), losses.total]
        lines.append(" ".join([str(iteration), *(f"{value:.9g}" for value in values)]))
    with files.replacing(path) as file:
        file.write(("\n".join(lines) + "\n").encode())


def read_table(path) -> list[Row]:
    """Read a table back: empty if there is none, or it is not one."""
    from ..objective import Losses

    try:
        (_, _, *names, _), *lines = (line.split() for line in Path(path).read_text().splitlines())
        return [
            (int(line[0]), Losses(dict(zip(names, values, strict=True)), total))
            for line in lines
            for *values, total in [map(float, line[1:])]
        ]
    except (OSError, ValueError, TypeError, IndexError):
        return []


def write_plot(path, rows: list[Row], stages: Sequence[Stage] = ()) -> None:
    """Plot the losses on a log axis, with a mark where the size or the network changes, as the
    losses then do. Needs matplotlib, the extra `plot`."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.add_subplot(
        xlabel="iteration", ylabel="weighted loss", yscale="log", title="Losses"
    )
    curves = [(i, {**losses.terms, "total": losses.total}) for i, losses in rows]
    for name in curves[0][1] if curves else ():
        # A logarithm has no place for 0: the content's loss when it starts from the content.
        points = [(i, values[name]) for i, values in curves if values[name] > 0]
        if points:
            axes.plot(*zip(*points), label=name, linewidth=2.5 if name == "total" else 1.5)
    for before, stage in itertools.pairwise(stages):
        axes.axvline(before.end, color="grey", linestyle=":")
        changes = [f"{stage.width}x{stage.height}"]
        if before.is_warm and not stage.is_warm:
            changes.append("own network")
        at = axes.get_xaxis_transform()
        label = " " + ", ".join(changes)
        axes.text(before.end, 0.99, label, transform=at, rotation=90, va="top", fontsize=8)
    axes.grid(alpha=0.3, which="both")
    axes.legend()
    with files.replacing(path) as file:
        figure.savefig(file, format="png", dpi=120)
