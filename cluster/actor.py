"""What works on a share of a picture's tiles, in a process of its own on any machine. This module
imports nothing heavy: its process is prepared before Keras is there."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ..settings import VERSION
from .connection import check_version

if TYPE_CHECKING:
    from ..objective import Block


class TileActor:
    """Does both passes over the tiles of a block, as `TileWork` does."""

    def __init__(self, environment: dict[str, str]):
        os.environ.update(environment)
        from ..runs.console import loading_keras

        with loading_keras():
            from .. import backend

        self.device = backend.device

    def begin(self, given: tuple, block: Block) -> None:
        """Take what the tiles of a block are compared with; `given` makes `Statistics`."""
        from ..objective import Statistics, TileWork

        _, _, self.settings, *_ = given
        with self.device(self.settings.device):
            self.work = TileWork(Statistics(*given), block)

    def sums(self, image):
        self.image = image
        with self.device(self.settings.device):
            return self.work.sums(image)

    def gradient(self, slopes):
        """Of the image that `sums` was given last."""
        with self.device(self.settings.device):
            return self.work.gradient(self.image, slopes)

    def machine(self, version: str = VERSION) -> str:
        """Which of the cluster's it is on. Raises ValueError for another version than its own."""
        import ray

        check_version(version)
        return ray.get_runtime_context().get_node_id()
