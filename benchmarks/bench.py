"""Measure on this machine, and print markdown tables.

    python benchmarks/bench.py gradient --network vgg19.mat --sizes 256 512 1024
    python benchmarks/bench.py loss --network vgg19.mat --content a.jpg --style b.jpg \\
        --width 256 --plain progress.txt
    python benchmarks/bench.py lbfgs --network vgg19.mat --content a.jpg --style b.jpg --width 256

`gradient`: seconds for a gradient of the default objective, peak memory and the share of the
machine's own matrix-product rate, by size, precision and tile, and the time from process start to
the first iteration. Each row is a process of its own; choose Keras's backend with KERAS_BACKEND.

`loss`: the time that the preset `fast`, from process start, takes to a picture as good as the best
that the plain run passes. --plain is the table of a full plain run (--progress-write), from
which only the loss is taken; the plain run's time is measured here, over a few iterations.

`lbfgs`: the last part of the preset `fast`, from the picture of its warm start, by this program's
L-BFGS and by scipy's in turn: seconds to the loss that scipy's ends with, and its own per step.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

REPEATS = 5


def machine() -> str:
    """What the numbers are of."""
    model, bf16 = platform.processor() or platform.machine(), ""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text().splitlines()
        model = next((x.split(": ")[1] for x in lines if x.startswith("model name")), model)
        bf16 = ", AVX-512 BF16" if any("avx512_bf16" in x for x in lines) else ""
    import keras
    import psutil

    backend = keras.backend.backend()
    version = __import__(backend).__version__
    memory = psutil.virtual_memory().total / 2**30
    return (
        f"{model}, {os.cpu_count()} cores{bf16}, {memory:.0f} GiB; Python "
        f"{platform.python_version()}, {backend} {version}, Keras {keras.version()}"
    )


def matrix_product_rate(precision: str) -> float:
    """FLOP/s of the machine's own product of two 4096x4096 matrices, the best of five."""
    import keras
    from keras import ops
    from neural_style_keras import backend

    n = 4096
    a = ops.cast(keras.random.normal((n, n)), precision)
    product = backend.compiled(
        lambda a: ops.sum(ops.cast(ops.matmul(a, a), "float32")), keras.Sequential()
    )
    took = []
    for _ in range(REPEATS + 1):
        began = time.perf_counter()
        float(product(a))
        took.append(time.perf_counter() - began)
    return 2 * n**3 / min(took)


def flop_per_pixel(parameters, settings) -> float:
    """Of a gradient: the convolutions forward and back to the image, and the Gram matrices."""
    total = 4 * parameters.multiplications(settings.layers())
    for name in settings.style_weights():
        total += 6 * parameters.channels(name) ** 2 / parameters.stride([name]) ** 2
    return total


def case(network: str, width: int, precision: str, tile: int) -> dict:
    """One row: in this process, and nothing else in it."""
    import resource

    import numpy as np
    from neural_style_keras import objective, vgg
    from neural_style_keras.settings import Settings

    parameters = vgg.load(network)
    settings = Settings(precision=precision)
    height = width * 3 // 4
    random = np.random.default_rng(0)
    picture = random.uniform(0, 255, (height, width, 3)).astype(np.float32)
    style = picture[::-1].copy()
    aim = objective.Objective(picture, [style], settings, parameters, tile)
    image = vgg.preprocess(picture[:, ::-1], parameters.mean_pixel)
    aim.gradient(image)
    took = []
    while len(took) < REPEATS and sum(took) < 60:
        began = time.perf_counter()
        aim.gradient(image)
        took.append(time.perf_counter() - began)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    rate = matrix_product_rate(precision)
    flop = flop_per_pixel(parameters, settings) * width * height
    seconds = statistics.median(took)
    return {
        "width": width,
        "height": height,
        "precision": precision,
        "tile": tile,
        "seconds": seconds,
        "peak": peak,
        "rate": flop / seconds,
        "product": rate,
    }


