"""Preloaded by the workers of a test: a stand-in for the network, slow enough to be disturbed."""

import time

from tests.fakes import BrightIsGrain

from grainsmith.pipeline.mosaic import blocks


class SlowModel(BrightIsGrain):
    """Takes its time over a tile."""

    def predict(self, tile):
        time.sleep(0.4)
        return super().predict(tile)


_MODEL = SlowModel()
blocks._model = lambda *_: _MODEL
