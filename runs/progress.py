"""What a person sees of a run, and what is left of it: a bar or lines, a table, a plot."""

from __future__ import annotations

import sys
from pathlib import Path

import tqdm

from .. import files
from ..objective import Losses
from ..stylize import Progress

Row = tuple[int, Losses]


class Reporter:
    """A progress bar on a terminal, plain lines elsewhere, nothing if quiet."""

    def __init__(self, iterations: int, start: int = 0, quiet: bool = False):
        self.iterations, self.start, self.quiet = iterations, start, quiet
        self.bar = None
        if not quiet and sys.stdout.isatty():
            self.bar = tqdm.tqdm(
                total=iterations,
                initial=start,
                file=sys.stdout,
                unit="it",
                dynamic_ncols=True,
                smoothing=0.1,
            )

    def say(self, text: str) -> None:
        """One line for the person, above the bar if there is one."""
        if self.bar is not None:
            self.bar.write(text, file=sys.stdout)
        elif not self.quiet:
            print(text, flush=True)

    def update(self, progress: Progress) -> None:
        """Show where the run is."""
        if self.bar is not None:
            self.bar.set_postfix_str(f"loss {progress.losses.total:.4g}", refresh=False)
            self.bar.update(progress.iteration - self.bar.n)
        elif progress.is_print:
            done = progress.iteration - self.start
            each = progress.seconds / done if done else 0.0
            left = tqdm.tqdm.format_interval(each * (self.iterations - progress.iteration))
            pace = f"; {each:.2f} s an iteration, {left} left" if done else ""
            self.say(f"iteration {progress.iteration}/{self.iterations}: {progress.losses}{pace}")

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()


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
    try:
        (_, _, *names, _), *lines = (line.split() for line in Path(path).read_text().splitlines())
        return [
            (int(line[0]), Losses(dict(zip(names, values, strict=True)), total))
            for line in lines
            for *values, total in [map(float, line[1:])]
        ]
    except (OSError, ValueError, TypeError, IndexError):
        return []


def write_plot(path, rows: list[Row]) -> None:
    """Plot the losses on a log axis. Needs matplotlib, the extra `plot`."""
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
    axes.grid(alpha=0.3, which="both")
    axes.legend()
    with files.replacing(path) as file:
        figure.savefig(file, format="png", dpi=120)
