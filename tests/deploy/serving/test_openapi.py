"""The OpenAPI document: complete, with examples that are valid, and with the errors that the service answers."""

import json

import pytest
from jsonschema_rs import Draft202012Validator

from capsmith.deploy.serving.bounds import NUMBERS, OPTIONS
from capsmith.deploy.serving.describing import answers as describing
from capsmith.deploy.serving.embedding import answers
from capsmith.deploy.serving.options import SEARCH_FIELDS
from capsmith.deploy.serving.responses import CAPTIONS, METADATA, MODELS, PREDICTIONS
from tests.support.finding import colour_photos, finding_app
from tests.support.service import client_of, image_bytes

OPERATIONS = {
    "create_captions",
    "list_models",
    "get_health",
    "get_readiness",
    "get_metrics",
    "predict",
    "get_metadata",
    "create_detections",
    "list_detectors",
    "create_descriptions",
    "create_recommendations",
    "list_libraries",
    "get_library",
    "search_images",
    "list_indexes",
    "get_index",
    "refresh_index",
    "get_thumbnail",
    "get_picture",
}


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finding")
    with client_of(finding_app(colour_photos(folder / "photos"), folder / "photos.index")) as client:
        yield client


@pytest.fixture(scope="module")
def document(client):
    return client.get("/openapi.json").json()


def operations_of(document):
    return {operation["operationId"]: operation for path in document["paths"].values() for operation in path.values()}


def errors_of(document, schema, value):
    validator = Draft202012Validator({"$ref": f"#/components/schemas/{schema}", "components": document["components"]})
    return [error.message for error in validator.iter_errors(value)]


def test_the_operations(document):
    assert document["openapi"].startswith("3.1")
    assert set(operations_of(document)) == OPERATIONS
    for operation in operations_of(document).values():
        assert "curl" in operation["description"] and operation["summary"] and operation["tags"]


def test_every_answer_has_an_example(document):
    for name, operation in operations_of(document).items():
        for status, response in operation["responses"].items():
            if status == "304":
                continue
            kind, content = next(iter(response["content"].items()))
            assert "example" in content, (name, status)
            if status >= "400":
                assert kind == "application/problem+json" and content["example"]["status"] == int(status)
                assert errors_of(document, "Problem", content["example"]) == []


def test_every_reference_is_there(document):
    text = json.dumps(document)
    names = {part.partition('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert names <= set(document["components"]["schemas"]) and "HTTPValidationError" not in text


@pytest.mark.parametrize(
    "schema, example",
    [
        ("Captions", CAPTIONS),
        ("ModelList", MODELS),
        ("MaxPredictions", PREDICTIONS),
        ("MaxMetadata", METADATA),
        ("Recommendations", answers.RECOMMENDATIONS),
        ("LibraryContent", {**answers.LIBRARY, "entries": [answers.ENTRY]}),
        ("Found", answers.FOUND),
        ("Detections", describing.DETECTIONS),
        ("Descriptions", describing.DESCRIPTIONS),
        ("IndexDescription", answers.INDEX),
    ],
)
def test_examples_are_valid(document, schema, example):
    assert errors_of(document, schema, example) == []
    assert errors_of(document, schema, example | {"unknown": 1}) != []


@pytest.mark.parametrize(
    ("operation", "schema", "path"),
    [
        ("create_recommendations", "RecommendRequest", "/v1/recommendations"),
        ("search_images", "SearchRequest", "/v1/search"),
        ("create_detections", "DetectRequest", "/v1/detections"),
        ("create_descriptions", "DescribeRequest", "/v1/descriptions"),
    ],
)
def test_examples_of_finding_are_answered(client, document, operation, schema, path):
    content = operations_of(document)[operation]["requestBody"]["content"]
    for example in content["application/json"]["examples"].values():
        assert errors_of(document, schema, example["value"]) == []
        assert client.post(path, json=example["value"]).status_code == 200


def test_examples_of_requests_are_answered(client, document):
    content = operations_of(document)["create_captions"]["requestBody"]["content"]
    examples = [example["value"] for example in content["application/json"]["examples"].values()]
    assert {example.get("search") for example in examples} == {None, "beam", "sample"}
    for example in examples:
        assert errors_of(document, "CaptionRequest", example) == []
        assert client.post("/v1/captions", json=example).status_code == 200


def test_answers_are_valid(client, document):
    files = {"image": image_bytes()}
    answer = client.post("/v1/captions", files=files, data={"attention": "true", "n": "2"}).json()
    assert errors_of(document, "Captions", answer) == []
    assert errors_of(document, "ModelList", client.get("/v1/models").json()) == []
    assert errors_of(document, "MaxPredictions", client.post("/model/predict", files=files).json()) == []
    assert errors_of(document, "MaxMetadata", client.get("/model/metadata").json()) == []
    assert errors_of(document, "Recommendations", client.post("/v1/recommendations", files=files).json()) == []
    assert errors_of(document, "Detections", client.post("/v1/detections", files=files).json()) == []
    assert errors_of(document, "Descriptions", client.post("/v1/descriptions", files=files).json()) == []
    assert errors_of(document, "LibraryList", client.get("/v1/libraries").json()) == []
    assert errors_of(document, "LibraryContent", client.get("/v1/libraries/social").json()) == []
    assert errors_of(document, "Found", client.post("/v1/search", json={"text": "red"}).json()) == []
    assert errors_of(document, "Found", client.post("/v1/search", files=files).json()) == []
    assert errors_of(document, "IndexList", client.get("/v1/indexes").json()) == []
    assert errors_of(document, "IndexDescription", client.post("/v1/indexes/colours/refresh").json()) == []
    assert errors_of(document, "Problem", client.get("/nothing").json()) == []
    assert errors_of(document, "Problem", client.post("/v1/captions", files={"image": b"x"}).json()) == []


def test_the_bounds_of_options_are_in_the_document(document):
    form = document["components"]["schemas"]["CaptionForm"]["properties"]
    request = document["components"]["schemas"]["CaptionRequest"]["properties"]
    assert set(form) - {"image"} == set(request) - {"images"} == {"model", "attention", *OPTIONS}
    assert set(SEARCH_FIELDS) == set(OPTIONS)
    for name, (kind, least, most) in NUMBERS.items():
        assert form[name]["type"] == {int: "integer", float: "number"}[kind]
        assert (form[name]["minimum"], form[name]["maximum"]) == (least, most)
        assert form[name]["description"] == request[name]["description"]
    assert form["prefix"]["maxLength"] == 200 and form["exclude"]["items"]["maxLength"] == 100
    assert form["image"]["maxItems"] == 16
