"""The command line: read pictures, run, write pictures. No mathematics, and nothing heavy is
imported before the arguments are known to be right."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import importlib.util
import json
import math
import os
import signal
import sys
import tempfile
import typing
from pathlib import Path

from settings import PRESETS, VERSION, Settings, flag, preset

PROGRAM = "neural-style"
INTERRUPTED = 128 + signal.SIGINT


class Parser(argparse.ArgumentParser):
    """argparse, but an error is one sentence instead of a page of usage."""

    def error(self, message):
        self.exit(2, f"{PROGRAM}: error: {message} (see --help)\n")


class ListPresets(argparse.Action):
    """Print each preset with what it sets, as flags, and exit."""

    def __init__(self, **options):
        super().__init__(**options, nargs=0)

    def __call__(self, parser, *_):
        for name, one in PRESETS.items():
            print(f"{name}: {one.about}")
            for setting, value in one.settings.items():
                values = value if isinstance(value, tuple) else (value,)
                print(f"    {flag(setting)} {' '.join(map(str, values))}")
        parser.exit()


def build_parser() -> Parser:
    """The command line, each flag made from its field of `Settings`."""
    parser = Parser(
        prog=PROGRAM,
        description="Paint a photograph in the style of one or more paintings.",
        epilog="A wrong argument exits with 2, any other failure with 1, Ctrl-C with 130.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {VERSION}")
    needed = parser.add_argument_group("choose the pictures (required)")
    needed.add_argument("--content", required=True, metavar="PICTURE", help="the photograph")
    needed.add_argument(
        "--styles", required=True, nargs="+", metavar="PICTURE", help="one or more paintings"
    )
    needed.add_argument("--output", required=True, metavar="PICTURE", help="what to write")
    recipe = parser.add_argument_group("choose the recipe")
    recipe.add_argument(
        "--preset",
        default="neural-style",
        metavar="NAME",
        help="a published recipe by name, which any other flag overrides in part "
        "(default: neural-style)",
    )
    recipe.add_argument(
        "--list-presets",
        action=ListPresets,
        dest=argparse.SUPPRESS,
        default=argparse.SUPPRESS,
        help="list the recipes and exit",
    )
    types = typing.get_type_hints(Settings)
    groups = {}
    for field in dataclasses.fields(Settings):
        rule = field.metadata
        if rule["group"] not in groups:
            groups[rule["group"]] = parser.add_argument_group(rule["group"])
        options = dict(dest=field.name, default=argparse.SUPPRESS, help=help_text(field))
        if isinstance(field.default, bool):
            options["action"] = "store_false" if field.default else "store_true"
        else:
            # `tuple[float, ...] | None` takes several floats, `int | None` one int.
            kind = next(t for t in (typing.get_args(types[field.name]) or [types[field.name]]) if t)
            if typing.get_origin(kind) is tuple:
                kind, options["nargs"] = typing.get_args(kind)[0], "+"
            options.update(type=kind, metavar=rule["meta"] or "|".join(rule["choices"]))
        groups[rule["group"]].add_argument(flag(field.name), **options)
    return parser


def help_text(field: dataclasses.Field, escape: bool = True) -> str:
    """A setting's help with its default, for argparse (where a % is doubled) or for a table."""
    rule, default = field.metadata, field.default
    text = rule["help"]
    if not isinstance(default, bool):
        text += f" (default: {rule['none'] if default is None else default})"
    return text.replace("%", "%%") if escape else text


