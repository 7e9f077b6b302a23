"""Teach the compressed network what compressing it lost, with VGG-19 as the teacher.

    python -m distill.train --network imagenet-vgg-verydeep-19.mat --start start.mat \\
        --photos DIR --folder run/ --output compact.mat

It learns to give what VGG-19 gives (the same components of it as in start.mat), on what an
optimiser will show it: photographs, disturbed ones, pictures half-way through VGG-19's own
stylisations, and, anew every other epoch, pictures half-way through its own: where it is wrong,
an optimiser goes. Stop it with Ctrl-C and start it again: it goes on with the epoch it was in.

What has learnt before can learn on: --start networks/compact.mat.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
from pathlib import Path

import keras
import numpy as np
from keras import ops
from neural_style_keras import backend, files, losses, pictures, vgg
from neural_style_keras.painters.training import CosineSchedule

from distill import compress, data
from distill.trajectories import trajectories

SIDE, BATCH = 144, 6
PLAIN, DISTURBED = 2, 1  # photographs in a batch; the rest are of trajectories
BATCHES_KEPT, REPEATS = 6, 3  # half a gigabyte
TRAJECTORIES = 8  # pictures stylised at once
STEPS = 50  # an epoch, and what is lost at most when it is stopped
RATE = 1e-4
BEFORE = 0.25  # how much it counts what a convolution gives before its ReLU
PLAINLY = 1.0, 0.5  # how much the activations count, and the Gram matrices
# After 1200 steps in which all counted plainly, of the style loss that VGG-19 finds in a picture
# that the student made (Composition VII, from noise), 97% is in relu4_1, twenty times what the
# student sees there itself: an optimiser has gone where the components' means are wrong, which is
# little of the activations and four fifths of the Gram matrix's error. Then comes the content.
COUNTS = {"relu3_1": (1.0, 3.0), "relu4_1": (3.0, 30.0), "relu4_2": (3.0, 0.5)}
TEACHER_GROUPS, OWN_GROUPS = 8, 1  # groups of trajectories
OWN_EVERY, OWN_KEPT = 2, 6  # epochs between the student's own groups, and how many are kept
HELD_OUT = 40  # photographs that are only validated on


class Distiller(keras.Model):
    """The student with its loss: how far what it gives is from the teacher's answers."""

    def __init__(self, student: keras.Model, maps: dict, spread: dict, counts: dict | None = None):
        """`counts`: how much a layer's activations and its Gram matrix count in training, `PLAINLY`
        if not given. In validation all count plainly, so that runs can be compared."""
        super().__init__()
        self.student, self.maps, self.spread = student, maps, spread
        self.counts = {name: (counts or {}).get(name, PLAINLY) for name in maps}

    def call(self, image):
        return self.student(image)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        total = 0.0
        for name, (_, matrix) in self.maps.items():
            activations, gram = self.counts[name] if training else PLAINLY
            given, wanted = (
                ops.cast(some[name], "float32") * self.spread[name] for some in (y_pred, y)
            )
            error = _relative(given, wanted)
            if matrix is None:
                total = total + BEFORE * activations * error
            else:
                grams = map(losses.gram_matrix, (given, wanted))
                total = total + activations * error + gram * _relative(*grams)
        return total / len(self.maps)


def answers(teacher: keras.Model, maps: dict, spread: dict):
    """A compiled function: pictures -> layer -> what the student is to give of them, float16.

    It is in units of `spread`, as what the student gives is.
    """

    def wanted(pictures):
        truth, out = teacher(pictures), {}
        for name, (source, matrix) in maps.items():
            one = ops.cast(truth[source], "float32")
            one = one if matrix is None else ops.matmul(one, matrix)
            out[name] = ops.cast(one / spread[name], "float16")
        return out

    run = backend.compiled(wanted, teacher)
    return lambda pictures: {n: ops.convert_to_numpy(x) for n, x in run(pictures).items()}


def _relative(given, wanted):
    """Σ(given - wanted)² / Σ wanted² of each picture, and the mean of that."""
    axes = tuple(range(1, len(wanted.shape)))
    return ops.mean(
        ops.sum(ops.square(given - wanted), axes) / (ops.sum(ops.square(wanted), axes) + 1e-6)
    )


