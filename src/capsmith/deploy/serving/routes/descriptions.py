"""``POST /v1/descriptions``."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from capsmith.deploy.serving.describing import answers
from capsmith.deploy.serving.describing.describe import Describing
from capsmith.deploy.serving.describing.options import DescribeOptions
from capsmith.deploy.serving.problems import problem_responses
from capsmith.deploy.serving.responses import SMALL_PNG, as_json
from capsmith.deploy.serving.routes.operations import body_of, operation, problems, require_images
from capsmith.deploy.serving.service import Service

router = APIRouter(tags=["descriptions"])

_DESCRIPTION = """Describes one image or several by all that the service has: a caption; the objects in it, which
confirm nouns of the caption or do not; images of an index that are like it; and captions of a library that fit it.

```
curl -F image=@photo.jpg http://127.0.0.1:8000/v1/descriptions
```

What the service was started without is null.
"""


@router.post(
    "/v1/descriptions",
    **operation("create_descriptions", "Describe images", _DESCRIPTION),
    responses={
        200: {
            "model": answers.Descriptions,
            "description": "The description of each image.",
            "content": {"application/json": {"example": answers.DESCRIPTIONS}},
        },
        **problem_responses(404, 411, 415, 422, 503, 504),
    },
    openapi_extra=body_of("Describe", {"one image": {"images": [SMALL_PNG], "top": 3}}),
)
async def create_descriptions(request: Request) -> Response:
    """Describes the images of a form or of a JSON body."""
    service: Service = request.app.state.service
    reader = service.reader(request)
    try:
        body = await reader.read()
        options = DescribeOptions.of(body)
        field = require_images(body)
        model = service.model(options.model)
        with problems():
            describing = Describing(model, *service.embeddings.describing(options.index, options.library), options)
            answer = await service.answered(request, describing.answer(service, body.images, field))
        service.metrics.described(len(body.images))
        return as_json(answer)
    finally:
        reader.release()
