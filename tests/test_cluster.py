"""Many machines: a Ray cluster of several nodes on this one."""

import contextlib
import dataclasses
import json
import os
import signal
import socket
import sys
import threading
import time
import types
from pathlib import Path

import numpy as np
import pytest
from conftest import picture
from neural_style_keras import painters, vgg
from neural_style_keras import pictures as images
from neural_style_keras.objective import Objective, Statistics, TileWork
from neural_style_keras.painters.architecture import Painter
from neural_style_keras.pictures import Masks
from neural_style_keras.settings import Settings
from neural_style_keras.tiles import grid
from test_many import painted, painter, photos
from test_neural_style import arguments, everything, killed, main, start, wait_for

ray = pytest.importorskip("ray")

from neural_style_keras.cluster.connection import Cluster, connected  # noqa: E402
from neural_style_keras.cluster.tasks import run_each  # noqa: E402
from neural_style_keras.cluster.tiles import Crew, Part, balanced_tile, parted  # noqa: E402
from neural_style_keras.stylize import stylize  # noqa: E402

FIXTURES = (arguments, killed, painter, photos)
CONTENT, STYLE = picture(32, 96), picture(40, 36, seed=1)
# A picture of three tiles, and a network of few layers: what is slow is to compile each.
SHALLOW = {"style_layers": ("relu1_1", "relu2_1"), "content_layers": ("relu2_1",)}
CHOSEN = {"cluster": "local", "cluster_cpus": 0.5}


NODE = dict(num_cpus=1, object_store_memory=80 * 2**20, resources={"place": 1})


@pytest.fixture(scope="module")
def nodes():
    """A head without CPUs and two nodes with one each, to which this process is connected; a node
    that is killed is to be replaced."""
    from ray import cluster_utils

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    small = dict(object_store_memory=80 * 2**20, include_dashboard=False)
    cluster = cluster_utils.Cluster(initialize_head=True, head_node_args=dict(num_cpus=0, **small))
    for _ in range(2):
        cluster.add_node(**NODE)
    ray.init(cluster.address, log_to_driver=False, logging_level="ERROR")
    # The workers do not know of this module.
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    yield cluster
    ray.shutdown()
    cluster.shutdown()


@pytest.fixture(scope="module")
def crew(nodes):
    """Two actors, one on each node, that live as long as these tests; half of each node is left."""
    with connected(Settings(**CHOSEN)) as cluster:
        options = {**cluster.options, "resources": {"place": 1}}
        crew = Crew(dataclasses.replace(cluster, side_by_side=2, options=options))
        assert len(set(crew.actors.values())) == 2
        yield crew
        crew.close()


def lost_node(nodes, of=None):
    """Kill a node without a word, that of an actor if one is given, and add another."""
    names = {node.node_id: node for node in nodes.worker_nodes}
    node = names[of] if of else next(iter(nodes.worker_nodes))
    nodes.remove_node(node, allow_graceful=False)
    nodes.add_node(**NODE)


def test_an_address_where_no_cluster_is_is_said_soon(arguments, tmp_path, capsys):
    with contextlib.closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    before, began = everything(tmp_path), time.monotonic()
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as other:  # that never answers
        for one in (address, f"127.0.0.1:{other.getsockname()[1]}"):
            assert main(*arguments, "--cluster", one) == 1
            [line] = capsys.readouterr().err.splitlines()
            assert f"there is no Ray cluster at {one}: start one with `ray start --head" in line
    assert time.monotonic() - began < 60
    assert everything(tmp_path) == before


@pytest.mark.parametrize("count", [1, 2, 3, 5, 12, 40])
def test_tiles_are_parted_into_rectangles(count):
    tiles = grid(300, 400, tile=100, halo=20)
    parts = parted(tiles, count)
    assert len(parts) == min(count, 12)
    assert sorted(repr(tile) for part in parts for tile in part) == sorted(map(repr, tiles))
    for part in parts:
        rows, columns = ({tile.corner[axis] for tile in part} for axis in (0, 1))
        assert len(part) == len(rows) * len(columns)
    sizes = [len(part) for part in parts]
    assert max(sizes) <= 2 * min(sizes)


def test_the_tile_is_what_parts_a_picture_evenly(network):
    for actors in (1, 2, 4):
        tile = balanced_tile((3000, 2000), Settings(tile="0"), network, actors)
        assert tile and len(parted(grid(2000, 3000, tile, 80), actors)) == actors
    assert balanced_tile((3000, 2000), Settings(tile="512"), network, 1) <= 512
    assert balanced_tile((200, 100), Settings(tile="0"), network, 2) == 0


