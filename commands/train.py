"""`neural-style train`: styles and photographs become a painter."""

from __future__ import annotations

from pathlib import Path

from ..files import local
from ..settings import ONTO, ONTO_ANY, PROGRAM, RECIPES, Settings, Training
from .parser import Parser, add_flags


def main(argv: list[str]) -> int:
    """Train a painter. Raises OSError or ValueError in one sentence; exits with 2 for arguments
    that cannot be right."""
    from ..runs import training

    parser = build_parser()
    arguments = parser.parse_args(argv)
    try:
        job = job_of(vars(arguments))
        training.check_arguments(job)
    except ValueError as error:
        parser.error(str(error))
    return training.run(job)


def job_of(chosen: dict):
    """The training that a command line asks for; ValueError for a value out of its range."""
    from .. import painters
    from ..runs.training import SETTINGS, TrainingJob

    recipe = RECIPES[chosen["recipe"]]
    given = {name: value for name, value in chosen.items() if value is not None}
    settings = {name: given[name] for name in SETTINGS if name in given}
    training = {name: given[name] for name in Training.__dataclass_fields__ if name in given}
    architecture, begun = {}, {}
    if training.get("any") and training.get("architecture", "decoder") != "decoder":
        raise ValueError("--any goes with --architecture decoder alone")
    if chosen["onto"]:
        config = painters.read_config(chosen["onto"])
        chosen_once = set(painters.ARGUMENTS) & set(Training.__dataclass_fields__)
        architecture = {name: config[name] for name in chosen_once}
        architecture["texture"] = not config["of_photographs"]
        learns_named = config["any_style"] and not training.get("any")
        begun = ONTO_ANY if learns_named else ONTO
        if training.get("texture", architecture["texture"]) != architecture["texture"]:
            raise ValueError(f"{chosen['onto']} paints photographs: leave --texture out")
        if training.get("any") and not config["any_style"]:
            raise ValueError(
                f"{chosen['onto']} paints in the styles that it has learnt: --any begins with "
                "another one for any style"
            )
        for name, value in architecture.items():
            if training.get(name, value) != value:
                raise ValueError(
                    f"{chosen['onto']} has --{name.replace('_', '-')} {value}, which --onto keeps"
                )
    return TrainingJob(
        [local(path) for path in chosen["styles"]],
        local(chosen["photos"]) if chosen["photos"] else None,
        local(chosen["output"]),
        Settings(**recipe.settings | settings),
        Training(**recipe.training | begun | architecture | training),
        chosen["recipe"],
        chosen["onto"],
        Path(chosen["test"]) if chosen["test"] else None,
        chosen["licence"],
        Path(chosen["tensorboard"]) if chosen["tensorboard"] else None,
    )


def build_parser() -> Parser:
    from ..runs.training import SETTINGS

    parser = Parser(
        prog=f"{PROGRAM} train",
        description="Train a network that paints any photograph in one pass, in one style or in "
        "several.",
        epilog=f"{PROGRAM} apply paints with it.",
    )
    needed = parser.add_argument_group("choose what it learns from")
    needed.add_argument(
        "--styles",
        required=True,
        nargs="+",
        metavar="PICTURE",
        help="one or more paintings; with --any, folders of them as well",
    )
    needed.add_argument("--photos", metavar="FOLDER", help="photographs of every kind")
    needed.add_argument(
        "--output", required=True, metavar="PAINTER", help="what to write, as wave.keras"
    )
    needed.add_argument(
        "--onto",
        metavar="PAINTER",
        help="begin with this painter, and add the styles to it by their scales and shifts alone; "
        "with one for any style, begin with how it paints in these, and train all weights",
    )
    needed.add_argument(
        "--test", metavar="PICTURE", help="a photograph to paint at each checkpoint"
    )
    needed.add_argument("--tensorboard", metavar="FOLDER", help="write TensorBoard's logs there")
    needed.add_argument("--licence", metavar="TEXT", default="", help="written into the painter")
    told = "; ".join(f"{name}: {recipe.about}" for name, recipe in RECIPES.items())
    needed.add_argument(
        "--recipe",
        metavar="NAME",
        choices=RECIPES,
        default="ours",
        help=f"a published recipe, which any other flag overrides in part ({told})",
    )
    ours = RECIPES["ours"]
    add_flags(parser, Training, defaults=ours.training)
    add_flags(parser, Settings, SETTINGS, ours.settings)
    return parser
