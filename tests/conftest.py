"""What the tests share: a small network in each published layout, small pictures, and where the
real ones are."""

import os
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from PIL import Image

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

SHARED = Path(__file__).parent.parent.parent / "shared"
NETWORK = SHARED / "weights" / "imagenet-vgg-verydeep-19.mat"
PICTURES = SHARED / "images" / "paper"

needs_shared = pytest.mark.skipif(
    not NETWORK.exists(), reason="the shared network and pictures are not on this machine"
)

MEAN = np.array([123.68, 116.779, 103.939])
BLOCKS = (2, 2, 2, 2, 2)  # convolutions in each block
CHANNELS = (4, 5, 6, 7, 8)


def small_layers(seed=0):
    """A slim VGG as plain dictionaries, kernels as MatConvNet stores them."""
    random = np.random.default_rng(seed)
    layers, inputs = [], 3
    for block, (count, channels) in enumerate(zip(BLOCKS, CHANNELS), start=1):
        for i in range(1, count + 1):
            scale = np.sqrt(2 / (9 * inputs))
            kernel = random.normal(scale=scale, size=(3, 3, inputs, channels))
            layers.append(
                {
                    "type": "conv",
                    "name": f"conv{block}_{i}",
                    "kernel": kernel.astype(np.float32),
                    "bias": random.normal(size=channels).astype(np.float32),
                    "stride": np.array([[1.0, 1.0]]),
                    "pad": np.array([[1.0, 1.0, 1.0, 1.0]]),
                }
            )
            layers.append({"type": "relu", "name": f"relu{block}_{i}"})
            inputs = channels
        layers.append(
            {
                "type": "pool",
                "name": f"pool{block}",
                "method": "max",
                "pool": np.array([[2.0, 2.0]]),
                "stride": np.array([[2.0, 2.0]]),
                "pad": np.array([[0.0, 1.0, 0.0, 1.0]]),
            }
        )
    head = random.normal(size=(7, 7, inputs, 9)).astype(np.float32)
    layers.append({"type": "conv", "name": "fc6", "kernel": head, "bias": np.zeros(9, "f4")})
    layers.append({"type": "softmax", "name": "prob"})
    return layers


def write_mat(path, layout="current", layers=None, mean=MEAN):
    """Write a network as MatConvNet has published it: `current`, `older` or `oldest`."""
    cells = []
    for layer in small_layers() if layers is None else layers:
        layer = dict(layer)
        if "kernel" in layer:
            kernel, bias = layer.pop("kernel"), layer.pop("bias")
            if layout == "oldest":
                layer |= {"filters": kernel, "biases": bias}
            else:
                weights = np.empty((1, 2), object)
                weights[0] = [kernel, bias[:, np.newaxis]]
                layer["weights"] = weights
        cells.append(layer)
    cell = np.empty((1, len(cells)), object)
    cell[0] = cells
    normalization = {"averageImage": np.asarray(mean, np.float32).reshape(-1, 1, 3)}
    if np.ndim(mean) == 3:
        normalization = {"averageImage": np.asarray(mean, np.float32)}
    about = {"normalization": normalization}
    if layout == "current":
        about = {"meta": about | {"classes": {"name": "cat"}}}
    scipy.io.savemat(path, {"layers": cell, **about}, do_compression=True)
    return path


def picture(height, width, seed=0):
    """A smooth coloured picture with some detail, (height, width, 3) float32 in 0..255."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (4, 4, 3)).astype(np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize((width, height)), np.float32)
    return np.clip(smooth + random.normal(scale=12, size=smooth.shape), 0, 255).round().astype("f4")


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    """No test reads or fills the user's cache."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    monkeypatch.setenv("LOCALAPPDATA", str(folder))
    monkeypatch.setenv("KERAS_HOME", str(folder / "keras"))
    return folder


@pytest.fixture(scope="session")
def mat(tmp_path_factory):
    """The small network's file, in the current layout."""
    return write_mat(tmp_path_factory.mktemp("network") / "small.mat")


@pytest.fixture(scope="session")
def network(mat):
    """The small network's parameters."""
    from neural_style_keras import vgg

    return vgg.parse(mat)


@pytest.fixture
def pictures(tmp_path):
    """A content and two style pictures on the disk."""
    paths = {}
    for i, (name, height, width) in enumerate(
        [("content.png", 40, 48), ("style.png", 50, 36), ("other.png", 32, 32)]
    ):
        paths[name] = tmp_path / name
        Image.fromarray(picture(height, width, seed=i).astype(np.uint8)).save(paths[name])
    return paths
