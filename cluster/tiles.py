"""One picture over many machines: the tiles of its objective over Ray's actors.

Each actor has a rectangle of the tiles and keeps what they are compared with. A step sends it the
pixels of its rectangle, with their halo, and gets its sums of statistics; then D = dL/dStatistics,
once to each machine, and gets the gradient of its pixels. The sums and the gradients add up to
those of the whole picture, as they do on one machine (see `objective.py`).
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import operator
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..settings import VERSION, Settings
from ..tiles import TILES, Tile, grid
from .actor import TileActor
from .connection import Cluster

if TYPE_CHECKING:
    from ..objective import Block
    from ..vgg import Parameters

READY = 180  # seconds that the first actor is given to start; then the others have LATE more
LATE = 60


class Crew:
    """The actors of a run, as many as have a place, through all of its stages."""

    def __init__(self, cluster: Cluster):
        """Start them. Raises OSError where none starts."""
        self.ray = cluster.ray
        make = self.ray.remote(TileActor).options(**cluster.options)
        started = [make.remote(cluster.environment) for _ in range(cluster.side_by_side)]
        answers = {actor.machine.remote(VERSION): actor for actor in started}
        there, _ = self.ray.wait(list(answers), timeout=READY)
        there, late = self.ray.wait(list(answers), num_returns=len(answers), timeout=LATE)
        for answer in late:  # the cluster has other work
            self.ray.kill(answers[answer])
        self.actors = {}  # each with its machine
        for answer in there:
            with contextlib.suppress(self.ray.exceptions.RayActorError):  # it is lost already
                self.actors[answers[answer]] = self.get(answer)
        if not self.actors:
            raise OSError("no worker of the cluster has started: it has other work, or is too slow")
        self.serves = None  # whom they have last begun for
        self.moved = collections.Counter()  # bytes, by what they were

    def __len__(self):
        return len(self.actors)

    def spread(self, given: tuple, block: Block, on_tile: Callable[[float], None]) -> SpreadTiles:
        """What `Objective` asks for."""
        return SpreadTiles(self, given, block, on_tile)

    def get(self, refs):
        """What actors have computed; raises what they have raised, in its own class."""
        try:
            return self.ray.get(refs)
        except self.ray.exceptions.RayTaskError as error:
            raise error.cause if isinstance(error.cause, Exception) else error from None

    def leave_out_the_dead(self) -> None:
        """Raise OSError where none is left."""
        alive = {}
        for actor in self.actors:
            try:
                # It answers once it has ended what it does.
                alive[actor] = self.ray.get(actor.machine.remote())
            except self.ray.exceptions.RayError:
                continue
        self.actors, self.serves = alive, None
        if not alive:
            raise OSError("the last worker of the cluster is lost; --resume goes on with others")

    def close(self) -> None:
        for actor in self.actors:
            self.ray.kill(actor)


class SpreadTiles:
    """Both passes over the tiles of a picture, on the actors of a crew: as `TileWork`, to rounding;
    with one actor, bit for bit. Where actors are lost, the others have their tiles, and what was
    being computed is computed again."""

    def __init__(self, crew: Crew, given: tuple, block: Block, on_tile: Callable[[float], None]):
        self.crew, self.given, self.block, self.on_tile = crew, given, block, on_tile
        self._surely(lambda: None)

    def sums(self, image):
        """As `TileWork.sums`."""
        from keras import ops

        image = ops.convert_to_numpy(image)
        return self._surely(lambda: self._sums(image))

    def gradient(self, image, slopes) -> np.ndarray:
        """As `TileWork.gradient`, of the image that `sums` was given last."""
        from keras import ops, tree

        image = ops.convert_to_numpy(image)
        slopes = tree.map_structure(ops.convert_to_numpy, slopes)

        def computed():
            if not self.is_sent:  # to those who have come in for others
                self._sums(image)
            return self._gradient(image, slopes)

        return self._surely(computed)

    def _surely(self, compute):
        """What is computed, by whoever is left."""
        lost = (self.crew.ray.exceptions.RayActorError, self.crew.ray.exceptions.ObjectLostError)
        while True:
            try:
                if self.crew.serves is not self:
                    self._begin()
                return compute()
            except lost:
                self.crew.leave_out_the_dead()

    def _begin(self):
        """Give each actor its rectangle."""
        ray = self.crew.ray
        parts = parted(self.block.tiles, len(self.crew))
        self.parts = [Part(actor, tiles) for actor, tiles in zip(self.crew.actors, parts)]
        given, self.is_sent = ray.put(self.given), False
        blocks = [part.block(self.block) for part in self.parts]
        for block in blocks:
            self.crew.moved["content"] += block.content.nbytes
        self.crew.get([p.actor.begin.remote(given, block) for p, block in zip(self.parts, blocks)])
        self.crew.serves = self

    def _sums(self, image):
        from keras import tree

        refs = {}
        for part in self.parts:
            crop = np.ascontiguousarray(part.crop(image))
            self.crew.moved["pixels"] += crop.nbytes
            refs[part.actor.sums.remote(crop)] = part
        self._watch(list(refs), lambda share: share / 3)
        found = self.crew.get(list(refs))
        self.is_sent = True
        self.crew.moved["sums"] += sum(x.nbytes for x in tree.flatten(found))
        found = [tree.map_structure(lambda x: x.astype(np.float64), one) for one in found]
        total = found[0]
        for one in found[1:]:
            total = tree.map_structure(operator.add, total, one)
        return tree.map_structure(lambda x: x.astype(np.float32), total)

    def _gradient(self, image, slopes):
        from keras import tree

        machines = {self.crew.actors[part.actor] for part in self.parts}
        self.crew.moved["slopes"] += len(machines) * sum(x.nbytes for x in tree.flatten(slopes))
        slopes = self.crew.ray.put(slopes)
        refs = [part.actor.gradient.remote(slopes) for part in self.parts]
        self._watch(refs, lambda share: (1 + 2 * share) / 3)
        gradient = np.zeros(image.shape, np.float32)
        for part, ref in zip(self.parts, refs):
            found = self.crew.get(ref)
            self.crew.moved["gradient"] += found.nbytes
            view = part.crop(gradient)
            view += found
        return gradient

    def _watch(self, refs, share) -> None:
        """Tell how many have ended, until all have."""
        waiting = refs
        while waiting:
            _, waiting = self.crew.ray.wait(waiting)
            self.on_tile(share(1 - len(waiting) / len(refs)))


@dataclasses.dataclass(frozen=True)
class Part:
    """Tiles that lie together, and who works on them."""

    actor: Any
    tiles: Sequence[Tile]

    @property
    def box(self) -> tuple[slice, slice]:
        """Rows and columns of the whole picture that they look at."""
        top, left = min(t.y for t in self.tiles), min(t.x for t in self.tiles)
        bottom = max(t.y + t.shape.height for t in self.tiles)
        right = max(t.x + t.shape.width for t in self.tiles)
        return slice(top, bottom), slice(left, right)

    def crop(self, image):
        """Their pixels with the halo, of (n, H, W, 3)."""
        rows, columns = self.box
        return image[:, rows, columns]

    def block(self, whole: Block) -> Block:
        """What they are compared with, of the whole picture's."""
        rows, columns = self.box

        def weights(whole):
            # The box begins where positions of every layer do.
            return {
                stride: one[
                    :,
                    rows.start // stride : -(-rows.stop // stride),
                    columns.start // stride : -(-columns.stop // stride),
                ]
                for stride, one in whole.items()
            }

        return dataclasses.replace(
            whole,
            tiles=[
                dataclasses.replace(t, y=t.y - rows.start, x=t.x - columns.start)
                for t in self.tiles
            ],
            content=np.ascontiguousarray(whole.content[..., rows, columns, :]),
            regions=[weights(one) for one in whole.regions],
            painted=whole.painted and weights(whole.painted),
        )


