"""Fields of requests for detections and descriptions."""

from typing import Annotated

from pydantic import Field

from capsmith.deploy.serving.fields import NO_CONTROL, RequestFields

_Name = Annotated[str, Field(min_length=1, max_length=100, pattern=NO_CONTROL)]


class DetectOptions(RequestFields):
    """What is detected."""

    threshold: float | None = Field(
        default=None, ge=0, le=1, allow_inf_nan=False, description="Least confidence; by default the detector's."
    )


class DescribeOptions(DetectOptions):
    """What an image is described by."""

    model: _Name | None = Field(
        default=None, description="Name of the captioner, as in `/v1/models`; by default the first one."
    )
    index: _Name | None = Field(
        default=None, description="Name of an index, as in `/v1/indexes`; by default the first one, if there is any."
    )
    library: _Name | None = Field(
        default=None, description="Name of a library, as in `/v1/libraries`; by default the first one, if there is any."
    )
    top: int = Field(default=6, ge=1, le=50, description="Similar images of each kind, and recommended captions.")