class Pictures(keras.utils.PyDataset):
    """Batches: photographs, disturbed ones, and pictures of trajectories: the teacher's, its own.

    The teacher takes most of the time. So each batch with its answers is kept for a while and
    comes about `REPEATS` times, others between.
    """

    def __init__(self, photos, mean_pixel, answer, seed=0):
        """`answer` gives the teacher's of a batch; see `answers`."""
        super().__init__()
        self.photos, self.mean_pixel, self.answer = photos, mean_pixel, answer
        self.random = np.random.default_rng(seed)
        self.teachers = self.own = None  # (n, SIDE, SIDE, 3), once there are any
        self.kept = collections.deque(maxlen=BATCHES_KEPT)

    def __len__(self):
        return STEPS

    def __getitem__(self, index):
        if len(self.kept) < BATCHES_KEPT or index % REPEATS == 0:
            batch = self._batch()
            self.kept.append((batch, self.answer(batch)))
        return self.kept[self.random.integers(len(self.kept))]

    def _batch(self):
        buffers = [buffer for buffer in (self.teachers, self.own) if buffer is not None]
        each = (BATCH - PLAIN - DISTURBED) // max(1, len(buffers))
        new = data.crops(self.photos, BATCH - each * len(buffers), SIDE, self.random)
        new[:DISTURBED] = data.disturbed(new[:DISTURBED], self.random)
        sampled = [buffer[self.random.integers(len(buffer), size=each)] for buffer in buffers]
        return (np.concatenate([new, *sampled]) - self.mean_pixel).astype(np.float32)


