"""``POST /v1/recommendations`` and ``GET /v1/libraries``."""

from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from capsmith.deploy.recommend.library import Library
from capsmith.deploy.recommend.recommender import Recommendation
from capsmith.deploy.serving.embedding import answers
from capsmith.deploy.serving.embedding.libraries import Libraries, Wanted
from capsmith.deploy.serving.embedding.options import RECOMMENDING, RecommendOptions
from capsmith.deploy.serving.problems import problem_responses
from capsmith.deploy.serving.responses import SMALL_PNG, as_json
from capsmith.deploy.serving.routes.operations import body_of, operation, problems, require_images
from capsmith.deploy.serving.service import Service
from capsmith.deploy.serving.uploads import Body

router = APIRouter(tags=["recommendations"])

Name = Annotated[str, Path(min_length=1, max_length=100, description="Its name.")]

_DESCRIPTION = """Ranks ready-made captions for one image or several: those of a library, or the request's own.

```
curl -F image=@photo.jpg -F top=5 http://127.0.0.1:8000/v1/recommendations
curl -F image=@photo.jpg --form-string $'captions=Chasing waves.\\nRoots and wings.' http://127.0.0.1:8000/v1/recommendations
```

In a form, `captions` is one text with a caption on each line; in JSON it is a list of texts, or of objects that have a
`description` and a `theme` too.
"""
_OWN = [
    "Blue waves ahead.",
    {"caption": "Roots and wings.", "description": "a family in a green park", "theme": "family"},
]
_EXAMPLES = {
    "a library": {"images": [SMALL_PNG], "top": 5},
    "own captions": {"images": [SMALL_PNG], "captions": _OWN, "diverse": True},
}


@router.post(
    "/v1/recommendations",
    **operation("create_recommendations", "Recommend captions", _DESCRIPTION),
    responses={
        200: {
            "model": answers.Recommendations,
            "description": "Captions for each image, best first.",
            "content": {"application/json": {"example": answers.RECOMMENDATIONS}},
        },
        **problem_responses(404, 411, 415, 422, 503, 504),
    },
    openapi_extra=body_of("Recommend", _EXAMPLES),
)
async def create_recommendations(request: Request) -> Response:
    """Ranks captions for the images of a form or of a JSON body."""
    service: Service = request.app.state.service
    reader = service.reader(request, RECOMMENDING)
    try:
        body = await reader.read()
        options = RecommendOptions.of(body)
        field = require_images(body)
        with problems(captions="captions", theme="theme", correction="correction"):
            libraries = service.embeddings.recommending()
            name = options.library or (None if options.captions else libraries.default)
            if name is not None:
                libraries.get(name)
            found, notes = await service.answered(request, _recommended(service, libraries, body, options, field))
        service.metrics.recommended(len(found))
        names = [image.name for image in body.images]
        return as_json(answers.recommendations_document(libraries.embedder.name, name, names, found, notes))
    finally:
        reader.release()


async def _recommended(
    service: Service, libraries: Libraries, body: Body, options: RecommendOptions, field: str
) -> tuple[list[list[Recommendation]], list[str]]:
    pictures = await service.decoder.decode(
        body.images, libraries.embedder.image_sizes, field, libraries.embedder.framing
    )
    images = [picture.pixels for picture in pictures]
    entries = options.entries()

    def work() -> tuple[list[list[Recommendation]], list[str]]:
        own = None
        if entries is not None:
            texts = ([one.caption for one in entries], [one.description or "" for one in entries])
            own = Library.of(*texts, [one.theme or "" for one in entries], "captions")
        wanted = Wanted(options.library, own, options.top, options.diverse, options.theme, options.correction)
        return libraries.recommend(images, wanted)

    return await service.embeddings.worker.run(work)


@router.get(
    "/v1/libraries",
    **operation(
        "list_libraries", "List the libraries", "The libraries of captions, the default first.", "/v1/libraries"
    ),
    responses={
        200: {
            "model": answers.LibraryList,
            "description": "The libraries.",
            "content": {"application/json": {"example": {"libraries": [answers.LIBRARY]}}},
        },
        **problem_responses(503),
    },
)
async def list_libraries(request: Request) -> Response:
    """Lists the libraries; none if the service was started without."""
    service: Service = request.app.state.service
    embeddings = service.embeddings
    if embeddings.load_libraries is None and embeddings.libraries is None:
        return as_json({"libraries": []})
    with problems():
        return as_json({"libraries": embeddings.recommending().describe()})


@router.get(
    "/v1/libraries/{name}",
    **operation("get_library", "Get a library", "A library with all of its captions.", "/v1/libraries/social"),
    responses={
        200: {
            "model": answers.LibraryContent,
            "description": "The library.",
            "content": {"application/json": {"example": {**answers.LIBRARY, "entries": [answers.ENTRY]}}},
        },
        **problem_responses(404, 422, 503),
    },
)
async def get_library(request: Request, name: Name) -> Response:
    """Returns a library with its captions."""
    service: Service = request.app.state.service
    with problems():
        return as_json(service.embeddings.recommending().content(name))
