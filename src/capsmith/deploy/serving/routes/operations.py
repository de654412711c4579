"""What the operations on libraries and indexes have in common: their descriptions, bodies, and problems."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from starlette.responses import Response

from capsmith.core.errors import CapsmithError, escaped, one_line
from capsmith.deploy.serving.batcher import Closed, Overloaded
from capsmith.deploy.serving.embedding.embeddings import NotLoaded, NotOffered
from capsmith.deploy.serving.embedding.indexes import Refreshing, UnknownIndex
from capsmith.deploy.serving.embedding.libraries import UnknownLibrary
from capsmith.deploy.serving.problems import Problem, busy
from capsmith.deploy.serving.service import LOADING


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


@contextmanager
def problems(**fields: str) -> Iterator[None]:
    """Turns errors of libraries and indexes into problems.

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
    except CapsmithError as error:
        message = escaped(one_line(error))
        field = next((field for word, field in fields.items() if word in message), None)
        raise Problem(422, message, [{"field": field, "detail": message}] if field else ()) from error
