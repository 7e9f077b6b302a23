"""Teach the compressed network what compressing it lost, with VGG-19 as the teacher.

    python -m distill.train --network imagenet-vgg-verydeep-19.mat --start start.mat \\
        --photos DIR --folder run/ --output compact.mat

It learns to give what VGG-19 gives (the same components of it as in start.mat), on what an
optimiser will show it: photographs, disturbed ones, pictures half-way through VGG-19's own
stylisations, and, anew in each epoch, pictures half-way through its own: where it is wrong, an
optimiser goes. Stop it with Ctrl-C and start it again: it goes on with the epoch it was in.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import keras
import numpy as np
from keras import ops
from neural_style_keras import files, losses, vgg

from distill import compress, data
from distill.trajectories import trajectories

SIDE, BATCH = 144, 12
STEPS = 200  # an epoch
RATE = 1e-4
GRAM = 0.5  # how much the Gram matrices count beside the activations
BEFORE = 0.25  # how much it counts what a convolution gives before its ReLU
TRAJECTORIES = 8  # pictures stylised at once
TEACHER_GROUPS, OWN_GROUPS = 8, 2  # how often
HELD_OUT = 40  # photographs that are only validated on


class Distiller(keras.Model):
    """The student with what it is taught: its loss is measured against the teacher's taps."""

    def __init__(self, student: keras.Model, teacher: keras.Model, maps: dict, spread: dict):
        super().__init__()
        self.student, self.teacher, self.maps, self.spread = student, teacher, maps, spread
        self.teacher.trainable = False

    def call(self, image):
        return self.student(image)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        truth = self.teacher(x)
        total = 0.0
        for name, (source, matrix) in self.maps.items():
            given = ops.cast(y_pred[name], "float32") * self.spread[name]
            wanted = ops.stop_gradient(ops.cast(truth[source], "float32"))
            if matrix is not None:
                wanted = ops.matmul(wanted, matrix)
            error = _relative(given, wanted)
            if matrix is None:
                total = total + BEFORE * error
            else:
                total = total + error + GRAM * _relative(*map(losses.gram_matrix, (given, wanted)))
        return total / len(self.maps)


def _relative(given, wanted):
    """Σ(given - wanted)² / Σ wanted² of each picture, and the mean of that."""
    axes = tuple(range(1, len(wanted.shape)))
    return ops.mean(
        ops.sum(ops.square(given - wanted), axes) / (ops.sum(ops.square(wanted), axes) + 1e-6)
    )


class Pictures(keras.utils.PyDataset):
    """Batches: a third photographs, a sixth disturbed, a quarter each of VGG-19's
    trajectories and of the student's own."""

    def __init__(self, photos, mean_pixel, seed=0):
        super().__init__()
        self.photos, self.mean_pixel = photos, mean_pixel
        self.random = np.random.default_rng(seed)
        self.teachers = self.own = None  # (n, SIDE, SIDE, 3)

    def __len__(self):
        return STEPS

    def __getitem__(self, _):
        quarter = BATCH // 4
        new = data.crops(self.photos, BATCH - 2 * quarter, SIDE, self.random)
        third = len(new) // 3
        new[:third] = data.disturbed(new[:third], self.random)
        sampled = [
            buffer[self.random.integers(len(buffer), size=quarter)]
            for buffer in (self.teachers, self.own)
        ]
        batch = np.concatenate([new, *sampled]) - self.mean_pixel
        return batch.astype(np.float32), np.zeros(len(batch), np.float32)


def filled_buffer(parameters: vgg.Parameters, photos, times: int, random) -> np.ndarray:
    """Trajectories with this network, from `times` groups of pairs of photographs."""
    groups = []
    for _ in range(times):
        contents, styles = (data.crops(photos, TRAJECTORIES, SIDE, random) for _ in range(2))
        groups.append(trajectories(parameters, contents, styles, random, "bfloat16"))
    return np.concatenate(groups)


