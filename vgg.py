"""A file of parameters becomes a Keras network; a picture becomes its input, and back."""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from . import files

# What VGG was trained with; MatConvNet's files have it in them, Keras's do not.
KERAS_MEAN_PIXEL = np.array([123.68, 116.779, 103.939], np.float32)
HDF5 = b"\x89HDF\r\n\x1a\n"  # what such a file begins with


@dataclass(frozen=True)
class Layer:
    """One layer as its file describes it. Only a convolution has a kernel and a bias."""

    name: str
    type: str  # conv, relu, pool, or whatever else the file says
    kernel: np.ndarray | None = None  # (height, width, in, out) float32
    bias: np.ndarray | None = None  # (out,) float32
    window: tuple[int, int] = (2, 2)  # of a pooling: height, width
    stride: tuple[int, int] = (1, 1)  # vertical, horizontal
    pad: tuple[int, int, int, int] = (0, 0, 0, 0)  # top, bottom, left, right


@dataclass(frozen=True)
class Parameters:
    """What a network's file holds, up to its fully connected layers."""

    mean_pixel: np.ndarray  # (3,) float32 RGB in 0..255
    layers: tuple[Layer, ...]
    sha256: str  # of the file

    def up_to(self, names) -> tuple[Layer, ...]:
        """The layers down to the deepest of `names`.

        Raises ValueError for a name that the network lacks, with the names that it has.
        """
        known = [layer.name for layer in self.layers]
        for name in names:
            if name not in known:
                # Not the compact network's own, such as conv1_2_core.
                told = [layer for layer in known if re.fullmatch(r"(conv|relu|pool)[\d_]+", layer)]
                close = difflib.get_close_matches(name, told, n=1)
                raise ValueError(
                    f"the network has no layer {name}; it has {', '.join(told)}"
                    + (f": did you mean {close[0]}?" if close else "")
                )
        return self.layers[: max(known.index(name) for name in names) + 1] if names else ()

    def activations(self, names) -> float:
        """How many numbers per pixel the convolutions give, down to the deepest of `names`."""
        numbers, pixels = 0.0, 1.0
        for layer in self.up_to(names):
            pixels /= math.prod(layer.stride)
            if layer.type == "conv":
                numbers += pixels * layer.kernel.shape[3]
        return numbers

    def multiplications(self, names) -> float:
        """How many multiplications per pixel the convolutions take, down to the deepest of
        `names`."""
        total, pixels = 0.0, 1.0
        for layer in self.up_to(names):
            pixels /= math.prod(layer.stride)
            if layer.type == "conv":
                total += pixels * layer.kernel.size
        return total

    def filters(self) -> dict[str, str]:
        """Each convolution that a ReLU follows -> that ReLU."""
        pairs = zip(self.layers, self.layers[1:])
        return {a.name: b.name for a, b in pairs if (a.type, b.type) == ("conv", "relu")}

    def channels(self, name: str) -> int:
        """How many channels a layer has."""
        return next(x for x in reversed(self.up_to([name])) if x.type == "conv").kernel.shape[3]

    def reach(self, names) -> int:
        """How many pixels beyond its own block a unit of the deepest of `names` looks, at most:
        70 for `relu5_1` of VGG-19, whose receptive field is 156 pixels and block 16."""
        reach, apart = 0, 1
        for layer in self.up_to(names):
            if layer.type == "conv":
                reach += apart * (max(layer.kernel.shape[:2]) // 2)
            elif layer.type == "pool":
                reach += apart * (max(layer.window) - min(layer.stride))
            apart *= max(layer.stride)
        return reach

    def sized(self, names) -> bool:
        """Whether only poolings change the size: what tiles need to fit together."""
        return all(
            layer.type != "conv" or (layer.stride == (1, 1) and _centred(layer))
            for layer in self.up_to(names)
        )

    def stride(self, names) -> int:
        """How many pixels apart, per axis, the units of the deepest of `names` are.

        A picture must be at least as large: 16 pixels for `relu5_1` of VGG.
        """
        return math.prod(max(layer.stride) for layer in self.up_to(names))


def load(path, cache: bool = True) -> Parameters:
    """Read a network's file (see `parse`), or its parsed copy in the cache folder.

    The copy belongs to a path; it holds good while the file's size and modification time are what
    they were, or else its SHA-256. A copy that is damaged is made anew.

    Raises OSError if the file cannot be read and ValueError if it is no such network.
    """
    path = Path(path).resolve()
    if not cache:
        return parse(path)
    stat = path.stat()
    stamp = [stat.st_size, stat.st_mtime_ns]
    name = f"{path.stem}-{hashlib.sha256(str(path).encode()).hexdigest()[:12]}.npz"
    copy = files.cache_folder() / name
    try:
        parameters, copied_stamp = _load_copy(copy)
    except Exception:  # missing, damaged, half-written or of an older version: it is only a copy
        parameters, copied_stamp = None, None
    if copied_stamp == stamp:
        return parameters
    if parameters is None or files.sha256(path) != parameters.sha256:
        parameters = parse(path)
    try:
        copy.parent.mkdir(parents=True, exist_ok=True)
        _save_copy(copy, parameters, stamp)
    except OSError:  # a cache that cannot be written costs time, not the picture
        pass
    return parameters


def parse(path) -> Parameters:
    """Read a MatConvNet file in any of its three published layouts, or a VGG that Keras published.

    MatConvNet's layouts are told apart by the fields that are there: the mean picture at
    `meta.normalization.averageImage` or `normalization.averageImage`, and a convolution's
    parameters in `weights` or in `filters` and `biases`. Kernels are stored (width, height, in,
    out), as MATLAB's column-major order has it, and come out (height, width, in, out).

    Raises OSError if the file cannot be read and ValueError if it is no such network.
    """
    path = Path(path)
    with open(path, "rb") as file:  # a missing file is an OSError, not an unreadable network
        if file.read(len(HDF5)) == HDF5:
            return _parse_keras(path)
    import scipy.io  # only where there is no parsed copy

    try:
        mat = scipy.io.loadmat(path, variable_names=["layers", "meta", "normalization"])
    except MemoryError:
        raise
    except Exception as error:  # scipy reports damage as whatever it stumbled over
        raise ValueError(
            f"{path} is not a MATLAB file that can be read, or is damaged ({error}): "
            "download it again, and compare its SHA-256"
        ) from error
    try:
        mean = _mean_pixel(mat)
        layers = []
        for cell in mat["layers"].ravel():
            struct = cell[0, 0] if isinstance(cell, np.ndarray) else cell
            layer = _layer(struct)
            if layer.name.startswith("fc"):  # fully connected, though their type is conv
                break
            layers.append(layer)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(
            f"{path} is a MATLAB file, but not a MatConvNet network as published ({error}); "
            "get imagenet-vgg-verydeep-19.mat"
        ) from error
    return Parameters(mean, tuple(layers), files.sha256(path))


def _parse_keras(path: Path) -> Parameters:
    """VGG-16 or VGG-19 as keras.applications fetches them: the same parameters, for BGR."""
    import h5py  # only for such a file

    layers, poolings = [], 0
    try:
        with h5py.File(path) as file:
            root = file.get("model_weights", file)
            for name in root.attrs["layer_names"]:
                name = name.decode() if isinstance(name, bytes) else name
                if name.endswith("_pool"):
                    poolings += 1
                    layers.append(Layer(f"pool{poolings}", "pool", stride=(2, 2)))
                if not name.startswith("block") or "_conv" not in name:
                    continue
                number = name.removeprefix("block").replace("_conv", "_")
                kernel, bias = (
                    np.asarray(root[name][w], np.float32) for w in root[name].attrs["weight_names"]
                )
                if kernel.shape[2] == 3:
                    kernel = np.ascontiguousarray(kernel[:, :, ::-1])
                layers.append(Layer(f"conv{number}", "conv", kernel, bias, pad=(1, 1, 1, 1)))
                layers.append(Layer(f"relu{number}", "relu"))
    except (KeyError, ValueError, AttributeError, OSError) as error:
        raise ValueError(f"{path} is an HDF5 file that cannot be read ({error})") from error
    if not layers:
        raise ValueError(f"{path} is an HDF5 file, but not a VGG as Keras publishes it")
    return Parameters(KERAS_MEAN_PIXEL, tuple(layers), files.sha256(path))


def build(
    parameters: Parameters,
    names,
    pooling: str = "max",
    precision: str = "float32",
    padding: str = "zeros",
) -> keras.Model:
    """The network down to the deepest of `names`.

    Args:
        parameters: as `load` returns them.
        names: layers to give out, before the ReLU (`conv4_2`) or after it (`relu4_2`).
        pooling: `max` or `avg`, whatever the file says; an odd edge is kept (SAME).
        precision: `float32`, or `bfloat16` for Keras's mixed policy.
        padding: what the first convolution sees beyond the edge: `zeros`, `replicate` (the pixels
            at the edge) or `reflect` (the picture mirrored at them). Those after it see zeros.

    Returns:
        A frozen model from (n, H, W, 3) float32, RGB less the mean pixel, to a dictionary of
        layer name -> (n, h, w, channels) activations in the precision asked for.

    Raises:
        ValueError: for a name that the network lacks, or a layer on the way that is not
            supported.
    """
    dtype = {"float32": "float32", "bfloat16": "mixed_bfloat16"}[precision]
    pool = {"max": keras.layers.MaxPooling2D, "avg": keras.layers.AveragePooling2D}[pooling]
    x = image = keras.Input((None, None, 3), dtype="float32")
    outputs, weights = {}, {}
    for layer in parameters.up_to(names):
        if layer.type == "conv":
            if layer.kernel.shape[2] != x.shape[-1]:
                raise ValueError(
                    f"layer {layer.name} takes {layer.kernel.shape[2]} channels and gets "
                    f"{x.shape[-1]}: grouped convolutions are not supported"
                )
            x, how = _pad(x, layer, "zeros" if weights else padding)
            convolution = keras.layers.Conv2D(
                layer.kernel.shape[3],
                layer.kernel.shape[:2],
                layer.stride,
                how,
                # Written over below: random ones would be drawn by programs that JAX compiles.
                kernel_initializer="zeros",
                dtype=dtype,
                name=layer.name,
            )
            x = convolution(x)
            weights[layer.name] = [layer.kernel, layer.bias]
        elif layer.type == "relu":
            x = keras.layers.ReLU(dtype=dtype, name=layer.name)(x)
        elif layer.type == "pool":
            x = pool(layer.window, layer.stride, "same", dtype=dtype, name=layer.name)(x)
        else:
            raise ValueError(
                f"layer {layer.name} is of type {layer.type}, which is not supported: "
                "only conv, relu and pool are"
            )
        if layer.name in names:
            outputs[layer.name] = x
    network = keras.Model(image, outputs or keras.layers.Identity()(image))
    for name, values in weights.items():
        network.get_layer(name).set_weights(values)
    network.trainable = False
    return network


def scaled(parameters: Parameters, factors: Mapping[str, np.ndarray]) -> Parameters:
    """The same network with what convolutions give multiplied, channel by channel, and taken back
    in the convolution after each: ReLU and pooling let positive factors through, and so nothing
    else changes.

    Args:
        parameters: the network.
        factors: name of a convolution -> (out,), all above 0; a convolution that is not there keeps
            its scale.
    """
    layers, before = [], np.ones(3, np.float32)
    for layer in parameters.layers:
        if layer.type == "conv":
            factor = factors.get(layer.name, np.ones_like(layer.bias))
            kernel = layer.kernel / before[:, np.newaxis] * factor
            layer = dataclasses.replace(layer, kernel=kernel, bias=layer.bias * factor)
            before = factor
        layers.append(layer)
    return dataclasses.replace(parameters, layers=tuple(layers))


def preprocess(image: np.ndarray, mean_pixel: np.ndarray) -> np.ndarray:
    """(H, W, 3) RGB in 0..255, or a batch (n, H, W, 3) -> (n, H, W, 3) float32 less the mean
    pixel; n is 1 for a single picture."""
    image = np.asarray(image, np.float32) - mean_pixel
    return image if image.ndim == 4 else image[np.newaxis]


def unprocess(image: np.ndarray, mean_pixel: np.ndarray) -> np.ndarray:
    """(1, H, W, 3) less the mean pixel -> (H, W, 3) float32 RGB, clipped to 0..255."""
    picture = np.asarray(image, np.float32)[0] + mean_pixel
    return np.clip(picture, 0, 255, out=picture)


def _field(struct, *path):
    """A field of nested MATLAB structs, by name; KeyError if one is not there."""
    for name in path:
        if isinstance(struct, np.ndarray) and struct.dtype.names:
            struct = struct[0, 0] if struct.ndim == 2 else struct[()]
        if name not in (struct.dtype.names or ()):
            raise KeyError(f"no field {name}")
        struct = struct[name]
    return struct


def _has(struct, name: str) -> bool:
    return name in (struct.dtype.names or ())


def _mean_pixel(mat) -> np.ndarray:
    if "meta" in mat:
        mean = _field(mat["meta"], "normalization", "averageImage")
    elif "normalization" in mat:
        mean = _field(mat["normalization"], "averageImage")
    else:
        raise KeyError("neither meta nor normalization is there")
    mean = np.asarray(mean, np.float32)
    if mean.size == 3:
        return mean.reshape(3)
    if mean.ndim != 3 or mean.shape[2] != 3:
        raise ValueError(f"averageImage is of shape {mean.shape}")
    return mean.mean(axis=(0, 1), dtype=np.float64).astype(np.float32)


def _layer(struct) -> Layer:
    name, type = str(_field(struct, "name").item()), str(_field(struct, "type").item())
    if type == "conv":
        if _has(struct, "weights"):
            kernel, bias = _field(struct, "weights").ravel()[:2]
        else:
            kernel, bias = _field(struct, "filters"), _field(struct, "biases")
        # MATLAB drops a last axis of length 1: a single output channel.
        kernel = np.asarray(kernel, np.float32).reshape(kernel.shape + (1,) * (4 - kernel.ndim))
        return Layer(
            name,
            type,
            kernel=np.ascontiguousarray(kernel.transpose(1, 0, 2, 3)),
            bias=np.asarray(bias, np.float32).reshape(kernel.shape[3]),
            stride=_integers(struct, "stride", (1, 1)),
            pad=_integers(struct, "pad", (0, 0, 0, 0)),
        )
    if type == "pool":
        return Layer(
            name,
            type,
            window=_integers(struct, "pool", (2, 2)),
            stride=_integers(struct, "stride", (2, 2)),
        )
    return Layer(name, type)


def _integers(struct, name: str, default: tuple) -> tuple:
    """A size per axis or side, for which one number may stand for all."""
    if not _has(struct, name):
        return default
    values = [int(v) for v in np.ravel(_field(struct, name))]
    return tuple(values * len(default) if len(values) == 1 else values)


def _pad(x, layer: Layer, padding: str):
    """Pad as the file says, or have the convolution do it where SAME says the same."""
    if padding != "zeros":
        return _edged(_edged(x, 1, layer.pad[:2], padding), 2, layer.pad[2:], padding), "valid"
    if layer.stride == (1, 1) and _centred(layer):
        return x, "same"
    if not any(layer.pad):
        return x, "valid"
    padding = (layer.pad[:2], layer.pad[2:])
    return keras.layers.ZeroPadding2D(padding, dtype=x.dtype)(x), "valid"


def _edged(x, axis: int, pad: tuple[int, int], padding: str):
    """With rows (axis 1) or columns (2) before and after, each a copy of the one at the edge or of
    the one as far within."""

    def copy(i):
        one = slice(i, i + 1 or None)
        return x[:, one] if axis == 1 else x[:, :, one]

    mirrored = padding == "reflect"
    before = [copy(mirrored * i) for i in range(pad[0], 0, -1)]
    after = [copy(-1 - mirrored * i) for i in range(1, pad[1] + 1)]
    return keras.ops.concatenate([*before, x, *after], axis) if before or after else x


def _centred(layer: Layer) -> bool:
    """Whether a convolution is padded by half its kernel on each side."""
    height, width = layer.kernel.shape[:2]
    return layer.pad == ((height - 1) / 2,) * 2 + ((width - 1) / 2,) * 2


def _save_copy(path: Path, parameters: Parameters, stamp) -> None:
    arrays, structure = {"mean_pixel": parameters.mean_pixel}, []
    for i, layer in enumerate(parameters.layers):
        plain = dataclasses.asdict(layer)
        for key in ("kernel", "bias"):
            if (array := plain.pop(key)) is not None:
                arrays[f"{i}.{key}"] = array
        structure.append(plain)
    about = json.dumps(dict(stamp=stamp, sha256=parameters.sha256, structure=structure))
    with files.replacing(path) as file:
        np.savez(file, about=np.array(about), **arrays)


def _load_copy(path: Path) -> tuple[Parameters, list]:
    with np.load(path, allow_pickle=False) as arrays:  # reading checks each array's CRC
        about = json.loads(str(arrays["about"]))
        layers = []
        for i, plain in enumerate(about["structure"]):
            plain = {k: tuple(v) if isinstance(v, list) else v for k, v in plain.items()}
            if f"{i}.kernel" in arrays:
                plain.update(kernel=arrays[f"{i}.kernel"], bias=arrays[f"{i}.bias"])
            layers.append(Layer(**plain))
        return Parameters(arrays["mean_pixel"], tuple(layers), about["sha256"]), about["stamp"]
