"""LitServe with dynamic batches: ``python -m benchmarks.serving.apps.lit PORT WORKERS``."""

import base64
import sys
from typing import Any

import litserve

from benchmarks.serving.apps.captioning import answer, load


class CaptionApi(litserve.LitAPI):
    """Captions images in base64."""

    def setup(self, device: str) -> None:
        """Loads the captioner in the worker."""
        self.captioner = load()

    def decode_request(self, request: dict[str, str]) -> bytes:
        """Returns the file."""
        return base64.b64decode(request["image"])

    def batch(self, inputs: list[bytes]) -> list[bytes]:
        """Returns the files as they are: they have no common shape."""
        return list(inputs)

    def predict(self, images: list[bytes]) -> list[Any]:
        """Captions a batch."""
        return list(self.captioner.caption(images, probabilities=True))

    def unbatch(self, output: list[Any]) -> list[Any]:
        """Returns the captions."""
        return output

    def encode_response(self, output: Any) -> dict[str, Any]:
        """Returns the answer."""
        return answer(output)


if __name__ == "__main__":
    server = litserve.LitServer(
        CaptionApi(max_batch_size=16, batch_timeout=0.01),
        accelerator="cpu",
        workers_per_device=int(sys.argv[2]),
        timeout=60,
    )
    server.run(
        host="127.0.0.1", port=int(sys.argv[1]), num_api_servers=1, generate_client_file=False, log_level="warning"
    )
