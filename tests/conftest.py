import os
from pathlib import Path

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import pytest

from toy_run import tiny_run  # noqa: E402, F401  a fixture

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The real Flickr8k data and weights; tests that need them skip without."""
    if not (SHARED / "flickr8k").is_dir():
        pytest.skip("needs the real Flickr8k data in ../shared")
    return SHARED
