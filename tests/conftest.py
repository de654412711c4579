import os
import signal
from pathlib import Path

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
if os.environ.get("KERAS_BACKEND") == "jax":  # compiling dominates: cache compiled functions
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(__file__).resolve().parents[1] / ".pytest_cache/jax"))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")

for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):  # nohup and background shells ignore them,
    if signal.getsignal(number) == signal.SIG_IGN:  # and child processes would inherit that
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)

import pytest  # noqa: E402

from tests.support.logs import recorded  # noqa: E402
from tests.support.toy_embedding import tiny_embedding  # noqa: E402, F401  a fixture
from tests.support.toy_run import tiny_run  # noqa: E402, F401  a fixture

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The real Flickr8k data and weights; tests that need them skip without."""
    if not (SHARED / "flickr8k").is_dir():
        pytest.skip("needs the real Flickr8k data in ../shared")
    return SHARED


@pytest.fixture
def log_lines():
    """Every line that capsmith logs during the test."""
    with recorded() as lines:
        yield lines