class Held(keras.utils.PyDataset):
    """The pictures that are only validated on, with their answers, a few at once."""

    def __init__(self, pictures, answer):
        super().__init__()
        parts = np.array_split(pictures, len(pictures) // 8)
        self.batches = [(part, answer(part)) for part in parts]

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        return self.batches[index]


def filled_buffer(parameters, photos, times: int, random, precision: str) -> np.ndarray:
    """Trajectories with this network, from `times` groups of pairs of photographs.

    Half of the styles are in other colours, as paintings are.
    """
    groups = []
    for _ in range(times):
        contents, styles = (data.crops(photos, TRAJECTORIES, SIDE, random) for _ in range(2))
        styles[::2] = data.disturbed(styles[::2], random)
        groups.append(trajectories(parameters, contents, styles, random, precision))
    return np.concatenate(groups)


def spreads(small: vgg.Parameters, pictures: np.ndarray) -> dict[str, np.ndarray]:
    """The root mean square of each channel of each convolution; at least a thirtieth of the
    layer's largest. `pictures` are (n, H, W, 3) less the mean pixel."""
    names = [layer.name for layer in small.layers if layer.type == "conv"]
    given = vgg.build(small, names).predict(pictures, batch_size=8, verbose=0)
    rms = {name: np.sqrt(np.mean(np.square(x), (0, 1, 2))) for name, x in given.items()}
    return {name: np.maximum(x, x.max() / 30).astype(np.float32) for name, x in rms.items()}


def learned(small: vgg.Parameters, student: keras.Model, spread: dict) -> vgg.Parameters:
    """The network with the student's weights in it."""
    layers = []
    for layer in small.layers:
        if layer.type == "conv":
            kernel, bias = student.get_layer(layer.name).get_weights()
            layer = dataclasses.replace(layer, kernel=kernel, bias=bias)
        layers.append(layer)
    return vgg.scaled(dataclasses.replace(small, layers=tuple(layers)), spread)


class Keeper(keras.callbacks.Callback):
    """After each epoch, writes the network with the averaged weights."""

    def __init__(self, small, spread, output):
        super().__init__()
        self.small, self.spread, self.output = small, spread, output

    def on_epoch_end(self, epoch, logs=None):
        optimizer, student = self.model.optimizer, self.model.student
        now = [ops.convert_to_numpy(v.value) for v in student.trainable_variables]
        optimizer.finalize_variable_values(student.trainable_variables)
        compress.write(self.output, learned(self.small, student, self.spread))
        for variable, value in zip(student.trainable_variables, now):
            variable.assign(value)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--network", required=True, help="VGG-19, the teacher")
    parser.add_argument(
        "--start", required=True, help="what compress.py wrote, or what has learnt since"
    )
    parser.add_argument("--photos", required=True, help="a folder of photographs")
    parser.add_argument("--without", type=Path, help="names of photographs not to learn from")
    parser.add_argument("--folder", required=True, type=Path, help="for what it takes to go on")
    parser.add_argument("--output", required=True, help="the .mat to write, after each epoch")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--minutes", type=float, help="stop by then, all told")
    parser.add_argument("--seed", type=int, default=0, help="another one for other pictures")
    parser.add_argument("--rate", type=float, default=RATE, help="the highest learning rate")
    parser.add_argument(
        "--teacher-groups", type=int, default=TEACHER_GROUPS, help="0: its own trajectories only"
    )
    parser.add_argument("--precision", default="auto", choices=["auto", "float32", "bfloat16"])
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(arguments.seed)
    precision = backend.precision(arguments.precision)

    original = vgg.load(arguments.network)
    small = vgg.load(arguments.start, cache=False)
    maps = compress.targets(original, small)
    sources = {source for source, _ in maps.values()}
    teacher = vgg.build(original, sources, precision=precision)
    photos = pictures.found(arguments.photos)
    never = arguments.without.read_text().split() if arguments.without else []
    random = np.random.default_rng(0)
    held = data.crops(photos[-HELD_OUT:], HELD_OUT, SIDE, random) - original.mean_pixel
    held = held.astype(np.float32)
    # One step of Adam is as long for every weight: let what the weights multiply be of one size.
    spread = spreads(small, held)
    even = vgg.scaled(small, {name: 1 / x for name, x in spread.items()})
    student = vgg.build(even, list(maps), precision=precision)
    student.trainable = True
    learnt_from = [photo for photo in photos[:-HELD_OUT] if photo.name not in never]
    answer = answers(teacher, maps, spread)
    train = Pictures(learnt_from, original.mean_pixel, answer, arguments.seed)

    def buffer(name: str, parameters, groups: int) -> np.ndarray:
        """The trajectories in the file of that name, or made now and kept in it."""
        path = arguments.folder / name
        if not path.exists():
            made = filled_buffer(parameters(), train.photos, groups, train.random, precision)
            with files.replacing(path) as file:
                np.save(file, made.astype(np.float16))
        return np.load(path).astype(np.float32)

    if arguments.teacher_groups:
        train.teachers = buffer("teacher.npy", lambda: original, arguments.teacher_groups)

    def refresh(epoch, _):
        def latest():
            # With averaged weights: the others jump about, and so would the mistakes.
            return vgg.load(arguments.output, cache=False) if epoch else small

        train.random = np.random.default_rng((arguments.seed, epoch))
        buffer(f"own-{epoch // OWN_EVERY:03}.npy", latest, OWN_GROUPS)
        kept = sorted(arguments.folder.glob("own-*.npy"))[-OWN_KEPT:]
        train.own = np.concatenate([np.load(path) for path in kept]).astype(np.float32)

    model = Distiller(student, maps, spread, COUNTS)
    model(held[:1])  # builds it, which going on needs
    model.compile(
        keras.optimizers.Adam(
            arguments.rate, global_clipnorm=1.0, use_ema=True, ema_momentum=0.995
        ),
        jit_compile=False,  # on processors, XLA's convolutions take longer
    )
    model.fit(
        train,
        epochs=arguments.epochs,
        validation_data=Held(held, answer),
        callbacks=[
            keras.callbacks.LambdaCallback(on_epoch_begin=refresh),
            CosineSchedule(
                arguments.rate,
                STEPS * arguments.epochs,
                arguments.minutes,
                arguments.folder / "seconds",
            ),
            keras.callbacks.SwapEMAWeights(),  # for the validation, of what is written
            Keeper(small, spread, arguments.output),
            keras.callbacks.CSVLogger(arguments.folder / "losses.csv", append=True),
            # Two, as it may be stopped while it writes; kept, so that a run that is done stays so.
            keras.callbacks.BackupAndRestore(
                arguments.folder / "backup", double_checkpoint=True, delete_checkpoint=False
            ),
        ],
    )


if __name__ == "__main__":
    main()
