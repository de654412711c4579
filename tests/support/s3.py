"""An S3 server on this machine, for tests: moto's."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest

BUCKET = "bucket"
_ACCOUNT = "123456789012"


@contextmanager
def server() -> Iterator[dict[str, str]]:
    """Starts a server with one bucket; yields the environment variables of its clients."""
    from moto.server import ThreadedMotoServer

    patch = pytest.MonkeyPatch()
    started = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    started.start()
    host, port = started.get_host_and_port()
    variables = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
    }
    try:
        for name, value in variables.items():
            patch.setenv(name, value)
        _backend().create_bucket(BUCKET, "us-east-1")
        yield variables
    finally:
        patch.undo()
        started.stop()


def put(objects: Mapping[str, bytes]) -> None:
    """Stores objects in the bucket, without requests."""
    for key, content in objects.items():
        _backend().put_object(BUCKET, key, content)


def keys(prefix: str = "") -> list[str]:
    """Returns the keys in the bucket, those of unfinished uploads excluded."""
    return sorted(key for key in _backend().buckets[BUCKET].keys if key.startswith(prefix))


def content(key: str) -> bytes:
    """Returns an object of the bucket."""
    value: bytes = _backend().buckets[BUCKET].keys[key].value
    return value


def _backend():  # type: ignore[no-untyped-def]
    from moto.s3.models import s3_backends

    return s3_backends[_ACCOUNT]["aws"]
