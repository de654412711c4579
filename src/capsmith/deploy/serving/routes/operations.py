"""What the operations on libraries and indexes have in common: their descriptions, bodies, and problems."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from starlette.responses import Response

from capsmith.core.errors import CapsmithError, ConfigError, DataError, ImageError, escaped, one_line
from capsmith.core.log import get_logger
from capsmith.deploy.search.image_index import UnknownImage
from capsmith.deploy.search.index_file import ImageIndexError
from capsmith.deploy.serving.batcher import Closed, Overloaded
from capsmith.deploy.serving.embedding.embeddings import NotLoaded, NotOffered
from capsmith.deploy.serving.embedding.indexes import Refreshing, UnknownIndex
from capsmith.deploy.serving.embedding.libraries import UnknownLibrary
from capsmith.deploy.serving.problems import Problem, busy
from capsmith.deploy.serving.service import LOADING
from capsmith.deploy.serving.uploads import Body

log = get_logger(__name__)


def operation(name: str, summary: str, description: str, path: str = "", method: str = "") -> dict[str, Any]:
    """Returns the arguments of a route that describe it.

    Args:
        name: Its name for programs.
        summary: What it does, in a few words.
        description: What it does.
        path: Its path, for an example of a command, unless the description has one.
        method: The method of that command, if it is not GET.
    """
    if "curl" not in description:
        description += f"\n\n```\ncurl {f'-X {method} ' if method else ''}http://127.0.0.1:8000{path}\n```\n"
    return {"operation_id": name, "summary": summary, "description": description, "response_class": Response}


def body_of(name: str, examples: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the ``openapi_extra`` of an operation that takes a form or JSON.

    Args:
        name: The beginning of the names of both schemas: ``NAMEForm`` and ``NAMERequest``.
        examples: JSON bodies by what they are.
    """
    form = {"schema": {"$ref": f"#/components/schemas/{name}Form"}}
    json = {
        "schema": {"$ref": f"#/components/schemas/{name}Request"},
        "examples": {what: {"value": value} for what, value in examples.items()},
    }
    return {"requestBody": {"required": True, "content": {"multipart/form-data": form, "application/json": json}}}


def require_images(body: Body) -> str:
    """Returns the name of the field of a request's images.

    Raises:
        Problem: 422: there is none.
    """
    field = "image" if body.values is None else "images"
    if not body.images:
        raise Problem(422, "there is no image", [{"field": field, "detail": "at least one is needed"}])
    return field


@contextmanager
def problems(**fields: str) -> Iterator[None]:
    """Turns errors of libraries, indexes, detectors and captioners into problems.

    Only those about a request are answered with their message: others may name files and commands.

    Args:
        **fields: The fields of the request to which an error belongs whose message has a word: ``word=field``.
    """
    try:
        yield
    except (NotOffered, UnknownLibrary, UnknownIndex) as error:
        raise Problem(404, escaped(one_line(error))) from error
    except NotLoaded as error:
        raise busy(one_line(error), LOADING, 503) from error
    except Refreshing as error:
        raise Problem(409, one_line(error)) from error
    except (Overloaded, Closed):
        raise
    except UnknownImage as error:
        raise Problem(404, "there is no such image in the index, or it could not be read") from error
    except ImageIndexError as error:  # its message names the folder
        log.error("an index cannot be searched: %s", escaped(one_line(error))[:500])
        raise Problem(500, "the index cannot be searched; the log of the service says more") from error
    except (ConfigError, DataError, ImageError) as error:
        message = escaped(one_line(error))
        field = next((field for word, field in fields.items() if word in message), None)
        raise Problem(422, message, [{"field": field, "detail": message}] if field else ()) from error
    except CapsmithError as error:
        log.error("a request cannot be answered: %s", escaped(one_line(error))[:500])
        raise Problem(500, "an error of the service; its log says more") from error
