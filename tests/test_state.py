import numpy as np
import pytest
from neural_style_keras.runs import state as checkpoint
from neural_style_keras.stylize import State

ABOUT = {"settings": {"tv_weight": 100.0, "style_scales": (1.0, 2.0)}, "content": {"sha256": "ab"}}


def state(best=True):
    image = np.random.default_rng(0).normal(size=(1, 3, 4, 3)).astype("f4")
    return State(7, image, [np.float32(3), image + 1], image + 2 if best else None, 12.5)


@pytest.mark.parametrize("best", [True, False])
def test_a_state_comes_back_as_it_was(tmp_path, best):
    before = state(best)
    checkpoint.save(tmp_path / "s", before, ABOUT, {"tile": "64"})
    after, chosen = checkpoint.load(tmp_path / "s", ABOUT)
    assert chosen == {"tile": "64"}
    assert (after.iteration, after.best_total) == (7, 12.5)
    assert np.array_equal(after.image, before.image)
    assert all(np.array_equal(a, b) for a, b in zip(after.optimizer, before.optimizer))
    assert (after.best_image is None) == (not best)
    if best:
        assert np.array_equal(after.best_image, before.best_image)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"settings": ABOUT["settings"] | {"tv_weight": 1.0}}, "settings tv_weight was 100.0 in"),
        ({"settings": {"tv_weight": 100.0, "style_scales": None}}, "style_scales was"),
        (
            {"content": {"sha256": "cd"}},
            'content sha256 was "ab" in the interrupted run and is "cd"',
        ),
    ],
)
def test_another_run_is_refused_with_the_difference(tmp_path, change, says):
    checkpoint.save(tmp_path / "s", state(), ABOUT, {})
    with pytest.raises(ValueError, match=says):
        checkpoint.load(tmp_path / "s", ABOUT | change)


def test_a_damaged_state_is_said_to_be(tmp_path):
    checkpoint.save(tmp_path / "s", state(), ABOUT, {})
    whole = (tmp_path / "s").read_bytes()
    for damaged in (b"", whole[:100], whole[: len(whole) // 2]):
        (tmp_path / "s").write_bytes(damaged)
        with pytest.raises(OSError, match="is damaged"):
            checkpoint.load(tmp_path / "s", ABOUT)
    with pytest.raises(FileNotFoundError):
        checkpoint.load(tmp_path / "t", ABOUT)
