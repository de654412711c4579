"""The models of a service: names, options within bounds, descriptions, loading in the background."""

import asyncio
import json
import threading

import pytest

from capsmith.core.errors import CheckpointError, ConfigError
from capsmith.core.starter import has_starter, starter_folder
from capsmith.deploy.serving.bounds import NUMBERS
from capsmith.deploy.serving.loading import prepare
from capsmith.deploy.serving.models import Models, NamedPath, NotReady, UnknownModel, named_paths, served_model
from capsmith.deploy.serving.settings import ServeSettings
from tests.support.served import ServedCaptioner

SETTINGS = ServeSettings()


@pytest.fixture(scope="module", params=["export", "run"])
def model(request):
    """The starter, and a toy run: their options follow the same rules."""
    if request.param == "export" and not has_starter():
        pytest.skip("this installation has no starter")
    path = starter_folder() if request.param == "export" else request.getfixturevalue("tiny_run").run
    served = prepare(NamedPath(request.param, path), SETTINGS)()
    yield served
    asyncio.run(served.batcher.close())


def fake(name):
    return served_model(name, ServedCaptioner(), SETTINGS)


# --- names ------------------------------------------------------------------------------------------------------------


def test_without_a_model_the_starter_is_served(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (one,) = named_paths([])
    assert (one.name, one.path, one.external) == ("starter", starter_folder(), "")


def test_a_model_is_called_like_its_folder_unless_it_is_named(tiny_run, tmp_path):
    odd = tmp_path / "été à Paris!"
    odd.mkdir()
    named = named_paths([str(tiny_run.run), f"mine={tiny_run.run}", "starter", f"{odd}/."])
    assert [one.name for one in named] == ["run", "mine", "starter", "t-Paris"]
    assert [one.path for one in named[:2]] == [tiny_run.run, tiny_run.run]


def test_a_path_with_an_equals_sign_that_exists_is_a_path(tiny_run, tmp_path):
    link = tmp_path / "lr=0.1"
    link.mkdir()
    for file in tiny_run.run.iterdir():
        (link / file.name).symlink_to(file)
    (one,) = named_paths([str(link)])
    assert (one.name, one.path) == ("lr-0.1", link)


@pytest.mark.parametrize("argument", ["=runs/x", "bad name=runs/x", "ü=runs/x", "a/b=runs/x", f"{'n' * 65}=x", "mine="])
def test_an_invalid_name_is_refused(argument):
    with pytest.raises(ConfigError):
        named_paths([argument])


def test_two_models_cannot_have_one_name(tiny_run):
    with pytest.raises(ConfigError, match="two models are called run"):
        named_paths([str(tiny_run.run), str(tiny_run.run)])


@pytest.mark.parametrize("path", ["nothing/here", "."])
def test_what_is_not_a_model_is_refused_before_anything_is_loaded(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError):
        prepare(named_paths([path])[0], SETTINGS)


# --- options ----------------------------------------------------------------------------------------------------------


def test_without_options_the_search_is_the_models_own(model):
    assert model.decoding({}) == model.captioner.config.decoding


def test_options_change_the_search(model):
    decoding = model.decoding({"search": "beam", "beam_size": 7, "n": 3, "max_length": 12, "length_penalty": 1})
    assert (decoding.type, decoding.beam_size, decoding.n, decoding.max_length) == ("beam", 7, 3, 12)
    sample = model.decoding({"search": "sample", "temperature": 0.5, "top_k": 5, "top_p": 0.9, "seed": 4})
    assert (sample.type, sample.temperature, sample.top_k, sample.top_p, sample.seed) == ("sample", 0.5, 5, 0.9, 4)


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_are_bounded(model, name):
    kind, least, most = NUMBERS[name]
    search = {"temperature": "sample", "top_k": "sample", "top_p": "sample", "seed": "sample"}.get(name, "beam")
    more = {"max_length": 60} if name == "min_length" else {"min_length": 0} if name == "max_length" else {}
    for value in (least, most):
        model.decoding({"search": search, **more, name: kind(value)})
    for value in (least - 1, most + 1, True, str(least), None, float("nan"), float("inf"), 10**30):
        with pytest.raises(ConfigError, match=name):
            model.decoding({"search": search, name: value})


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"rerank": {"type": "mbr"}}, "rerank"),
        ({"exclude_file": "/etc/passwd"}, "exclude_file"),
        ({"groups": 5}, "groups"),
        ({"samples": 100}, "samples"),
        ({"beam_sise": 3}, "beam_sise"),
        ({"search": "mbr"}, "search"),
        ({"search": ["beam"]}, "search"),
        ({"prefix": "a " * 101}, "prefix"),
        ({"prefix": 7}, "prefix"),
        ({"prefix": "a\x00b"}, "prefix"),
        ({"include": "dog"}, "include"),
        ({"include": ["x"] * 21}, "include"),
        ({"exclude": ["x" * 101]}, "exclude"),
        ({"exclude": [7]}, "exclude"),
        ({"include": ["qwertyuiop"]}, "include"),
        ({"prefix": "qwertyuiop"}, "prefix"),
        ({"min_length": 20, "max_length": 10}, "min_length"),
        ({"search": "greedy", "beam_size": 3}, "beam_size"),
        ({"search": "sample", "include": ["a"]}, "include"),
    ],
)
def test_what_a_request_must_not_ask_for_is_refused(model, options, field):
    with pytest.raises(ConfigError, match=field):
        model.decoding(options)


