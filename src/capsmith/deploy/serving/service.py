"""What the operations of the service share: models, limits, decoder, metrics; and the way from images to captions."""

import asyncio
from collections.abc import Coroutine, Sequence
from functools import partial
from typing import Any, TypeVar

from starlette.requests import Request

from capsmith.core.errors import ConfigError, ImageError, escaped, one_line, out_of_memory
from capsmith.deploy.serving.batcher import Closed, Overloaded
from capsmith.deploy.serving.bodies import BodyReader, ClientGone, UploadMemory
from capsmith.deploy.serving.embedding.embeddings import Embeddings
from capsmith.deploy.serving.metrics import Metrics
from capsmith.deploy.serving.models import Models, NotReady, ServedModel, UnknownModel
from capsmith.deploy.serving.options import SEARCH_FIELDS, CaptionOptions
from capsmith.deploy.serving.problems import Problem, busy
from capsmith.deploy.serving.request_body import largest_body
from capsmith.deploy.serving.settings import ServeSettings
from capsmith.deploy.serving.uploads import IMAGES, Body, BodyShape, Decoder, Picture, Upload
from capsmith.models.caption import Caption

_BODIES = 24  # largest bodies that are in memory at once
LOADING = 2.0
"""Seconds after which a client may ask again while models are loading."""

T = TypeVar("T")


class Service:
    """Shared state of the operations, as ``app.state.service``.

    Attributes:
        models: The models.
        settings: The limits.
        metrics: The counters.
        memory: The memory of uploads.
        decoder: Decodes images.

    Args:
        models: The models.
        settings: The limits.
    """

    def __init__(self, models: Models, settings: ServeSettings) -> None:
        self.models, self.settings = models, settings
        self.metrics = Metrics()
        self.memory = UploadMemory(_BODIES * largest_body(settings))
        self.decoder = Decoder(settings.workers, settings.max_pixels)
        for model in models:
            self.watch(model)

    def watch(self, model: ServedModel) -> None:
        """Counts the batches of a model from now on."""
        model.batcher.observe = partial(self.metrics.batch, model.name)

    def close(self) -> None:
        """Ends the threads that decode."""
        self.decoder.close()

    def reader(self, request: Request, shape: BodyShape = IMAGES) -> BodyReader:
        """Returns what reads the body of a request."""
        return BodyReader(request.scope, request.receive, self.settings, self.memory, shape)

    @property
    def embeddings(self) -> Embeddings:
        """The libraries and indexes."""
        return self.models.embeddings

    def model(self, name: str | None = None) -> ServedModel:
        """Returns a model by its name, by default the first.

        Raises:
            Problem: 404, or 503 while models are loading.
        """
        try:
            return self.models.get(name)
        except UnknownModel as error:
            raise Problem(404, one_line(error)) from error
        except NotReady as error:
            raise busy(one_line(error), LOADING, 503) from error

    async def caption(
        self, request: Request, model: ServedModel, body: Body, options: CaptionOptions, field: str = "image"
    ) -> tuple[list[Picture], list[Caption]]:
        """Decodes and captions the images of a request, unless its client goes away.

        Args:
            request: The request.
            model: The model.
            body: The request's body.
            options: The search, and what the captions should tell.
            field: Name of the field of images, for messages.

        Raises:
            Problem: 422, 429, 503 or 504.
            ClientGone: The client closed the connection.
        """
        decoding = _decoding(model, options)
        try:
            return await self.answered(request, self.captioned(model, body.images, decoding, options.attention, field))
        except ConfigError as error:
            raise _invalid(model.renamed(error)) from error
        except ImageError as error:  # a third-party captioner refuses an image that can be read
            raise Problem(422, escaped(one_line(error))) from error

    async def answered(self, request: Request, work: Coroutine[Any, Any, T]) -> T:
        """Returns what a coroutine computes for a request, unless its client goes away.

        Args:
            request: The request, whose body was read.
            work: Computes the answer; it is cancelled if it takes too long or nobody waits for it.

        Raises:
            Problem: 429, 503 or 504.
            ClientGone: The client closed the connection.
            CapsmithError: What the work raises.
        """
        task = asyncio.ensure_future(work)
        gone = asyncio.ensure_future(request.receive())
        try:
            await asyncio.wait((task, gone), timeout=self.settings.request_timeout, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            if gone.done():
                raise ClientGone
            self.metrics.rejected("timeout")
            raise Problem(504, f"no answer within {self.settings.request_timeout:g} seconds")
        except Overloaded as error:
            self.metrics.rejected("queue")
            raise busy(f"{one_line(error)}; try again later", error.retry_after) from error
        except Closed as error:
            raise busy(one_line(error), LOADING, 503) from error
        except Exception as error:
            if out_of_memory(error):
                self.metrics.rejected("memory")
                raise busy("not enough memory for this request; try again later", 5, 503) from error
            raise
        finally:
            task.cancel()
            gone.cancel()

    async def captioned(
        self, model: ServedModel, images: Sequence[Upload], decoding: Any, attention: bool, field: str
    ) -> tuple[list[Picture], list[Caption]]:
        """Decodes and captions images.

        Args:
            model: The model.
            images: The images.
            decoding: The search.
            attention: Also compute attention maps.
            field: Name of the field of images, for messages.
        """
        with model.batcher.expecting():
            pictures = await self.decoder.decode(images, model.image_sizes, field)
        captions = await model.batcher.caption(
            [picture.pixels for picture in pictures], decoding, details=True, attention=attention and model.attends
        )
        self.metrics.captioned(model.name, len(captions))
        return pictures, captions


def _decoding(model: ServedModel, options: CaptionOptions) -> Any:
    try:
        return model.decoding(options.search_settings())
    except ConfigError as error:
        raise _invalid(error) from error


def _invalid(error: ConfigError) -> Problem:
    """Returns the problem of a search that is not possible, with the field that the message names."""
    message = escaped(one_line(error)).removeprefix("decoding: ")
    message = message.replace("decoding.type", "search").replace("decoding.", "")
    field = next((name for name in SEARCH_FIELDS if message.startswith(name)), None)
    return Problem(422, message, [{"field": field, "detail": message.removeprefix(f"{field}: ")}] if field else ())
