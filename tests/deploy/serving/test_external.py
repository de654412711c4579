"""A third-party captioner in the service."""

from capsmith.core.errors import ConfigError, ImageError
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
            assert refused.status_code == 422 and "colours" in refused.json()["detail"], refused.text
            assert "caption_program" not in refused.text  # the command may hold paths and keys

        engine = models.get().captioner.engine

        def refuse(*arguments):
            raise ConfigError(f"max_length 900: {engine.name} has positions for 20")

        engine.decode = refuse
        refused = client.post("/v1/captions", files=photo)
        assert refused.status_code == 422 and refused.json()["errors"][0]["field"] == "max_length", refused.text
        assert "colours" in refused.text and "caption_program" not in refused.text

        def refuse_image(*arguments):
            raise ImageError("the image: shows too little")

        engine.decode = refuse_image
        for path in ("captions", "descriptions"):
            refused = client.post(f"/v1/{path}", files=photo)
            assert refused.status_code == 422 and refused.json()["detail"] == "the image: shows too little"


def test_a_program_that_fails_is_an_error_of_the_service_that_tells_nothing_about_it(tmp_path):
    settings = ServeSettings()
    (named,) = named_paths([f"colours={command('crash', tmp_path / 'log')}"])  # at its second image
    models = Models.of(prepare(named, settings)())
    with client_of(create_app(models, settings), raise_server_exceptions=False) as client:
        for path in ("descriptions", "captions"):
            answers = [client.post(f"/v1/{path}", files={"image": image_bytes()}) for _ in range(3)]
            assert any(answer.status_code >= 500 for answer in answers), answers
            assert not any("torch" in answer.text or "caption_program" in answer.text for answer in answers)
