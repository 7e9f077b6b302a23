"""The installed program: one package, whatever else is there."""

import shutil
import subprocess
import sys
import sysconfig
import textwrap
import zipfile
from pathlib import Path

import pytest
from conftest import picture
from PIL import Image

ROOT = Path(__file__).parent.parent


def run(*command, **options):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    source = tmp_path_factory.mktemp("source") / "clone"
    left_out = (".git", ".venv", "build", "dist", "*.egg-info", "__pycache__")
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(*left_out))
    pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder)
    run(*pip, source)
    [path] = folder.glob("*.whl")
    return path


@pytest.mark.slow
def test_the_wheel_has_one_package_with_all_that_it_needs(wheel):
    assert wheel.name.startswith("neural_style_keras-")
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"neural_style_keras"}
    inside = {name.removeprefix("neural_style_keras/") for name in names}
    assert {
        "networks/compact.mat",
        "networks/means.npz",
        "py.typed",
        "backend/torch.py",
        "__main__.py",
        "page/page.css",
        "page/page.js",
        "page/styles/swirls.jpg",
        "page/thumbnails/wave.jpg",
    } <= inside
    assert not any(name.startswith(("tests/", "distill/", "examples/")) for name in inside)


@pytest.fixture(scope="module")
def environment(wheel, tmp_path_factory):
    """A new environment with the wheel and a package called `progress`; what the program depends
    on comes last, from the environment of these tests."""
    folder = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", folder)
    python = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    run(python, "-m", "pip", "install", "--quiet", "--no-deps", wheel)
    pip = [python, "-m", "pip", "install", "--quiet", "progress"]
    if subprocess.run(pip, capture_output=True).returncode:  # no index to be reached
        (site / "progress.py").write_text("this = 'another package'\n")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


@pytest.mark.slow
def test_one_top_level_package_is_installed(environment):
    shown = run(environment, "-m", "pip", "show", "--files", "neural-style-keras")
    files = [line.strip() for line in shown.split("Files:")[1].splitlines() if line.strip()]
    tops = {name.split("/")[0] for name in files if not name.startswith("..")}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"neural_style_keras"}


@pytest.mark.slow
def test_it_runs_beside_modules_of_the_same_names(environment, mat, tmp_path):
    for name in ("settings", "vgg", "images", "files", "backend"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('the wrong module')\n")
    for i, name in enumerate(("a.png", "b.png")):
        Image.fromarray(picture(32, 32, seed=i).astype("uint8")).save(tmp_path / name)
    flags = ["--content", "a.png", "--styles", "b.png", "--network", mat, "--iterations", "2"]
    out = run(
        *(environment, "-m", "neural_style_keras", *flags, "--output", "out.png"), cwd=tmp_path
    )
    assert out.endswith("wrote out.png\n")
    program = environment.with_name("neural-style")
    run(program, *flags, "--output", "same.png", cwd=tmp_path)
    assert (tmp_path / "same.png").read_bytes() == (tmp_path / "out.png").read_bytes()
    where = "import neural_style_keras as n, progress; print(n.__file__, progress.__file__)"
    ours, theirs = run(environment, "-c", where, cwd=tmp_path).split()
    assert str(environment.parent.parent) in ours and "neural_style_keras" not in theirs


def test_a_clone_that_is_not_set_up_says_how_to_set_it_up(tmp_path):
    run(sys.executable, "-m", "venv", "--without-pip", tmp_path)
    python = tmp_path / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    done = subprocess.run(
        [python, ROOT / "neural_style.py", "--help"], capture_output=True, text=True
    )
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert "run script/setup" in done.stderr


def test_the_public_names_are_there_and_light():
    code = """
        import sys
        import neural_style_keras as n
        assert set(n.__all__) <= set(dir(n))
        n.Settings(), n.preset("fast")
        assert not {"tensorflow", "keras", "numpy", "scipy"} & set(sys.modules), "heavy"
        for name in n.__all__:
            assert getattr(n, name)
    """
    assert run(sys.executable, "-c", textwrap.dedent(code)) == ""


@pytest.mark.parametrize("which", ["the content", "style 2", "the initial"])
def test_nan_in_an_array_is_refused_by_its_name(network, which):
    from neural_style_keras import transfer_style

    good = picture(40, 48)
    bad = good.copy()
    bad[3, 4, 1] = float("nan")
    content, style, initial = (
        bad if name == which else good for name in ("the content", "style 2", "the initial")
    )
    with pytest.raises(ValueError, match=f"{which} holds NaN or infinity"):
        transfer_style(content, [good, style], initial=initial, network=network)


def test_from_python_the_backend_keeps_quiet():
    code = """
        import numpy as np
        from neural_style_keras import load_network, preset, transfer_style

        picture = np.random.default_rng(0).uniform(0, 255, (32, 32, 3))
        settings = preset("neural-style", iterations=1)
        for _ in transfer_style(picture, [picture], settings, network=load_network("compact")):
            pass
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_arrays_in_arrays_out_as_the_readme_says(network):
    from neural_style_keras import preset, transfer_style

    settings = preset("neural-style", width=24, iterations=3, preserve_colors=True)
    seen = list(transfer_style(picture(40, 48), [picture(50, 36)], settings, network=network))
    assert seen[-1].iteration == 3 and seen[-1].image.shape == (20, 24, 3)


def test_a_texture_and_a_reconstruction_from_arrays(network):
    from neural_style_keras import preset, transfer_style

    texture = preset("neural-style", content_weight=0, width=40, height=24, iterations=3)
    seen = list(transfer_style(None, [picture(50, 36)], texture, network=network))
    assert seen[-1].image.shape == (24, 40, 3) and seen[-1].losses.content == 0
    again = list(
        transfer_style(
            picture(24, 40),
            [picture(50, 36)],
            network=network,
            settings=preset("neural-style", content_weight=0, iterations=3),
        )
    )
    assert (again[-1].image == seen[-1].image).all()  # of the content, only the size was taken
    content = preset("neural-style", style_weight=0, iterations=3)
    seen = list(transfer_style(picture(40, 48), [], content, network=network))
    assert seen[-1].losses.style == 0 < seen[-1].losses.content
    with pytest.raises(ValueError, match="there is no content: name one"):
        transfer_style(None, [picture(50, 36)], network=network)
    with pytest.raises(ValueError, match="there are no styles: name one"):
        transfer_style(picture(40, 48), [], network=network)
    with pytest.raises(ValueError, match="without --content, --width says how large"):
        transfer_style(None, [picture(50, 36)], preset("gatys", content_weight=0))


@pytest.mark.parametrize("recipe", ["keras", "tensorflow-tutorial", "pytorch-tutorial"])
def test_a_texture_of_a_recipe_that_starts_from_the_content_starts_from_noise(network, recipe):
    from neural_style_keras import preset, transfer_style

    settings = preset(recipe, content_weight=0, width=40, iterations=1)
    first, *_ = transfer_style(None, [picture(50, 36)], settings, network=network)
    assert first.iteration == 0 and first.image.std((0, 1)).min() > 0.1
