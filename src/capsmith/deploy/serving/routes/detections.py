"""``POST /v1/detections``."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from capsmith.deploy.serving.describing import answers
from capsmith.deploy.serving.describing.detecting import ServedDetector
from capsmith.deploy.serving.describing.options import DetectOptions
from capsmith.deploy.serving.problems import problem_responses
from capsmith.deploy.serving.responses import SMALL_PNG, as_json
from capsmith.deploy.serving.routes.operations import body_of, operation, problems, require_images
from capsmith.deploy.serving.service import Service
from capsmith.deploy.serving.uploads import Body
from capsmith.vision.detection.detector import Detected

router = APIRouter(tags=["descriptions"])
_SMALL = [(16, 16)]  # decoded once to know that the detector can read it

_DESCRIPTION = """Finds the objects in one image or several.

```
curl -F image=@photo.jpg -F threshold=0.4 http://127.0.0.1:8000/v1/detections
```
"""


@router.get(
    "/v1/detectors",
    **operation(
        "list_detectors", "List the detectors", "The detector of this service, if it has one.", "/v1/detectors"
    ),
    responses={
        200: {
            "model": answers.DetectorList,
            "description": "Done.",
            "content": {"application/json": {"example": answers.DETECTORS}},
        },
        **problem_responses(503),
    },
)
def list_detectors(request: Request) -> Response:
    """Lists the detector; none if the service was started without."""
    service: Service = request.app.state.service
    with problems():
        found = [service.embeddings.detecting().describe()] if service.embeddings.has_detector else []
    return as_json({"detectors": found})


@router.post(
    "/v1/detections",
    **operation("create_detections", "Detect objects", _DESCRIPTION),
    responses={
        200: {
            "model": answers.Detections,
            "description": "The objects of each image.",
            "content": {"application/json": {"example": answers.DETECTIONS}},
        },
        **problem_responses(404, 411, 415, 422, 503, 504),
    },
    openapi_extra=body_of("Detect", {"one image": {"images": [SMALL_PNG], "threshold": 0.4}}),
)
async def create_detections(request: Request) -> Response:
    """Finds the objects in the images of a form or of a JSON body."""
    service: Service = request.app.state.service
    reader = service.reader(request)
    try:
        body = await reader.read()
        options = DetectOptions.of(body)
        field = require_images(body)
        with problems():
            detector = service.embeddings.detecting()
            found = await service.answered(request, _detected(service, detector, body, options, field))
        service.metrics.detected(len(found))
        threshold = detector.detector.threshold if options.threshold is None else options.threshold
        names = [image.name for image in body.images]
        return as_json(answers.detections_document(detector.name, threshold, names, found))
    finally:
        reader.release()


async def _detected(
    service: Service, detector: ServedDetector, body: Body, options: DetectOptions, field: str
) -> list[Detected]:
    await service.decoder.decode(body.images, _SMALL, field)
    return await detector.detect([image.data for image in body.images], options.threshold)
