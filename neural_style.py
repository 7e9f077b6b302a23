#!/usr/bin/env python3
"""The command line: which command, with what arguments. Nothing heavy is imported before the
arguments are known to be right."""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import importlib
import signal
import sys
from pathlib import Path

try:  # by its full name, since this file is run as a script as well
    from neural_style_keras.commands import COMMANDS
    from neural_style_keras.commands.parser import Parser, add_flags
    from neural_style_keras.files import local
    from neural_style_keras.runs.console import open_standard_streams, sentence, tell
    from neural_style_keras.runs.job import Job
    from neural_style_keras.settings import (
        NO_PAINTER,
        PRESETS,
        PROGRAM,
        VERSION,
        Settings,
        flag,
        preset,
        unpainted,
    )
except ModuleNotFoundError as error:
    sys.exit(
        f"neural-style: error: this clone is not set up (there is no module {error.name}): run "
        "script/setup, and then .venv/bin/neural-style"
    )


class ListPresets(argparse.Action):
    """Print each preset with what it sets, as flags, and exit."""

    def __init__(self, **options):
        super().__init__(**options, nargs=0)

    def __call__(self, parser, *_):
        for name, one in PRESETS.items():
            print(f"{name}: {one.about}")
            own = {"painter": one.painter} if one.painter else {}
            for setting, value in (one.settings | one.painted | own).items():
                values = value if isinstance(value, tuple) else (value,)
                if value is not None:
                    print(f"    {flag(setting)} {' '.join(map(str, values))}")
            if one.painter:
                words = (f"{flag(setting)} {one.settings[setting]}" for setting in one.painted)
                print(f"    with {flag('painter')} {NO_PAINTER}: {', '.join(words)}")
        parser.exit()


