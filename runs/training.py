"""One training from files to a file: the styles and the photographs become a painter."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import json
import math
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .. import files, painters, pictures
from ..settings import DISTRIBUTION, NEXT_STYLE, PROGRAM, VERSION, Settings, Training
from . import checks
from .console import loading_keras, stop_signals, tell

if TYPE_CHECKING:
    from ..painters.architecture import Painter
    from ..painters.training import CosineSchedule
    from .transfer import Networks

# What of `Settings` a training depends on; the others concern a single picture.
SETTINGS = (
    "content_weight",
    "content_weight_blend",
    "content_layers",
    "content_loss",
    "style_weight",
    "style_layer_weight_exp",
    "style_layers",
    "style_loss",
    "activation_scale",
    "gram_divisor",
    "tv_weight",
    "tv_loss",
    "tv_exponent",
    "pooling",
    "seed",
    "warm_start",
    "resume",
    "overwrite",
    "network",
    "cache",
    "device",
    "precision",
    "quiet",
    "debug",
)
TESTED = 4  # styles of each folder, in which the test picture is painted


@dataclass(frozen=True)
class TrainingJob:
    """One run of `neural-style train`."""

    styles: list[Path]  # of a painter for any style, folders as well
    photos: Path | None  # the folder; None for textures
    output: Path
    settings: Settings
    training: Training
    recipe: str
    onto: str | None = None  # the painter to begin with
    test: Path | None = None  # painted at each checkpoint
    licence: str = ""
    tensorboard: Path | None = None  # the folder for its logs

    @property
    def names(self) -> list[str]:
        """What the styles are called in the painter; none where it is for any."""
        return [] if self.training.any else [path.stem for path in self.styles]

    @property
    def state(self) -> Path:
        """The folder in which what it takes to go on is kept until the training ends."""
        return self.output.with_name(self.output.name + ".state")

    @property
    def table(self) -> Path:
        """Where the losses of each checkpoint go."""
        return self.output.with_suffix(".csv")

    @property
    def tested(self) -> Path:
        """Where the test picture goes."""
        return self.output.with_name(self.output.stem + "-test.jpg")

    @property
    def inputs(self) -> list[Path]:
        """Every file that it reads, besides the photographs."""
        onto = [painters.find(self.onto)] if self.onto else []
        styles = [path for path in self.styles if not (self.training.any and path.is_dir())]
        return [*styles, *onto, *([self.test] if self.test else [])]

    @property
    def outputs(self) -> list[Path]:
        """Every file that it writes and leaves."""
        return [self.output, self.table, *([self.tested] if self.test else [])]


def check_arguments(job: TrainingJob) -> None:
    """Raise ValueError for arguments that cannot be right, whatever the files hold."""
    if job.output.suffix != ".keras":
        raise ValueError(f"--output is a painter, as wave.keras, not {job.output}")
    if len(set(job.names)) < len(job.names):
        raise ValueError(
            "two styles have the same name: a painter's styles are told by their names"
        )
    if job.training.texture == (job.photos is not None):
        raise ValueError(
            "--photos names a folder of photographs to learn on"
            if job.photos is None
            else "--texture learns without photographs: leave --photos out"
        )
    if job.training.texture and job.settings.content_weight:
        raise ValueError("--texture has no content: --content-weight 0, or --recipe texture")
    if job.training.texture and job.test:
        raise ValueError("--test is a photograph, and textures are painted without")
    if job.tensorboard and importlib.util.find_spec("tensorboard") is None:
        raise ValueError(f"--tensorboard needs it: pip install '{DISTRIBUTION}[tensorboard]'")
    if NEXT_STYLE in (job.settings.style_layers or ()):
        raise ValueError("--style-layers has one set of layers for all styles of a painter: no /")
    if job.training.any and job.settings.style_loss == "wasserstein":
        raise ValueError("--any has a style for each photograph, and the Wasserstein loss one")
    if job.training.free and not job.onto:
        raise ValueError("--free goes with --onto")
    if not (job.settings.content_weights() or job.settings.style_weights()):
        raise ValueError("neither content nor style has a weight: there is nothing to learn")
    checks.check_apart(job.inputs, job.outputs)


def run(job: TrainingJob) -> int:
    """Do it. Returns the exit code; raises OSError or ValueError in one sentence."""
    s, t = job.settings, job.training
    is_left_alone = s.resume and job.output.exists() and not job.state.exists()
    if is_left_alone and painters.read_config(job.output)["about"].get("complete"):
        return _say(job, f"{job.output} is complete: there is nothing to resume")
    checks.check_outputs(job.outputs, job.state, s.resume, s.overwrite)
    written = {path.resolve() for path in job.outputs}  # maybe among the photographs, by now
    found = pictures.found(job.photos) if job.photos else []
    paths = [path for path in found if path.resolve() not in written]
    drawn = _drawn(job, written) if t.any else []
    styles = [] if t.any else [_style(path, t.style_width) for path in job.styles]
    test = pictures.read(job.test) if job.test else None
    begun = painters.read_config(job.onto) if job.onto else None
    keeps = _keeps_styles(job, begun)
    if keeps and (both := set(painters.styles(begun)) & set(job.names)):
        raise ValueError(
            f"{job.onto} has a style called {both.pop()} already: rename the picture, or train "
            "all weights for it with --free"
        )
    if keeps and begun["normalization"] == "batch":
        raise ValueError(
            f"the styles of {job.onto} share the statistics of its training, and another would "
            "change them: train all weights with --free"
        )
    for name, style in zip(job.names, styles):
        _say(job, f"style: {name}, {style.shape[1]}x{style.shape[0]} pixels")
    if drawn:
        _say(job, f"styles: {sum(map(len, drawn))} pictures")
    if paths:
        _say(job, f"photographs: {len(paths)} in {job.photos}")
    with stop_signals() as signals:
        with loading_keras(s.debug):
            from .. import backend
        with backend.device(s.device):
            return _train(job, styles, drawn, paths, begun, test, signals)


def _say(job: TrainingJob, text: str) -> int:
    if not job.settings.quiet:
        tell(text)
    return 0


def _drawn(job: TrainingJob, written: set[Path]) -> list[list[Path]]:
    """The pictures of styles to draw from: those of each folder, and those that are named."""
    folders = [path for path in job.styles if path.is_dir()]
    named = [path for path in job.styles if path not in folders]
    for path in named:
        pictures.size(path)  # which says if it is no picture
    groups = [*([named] if named else []), *map(pictures.found, folders)]
    groups = [[path for path in group if path.resolve() not in written] for group in groups]
    if not any(groups):
        raise OSError("there are no pictures of styles to draw from")
    return [group for group in groups if group]


def _readable(group: list[Path]) -> list[Path]:
    """A few pictures out of a group, for a person to look at."""
    found = []
    for path in group[:: -(-len(group) // TESTED)]:
        with contextlib.suppress(OSError):  # it will be said when it is drawn
            pictures.read(path)
            found.append(path)
    return found


def _style(path: Path, width: int | None):
    picture = pictures.read(path)
    if width:
        height = max(1, round(picture.shape[0] * width / picture.shape[1]))
        picture = pictures.resize(picture, width, height)
    return picture


def _train(job: TrainingJob, styles, drawn, paths, begun, test, signals) -> int:
    import keras

    from .. import backend
    from ..painters import training
    from ..painters.photographs import Photographs
    from .checkpoints import Checkpoints, ProgressBar, Stopped, Table
    from .transfer import load_networks

    used, t = load_networks(job.settings), job.training
    asked = _asked(job, used, paths, drawn)
    shown = [path for group in drawn for path in _readable(group)] if job.test else []
    if goes_on := job.settings.resume and job.state.exists():
        precision = _precision_of_state(job, asked)
    else:
        precision = backend.precision(job.settings.precision, job.settings.device)
    s = dataclasses.replace(job.settings, precision=precision)
    keras.utils.set_random_seed(s.seed)
    painter, first = _painter(job, styles, begun, asked)
    if not goes_on:  # then there was memory, and what is free now says less
        _check_styles(styles, s, used)
    judges = [(used.path.name, used.network, 1.0)]
    if used.warm and t.warm_share:
        judges.insert(0, (s.warm_start, used.warm, t.warm_share))
    criteria = [
        (training.PerceptualLoss(styles, s, network, t.side), end) for _, network, end in judges
    ]
    if not goes_on:  # all that could be wrong has been looked at: what was there may go
        _begin_state(job, asked, precision)
    learnt = sum(math.prod(one.shape) for one in painter.trainable_variables)
    _say(
        job,
        f"painter: {painter.architecture}, {learnt:,} parameters; judged by "
        f"{f'{s.warm_start}, and then ' if len(judges) > 1 else ''}{used.path}, {precision}, "
        f"{backend.NAME} on {backend.device_name(s.device)}",
    )
    photographs = Photographs(
        paths,
        len(styles),
        t.batch,
        t.side,
        t.checkpoint_steps,
        s.seed,
        lambda text: _say(job, text),
        has_noise=painter.takes_noise,
        groups=drawn,
    )
    try:
        schedule = training.train(
            painter,
            criteria,
            photographs,
            job.state,
            rate=t.learning_rate,
            steps=t.steps,
            minutes=t.minutes,
            first=first,
            only_styles=_keeps_styles(job, begun),
            callbacks=lambda schedule: [
                Table(job.table, schedule, _judge(job, judges, schedule)),
                Checkpoints(job, painter, schedule, test, first, shown),
                *([keras.callbacks.TensorBoard(job.tensorboard)] if job.tensorboard else []),
                ProgressBar(job, schedule, signals),
            ],
        )
    except Stopped:
        tell(f"{PROGRAM}: {_interrupted(job)}", sys.stderr)
        return 128 + signals[0]
    shutil.rmtree(job.state)
    return _say(job, f"wrote {job.output}, after {schedule.elapsed / 60:.0f} minutes of training")


def _check_styles(styles, settings: Settings, used: Networks) -> None:
    """Raise ValueError for a style that memory has no room for: it is seen whole."""
    from ..tiles import choose_tile

    for style in styles:
        try:
            whole = dataclasses.replace(settings, tile="0")
            choose_tile([style.shape[1::-1]], whole, used.network)
        except ValueError as error:
            raise ValueError(str(error).replace("--width", "--style-width")) from error


def _judge(job: TrainingJob, judges, schedule: CosineSchedule) -> str:
    """The name of the network that judges from now on; said, where there are several."""
    name = next(name for name, _, end in judges if end == schedule.end)
    if len(judges) > 1:
        _say(job, f"judged by {name} from here on")
    return name


def _interrupted(job: TrainingJob) -> str:
    """What is left of a training that was stopped; without a checkpoint, nothing."""
    if not (job.state / "latest.weights.h5").exists():
        shutil.rmtree(job.state)
        return "interrupted before the first checkpoint; nothing was written"
    return (
        f"interrupted; {job.output} is as it was at the last checkpoint, from which --resume goes "
        "on"
    )


def _asked(job: TrainingJob, used: Networks, paths: list[Path], drawn: list[list[Path]]) -> dict:
    """What a training was asked for: kept in the painter, compared on --resume."""

    from .. import backend

    def named(path):
        return files.named(path) | {"name": Path(path).stem}

    def folder(paths):
        names = "\n".join(f"{path.name} {path.stat().st_size}" for path in paths)
        return {"sha256": files.digest_of(names), "number": len(paths)}

    settings = {name: value for name, value in job.settings.picture().items() if name in SETTINGS}
    return {
        PROGRAM: VERSION,
        "backend": backend.version(),
        "recipe": job.recipe,
        "styles": [*map(folder, drawn)] if drawn else [named(path) for path in job.styles],
        "photographs": folder(paths),
        "onto": job.onto and named(painters.find(job.onto)),
        "network": {"name": used.path.name, "sha256": used.network.sha256},
        "warm start": used.warm and used.warm.sha256,
        "settings": settings,
        "training": dataclasses.asdict(job.training),
        "licence": job.licence,
    }


def _precision_of_state(job: TrainingJob, asked: dict) -> str:
    """The precision that the training to go on with was begun in, whatever `auto` would be now.

    Raises OSError or ValueError for a state that is damaged, or of another training.
    """
    from .state import check_same  # which imports Keras

    try:
        saved = json.loads((job.state / "asked.json").read_text())
        precision = saved.pop("precision")
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise OSError(f"{job.state} is damaged ({error}): delete it to start anew") from error
    check_same(saved, asked, job.state)
    return precision


def _begin_state(job: TrainingJob, asked: dict, precision: str) -> None:
    """Make the folder of the state anew."""
    if job.state.exists():
        shutil.rmtree(job.state)
    job.table.unlink(missing_ok=True)
    job.state.mkdir()
    with files.replacing(job.state / "asked.json") as file:
        file.write(json.dumps({**asked, "precision": precision}).encode())


def _keeps_styles(job: TrainingJob, begun: dict | None) -> bool:
    """Whether the painter to begin with keeps its styles, and so its convolutions; `begun` is its
    configuration, if there is one."""
    return begun is not None and not (job.training.free or begun["any_style"])


def _painter(job: TrainingJob, styles, begun: dict | None, asked: dict) -> tuple[Painter, int]:
    """The painter to train, and the number of the first of its styles that are trained."""
    from ..painters.architecture import Painter
    from ..painters.painting import embed_styles

    t, named, first = job.training, [] if job.training.any else asked["styles"], 0
    if begun is None:
        painter = Painter(
            t.architecture,
            len(styles),
            t.width_factor,
            t.normalization,
            t.upsampling,
            t.edge_kernel,
            of_photographs=not t.texture,
            any_style=t.any,
            about={"styles": named},
        )
        if t.any:
            painter.begin_with_any(job.settings.seed)
        for number, style in enumerate(styles):
            painter.begin_with(number, style)
    elif begun["any_style"]:
        painter = painters.load(job.onto)
        painter.trainable = True
        if not t.any:
            embeddings = [embed_styles(painter, [style]) for style in styles]
            painter = painter.with_named(embeddings, named)
    else:
        before = painters.load(job.onto)
        known = painters.styles(begun)
        painter, first = before.with_styles(
            [known.index(name) if name in known else None for name in job.names],
            keep=_keeps_styles(job, begun),
        )
        kept = begun["about"]["styles"] if _keeps_styles(job, begun) else []
        painter.about = {**begun["about"], "styles": [*kept, *named]}
        for number, (name, style) in enumerate(zip(job.names, styles), start=first):
            painter.begin_with(number, style, is_new=name not in known)
    painter.about["made"] = [*(painter.about.get("made", [])), asked]
    painter.about["licence"] = job.licence or painter.about.get("licence", "")
    painter.about["complete"] = False
    return painter, first
