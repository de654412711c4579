"""A client that openapi-python-client generates from our document calls every operation of a running service."""

import importlib
import io
import subprocess
import sys
from pathlib import Path

import pytest

from capsmith.deploy.serving.settings import ServeSettings
from tests.support.finding import colour_photos, finding_app
from tests.support.service import client_of, image_bytes, served

pytest.importorskip("openapi_python_client")

KEY = "a-key-of-enough-characters"


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finding")
    return finding_app(colour_photos(folder / "photos"), folder / "photos.index", ServeSettings(keys=(KEY,)))


@pytest.fixture(scope="module")
def generated(service, tmp_path_factory):
    folder = tmp_path_factory.mktemp("generated")
    with client_of(service) as client:
        (folder / "openapi.json").write_bytes(client.get("/openapi.json").content)
    (folder / "config.yaml").write_text(
        "post_hooks: []\ncontent_type_overrides:\n  image/jpeg: application/octet-stream\n"
    )
    command = ["generate", "--path", "openapi.json", "--config", "config.yaml", "--output-path", "out"]
    program = Path(sys.executable).with_name("openapi-python-client")
    done = subprocess.run([program, *command, "--fail-on-warning"], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    for path in (folder / "out").rglob("api/*/*.py"):  # its issue 1451: a name that it uses is not imported
        path.write_text(path.read_text().replace("import Response, UNSET\n", "import Response, UNSET, Unset\n"))
    sys.path.insert(0, str(folder / "out"))
    try:
        yield importlib.import_module("capsmith_client")
    finally:
        sys.path.pop(0)
        for name in [name for name in sys.modules if name.startswith("capsmith_client")]:
            del sys.modules[name]


@pytest.fixture(scope="module")
def client(service, generated):
    with served(service) as address, generated.AuthenticatedClient(address, token=KEY) as client:
        yield client


def call(tag, operation, **arguments):
    module = importlib.import_module(f"capsmith_client.api.{tag}.{operation}")
    return module.sync_detailed(**arguments)


def test_captions_by_a_form(client):
    models, types = importlib.import_module("capsmith_client.models"), importlib.import_module("capsmith_client.types")
    files = [types.File(io.BytesIO(image_bytes(form=form)), f"red.{form}", "image/x") for form in ("PNG", "JPEG")]
    body = models.CaptionForm(image=files, attention=True, search=models.Search.BEAM, n=2, exclude=["dog", "the"])
    answer = call("captions", "create_captions", client=client, body=body)
    assert answer.status_code == 200 and isinstance(answer.parsed, models.Captions)
    assert [result.image for result in answer.parsed.results] == ["red.PNG", "red.JPEG"]
    assert answer.parsed.results[1].caption == "a red picture"
    assert answer.parsed.results[1].words[2].attention[2][2] == 1
    assert len(answer.parsed.results[0].alternatives) == 1


def test_captions_by_json_and_a_problem(client):
    import base64

    models = importlib.import_module("capsmith_client.models")
    text = base64.b64encode(image_bytes()).decode()
    answer = call("captions", "create_captions", client=client, body=models.CaptionRequest(images=[text]))
    assert answer.parsed.results[0].caption == "a red picture"
    refused = call("captions", "create_captions", client=client, body=models.CaptionRequest(images=[text, "aGk="]))
    assert refused.status_code == 422 and isinstance(refused.parsed, models.Problem)
    assert (refused.parsed.errors[0].field, refused.parsed.errors[0].index) == ("images", 1)


def test_the_other_operations(client):
    models = importlib.import_module("capsmith_client.models")
    types = importlib.import_module("capsmith_client.types")
    listed = call("captions", "list_models", client=client).parsed
    assert [(model.name, model.default) for model in listed.models] == [("quick", True)]
    assert call("operation", "get_health", client=client).parsed.status == "ok"
    assert call("operation", "get_readiness", client=client).parsed.status == "ready"
    assert call("operation", "get_metrics", client=client).status_code == 200
    form = models.MaxForm(image=types.File(io.BytesIO(image_bytes()), "red.png", "image/png"))
    predictions = call("ibm_max", "predict", client=client, body=form).parsed.predictions
    assert [one.index for one in predictions] == ["0", "1", "2"] and predictions[0].caption == "a red picture"
    assert call("ibm_max", "get_metadata", client=client).parsed.id == "quick"


def test_recommendations(client):
    models, types = importlib.import_module("capsmith_client.models"), importlib.import_module("capsmith_client.types")
    (library,) = call("recommendations", "list_libraries", client=client).parsed.libraries
    content = call("recommendations", "get_library", client=client, name=library.name).parsed
    assert len(content.entries) == library.captions and content.entries[1].description == "blue"
    body = models.RecommendForm(image=[types.File(io.BytesIO(image_bytes()), "red.png", "image/png")], top=2)
    answer = call("recommendations", "create_recommendations", client=client, body=body).parsed
    assert answer.results[0].recommendations[0].caption == "Roses are red"


def test_detections_and_descriptions(client):
    models, types = importlib.import_module("capsmith_client.models"), importlib.import_module("capsmith_client.types")
    files = [types.File(io.BytesIO(image_bytes()), "red.png", "image/png")]
    found = call("descriptions", "create_detections", client=client, body=models.DetectForm(image=files)).parsed
    assert [one.label for one in found.results[0].objects] == ["picture"]
    (detector,) = call("descriptions", "list_detectors", client=client).parsed.detectors
    assert detector.name == found.detector and "picture" in detector.labels
    files = [types.File(io.BytesIO(image_bytes()), "red.png", "image/png")]
    body = models.DescribeForm(image=files, top=1)
    (result,) = call("descriptions", "create_descriptions", client=client, body=body).parsed.results
    assert (result.caption, result.words[0].status, len(result.similar.look)) == ("a red picture", "confirmed", 1)


def test_search(client):
    models, types = importlib.import_module("capsmith_client.models"), importlib.import_module("capsmith_client.types")
    (index,) = call("search", "list_indexes", client=client).parsed.indexes
    found = call("search", "search_images", client=client, body=models.SearchRequest(text="green", top=1)).parsed
    assert found.index == index.name and found.results[0].name.startswith("green")
    image = types.File(io.BytesIO(image_bytes()), "red.png", "image/png")
    form = call("search", "search_images", client=client, body=models.SearchForm(image=image)).parsed
    assert form.query == "image" and form.results[0].visual > 0.99
    number = found.results[0].id
    for operation in ("get_thumbnail", "get_picture"):
        assert call("search", operation, client=client, name=index.name, id=number).status_code == 200
    assert call("search", "refresh_index", client=client, name=index.name).status_code == 202
    assert call("search", "get_index", client=client, name=index.name).parsed.images == 13


def test_a_client_without_its_key(service, generated):
    with served(service) as address, generated.Client(address) as client:
        answer = call("captions", "list_models", client=client)
    assert answer.status_code == 401 and answer.parsed.status == 401


def test_every_operation_was_called(service):
    with client_of(service) as client:
        paths = client.get("/openapi.json").json()["paths"]
    operations = {operation["operationId"] for path in paths.values() for operation in path.values()}
    source = Path(__file__).read_text()
    assert {name for name in operations if f'"{name}"' not in source} == set()