def parted(tiles: Sequence[Tile], parts: int) -> list[list[Tile]]:
    """The tiles of a picture in rectangles of about as many each, one for each of `parts`, or fewer
    where there are fewer tiles: by bisection across the longer side."""
    if parts == 1 or len(tiles) == 1:
        return [list(tiles)]
    lines = [sorted({tile.corner[axis] for tile in tiles}) for axis in (0, 1)]
    axis = 0 if len(lines[0]) >= len(lines[1]) else 1
    half = round(len(lines[axis]) * (parts // 2) / parts)
    cut = lines[axis][max(1, half)]
    one = [tile for tile in tiles if tile.corner[axis] < cut]
    other = [tile for tile in tiles if tile.corner[axis] >= cut]
    few = min(max(1, round(parts * len(one) / len(tiles))), parts - 1)
    return parted(one, few) + parted(other, parts - few)


def balanced_tile(
    size: tuple[int, int], settings: Settings, parameters: Parameters, actors: int
) -> int:
    """The side of the tiles by which the actor with the most to compute has least of it: large
    ones have little halo, small ones part evenly.

    Args:
        size: width and height of the picture.
        settings: with the tile that memory allows; 0 for any.
        parameters: the network.
        actors: how many there are.

    Returns 0 where the picture is too small to be parted.
    """
    layers, most = settings.layers(), int(settings.tile)
    stride = parameters.stride(layers)
    halo = -(-max(1, parameters.reach(layers)) // stride) * stride

    def busiest(tile):
        tiles = grid(*size[::-1], tile=tile, halo=halo)
        return max(
            sum(one.shape.height * one.shape.width for one in part)
            for part in parted(tiles, actors)
        )

    choices = [tile for tile in TILES if not most or tile <= most]
    tile = min(choices, key=busiest)
    return tile if max(size) > tile else 0
