"""The reference losses, and our run of the same settings."""

import json
from pathlib import Path

from neural_style_keras import neural_style, pictures, vgg
from neural_style_keras.runs import checks
from neural_style_keras.stylize import stylize

SHARED = Path(__file__).parent.parent.parent / "shared"
CASES = {
    case["name"]: case
    for case in json.loads((Path(__file__).parent / "reference" / "losses.json").read_text())
}


def check(name):
    """Run a case and raise AssertionError where it leaves the reference."""
    case = CASES[name]
    folder = SHARED / "images" / "paper"
    arguments = ["--content", str(folder / case["content"]), "--width", str(case["width"])]
    arguments += ["--styles", *(str(folder / style) for style in case["styles"])]
    arguments += ["--output", "none.png", "--iterations", "10", "--initial-noiseblend", "0"]
    arguments += ["--print-iterations", "1", *case["args"]]
    job = neural_style.job_of(neural_style.build_parser().parse_args(arguments))
    read = [
        pictures.resize(pictures.read(path), *size)
        for path, size in zip([job.content, *job.styles], checks.sizes(job, checks.shapes(job)))
    ]
    network = vgg.load(SHARED / "weights" / "imagenet-vgg-verydeep-19.mat")
    seen = list(stylize(read[0], read[1:], job.settings, network))
    assert [progress.iteration for progress in seen] == list(range(11))
    start = seen[0].losses
    for term, want in case["initial_losses"].items():
        # The content's loss is 0 where the picture starts from it; then absolutely so.
        assert abs(getattr(start, term) - want) <= 1e-4 * (want or 1), (term, start)
    for progress, row in zip(seen[1:], case["after_step"], strict=True):
        want = row[case["columns"].index("total")]
        assert abs(progress.losses.total / want - 1) <= 2e-3, (progress.iteration, want)
