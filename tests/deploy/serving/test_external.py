"""A captioner of others in the service."""

from capsmith.deploy.serving.app import create_app
from capsmith.deploy.serving.loading import prepare
from capsmith.deploy.serving.models import Models, named_paths
from capsmith.deploy.serving.settings import ServeSettings
from tests.models.external.test_program import command
from tests.support.service import client_of, image_bytes


def test_a_program_is_served():
    settings = ServeSettings()
    first, second = named_paths([f"colours={command('several')}", command()])
    assert (first.name, second.name) == ("colours", first.external.partition(":")[2].split()[0].rpartition("/")[2])
    models = Models.of(prepare(first, settings)())
    with client_of(create_app(models, settings)) as client:
        (model,) = client.get("/v1/models").json()["models"]
        assert (model["name"], model["kind"], model["attends"], model["words"]) == ("colours", "external", False, 0)
        photo = {"image": ("sea.png", image_bytes((20, 20, 200)), "image/png")}
        answer = client.post("/v1/captions", files=photo, data={"n": "2"})
        assert answer.status_code == 200, answer.text
        result = answer.json()["results"][0]
        assert result["caption"] == "a blue square"
        for options in ({"beam_size": "4"}, {"prefix": "a"}, {"search": "sample"}):
            refused = client.post("/v1/captions", files=photo, data=options)
            assert refused.status_code == 422 and "exec:" in refused.json()["detail"], refused.text