def spreads(small: vgg.Parameters, pictures: np.ndarray) -> dict[str, np.ndarray]:
    """The root mean square of each channel of each convolution; at least a thirtieth of the
    layer's largest. `pictures` are (n, H, W, 3) less the mean pixel."""
    names = [layer.name for layer in small.layers if layer.type == "conv"]
    given = vgg.build(small, names).predict(pictures, batch_size=8, verbose=0)
    rms = {name: np.sqrt(np.mean(np.square(x), (0, 1, 2))) for name, x in given.items()}
    return {name: np.maximum(x, x.max() / 30).astype(np.float32) for name, x in rms.items()}


def scaled(small: vgg.Parameters, factors: dict[str, np.ndarray]) -> vgg.Parameters:
    """The same network with what each convolution gives multiplied, channel by channel, and
    taken back in the one after it. ReLU and pooling let positive factors through."""
    layers, before = [], np.ones(3, np.float32)
    for layer in small.layers:
        if layer.type == "conv":
            factor = factors[layer.name]
            kernel = layer.kernel / before[:, np.newaxis] * factor
            layer = dataclasses.replace(layer, kernel=kernel, bias=layer.bias * factor)
            before = factor
        layers.append(layer)
    return dataclasses.replace(small, layers=tuple(layers))


def learned(small: vgg.Parameters, student: keras.Model, spread: dict) -> vgg.Parameters:
    """The network with the student's weights in it."""
    layers = []
    for layer in small.layers:
        if layer.type == "conv":
            kernel, bias = student.get_layer(layer.name).get_weights()
            layer = dataclasses.replace(layer, kernel=kernel, bias=bias)
        layers.append(layer)
    return scaled(dataclasses.replace(small, layers=tuple(layers)), spread)


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
    parser.add_argument("--start", required=True, help="what compress.py wrote")
    parser.add_argument("--photos", required=True, help="a folder of photographs")
    parser.add_argument("--folder", required=True, type=Path, help="for what it takes to go on")
    parser.add_argument("--output", required=True, help="the .mat to write, after each epoch")
    parser.add_argument("--epochs", type=int, default=12)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(0)

    original = vgg.load(arguments.network)
    small = vgg.load(arguments.start, cache=False)
    maps = compress.targets(original, small)
    sources = {source for source, _ in maps.values()}
    teacher = vgg.build(original, sources, precision="bfloat16")
    photos = data.photographs(arguments.photos)
    random = np.random.default_rng(0)
    held = data.crops(photos[-HELD_OUT:], HELD_OUT, SIDE, random) - original.mean_pixel
    held = held.astype(np.float32)
    # One step of Adam is as long for every weight: let what the weights multiply be of one size.
    spread = spreads(small, held)
    even = scaled(small, {name: 1 / x for name, x in spread.items()})
    student = vgg.build(even, list(maps), precision="bfloat16")
    student.trainable = True
    train = Pictures(photos[:-HELD_OUT], original.mean_pixel)

    buffer = arguments.folder / "trajectories.npz"
    if not buffer.exists():
        made = filled_buffer(original, train.photos, TEACHER_GROUPS, train.random)
        with files.replacing(buffer) as file:
            np.savez(file, pictures=made.astype(np.float16))
    with np.load(buffer) as saved:
        train.teachers = train.own = saved["pictures"].astype(np.float32)

    def refresh(epoch, _):
        train.random = np.random.default_rng(epoch)
        own = learned(small, student, spread)
        train.own = filled_buffer(own, train.photos, OWN_GROUPS, train.random)

    model = Distiller(student, teacher, maps, spread)
    model(held[:1])  # builds it, which going on needs
    steps = STEPS * arguments.epochs
    model.compile(
        keras.optimizers.Adam(
            keras.optimizers.schedules.CosineDecay(
                RATE / 10, steps, warmup_target=RATE, warmup_steps=STEPS // 4
            ),
            global_clipnorm=1.0,
            use_ema=True,
            ema_momentum=0.99,
        )
    )
    model.fit(
        train,
        epochs=arguments.epochs,
        validation_data=(held, np.zeros(len(held), np.float32)),
        validation_batch_size=8,
        callbacks=[
            keras.callbacks.LambdaCallback(on_epoch_begin=refresh),
            Keeper(small, spread, arguments.output),
            keras.callbacks.CSVLogger(arguments.folder / "losses.csv", append=True),
            keras.callbacks.BackupAndRestore(arguments.folder / "backup"),
        ],
    )


if __name__ == "__main__":
    main()
