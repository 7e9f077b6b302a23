import io
import sys

import numpy as np
import pytest
from neural_style_keras.objective import Losses
from neural_style_keras.runs import progress
from neural_style_keras.stylize import Progress
from PIL import Image


def losses(content, style, tv, total):
    return Losses({"content": content, "style": style, "tv": tv}, total)


ROWS = [(0, losses(0.0, 2e6, 30.5, 2000030.5)), (10, losses(1e5, 1.5, 3.25, 100004.75))]


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
    reporter = progress.Reporter(100, start=40)
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
    reporter = progress.Reporter(100)
    reporter.say("hello")
    reporter.update(seen(50))
    reporter.close()
    out = sys.stdout.getvalue()
    assert "hello" in out and "50/100" in out and "loss 6" in out


def test_quiet_is_quiet(capsys):
    reporter = progress.Reporter(100, quiet=True)
    reporter.say("hello")
    reporter.update(seen(50))
    assert capsys.readouterr().out == ""