def test_the_blocks_of_a_picture_add_up_to_it(network):
    """With masks, of which each block has its part; in this process."""
    mask = np.zeros((32, 96), np.float32)
    mask[:, :70] = 1
    masks = Masks([mask], [None], mask)
    s = Settings(**SHALLOW)
    whole = Objective(CONTENT, [STYLE], s, network, 32, masks)
    x = vgg.preprocess(picture(32, 96, seed=2), network.mean_pixel)
    block = whole._block(CONTENT, masks)
    given = ((32, 96), 1, s, network, 32, True)
    wanted = whole.work.sums(x)
    slopes = [
        [{k: np.ones_like(v) for k, v in wanted[1][0].items()}] if i == 1 else np.ones(1)
        for i in range(3)
    ]
    gradient, total = np.zeros_like(x), 0.0
    for tiles in parted(block.tiles, 2):
        part = Part(None, tiles)
        mine = part.block(block)
        assert mine.content.size < CONTENT.size
        work = TileWork(Statistics(*given), mine)
        crop = np.ascontiguousarray(part.crop(x))
        total = total + work.sums(crop)[1][0]["relu2_1"].astype(np.float64)
        part.crop(gradient)[...] += work.gradient(crop, slopes)
    assert np.allclose(total, wanted[1][0]["relu2_1"], rtol=1e-4)
    expected = whole.work.gradient(x, slopes)
    assert np.abs(gradient - expected).max() <= 1e-4 * np.abs(expected).max()


class Ref:
    def __init__(self, value):
        self.value = value


class Handle:
    """An actor in this process."""

    def __init__(self, actor, here):
        self.actor, self.here = actor, here

    def __getattr__(self, name):
        method = None if name == "machine" else getattr(self.actor, name)

        def remote(*given):
            if self.here.loses.pop(name, False):
                self.here.lost.append(self)
            if self in self.here.lost:
                return Ref(ray.exceptions.RayActorError())
            given = [one.value if isinstance(one, Ref) else one for one in given]
            return Ref(method(*given) if method else f"machine {id(self)}")

        return types.SimpleNamespace(remote=remote)


class Here:
    """Ray as a crew uses it, but at once and in this process. Whoever is first asked for what is
    in `loses` is lost."""

    exceptions, put = ray.exceptions, Ref

    def __init__(self):
        self.lost, self.loses = [], {}

    def remote(self, actor):
        def make(environment):
            return Handle(actor(environment), self)

        chosen = types.SimpleNamespace(remote=make)
        return types.SimpleNamespace(options=lambda **options: chosen)

    def wait(self, refs, **more):
        return refs, []

    def get(self, refs):
        found = [ref.value for ref in (refs if isinstance(refs, list) else [refs])]
        for one in found:
            if isinstance(one, Exception):
                raise one
        return found if isinstance(refs, list) else found[0]

    def kill(self, handle):
        self.lost.append(handle)


def crew_here(count):
    return Crew(Cluster(Here(), count, {}, {}))


def test_a_crew_has_the_gradient_of_tiles_here_whoever_is_lost(network):
    """Of one bit for bit, of two to rounding; with one that is lost in either pass."""
    s = Settings(style_blend_weights=(1, 2), **SHALLOW)
    x = vgg.preprocess(picture(32, 96, seed=2), network.mean_pixel)
    given = (CONTENT, [STYLE, picture(40, 40, seed=3)], s, network, 32)
    here = Objective(*given)
    losses, gradient = here.gradient(x)
    alone = crew_here(1)
    one, same = Objective(*given, spread=alone.spread).gradient(x)
    assert one == losses and (same == gradient).all()
    for loses in (None, "sums", "gradient"):
        crew, shares = crew_here(2), []
        crew.ray.loses = {loses: True}
        there = Objective(*given, on_tile=shares.append, spread=crew.spread)
        found, other = there.gradient(x)
        assert len(crew) == (1 if loses else 2)
        assert found.total == pytest.approx(losses.total, rel=1e-5)
        assert np.abs(other - gradient).max() <= 1e-4 * np.abs(gradient).max()
        assert shares[-1] == pytest.approx(1)
        assert set(crew.moved) == {"content", "pixels", "sums", "slopes", "gradient"}
        assert crew.moved["pixels"] >= crew.moved["gradient"] >= x.nbytes
    crew.close()
    with pytest.raises(OSError, match="the last worker of the cluster is lost"):
        there.gradient(x)


