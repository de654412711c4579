"""``POST /v1/search``."""

from collections.abc import Callable, Sequence

import numpy as np
from fastapi import APIRouter, Request
from starlette.responses import Response

from capsmith.deploy.search.hits import Hit
from capsmith.deploy.search.image_index import UnknownImage
from capsmith.deploy.serving.embedding import answers
from capsmith.deploy.serving.embedding.indexes import ServedIndex
from capsmith.deploy.serving.embedding.options import SEARCHING, SearchOptions, query_of
from capsmith.deploy.serving.problems import Problem, problem_responses
from capsmith.deploy.serving.responses import SMALL_PNG, as_json
from capsmith.deploy.serving.routes.operations import body_of, operation, problems
from capsmith.deploy.serving.service import Service
from capsmith.deploy.serving.uploads import Body

router = APIRouter(tags=["search"])

_DESCRIPTION = """Finds images of an index: by a phrase (`text`), by an image, by the number of an image of the index
(`like`), or by the words of indexed captions (`words`).

```
curl --json '{"text": "a small dog with a hat"}' http://127.0.0.1:8000/v1/search
curl -F image=@photo.jpg -F top=20 http://127.0.0.1:8000/v1/search
```

An image comes as the part `image` of a form, or in base64 as `image` in JSON. The answer names the files as they are
called inside their folder, and has the paths of small and large JPEGs.
"""
_EXAMPLES = {
    "a phrase": {"text": "a small dog with a hat", "top": 9},
    "an image": {"image": SMALL_PNG, "by": "visual"},
}


@router.post(
    "/v1/search",
    **operation("search_images", "Search images", _DESCRIPTION),
    responses={
        200: {
            "model": answers.Found,
            "description": "The images, best first.",
            "content": {"application/json": {"example": answers.FOUND}},
        },
        **problem_responses(404, 411, 415, 422, 503, 504),
    },
    openapi_extra=body_of("Search", _EXAMPLES),
)
async def search_images(request: Request) -> Response:
    """Searches an index by the query of a form or of a JSON body."""
    service: Service = request.app.state.service
    reader = service.reader(request, SEARCHING)
    try:
        body = await reader.read()
        options = SearchOptions.of(body)
        query, errors = query_of(options, len(body.images))
        if errors:
            raise Problem(422, f"not one query: {errors[0]['detail']}", errors)
        with problems(captions="words"):
            index = service.embeddings.index(options.index)
            hits, unknown = await service.answered(request, _found(service, index, body, options, query))
        service.metrics.searched(index.name, query)
        return as_json(
            {
                "index": index.name,
                "model": index.embedder.name,
                "query": query,
                "unknown_words": unknown,
                "results": [answers.found_image(index.name, hit) for hit in hits],
            }
        )
    finally:
        reader.release()


async def _found(
    service: Service, index: ServedIndex, body: Body, options: SearchOptions, query: str
) -> tuple[Sequence[Hit], list[str]]:
    """Returns the hits, and the words of the text that the model does not know."""
    pixels: Sequence[np.ndarray] = ()
    if query == "image":
        pixels = (
            await service.decoder.decode(body.images, index.embedder.image_sizes, framing=index.embedder.framing)
        )[0].pixels
    search = _search(index, options, query, pixels)
    words = options.text if query == "text" else ""

    def work() -> tuple[Sequence[Hit], list[str]]:
        if options.like is not None:
            _require(index, options.like)
        return search(), index.embedder.unknown_words(words) if words else []

    return await service.embeddings.worker.run(work)


def _require(index: ServedIndex, id: int) -> None:
    try:
        index.index.path(id)
    except UnknownImage as error:
        detail = f"like: there is no image {id} in the index"
        raise Problem(404, detail, [{"field": "like", "detail": detail}]) from error


def _search(
    served: ServedIndex, options: SearchOptions, query: str, pixels: Sequence[np.ndarray]
) -> Callable[[], Sequence[Hit]]:
    index, embedder = served.index, served.embedder
    by, more = options.by or "visual", (options.top, options.threshold)

    def search() -> Sequence[Hit]:
        if query == "text":
            return index.search_text(options.text or "", *more, fold=options.fold)
        if query == "words":
            return index.search_words(options.words or "", *more, fold=options.fold)
        if query == "like":
            return index.more_like(options.like or 0, *more, by=by, fold=options.fold)
        features = embedder.encode(*(one[None] for one in pixels))
        vectors = embedder.embed_features(features)[0], embedder.visual_vectors(features)[0]
        return index.search_vectors(*vectors, *more, by=by, fold=options.fold)

    return search