def test_options_may_be_read_while_the_model_works(model):
    """The captioner keeps the words of its last search: a request must not change them from another thread."""
    before = model.captioner._wishes
    model.decoding({"exclude": ["a"]})
    assert model.captioner._wishes is before


# --- descriptions -----------------------------------------------------------------------------------------------------


def test_a_description_has_what_clients_need_and_no_path(model):
    described = model.describe()
    assert described["kind"] == model.name  # the fixture names them so
    assert described["words"] == len(model.captioner.vocabulary) > 4
    assert described["image_sizes"] == [list(size) for size in model.image_sizes]
    assert described["decoding"]["type"] in ("beam", "greedy") and "exclude_file" not in described["decoding"]
    assert isinstance(described["attends"], bool) and described["trained_on"]
    text = json.dumps(described)
    assert "/" not in text.replace("n/a", "") and "\\" not in text


# --- all of them ------------------------------------------------------------------------------------------------------


def test_the_first_model_is_the_default_and_others_are_chosen_by_name():
    models = Models.of(fake("one"), fake("two"))
    assert models.ready and models.get().name == "one" and models.get("two").name == "two"
    assert [one["default"] for one in models.describe()] == [True, False]
    with pytest.raises(UnknownModel, match=r"one, two"):
        models.get("three\x1b")
    asyncio.run(models.close())


def test_models_are_not_ready_until_all_are_loaded():
    models, second, done = Models(), threading.Event(), threading.Event()
    assert not models.ready

    def load_second():
        assert second.wait(10)
        return fake("two")

    models.start({"one": lambda: fake("one"), "two": load_second}, done.set)
    with pytest.raises(NotReady):
        models.get("two")
    with pytest.raises(NotReady):
        models.get()
    with pytest.raises(UnknownModel):
        models.get("three")
    second.set()
    assert done.wait(10) and models.ready and models.get("two").name == "two"
    asyncio.run(models.close())


def test_a_failed_load_is_kept_for_the_server():
    models, done = Models(), threading.Event()

    def fails():
        raise CheckpointError("weights are damaged")

    models.start({"one": fails, "two": lambda: fake("two")}, done.set)
    assert done.wait(10) and not models.ready and isinstance(models.error, CheckpointError)


def test_changes_to_the_search_are_those_of_the_command_line(tiny_run):
    load = prepare(NamedPath("m", tiny_run.run), SETTINGS, ["decoding.type=beam", "decoding.beam_size=2"])
    served = load()
    assert served.decoding({}).beam_size == 2
    asyncio.run(served.batcher.close())
    if has_starter():
        served = prepare(NamedPath("m", starter_folder()), SETTINGS, ["decoding.beam_size=2"])()
        assert (served.kind, served.decoding({}).beam_size) == ("export", 2)
        asyncio.run(served.batcher.close())
    for wrong in ("decoding.beam_size=0", "decoder.units=3", "nonsense"):
        with pytest.raises(ConfigError):
            prepare(NamedPath("m", tiny_run.run), SETTINGS, [wrong])
