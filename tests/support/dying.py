"""Trains, and is killed by a real ``kill -9`` at a chosen moment: ``python dying.py CONFIG RUN EPOCH MOMENT``.

The moment is ``batch`` (half-way through the epoch), ``weights`` (an epoch's best weights are written over those of an
earlier epoch, its state is not; the first such epoch, whatever ``EPOCH`` says),
``writing`` (the state is written under another name, but has not taken its own) or ``state`` (the state is written,
history.csv is not).
"""

import os
import signal
import sys
from pathlib import Path

from capsmith.config import load_config
from capsmith.data.batches import Batches
from capsmith.training import loop
from capsmith.training.fit import train


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def arm(epoch, moment):
    get, save, replace = Batches.load, loop.save_state, os.replace

    def batch(self, index):
        if moment == "batch" and self.epoch == epoch - 1 and index == len(self) // 2:
            die()
        return get(self, index)

    def state(path, model, progress):
        here = len(progress["rows"]) == epoch
        weights = path.with_name("model.weights.h5")
        if moment == "weights" and path.exists() and weights.stat().st_mtime_ns > path.stat().st_mtime_ns:
            die()
        if here and moment == "writing":
            os.replace = lambda *args: die() if args[1] == path else replace(*args)
        save(path, model, progress)
        if here and moment == "state":
            die()

    Batches.load, loop.save_state = batch, state


if __name__ == "__main__":
    arm(int(sys.argv[3]), sys.argv[4])
    run = Path(sys.argv[2])
    train(load_config(sys.argv[1]), run, resume=True)
