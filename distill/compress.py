"""The published VGG-19 -> a network of the same layers at an eighth of the arithmetic.

    python -m distill.compress --network imagenet-vgg-verydeep-19.mat --photos DIR \\
        --output start.mat

No learning yet: every step is a least-squares problem with a closed solution. VGG-19 computes more
than it uses. What a layer gives lies near a subspace of a quarter of its channels, and so does
what the next layer makes of it. So a convolution with its ReLU becomes

    3x3 from the k channels that came in to a few; 1x1 to VGG-19's own channels; ReLU;
    1x1 to the k principal components of what VGG-19 gives there

The last is what bears the layer's name, `relu3_1` say. Its axes are orthonormal, so that the Gram
matrix of the components is VGG-19's own Gram matrix as far as it lies in their span: of the
difference between two pictures' Gram matrices, a quarter of the channels chosen out of VGG-19's
holds a sixth, and a quarter as principal components more than nine tenths. The last ReLU of a
block keeps VGG-19's channels, as the pooling after it has to see them.

After Zhang, Zou, He, Sun, "Accelerating Very Deep Convolutional Networks for Classification and
Detection", arXiv 1505.06798 (each layer fitted to what the layers before it really give), and
Kim et al., arXiv 1511.06530 (channels reduced on both sides of the 3x3).
"""

from __future__ import annotations

import argparse

import numpy as np
import scipy.io
import tqdm
from keras import ops
from neural_style_keras import files, losses, pictures, vgg

from distill import data

# Of each convolution: channels out of its 3x3 part; components of its ReLU that are kept.
RANKS = {
    "conv1_1": (None, 16),
    "conv1_2": (16, 24),
    "conv2_1": (32, 32),
    "conv2_2": (32, 48),
    "conv3_1": (56, 64),
    "conv3_2": (56, 64),
    "conv3_3": (56, 64),
    "conv3_4": (56, 80),
    "conv4_1": (112, 128),
    "conv4_2": (112, 128),
    "conv4_3": (112, 128),
    "conv4_4": (112, 128),
    "conv5_1": (112, 128),
    "conv5_2": (112, 128),
}
DEEPEST = "relu5_2"
CONTENT = ("relu4_2", "relu5_2")
CROPS, SIDE = 128, 192
ROWS = 200_000  # positions that a least-squares problem is made of
RIDGE = 1e-5  # of the mean variance


def compress(parameters: vgg.Parameters, pictures: np.ndarray) -> vgg.Parameters:
    """The small network, fitted layer by layer.

    Args:
        parameters: VGG-19, from `vgg.load`.
        pictures: (n, H, W, 3) float32 RGB in 0..255, of every kind that the network shall see.

    Returns:
        Layers with the names of VGG-19's, and some between them; no SHA-256, as it is no file.
    """
    random = np.random.default_rng(0)
    teacher = student = (pictures - parameters.mean_pixel).astype(np.float32)
    layers, scale = [], 1.0  # of what the student gives, over what was fitted
    originals = parameters.up_to([DEEPEST])
    for layer, after in tqdm.tqdm(list(zip(originals, (*originals[1:], None))), "layers"):
        if layer.type == "conv":
            core_rank, kept = RANKS[layer.name]
            teacher = _convolve(teacher, layer.kernel, layer.bias)
            if core_rank is None:
                student = teacher
                layers.append(layer)
            else:
                core, out, bias = _fit(student, teacher, core_rank, random)
                student = _convolve(_convolve(student, core), out, bias)
                layers += [
                    _convolution(f"{layer.name}_core", core / np.float32(scale)),
                    _convolution(layer.name, out, bias),
                ]
        elif layer.type == "relu":
            teacher, student = (np.maximum(x, 0) for x in (teacher, student))
            if after is not None and after.type == "pool":
                layers.append(layer)
                continue
            components = _components(teacher, kept)
            scale = _scale(teacher, teacher @ components, layer.name)
            layers += [
                vgg.Layer(f"{layer.name}_all", "relu"),
                _convolution(layer.name, components[np.newaxis, np.newaxis] * scale),
            ]
            student = student @ components
        else:
            teacher, student = (_pool(x) for x in (teacher, student))
            components = _components(teacher, kept)
            scale = 1.0
            layers += [layer, _convolution(f"{layer.name}_in", components[np.newaxis, np.newaxis])]
            student = student @ components
    return vgg.Parameters(parameters.mean_pixel, tuple(layers), "")


