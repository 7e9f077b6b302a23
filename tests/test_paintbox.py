"""The painters in the package."""

from pathlib import Path

import numpy as np
import pytest
from keras import ops
from neural_style_keras import files, painters
from neural_style_keras import pictures as images
from neural_style_keras.painters.painting import paint
from neural_style_keras.painters.predictor import eyes

ROOT = Path(__file__).parent.parent


@pytest.mark.every_backend
def test_the_paintbox_paints_the_same_everywhere():
    """`paintbox.png` is what TensorFlow makes of the example in each of its styles."""
    painter = painters.load("paintbox")
    photo = images.resize(images.read(ROOT / "examples" / "content.jpg"), 96, 72)
    painted = np.concatenate([paint(painter, photo, name) for name in painter.names[::3]], axis=1)
    wanted = images.read(Path(__file__).parent / "reference" / "paintbox.png")
    assert np.abs(painted - wanted).max() <= 1
    assert min(photo.std() for photo in np.split(painted, 3, axis=1)) > 20


def test_the_paintbox_knows_how_its_styles_look():
    """The two that are drawn here: what it is refined by is what the compact network sees."""
    painter = painters.load("paintbox")
    for name in ("swirls", "embers"):
        seen = eyes().look(images.read(ROOT / "examples" / f"{name}.jpg"))[1][0]
        kept = ops.convert_to_numpy(painter.style_grams)[painter.names.index(name)]
        assert np.linalg.norm(kept - seen) < 0.01 * np.linalg.norm(seen)


def test_the_first_step_that_refines_the_paintbox_is_a_short_one():
    from neural_style_keras.painters import refining

    painter, photo = painters.load("paintbox"), images.read(ROOT / "examples" / "content.jpg")
    photo = images.resize(photo, 160, 120)
    painted = paint(painter, photo, "wave")
    once = paint(painter, photo, "wave", refine=1)
    moved = np.abs(once - painted).mean()
    assert 0.5 * refining.LEARNT_FIRST_STEP < moved <= refining.LEARNT_FIRST_STEP


@pytest.mark.every_backend
def test_the_painter_for_any_style_paints_the_same_everywhere():
    """`any.png` is what TensorFlow makes of the example in two drawn styles, and between them."""
    painter = painters.load("any")
    photo, *styles = (
        images.read(ROOT / "examples" / f"{name}.jpg") for name in ("content", "swirls", "embers")
    )
    photo = images.resize(photo, 96, 72)
    painted = [paint(painter, photo, styles=chosen) for chosen in ([styles[0]], styles[1:], styles)]
    wanted = images.read(Path(__file__).parent / "reference" / "any.png")
    assert np.abs(np.concatenate(painted, axis=1) - wanted).max() <= 1
    assert min(one.std() for one in painted) > 20
    assert np.abs(painted[0] - painted[1]).mean() > 20


def test_the_painter_for_any_style_keeps_to_its_size_and_has_a_card():
    path = painters.find("any")
    assert path.stat().st_size <= 6e6
    assert sum(path.stat().st_size for path in painters.NAMES.values()) <= 10e6
    config = painters.read_config("any")
    assert config["any_style"] and config["about"]["licence"] and config["about"]["complete"]
    card = path.with_suffix(".md").read_text()
    assert files.sha256(path)[:16] in card, "the card is of another file"


def test_the_paintbox_has_eight_styles_in_four_megabytes():
    path = painters.find("paintbox")
    assert path.stat().st_size <= 4e6
    config = painters.read_config("paintbox")
    names = painters.styles(config)
    assert len(names) >= 8
    assert config["about"]["licence"]
    card = path.with_suffix(".md").read_text()
    assert all(f"`{name}`" in card for name in names)
    assert files.sha256(path)[:16] in card, "the card is of another file"
