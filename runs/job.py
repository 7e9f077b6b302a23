"""What a command line asks for, by the paths of the pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..settings import Settings


@dataclass(frozen=True)
class Job:
    """One run of the program: the pictures, and how."""

    content: Path | None  # None for a picture of the styles alone
    styles: list[Path]  # none for a picture of the content alone
    output: Path
    settings: Settings
    is_one_of_many: bool = False  # of the pictures of one command

    @property
    def inputs(self) -> list[Path]:
        """Every picture that the run reads."""
        s = self.settings
        first = [self.content] if self.content else []
        others = [*([s.initial] if s.initial else []), *(s.masks or ()), *(s.style_masks or ())]
        return [*first, *self.styles, *map(Path, others)]

    def outputs(self, iterations: int | None = None) -> list[Path]:
        """Every file that the run writes and leaves, if it has so many iterations."""
        s = self.settings
        every = s.checkpoint_iterations
        steps = range(every, (iterations or s.iterations) + 1, every) if every else ()
        return [
            self.output,
            *([self.table] if s.progress_write else []),
            *([self.plot] if s.progress_plot else []),
            *(Path(s.checkpoint_path(i)) for i in steps),
        ]

    @property
    def table(self) -> Path:
        """Where the table of the losses goes, if it is asked for."""
        return self.output.with_name(f"{self._own_name}progress.txt")

    @property
    def plot(self) -> Path:
        """Where their plot goes, if it is asked for."""
        return self.output.with_name(f"{self._own_name}progress.png")

    @property
    def _own_name(self) -> str:
        return f"{self.output.stem}-" if self.is_one_of_many else ""

    @property
    def state(self) -> Path:
        """Where the state of the run is kept until it ends."""
        return self.output.with_name(self.output.name + ".state")