def build_parser() -> Parser:
    """The command line, each flag made from its field of `Settings`."""
    parser = Parser(
        prog=PROGRAM,
        description="Paint a photograph in the style of one or more paintings.",
        epilog="A wrong argument exits with 2, any other failure with 1, Ctrl-C with 130. "
        "Other commands: "
        + "; ".join(f"{PROGRAM} {name} ({about})" for name, about in COMMANDS.items()),
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {VERSION}")
    needed = parser.add_argument_group("choose the pictures (required)")
    needed.add_argument(
        "--content",
        nargs="+",
        default=[],
        metavar="PICTURE",
        help="the photograph, or several, or a folder of them; none with --content-weight 0",
    )
    needed.add_argument(
        "--styles",
        nargs="+",
        default=[],
        metavar="PICTURE",
        help="one or more paintings; none with --style-weight 0",
    )
    needed.add_argument(
        "--output",
        metavar="PICTURE",
        help="what to write; of several photographs, as 'out/{name}.png'",
    )
    needed.add_argument(
        "--each-style",
        action="store_true",
        help="each photograph in each style by itself, as 'out/{name}-{style}.png'",
    )
    recipe = parser.add_argument_group("choose the recipe")
    recipe.add_argument(
        "--preset",
        metavar="NAME",
        help="a published recipe by name, which any other flag overrides in part "
        "(default: neural-style)",
    )
    recipe.add_argument(
        "--like",
        metavar="PICTURE",
        help="the settings that made this picture, which any other flag overrides in part",
    )
    recipe.add_argument(
        "--list-presets",
        action=ListPresets,
        dest=argparse.SUPPRESS,
        default=argparse.SUPPRESS,
        help="list the recipes and exit",
    )
    add_flags(parser, Settings)
    return parser


def jobs_of(arguments: argparse.Namespace) -> list[Job]:
    """The pictures that a command line asks for; ValueError for a value out of its range."""
    chosen = dict(vars(arguments))
    names = ("content", "styles", "output", "each_style")
    content, styles, output, each_style = (chosen.pop(name) for name in names)
    recipe, like = chosen.pop("preset"), chosen.pop("like")
    if chosen.get("preserve_colors"):  # over what --like has recorded
        chosen.setdefault("colors", "content")
    if recipe and like:
        raise ValueError("--preset and --like are both a recipe: give one of them")
    if like:
        from neural_style_keras.runs.like import settings_like

        found = settings_like(like)
        if content:  # which has a height of its own
            found.pop("height", None)
        if "painter" not in chosen and (chosen.get("initial") or not (content and styles)):
            found = unpainted(found)
        settings = Settings(**found | chosen)
    else:
        settings = preset(recipe or "neural-style", **chosen)
    settings.check_given(chosen)
    for path in (settings.initial, *(settings.masks or ()), *(settings.style_masks or ())):
        if path:
            local(path)
    _check_required(settings, content, styles, output)
    for style in styles:
        local(style)
    from neural_style_keras.runs import many

    asked = many.outputs(many.contents(content) or [None], styles, output, each_style)

    def placed(content, styles):
        checkpoints = settings.checkpoint_output
        checkpoints = checkpoints and many.placed(checkpoints, content, styles)
        return dataclasses.replace(settings, checkpoint_output=checkpoints)

    is_many = many.is_pattern(output)
    return [
        Job(content, list(map(Path, group)), path, placed(content, group), is_many)
        for content, group, path in asked
    ]


def job_of(arguments: argparse.Namespace) -> Job:
    """The one picture that a command line asks for."""
    [job] = jobs_of(arguments)
    return job


def _check_required(settings: Settings, content, styles, output) -> None:
    """Raise ValueError where a picture is not named that these settings need."""
    needed = {
        "--content": (content, settings.content_weights()),
        "--styles": (styles, settings.style_weights()),
        "--output": (output, True),
    }
    missing = [name for name, (given, is_needed) in needed.items() if is_needed and not given]
    if not missing:
        return
    without = {
        "--content": "--content-weight 0 and a --width need no content",
        "--styles": "--style-weight 0 needs no styles",
    }
    said = f"the following arguments are required: {', '.join(missing)}"
    if len(missing) == 1 and missing[0] in without:
        said += f" ({without[missing[0]]})"
    raise ValueError(said)


def main(argv: list[str] | None = None) -> int:
    """Run a command and return its exit code; a usage error exits with 2."""
    open_standard_streams()
    argv = sys.argv[1:] if argv is None else argv
    debug = "--debug" in argv
    try:
        if argv and argv[0] in COMMANDS:
            command = importlib.import_module(f"neural_style_keras.commands.{argv[0]}")
            return command.main(argv[1:])
        return paint(argv)
    except KeyboardInterrupt:
        tell(f"{PROGRAM}: interrupted; nothing was written", sys.stderr)
        return 128 + signal.SIGINT
    except Exception as error:
        if debug:
            raise
        tell(f"{PROGRAM}: error: {sentence(error)}", sys.stderr)
        return 1


def paint(argv: list[str]) -> int:
    """Paint a picture, or many: what the program does where no command is named."""
    parser = build_parser()
    if argv and not argv[0].startswith("-"):
        close = difflib.get_close_matches(argv[0], COMMANDS, n=1)
        meant = f": did you mean {close[0]}?" if close else ""
        parser.error(
            f"{argv[0]} is no command ({', '.join(COMMANDS)}){meant}; to paint: {PROGRAM} "
            "--content photo.jpg --styles painting.jpg --output out.png"
        )
    arguments = parser.parse_args(argv)
    try:
        jobs = jobs_of(arguments)
        from neural_style_keras.runs import checks

        checks.check_arguments(jobs)
        if jobs[0].settings.cluster:
            from neural_style_keras.cluster import run as on_cluster

            on_cluster.check_arguments(jobs)
    except ValueError as error:
        parser.error(str(error))
    if jobs[0].settings.cluster:
        return on_cluster.run(jobs)
    from neural_style_keras.runs.run import run

    return run(jobs)


if __name__ == "__main__":
    sys.exit(main())
