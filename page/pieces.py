"""Small pieces of the page as HTML: how far a picture is, the curve of its loss. What comes from a
visitor is escaped."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence

from .jobs import DONE, FAILED, RUNNING, STOPPED, WAITING, Task

WIDTH, HEIGHT, LEFT, BOTTOM = 600, 180, 54, 22  # of the curve, and of its margins


def status(text: str, kind: str = "", share: float | None = None) -> str:
    """A line that a screen reader reads out when it changes, over a bar if there is a share."""
    bar = ""
    if share is not None:
        bar = f'<progress max="1" value="{share:.4f}" aria-label="how much is done"></progress>'
    return f'<div class="status {kind}" role="status"><p>{html.escape(text)}</p>{bar}</div>'


def error(text: str) -> str:
    """What went wrong, in one sentence."""
    if "." not in text.split(" ")[0]:  # which is a file's name
        text = text[:1].upper() + text[1:]
    return f'<div class="status error" role="alert"><p>{html.escape(text)}</p></div>'


def of(task: Task) -> str:
    """How far a task is."""
    words = task.words
    if task.state == WAITING:
        place = task.place
        if place == 0:
            return status("Next: it begins as soon as the engine has loaded.", "waiting", 0)
        return status(f"Waiting: {place} before yours.", "waiting", 0)
    if task.state == RUNNING:
        if not task.iterations:
            return status(f"The engine loads and reads {words.given}.", "running", 0)
        share = task.iteration / task.iterations
        if task.stopping:
            return status(f"Stopping after this step, with {words.so_far}.", "running", share)
        told = f"{words.unit.capitalize()} {task.iteration:.0f} of {task.iterations}"
        left = f", {duration(task.seconds_left)} left" if task.seconds_left else ""
        return status(told + left, "running", share)
    if task.state == FAILED:
        return error(task.says)
    if task.state == STOPPED:
        told = f"Stopped at {words.unit} {task.iteration:.0f}; this is {words.so_far}."
        return status(f"{task.says or told} {task.note}".strip(), "stopped")
    assert task.state == DONE
    told = f"Done: {task.iterations} {words.unit}s." if task.iterations else "Done."
    return status(" ".join(filter(None, (told, task.says, task.note))), "done")


def duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 5400:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"


def curve(rows: Sequence[tuple[int, dict]]) -> str:
    """The losses of a run over its iterations, the loss on a logarithmic axis, as SVG."""
    rows = [row for row in rows if row[1]["total"] > 0]
    if len(rows) < 2:
        return ""
    names = [name for name in rows[0][1] if any(losses.get(name, 0) > 0 for _, losses in rows)]
    points = {
        name: [(i, losses[name]) for i, losses in rows if losses.get(name, 0) > 0] for name in names
    }
    every = [value for of in points.values() for _, value in of]
    # What begins from nothing would press everything else to the top.
    low, high = max(min(every), max(every) / 1e6), max(every)
    first, last = rows[0][0], rows[-1][0]

    def at(iteration: float, value: float) -> str:
        x = LEFT + (WIDTH - LEFT - 8) * (iteration - first) / max(1, last - first)
        share = math.log(max(value, low) / low) / (math.log(high / low) or 1)
        return f"{x:.1f},{HEIGHT - BOTTOM - (HEIGHT - BOTTOM - 8) * share:.1f}"

    lines = "".join(
        f'<polyline class="loss {html.escape(name)}" points="'
        + " ".join(at(*point) for point in of)
        + '"/>'
        for name, of in points.items()
    )
    marks = "".join(
        f'<line x1="{LEFT}" x2="{WIDTH - 8}" y1="{y}" y2="{y}"/>'
        f'<text x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{value}</text>'
        for value, y in _marks(low, high, at)
    )
    keys = "".join(f'<li class="{html.escape(n)}">{html.escape(n)}</li>' for n in names)
    begin, end = rows[0][1]["total"], rows[-1][1]["total"]
    told = f"The loss fell from {begin:.3g} to {end:.3g} in {last} iterations."
    return (
        f'<figure class="curve"><svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{told}">{marks}{lines}'
        f'<text x="{LEFT}" y="{HEIGHT - 4}">{first}</text>'
        f'<text x="{WIDTH - 8}" y="{HEIGHT - 4}" text-anchor="end">iteration {last}</text></svg>'
        f"<figcaption>Loss, logarithmic<ul>{keys}</ul></figcaption></figure>"
    )


def _marks(low: float, high: float, at) -> list[tuple[str, float]]:
    """Powers of ten within the range, and where they are; its ends where there are none."""
    powers = range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)
    values = [10.0**p for p in powers] or [low, high]
    return [(f"{v:.0e}".replace("e+0", "e"), float(at(0, v).split(",")[1])) for v in values]