@pytest.mark.slow
def test_the_gradient_over_actors_is_that_of_tiles_here(crew, network):
    """Of one actor bit for bit, of two to rounding; what is moved is counted."""
    s = Settings(style_blend_weights=(1, 2), **SHALLOW)
    x = vgg.preprocess(picture(32, 96, seed=2), network.mean_pixel)
    given = (CONTENT, [STYLE, picture(40, 40, seed=3)], s, network, 32)
    here = Objective(*given)
    losses, gradient = here.gradient(x)
    crew.moved.clear()
    there = Objective(*given, spread=crew.spread)
    found, other = there.gradient(x)
    assert found.total == pytest.approx(losses.total, rel=1e-5)
    assert np.abs(other - gradient).max() <= 1e-4 * np.abs(gradient).max()
    assert there.evaluate(x).total == pytest.approx(here.evaluate(x).total, rel=1e-5)
    assert set(crew.moved) == {"content", "pixels", "sums", "slopes", "gradient"}
    assert crew.moved["pixels"] == 2 * crew.moved["gradient"] >= 2 * x.nbytes
    actors = dict(crew.actors)
    alone = dict(list(actors.items())[:1])
    try:
        crew.actors, crew.serves = alone, None
        one, same = Objective(*given, spread=crew.spread).gradient(x)
    finally:
        crew.actors, crew.serves = actors, None
    assert one == losses and (same == gradient).all()


@pytest.mark.slow
@pytest.mark.parametrize(
    "more",
    [
        {"optimizer": "adam", "average": 0.5},
        {"optimizer": "lbfgs", "lbfgs_frequency": 0.35, "scales": "1.4", "scales_from": 64},
    ],
    ids=["adam", "lbfgs-coarse-to-fine"],
)
def test_a_picture_over_two_actors_is_that_over_none(crew, network, more):
    import functools

    s = Settings(
        iterations=6, print_iterations=2, tile="64", initial_noiseblend=0, **SHALLOW, **more
    )
    content = picture(90, 120)
    make = functools.partial(Objective, spread=crew.spread)
    here = list(stylize(content, [STYLE], s, network))
    there = list(stylize(content, [STYLE], s, network, objective=make))
    assert [one.iteration for one in there] == [one.iteration for one in here]
    for one, other in zip(there, here):
        assert one.losses.total == pytest.approx(other.losses.total, rel=1e-3)
    assert np.abs(there[-1].image - here[-1].image).mean() < 0.1


def double(common, item):
    if item == "value":
        raise ValueError("this cannot be")
    if item == "crash":
        os._exit(1)
    if item == "bug":
        return {}["bug"]
    return common * item


@pytest.mark.slow
def test_tasks_fail_each_for_itself(nodes, tmp_path):
    """And what fails without a sentence is tried three times; here as on a cluster."""

    def load(item):
        if item == "unreadable":
            raise OSError("it is not there")
        return None if item == "there" else item

    items = [1, "value", 3, "unreadable", "there", "bug"]
    for settings in (Settings(), Settings(**CHOSEN)):
        extra = ["crash"] if settings.cluster else []
        found = dict(run_each(double, 10, [*items, *extra], settings, load=load))
        assert (found[1], found[3], found["there"]) == (10, 30, None)
        assert str(found["value"]) == "this cannot be"
        assert str(found["unreadable"]) == "it is not there"
        assert isinstance(found["bug"], Exception) and "bug" in str(found["bug"])
    assert "its worker died 3 times" in str(found["crash"])
    stopped = list(run_each(double, 10, items, Settings(**CHOSEN), stop=lambda: True))
    assert stopped == []


@pytest.mark.slow
def test_a_node_that_dies_costs_a_step_and_not_the_run(nodes, crew, network):
    """Its tiles go to the others, and the losses are the same. The crew is not whole after it, and
    nothing that follows has need of it."""
    import functools

    s = Settings(iterations=6, print_iterations=1, tile="32", initial_noiseblend=0, **SHALLOW)
    here = [one.losses.total for one in stylize(CONTENT, [STYLE], s, network)]
    make = functools.partial(Objective, spread=crew.spread)
    there = []
    for one in stylize(CONTENT, [STYLE], s, network, objective=make):
        there.append(one.losses.total)
        if one.iteration == 3:
            lost_node(nodes, of=next(iter(crew.actors.values())))
    assert len(crew) == 1
    assert there == pytest.approx(here, rel=1e-4)


CLUSTER = ["--cluster", "local", "--cluster-cpus", "0.5"]


