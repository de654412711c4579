"""``capsmith`` with the embedding of colours for every run: ``python -m tests.support.finding_command serve …``."""

import sys

from capsmith.cli import main
from capsmith.models import embedders
from tests.support.toy_embedder import ToyEmbedder

if __name__ == "__main__":
    embedders.load_embedder = lambda models=None, engine=None: ToyEmbedder()
    sys.exit(main(sys.argv[1:]))
