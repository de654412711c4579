"""A service of a slow captioner as a process: ``python -m tests.support.slow_server DELAY LOAD [SETTING=SECONDS …]``.

Each batch of the search takes ``DELAY`` seconds and loading ``LOAD`` seconds; a negative ``LOAD`` fails. The port is
printed.
"""

import dataclasses
import sys
import time

from capsmith.core.errors import CheckpointError
from capsmith.core.terminal import print_line
from capsmith.deploy.serving.listening import address_of, listen
from capsmith.deploy.serving.models import served_model
from capsmith.deploy.serving.server import serve
from capsmith.deploy.serving.settings import ServeSettings
from tests.support.service import QuickCaptioner

if __name__ == "__main__":
    delay, loading = map(float, sys.argv[1:3])
    more = {name: float(value) for name, _, value in (one.partition("=") for one in sys.argv[3:])}
    settings = dataclasses.replace(ServeSettings(max_batch=1), **more)

    def load():
        time.sleep(abs(loading))
        if loading < 0:
            raise CheckpointError("the weights are damaged")
        return served_model("quick", QuickCaptioner(delay=delay), settings)

    sockets = listen("127.0.0.1", 0)
    serve(sockets, {"quick": load}, settings, started=lambda: print_line(address_of(sockets)))