@pytest.mark.slow
def test_a_folder_on_a_cluster_is_what_it_is_here_though_a_node_is_killed(
    nodes, photos, capsys, monkeypatch
):
    more = ["--progress-write", "--iterations", "8", "--optimizer", "lbfgs"]
    assert main(*photos, *more, "--quiet") == 0
    wanted = painted()
    for path in Path("out").iterdir():
        path.unlink()
    Path("photos/d.png").write_text("no picture")
    killer = threading.Timer(4, lost_node, [nodes])
    killer.start()
    assert main(*photos, *more, *CLUSTER) == 1
    killer.join()
    captured = capsys.readouterr()
    assert captured.out.endswith("3 of 4 pictures were made\n")
    assert captured.err.count("\n") == 1 and "photos/d.png is not a picture" in captured.err
    assert painted() == wanted
    Path("out/b.png").unlink()
    Path("out/b-progress.txt").unlink()
    Path("photos/d.png").unlink()
    assert main(*photos, *more, *CLUSTER) == 0
    assert "1 of 3 pictures were made, 2 were there already" in capsys.readouterr().out
    assert painted() == wanted


@pytest.mark.slow
def test_a_folder_on_a_cluster_that_is_killed_goes_on_and_is_the_same(nodes, photos, tmp_path):
    """A process with a cluster of its own, of one worker, is killed after its first picture."""
    more = ["--iterations", "8", "--optimizer", "lbfgs", "--quiet"]
    assert main(*photos, *more) == 0
    wanted = painted()
    for path in Path("out").iterdir():
        path.unlink()
    run = start(*photos, *more, "--cluster", "local", "--cluster-cpus", "2", cwd=tmp_path)
    wait_for(tmp_path / "out" / "a.png", run, seconds=200)
    os.kill(run.pid, signal.SIGKILL)
    run.communicate()
    done = Path("out/a.png").stat().st_mtime_ns
    assert not Path("out/c.png").exists()
    assert main(*photos, *more, *CLUSTER) == 0
    assert painted() == wanted and Path("out/a.png").stat().st_mtime_ns == done


@pytest.mark.slow
def test_a_painter_on_a_cluster(nodes, painter, capsys):
    assert main(*painter, "--style", "wave") == 0
    wanted = painted()
    for path in Path("out").iterdir():
        path.unlink()
    assert main(*painter, "--style", "wave", *CLUSTER) == 0
    assert painted() == wanted
    painters.save(Painter(width_factor=0.25, any_style=True, about={"styles": []}), "any.keras")
    given = ["apply", "--painter", "any.keras", "--styles", "style.png", "--content", "content.png"]
    assert main(*given, "--output", "here.png") == 0
    assert main(*given, "--output", "there-{name}.png", *CLUSTER) == 0
    assert (images.read("there-content.png") == images.read("here.png")).all()


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--cluster", "here"], "--cluster is local, or an address as 10.0.0.1:6379, not here"),
        (["--cluster", "10.0.0.1"], "--cluster is local, or an address as 10.0.0.1:6379"),
        (["--cluster", "local", "--cluster-cpus", "0"], "--cluster-cpus must be above 0"),
        (["--cluster", "local", "--tile", "0"], "--tile 0 is the whole picture at once"),
        (
            ["--cluster", "local", "--output", "{name}.jpg", "--checkpoint-output", "{name}%d.jpg"]
            + ["--checkpoint-iterations", "2"],
            "--checkpoint-output is of pictures that are painted here",
        ),
    ],
)
def test_what_does_not_go_with_a_cluster_is_a_usage_error(arguments, capsys, more, says):
    assert main(*arguments, *more) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert says in line


def test_ray_is_an_extra(arguments, capsys, monkeypatch):
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert main(*arguments, *CLUSTER) == 2
    assert "pip install 'neural-style-keras[cluster]'" in capsys.readouterr().err


@pytest.mark.slow
def test_one_picture_on_a_cluster_of_this_machines_processes_killed_and_gone_on_with(
    arguments, mat, tmp_path
):
    """A process of its own starts a cluster of its own, says nothing but its own words, and takes
    it with it when it is killed."""
    more = ["--width", "90", "--tile", "64", "--iterations", "60", "--state-minutes", "0"]
    more += ["--style-layers", "relu1_1", "--content-layers", "relu2_1"]
    given = [*arguments, *more, "--cluster", "local", "--cluster-cpus", "2"]  # one worker
    run = start(*given, cwd=tmp_path)
    wait_for(tmp_path / "out.png.state", run, seconds=200)
    os.kill(run.pid, signal.SIGKILL)
    run.communicate()
    run = start(*given, "--resume", cwd=tmp_path)
    out, err = run.communicate(timeout=300)
    assert (run.returncode, err) == (0, "")
    assert "cluster: 1 worker on 1 machine\n" in out and "resumed at iteration" in out
    assert main(*arguments, *more, "--output", "here.png") == 0
    assert (images.read("out.png") == images.read("here.png")).all()
    assert json.loads(images.comment("out.png")) == json.loads(images.comment("here.png"))
