import io
import os
import sys

import numpy as np
import pytest
from conftest import MEAN
from neural_style_keras.minimise.schedule import Stage
from neural_style_keras.objective import Losses
from neural_style_keras.runs import progress
from neural_style_keras.stylize import Progress
from neural_style_keras.vgg import Layer, Parameters
from PIL import Image


def losses(content, style, tv, total):
    return Losses({"content": content, "style": style, "tv": tv}, total)


ROWS = [(0, losses(0.0, 2e6, 30.5, 2000030.5)), (10, losses(1e5, 1.5, 3.25, 100004.75))]


def stage(end, width=64, channels=8, **more):
    """A stage of a network of one convolution."""
    kernel = np.zeros((3, 3, 3, channels), "f4")
    return Stage(width, 48, end, Parameters(MEAN, (Layer("conv1_1", "conv", kernel),), ""), **more)


def seen(iteration, is_print=True):
    image = np.zeros((2, 2, 3), "f4")
    return Progress(iteration, losses(1.0, 2.0, 3.0, 6.0), image, 5.0, is_print, False, False, None)


def test_a_table_has_a_header_and_a_row_per_print(tmp_path):
    progress.write_table(tmp_path / "t", ROWS)
    lines = (tmp_path / "t").read_text().splitlines()
    assert lines[0] == "# itr content style tv total"
    assert np.allclose(
        np.loadtxt(tmp_path / "t"), [[0, 0, 2e6, 30.5, 2000030.5], [10, 1e5, 1.5, 3.25, 100004.75]]
    )
    assert progress.read_table(tmp_path / "t") == ROWS


def test_a_table_that_is_none_is_empty(tmp_path):
    assert progress.read_table(tmp_path / "t") == []
    (tmp_path / "t").write_text("# a\nb c\n")
    assert progress.read_table(tmp_path / "t") == []


def test_the_plot_is_a_picture_with_something_on_it(tmp_path):
    pytest.importorskip("matplotlib")
    progress.write_plot(tmp_path / "p.png", ROWS)
    with Image.open(tmp_path / "p.png") as image:
        assert image.size == (960, 600)
        assert len(image.convert("RGB").getcolors(10**6)) > 50


def test_lines_into_a_pipe(capsys):
    reporter = progress.Reporter()
    reporter.begin([stage(100)], ["conv1_1"], start=40)
    for i in (40, 45, 50):
        reporter.update(seen(i, is_print=i != 45))
    reporter.close()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[1] == (
        "iteration 50/100: total 6, content 1, style 2, tv 3; 0.50 s an iteration, 00:25 left"
    )


def test_a_bar_on_a_terminal(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stdout", Terminal())
    reporter = progress.Reporter()
    reporter.begin([stage(100)], ["conv1_1"])
    reporter.say("hello")
    reporter.update(seen(50))
    reporter.close()
    out = sys.stdout.getvalue()
    assert "hello" in out and "50/100" in out and "loss 6" in out


def test_quiet_is_quiet(capsys):
    reporter = progress.Reporter(quiet=True)
    reporter.begin([stage(100)], ["conv1_1"])
    reporter.say("hello")
    reporter.update(seen(50))
    assert capsys.readouterr().out == ""


def test_the_time_left_counts_sizes_and_networks():
    """Ten iterations at a quarter of the size and half of the work per pixel, then ten more."""
    work = progress.Work([stage(10, 16, 4), stage(20, 64, 8)], ["conv1_1"])
    assert work.left(20) == 0
    assert work.left(10) / work.between(0, 10) == pytest.approx(8)
    assert work.between(5, 15) == pytest.approx((work.between(0, 10) + work.left(10)) / 2)


def test_the_plot_marks_where_the_size_or_the_network_changes(tmp_path):
    pytest.importorskip("matplotlib")
    stages = [stage(3, 32, is_warm=True), stage(6, 64, is_warm=True), stage(10, 64)]
    for path, marked in (("plain.png", []), ("marked.png", stages)):
        progress.write_plot(tmp_path / path, ROWS, marked)
    plain, marked = (np.asarray(Image.open(tmp_path / p), int) for p in ("plain.png", "marked.png"))
    columns = np.flatnonzero(np.abs(plain - marked).sum(axis=(0, 2)) > 5000)
    assert len(np.flatnonzero(np.diff(columns) > 50)) == 1  # two marks apart


def test_a_terminal_without_columns_still_gets_a_bar(monkeypatch):
    """As under `script`."""

    class Terminal(io.StringIO):
        def isatty(self):
            return True

        def fileno(self):
            return 1

    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setattr(os, "get_terminal_size", lambda *_: os.terminal_size((0, 0)))
    reporter = progress.Reporter()
    reporter.begin([stage(100)], ["conv1_1"])
    reporter.step(50.25)
    reporter.update(seen(51))
    reporter.close()
    assert "51/100" in sys.stdout.getvalue() and "#" in sys.stdout.getvalue().replace("█", "#")
