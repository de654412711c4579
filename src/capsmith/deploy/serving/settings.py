"""Limits of the service. Each has a default with which the service is safe to run."""

from dataclasses import dataclass

MEGABYTE = 1_000_000


@dataclass(frozen=True)
class ServeSettings:
    """Where the service listens, who may use it, and its limits.

    Attributes:
        host: Address to listen on; only the loopback address cannot be reached from other machines.
        port: Port; 0 lets the system choose one.
        hosts: Further names by which the service may be addressed (``Host`` header), besides ``host`` and loopback
            names; ``*`` allows all.
        keys: API keys, one of which each request needs; without keys everyone may use the service.
        max_upload: Largest body of a request in bytes.
        max_images: Most images in one request.
        max_pixels: Most pixels of one image; it is refused before it is decoded.
        max_fields: Most form fields, files included.
        request_timeout: Seconds until an answer must be there, counted from the end of the upload.
        body_timeout: Seconds that an upload may take.
        header_timeout: Seconds that the first line and the headers of a request may take.
        keep_alive: Seconds that a connection may stay open between two requests.
        shutdown_timeout: Seconds that accepted requests may still take after SIGTERM.
        max_connections: Most connections at once.
        max_header: Largest first line and headers in bytes, together.
        max_batch: Most images that are encoded or searched at once.
        max_wait: Seconds that an idle model waits for images that are being uploaded.
        max_queue: Most images that wait for a model; further requests are answered by 429.
        threads: Threads of an export's CNN; None chooses one fewer than there are cores: the search, which runs at the
            same time, has one too.
        workers: Threads that decode images.
        verbose: Log a line for each request.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    hosts: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    max_upload: int = 10 * MEGABYTE
    max_images: int = 16
    max_pixels: int = 40_000_000
    max_fields: int = 64
    request_timeout: float = 60.0
    body_timeout: float = 30.0
    header_timeout: float = 10.0
    keep_alive: float = 15.0
    shutdown_timeout: float = 30.0
    max_connections: int = 512
    max_header: int = 16_384
    max_batch: int = 16
    max_wait: float = 0.004
    max_queue: int = 64
    threads: int | None = None
    workers: int = 2
    verbose: bool = False