def main(argv: list[str] | None = None) -> int:
    """Run the program and return its exit code; a usage error exits with 2."""
    parser = build_parser()
    arguments = parser.parse_args(argv)
    try:
        job = Job.of(arguments)
        job.check_arguments()
    except ValueError as error:
        parser.error(str(error))
    try:
        return job.run()
    except KeyboardInterrupt:
        print(f"{PROGRAM}: interrupted; nothing was written", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        if job.settings.debug:
            raise
        print(f"{PROGRAM}: error: {sentence(error)}", file=sys.stderr)
        return 1


@contextlib.contextmanager
def muted(debug: bool):
    """Keep what TensorFlow's libraries write while they load off the person's screen: it goes
    past Python to the standard error, and no log level stops it."""
    if debug:
        yield
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


@contextlib.contextmanager
def noted_ctrl_c():
    """Gives a list that the first Ctrl-C fills, so that the run can end in good order: an exception
    raised wherever the engine happens to be may be lost in it. The second Ctrl-C is impatient."""
    noted = []

    def note(*_):
        noted.append(True)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    previous = signal.signal(signal.SIGINT, note)
    try:
        yield noted
    finally:
        signal.signal(signal.SIGINT, previous)


def sentence(error: Exception) -> str:
    """What an error says, in one line."""
    if isinstance(error, MemoryError) or "ResourceExhausted" in type(error).__name__:
        return "out of memory: choose a smaller --width"
    if isinstance(error, OSError) and error.strerror:
        where = error.filename2 or error.filename
        return f"{where}: {error.strerror}" if where else error.strerror
    text = " ".join(str(error).split())
    if isinstance(error, (ValueError, OSError)):
        return text
    return f"{type(error).__name__}: {text} (this should not happen; --debug shows where)"


@dataclasses.dataclass(frozen=True)
class Job:
    """One run of the program: the pictures, and how."""

    content: Path
    styles: list[Path]
    output: Path
    settings: Settings

    @classmethod
    def of(cls, arguments: argparse.Namespace) -> Job:
        """The run that a command line asks for; ValueError for a value out of its range."""
        chosen = dict(vars(arguments))
        content, styles, output = (chosen.pop(name) for name in ("content", "styles", "output"))
        settings = preset(chosen.pop("preset"), **chosen)
        return cls(Path(content), [Path(style) for style in styles], Path(output), settings)

    @property
    def inputs(self) -> list[Path]:
        initial = [Path(self.settings.initial)] if self.settings.initial else []
        return [self.content, *self.styles, *initial]

    @property
    def table(self) -> Path:
        return self.output.with_name("progress.txt")

    @property
    def plot(self) -> Path:
        return self.output.with_name("progress.png")

    def targets(self) -> list[Path]:
        """Every file that the run writes and leaves."""
        s = self.settings
        every = s.checkpoint_iterations
        steps = range(every, s.iterations + 1, every) if every else ()
        return [
            self.output,
            *([self.table] if s.progress_write else []),
            *([self.plot] if s.progress_plot else []),
            *(Path(s.checkpoint_path(i)) for i in steps),
        ]

    def check_arguments(self) -> None:
        """Raise ValueError for arguments that cannot be right, whatever the files hold."""
        import images

        s = self.settings
        s.check_styles(len(self.styles))
        images.check_extension(self.output)
        if s.checkpoint_output:
            images.check_extension(s.checkpoint_path(1))
        if s.resume and not s.checkpoint_output:
            raise ValueError(
                "--resume goes with --checkpoint-output and --checkpoint-iterations, as in the "
                "run that was interrupted"
            )
        if s.progress_plot and importlib.util.find_spec("matplotlib") is None:
            raise ValueError(f"--progress-plot needs matplotlib: pip install '{PROGRAM}[plot]'")
        taken = {path.resolve(): f"the input {path}" for path in self.inputs}
        for path in self.targets():
            if (place := path.resolve()) in taken:
                raise ValueError(f"{path} would be written over {taken[place]}")
            taken[place] = "another output of this run"

    def check_files(self) -> None:
        """Raise OSError or ValueError for inputs or outputs that the disk has no place for."""
        import images

        s = self.settings
        for path in self.inputs:
            images.size(path)
        for folder in dict.fromkeys(path.parent for path in self.targets()):
            if not folder.is_dir():
                raise OSError(f"the folder {folder} does not exist: make it first")
            try:
                tempfile.TemporaryFile(dir=folder).close()
            except OSError as error:
                raise OSError(f"nothing can be written in {folder}: {error.strerror}") from error
        for path in self.targets():
            if path.is_dir():
                raise OSError(f"{path} is a folder: name a picture in it")
            if path.exists() and not s.overwrite and not (s.resume and self.state.exists()):
                raise OSError(f"{path} exists: name another, or add --overwrite")

    def sizes(self) -> list[tuple[int, int]]:
        """Width and height of the content and of each style as they are worked on.

        Raises ValueError if the output's format does not allow for its size.
        """
        import images

        s = self.settings
        width, height = images.size(self.content)
        if s.width is not None:
            width, height = s.width, max(1, math.floor(height / width * s.width))
        most = images.FORMATS[images.check_extension(self.output)]
        if max(width, height) > most:
            raise ValueError(
                f"the output would be {width}x{height} pixels; {self.output.suffix} holds {most} "
                "at most: use .png or .tif"
            )
        sizes = [(width, height)]
        for path, scale in zip(self.styles, s.style_scales or (1.0,) * len(self.styles)):
            w, h = images.size(path)
            factor = scale * width / w
            sizes.append((max(1, int(w * factor)), max(1, int(h * factor))))
        return sizes

    def about(self, s: Settings, network_path: Path, network_sha256: str) -> dict:
        """What the picture was made from and how: all it takes to make it again."""
        import keras

        import files

        def named(path):
            return {"name": Path(path).name, "sha256": files.sha256(path)}

        return {
            PROGRAM: VERSION,
            "engine": f"{keras.backend.backend()}, keras {keras.version()}",
            "content": named(self.content),
            "styles": [named(style) for style in self.styles],
            "initial": named(s.initial) if s.initial else None,
            "network": {"name": network_path.name, "sha256": network_sha256},
            "settings": s.picture(),
        }

    def warms(self, warm, network) -> bool:
        """Whether a warm start helps: it is another network, and has the layers."""
        known = {layer.name for layer in warm.layers}
        return warm.sha256 != network.sha256 and known.issuperset(self.settings.layers())

    @property
    def state(self) -> Path:
        """Where the state of the run is kept, if checkpoints are on."""
        return self.output.with_name(self.output.name + ".state")

    def run(self) -> int:
        """Do it. Returns the exit code; raises OSError or ValueError in one sentence."""
        import networks

        s = self.settings
        # Whether an output that exists is this very run's is seen only once the network is known.
        ended = s.resume and self.output.exists()
        if not ended:
            self.check_files()
        self.sizes()
        network_path = networks.find(s.network, s.quiet)
        warm_path = networks.find(s.warm_start, s.quiet) if s.warm_start else None
        with noted_ctrl_c() as interrupted:
            with muted(s.debug):
                import backend
            import images
            import vgg

            with backend.device(s.device):
                network = vgg.load(network_path, s.cache)
                warm = vgg.load(warm_path, s.cache) if warm_path else None
                if warm and not self.warms(warm, network):
                    warm = None
                s = dataclasses.replace(s, precision=backend.precision(s.precision))
                about = self.about(s, network_path, network.sha256)
                about["settings"]["warm_start"] = warm and warm.sha256
                whole = ended and not self.state.exists()
                if whole and images.comment(self.output) == json.dumps(about):
                    if not s.quiet:
                        print(f"{self.output} is complete: there is nothing to resume")
                    return 0
                if ended:
                    self.check_files()
                if interrupted:
                    raise KeyboardInterrupt
                return self.paint(s, network_path, network, warm, about, interrupted)

    def paint(
        self, s: Settings, network_path: Path, network, warm, about: dict, interrupted: list
    ) -> int:
        """Read the pictures, optimise, and write what comes; as `run`."""
        import checkpoint
        import images
        import objective
        import progress
        import stylize

        sizes = self.sizes()
        objective.check_sizes(sizes, s, network)
        s = objective.fitted(sizes, s, network)
        state = checkpoint.load(self.state, about) if s.resume and self.state.exists() else None
        content, *styles = (
            images.resize(images.read(path), *size)
            for path, size in zip((self.content, *self.styles), sizes)
        )
        initial = images.resize(images.read(s.initial), *sizes[0]) if s.initial else None
        comment = json.dumps(about)

        def write(path, picture):
            if s.preserve_colors:
                picture = images.preserve_colors(picture, content)
            images.write(path, picture, comment)

        begun = state.iteration if state else 0
        reporter = progress.Reporter(s.iterations, begun, s.quiet)
        for line in self.described(s, network_path, warm, sizes, state):
            reporter.say(line)
        rows = [row for row in progress.read_table(self.table) if row[0] <= begun] if state else []
        steps = stylize.stylize(
            content, styles, s, network, initial, state, lambda: bool(interrupted), warm
        )
        # They may be large; the run lets go of them when it can.
        del state, styles, initial
        content = content if s.preserve_colors else None
        try:
            for last in steps:
                reporter.update(last)
                if last.is_print and not (rows and rows[-1][0] == last.iteration):
                    rows.append((last.iteration, last.losses))
                    if s.progress_write:
                        progress.write_table(self.table, rows)
                if s.progress_plot and (last.is_checkpoint or last.is_last):
                    progress.write_plot(self.plot, rows)
                if last.is_checkpoint:
                    write(s.checkpoint_path(last.iteration), last.image)
                    checkpoint.save(self.state, last.state, about)
                    last = dataclasses.replace(last, state=None)
        except stylize.Diverged as error:
            if error.image is None:
                raise
            write(self.output, error.image)
            raise ValueError(f"{error}; the best picture before is in {self.output}") from error
        finally:
            reporter.close()
        if interrupted and last.iteration == begun:
            raise KeyboardInterrupt
        write(self.output, last.image)
        if interrupted:
            goes_on = "; --resume goes on" if self.state.exists() else ""
            print(
                f"{PROGRAM}: interrupted at iteration {last.iteration}; the best picture so far is "
                f"in {self.output}{goes_on}",
                file=sys.stderr,
            )
            return INTERRUPTED
        self.state.unlink(missing_ok=True)
        reporter.say(f"wrote {self.output}")
        return 0

    def described(self, s: Settings, network_path: Path, warm, sizes, state):
        """What is about to be done, a line each."""
        import backend
        import networks

        for what, path, (width, height) in zip(
            ("content", *["style"] * len(self.styles)), (self.content, *self.styles), sizes
        ):
            yield f"{what}: {path}, {width}x{height} pixels"
        device = s.device or backend.default_device()
        tiles = f", in tiles of {s.tile} pixels" if s.tile != "0" else ""
        yield (
            f"network: {network_path}, {s.pooling} pooling, {s.precision}, {backend.ENGINE} on "
            f"{device}{tiles}"
        )
        if s.lbfgs_memory != self.settings.lbfgs_memory:
            yield (
                f"L-BFGS keeps {s.lbfgs_memory} pairs of steps, for want of memory, not "
                f"{self.settings.lbfgs_memory}"
            )
        if warm:
            yield f"warm start: {s.warm_start}"
        if s.network == "auto" and network_path == networks.COMPACT:
            yield (
                "this is the compact network of this program; --network vgg19 fetches the "
                "published one, once, and takes five times as long"
            )
        if state:
            yield f"resumed at iteration {state.iteration}"
            if s.optimizer == "lbfgs":
                yield "L-BFGS starts its memory of the curvature anew"
        elif s.resume:
            yield f"nothing to resume: {self.state} is not there; from the start"


if __name__ == "__main__":
    sys.exit(main())