def targets(original: vgg.Parameters, small: vgg.Parameters) -> dict:
    """What the layers of a network that `compress` made are to give, in terms of VGG-19's layers.

    Returns:
        Layer of the small network -> layer of VGG-19, and the matrix (N, k) to multiply what
        that gives by; None for the same channels. The matrix has orthogonal columns of one length,
        as `compress` made them: where the network has learnt since, the nearest such to its own.
    """
    known = {layer.name for layer in original.layers}
    wanted = {}
    for layer in small.layers:
        source = layer.name.removesuffix("_in")
        if layer.type == "conv" and source in known:
            same = source.startswith("conv")
            wanted[layer.name] = source, None if same else _orthogonal(layer.kernel[0, 0])
    return wanted


def _orthogonal(matrix: np.ndarray) -> np.ndarray:
    """The nearest matrix with orthogonal columns, all of one length, (N, k) float32."""
    left, lengths, right = np.linalg.svd(matrix.astype(np.float64), full_matrices=False)
    return (lengths.mean() * left @ right).astype(np.float32)


def _convolution(name: str, kernel: np.ndarray, bias=None) -> vgg.Layer:
    if bias is None:
        bias = np.zeros(kernel.shape[3])
    kernel, bias = np.asarray(kernel, np.float32), np.asarray(bias, np.float32)
    return vgg.Layer(name, "conv", kernel, bias, pad=(kernel.shape[0] // 2,) * 4)


def _fit(x: np.ndarray, y: np.ndarray, rank: int, random):
    """The 3x3 convolution to `rank` channels and the 1x1 after it that make y of x best.

    Least squares over positions and their 3x3 neighbourhoods; of what it explains, the `rank`
    principal components are the best that can be kept (reduced-rank regression).

    Returns:
        (3, 3, k, rank), (1, 1, rank, N) and (N,), float32.
    """
    n, height, width, channels = x.shape
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    features = 9 * channels
    xx, xy = np.zeros((features, features)), np.zeros((features, y.shape[3]))
    sums, means, seen = np.zeros(features), np.zeros(y.shape[3]), 0
    each = min(height * width, -(-ROWS // n))
    for picture, wanted in zip(padded, y):
        chosen = random.choice(height * width, each, replace=False)
        i, j = np.divmod(chosen, width)
        rows = np.concatenate(
            [picture[i + dy, j + dx] for dy in range(3) for dx in range(3)], axis=1
        )
        answers = wanted[i, j]
        xx += rows.T @ rows
        xy += rows.T @ answers
        sums += rows.sum(0)
        means += answers.sum(0)
        seen += each
    sums, means = sums / seen, means / seen
    xx, xy = xx / seen - np.outer(sums, sums), xy / seen - np.outer(sums, means)
    solution = np.linalg.solve(xx + RIDGE * np.trace(xx) / features * np.eye(features), xy)
    explained = solution.T @ xx @ solution
    axes = np.linalg.eigh(explained)[1][:, -rank:]
    bias = means - sums @ solution @ axes @ axes.T
    core = (solution @ axes).reshape(3, 3, channels, rank)
    return (
        core.astype(np.float32),
        axes.T[np.newaxis, np.newaxis].astype(np.float32),
        bias.astype(np.float32),
    )


def _components(x: np.ndarray, kept: int) -> np.ndarray:
    """The axes (N, kept) of the most second moment: about 0, as a Gram matrix is."""
    flat = x.reshape(-1, x.shape[-1])
    moment = np.zeros((x.shape[-1],) * 2)
    for some in np.array_split(flat, max(1, len(flat) // 100_000)):
        moment += some.T @ some
    return np.linalg.eigh(moment)[1][:, : -kept - 1 : -1].astype(np.float32)


def _scale(whole: np.ndarray, part: np.ndarray, name: str) -> np.float32:
    """The factor with which the loss of the components is as large as VGG-19's on average."""
    pairs = [(i, (i + 1) % len(whole)) for i in range(len(whole))]
    if name in CONTENT:
        sums = [np.mean([np.mean((f[i] - f[j]) ** 2) for i, j in pairs]) for f in (whole, part)]
        return np.float32((sums[0] / sums[1]) ** 0.5)
    sums = []
    for features in (whole, part):
        grams = [ops.convert_to_numpy(losses.gram_matrix(f[np.newaxis])) for f in features]
        sums.append(np.mean([np.mean((grams[i] - grams[j]) ** 2) for i, j in pairs]))
    return np.float32((sums[0] / sums[1]) ** 0.25)


def _convolve(x: np.ndarray, kernel: np.ndarray, bias=0.0) -> np.ndarray:
    return _few_at_once(lambda some: ops.conv(some, kernel, padding="same") + bias, x)


def _pool(x: np.ndarray) -> np.ndarray:
    return _few_at_once(lambda some: ops.max_pool(some, 2, 2, "same"), x)


def _few_at_once(function, x: np.ndarray) -> np.ndarray:
    parts = np.array_split(x, max(1, len(x) // 8))
    return np.concatenate([ops.convert_to_numpy(function(some)) for some in parts])


def write(path, parameters: vgg.Parameters, digits: int = 10) -> None:
    """Write a network as a MatConvNet file, float32 with as many binary digits as half precision
    has, so that it compresses and any reader of such files reads it.

    Raises OSError as writing does.
    """
    cells = np.empty((1, len(parameters.layers)), object)
    for i, layer in enumerate(parameters.layers):
        cell = {"name": layer.name, "type": layer.type}
        if layer.type == "conv":
            weights = np.empty((1, 2), object)
            kernel = _rounded(layer.kernel, digits).transpose(1, 0, 2, 3)
            weights[0] = [kernel, _rounded(layer.bias, digits)[:, np.newaxis]]
            cell |= {"weights": weights, "pad": np.array([layer.pad], float)}
            cell["stride"] = np.array([layer.stride], float)
        elif layer.type == "pool":
            cell |= {"method": "max", "pool": np.array([layer.window], float)}
            cell["stride"] = np.array([layer.stride], float)
        cells[0, i] = cell
    mean = parameters.mean_pixel.reshape(1, 1, 3)
    with files.replacing(path) as file:
        scipy.io.savemat(
            file,
            {"layers": cells, "meta": {"normalization": {"averageImage": mean}}},
            do_compression=True,
        )


def _rounded(x: np.ndarray, digits: int) -> np.ndarray:
    mantissa, exponent = np.frexp(x.astype(np.float64))
    return np.ldexp(np.round(np.ldexp(mantissa, digits + 1)), exponent - digits - 1).astype("f4")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--network", required=True, help="imagenet-vgg-verydeep-19.mat")
    parser.add_argument("--photos", required=True, help="a folder of photographs")
    parser.add_argument("--output", required=True, help="the .mat to write")
    arguments = parser.parse_args()
    random = np.random.default_rng(0)
    squares = data.crops(pictures.found(arguments.photos), CROPS, SIDE, random)
    squares[::2] = data.disturbed(squares[::2], random)
    write(arguments.output, compress(vgg.load(arguments.network), squares))


if __name__ == "__main__":
    main()