def gradient_table(arguments) -> None:
    """Run each case in a process of its own and print the table."""
    print(f"{machine()}\n")
    print(
        "| pixels | precision | tile | s per gradient | GFLOP/s | of the matrix product | peak GB |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for width in arguments.sizes:
        for precision in arguments.precisions:
            for tile in arguments.tiles:
                if tile and tile >= width:
                    continue
                one = [str(x) for x in (arguments.network, width, precision, tile)]
                done = subprocess.run(
                    [sys.executable, __file__, "case", *one], capture_output=True, text=True
                )
                if done.returncode:
                    print(f"| {width} | {precision} | {tile} | failed: {done.stderr[-200:]} |")
                    continue
                row = json.loads(done.stdout.splitlines()[-1])
                print(
                    f"| {row['width']}x{row['height']} | {precision} | {tile or 'none'} "
                    f"| {row['seconds']:.3g} | {row['rate'] / 1e9:.0f} "
                    f"| {row['rate'] / row['product']:.0%} of {row['product'] / 1e9:.0f} GFLOP/s "
                    f"| {row['peak'] / 1e9:.2f} |",
                    flush=True,
                )
    print(f"\nProcess start to the first iteration at 256x192: {first_iteration(arguments):.1f} s")


def run_program(network: str, flags: list[str], *more: str) -> tuple[float, float]:
    """Run the command line; when it was started and when it ended, by the wall clock."""
    began = time.time()
    command = [sys.executable, str(ROOT / "neural_style.py"), "--network", network, "--quiet"]
    subprocess.run([*command, *flags, *more], check=True)
    return began, time.time()


def first_iteration(arguments) -> float:
    """Seconds from process start to the end of the first iteration: the best of three."""
    from neural_style_keras import pictures

    with tempfile.TemporaryDirectory() as folder:
        import numpy as np

        random = np.random.default_rng(0)
        for name in ("a.png", "b.png"):
            pictures.write(Path(folder) / name, random.uniform(0, 255, (192, 256, 3)))
        took = []
        for _ in range(3):
            named = ["--content", f"{folder}/a.png", "--styles", f"{folder}/b.png"]
            began, _ = run_program(
                arguments.network,
                named,
                *("--output", f"{folder}/out.png", "--overwrite", "--iterations", "1"),
                *("--checkpoint-output", f"{folder}/c_%d.png", "--checkpoint-iterations", "1"),
            )
            took.append(os.stat(f"{folder}/c_1.png").st_mtime - began)
    return min(took)


def loss_row(arguments) -> None:
    """Time to loss: print a row of the table, and keep the picture."""
    from neural_style_keras import neural_style, pictures, vgg
    from neural_style_keras.objective import Objective
    from neural_style_keras.runs import checks, progress
    from neural_style_keras.settings import Settings

    rows = progress.read_table(arguments.plain)
    best = min(losses.total for _, losses in rows)
    iterations = rows[-1][0]
    parser = neural_style.build_parser()
    named = ["--content", arguments.content, "--styles", arguments.style]
    named += ["--width", str(arguments.width)]
    # The plain run has no painter to start from.
    plain_start = ["--initial-noiseblend", "0" if arguments.start == "content" else "1"]
    start = [] if arguments.start == "painter" else plain_start
    job = neural_style.job_of(parser.parse_args([*named, "--output", "none.png"]))
    content, style = (
        pictures.resize(pictures.read(path), *size)
        for path, size in zip((job.content, *job.styles), checks.sizes(job, checks.shapes(job)))
    )
    parameters = vgg.load(arguments.network)
    judge = Objective(content, [style], Settings(), parameters)

    with tempfile.TemporaryDirectory() as folder:
        out = ["--output", f"{folder}/out.png", "--overwrite"]
        few = 20
        took = []
        for n in (1, 1 + few):
            began, ended = run_program(
                arguments.network, [*named, *plain_start], *out, "--iterations", str(n)
            )
            took.append(ended - began)
        each = (took[1] - took[0]) / few
        plain = took[0] + each * (iterations - 1)
        began, ended = run_program(
            arguments.network,
            [*named, *start],
            *("--preset", "fast", *out, *arguments.flags.split()),
            *("--checkpoint-output", f"{folder}/c_%05d.png", "--checkpoint-iterations", "5"),
        )
        reached, last = None, None
        for path in sorted(Path(folder).glob("c_*.png")):
            image = vgg.preprocess(pictures.read(path), parameters.mean_pixel)
            last = judge.evaluate(image).total
            when = path.stat().st_mtime - began
            print(f"    {path.stem} {when:.1f} s {last:.6g}", file=sys.stderr)
            if reached is None and last <= best:
                reached = when
        if arguments.output:
            Path(arguments.output).write_bytes(Path(f"{folder}/out.png").read_bytes())
    print(
        f"| {arguments.width} | {arguments.start} | {each:.3f} | {plain:.0f} | {best:.4g} "
        + (f"| {reached:.1f} | {plain / reached:.1f} |" if reached else "| not reached | - |")
        + f" {last:.4g} in {ended - began:.0f} s |"
    )


def lbfgs_table(arguments) -> None:
    """L-BFGS, ours and scipy's on the same frequencies, in turn: print a row for each."""
    import numpy as np
    from neural_style_keras import networks, pictures, stylize, vgg
    from neural_style_keras.minimise.lbfgs import LBFGS
    from neural_style_keras.objective import Objective
    from neural_style_keras.settings import preset

    settings = preset("fast", painter=None, precision=arguments.precision)
    parameters = vgg.load(arguments.network)
    content, style = (
        pictures.resize(picture, arguments.width, round(arguments.width * height / width))
        for picture in map(pictures.read, (arguments.content, arguments.style))
        for height, width in [picture.shape[:2]]
    )
    warm = preset("fast", painter=None, precision=arguments.precision, iterations=130)
    compact = vgg.load(networks.find("compact"))
    for progress in stylize.stylize(content, [style], warm, compact):
        start = vgg.preprocess(progress.image, parameters.mean_pixel)
    objective = Objective(content, [style], settings, parameters)
    objective.gradient(start)  # compiles it

    def ours():
        minimiser = LBFGS(objective, start, settings, parameters.mean_pixel)
        for _ in range(arguments.evaluations):
            minimiser.advance(1)
            yield minimiser.losses.total

    def timed(steps):
        began = time.perf_counter()
        rows = [(time.perf_counter() - began, total) for total in steps]
        return np.array(rows)

    def scipys():
        return _scipy(objective, start, settings, parameters.mean_pixel, arguments.evaluations)

    own, ratios, took = {"ours": [], "scipy's": []}, [], {"ours": [], "scipy's": []}
    for _ in range(arguments.rounds):
        theirs, mine = scipys(), timed(ours())
        target = theirs[-1, 1]
        reached = mine[mine[:, 1] <= target]
        for name, rows in (("ours", mine), ("scipy's", theirs)):
            own[name].append(rows)
            took[name].append(rows[-1, 0])
        ratios.append(reached[0, 0] / theirs[-1, 0] if len(reached) else math.inf)
    print(f"{machine()}\n")
    marks = [n for n in (10, 25, 50, 75, 100, 150, 200) if n <= arguments.evaluations]
    print(f"| | {' | '.join(f'loss after {n}' for n in marks)} | s |")
    print("| --- |" + " --- |" * (len(marks) + 1))
    for name, rounds in own.items():
        losses = " | ".join(f"{rounds[0][n - 1, 1]:.5g}" for n in marks)
        print(f"| {name} | {losses} | {spread(took[name])} |")
    print(f"\nTime of ours to scipy's last loss, over scipy's: {spread(ratios)}")


def _scipy(objective, start, settings, mean_pixel, evaluations: int):
    """(evaluations, 2): seconds and lowest loss after each evaluation of scipy's L-BFGS-B, on the
    coordinates z of clip(T⁻¹ S z); see `minimise/lbfgs.py` for S and T."""
    import numpy as np
    import scipy.fft
    import scipy.optimize
    import threadpoolctl
    from neural_style_keras.minimise import lbfgs

    scale = lbfgs.frequency_scale(start.shape, settings.lbfgs_frequency)
    scale = scale * lbfgs.FIRST_STEP * math.sqrt(start.size)  # scipy's first step is of length 1
    low, high = -mean_pixel, 255 - mean_pixel
    rows, began = [], time.perf_counter()

    def value_and_gradient(z):
        image = (scale * z.reshape(start.shape)).astype(np.float32)
        image = scipy.fft.idctn(image, axes=(1, 2), norm="ortho")
        losses, gradient = objective.gradient(np.clip(image, low, high).astype(np.float32))
        gradient = np.where((image >= low) & (image <= high), gradient, 0)
        gradient = scale * scipy.fft.dctn(gradient, axes=(1, 2), norm="ortho")
        lowest = min(losses.total, rows[-1][1]) if rows else losses.total
        rows.append((time.perf_counter() - began, lowest))
        return losses.total, gradient.ravel().astype(np.float64)

    z = scipy.fft.dctn(start.astype(np.float64), axes=(1, 2), norm="ortho") / scale
    options = {"maxcor": settings.lbfgs_memory, "maxfun": evaluations, "maxiter": evaluations}
    # Its vectors are short: with several threads it is slower, on a busy machine far slower.
    with threadpoolctl.threadpool_limits(limits=1, user_api="blas"):
        scipy.optimize.minimize(
            value_and_gradient,
            z.ravel(),
            jac=True,
            method="L-BFGS-B",
            options=options | {"ftol": 0, "gtol": 0},
        )
    return np.array(rows[:evaluations])


def spread(values) -> str:
    """`median (least to most)`."""
    return f"{statistics.median(values):.3g} ({min(values):.3g} to {max(values):.3g})"


def main() -> None:
    if sys.argv[1:2] == ["case"]:
        network, width, precision, tile = sys.argv[2:]
        print(json.dumps(case(network, int(width), precision, int(tile))))
        return
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    which = parser.add_subparsers(required=True)
    gradient = which.add_parser("gradient")
    gradient.set_defaults(run=gradient_table)
    gradient.add_argument("--sizes", type=int, nargs="+", default=[256, 512, 1024])
    gradient.add_argument("--precisions", nargs="+", default=["float32", "bfloat16"])
    gradient.add_argument("--tiles", type=int, nargs="+", default=[0])
    loss = which.add_parser("loss")
    loss.set_defaults(run=loss_row)
    loss.add_argument("--content", required=True)
    loss.add_argument("--style", required=True)
    loss.add_argument("--width", type=int, default=256)
    loss.add_argument("--start", choices=("noise", "content", "painter"), default="noise")
    loss.add_argument("--plain", required=True, help="progress.txt of a full plain run")
    loss.add_argument("--flags", default="", help="more flags for the fast run, in one string")
    loss.add_argument("--output", help="where to keep the fast run's picture")
    pair = which.add_parser("lbfgs")
    pair.set_defaults(run=lbfgs_table)
    pair.add_argument("--content", required=True)
    pair.add_argument("--style", required=True)
    pair.add_argument("--width", type=int, default=256)
    pair.add_argument("--precision", default="auto")
    pair.add_argument("--evaluations", type=int, default=100)
    pair.add_argument("--rounds", type=int, default=5)
    for one in (gradient, loss, pair):
        one.add_argument("--network", required=True)
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
