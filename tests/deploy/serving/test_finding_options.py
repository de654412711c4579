"""``capsmith serve --recommend … --search …``: what is loaded, what is shared, and one line for what is wrong."""

import pytest

from capsmith.cli import main
from capsmith.core.errors import CapsmithError
from capsmith.deploy.search import build_index
from capsmith.deploy.serving.embedding.loading import Finding, embeddings_of
from capsmith.deploy.serving.embedding.shared_embedder import SharedEmbedder
from capsmith.deploy.serving.settings import ServeSettings
from capsmith.models import embedders
from tests.support.finding import colour_photos
from tests.support.toy_embedder import ToyEmbedder


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A folder with a library and an index, where every run is the embedding of colours."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(embedders, "load_embedder", lambda models=None, engine=None: ToyEmbedder("/runs/toy"))
    build_index(colour_photos(tmp_path / "photos"), tmp_path / "photos.index", ToyEmbedder(), runs=[tmp_path])
    (tmp_path / "own words.csv").write_text("caption,description,theme\nRosy,red,warm\nRosy,red,warm\nCalm,blue,cool\n")
    return tmp_path


def embeddings(finding):
    return embeddings_of(finding, ServeSettings(), lambda: None)


def test_a_library_and_an_index_of_one_model_share_it(home):
    finding = Finding(["/runs/toy"], None, [str(home / "own words.csv")], [f"mine={home / 'photos.index'}"])
    found = embeddings(finding)
    assert not found.ready and found.index_names == ["mine"]
    found.load()
    assert found.ready and found.libraries is not None
    assert list(found.libraries.libraries) == ["own-words"] and found.index("mine").embedder is found.libraries.embedder
    described = found.index().describe()
    assert described["images"] == 13 and described["model"] == "toy"
    notes = found.libraries.libraries["own-words"].notes
    assert len(notes) == 1 and str(home) not in notes[0]


def test_a_refresh_brings_the_index_up_to_date(home):
    found = embeddings(Finding(search=[str(home / "photos.index")]))
    found.load()
    (home / "photos" / "white-0.png").unlink()
    told = []
    report = found.index("photos").place.scan(lambda done, total: told.append((done, total)))
    assert report["deleted"] == 1 and report["total"] == 12 and report["failed"] == 0
    assert len(found.index("photos").index) == 12


@pytest.mark.parametrize(
    ("finding", "says"),
    [
        (Finding(search=["no such.index"]), "no such.index"),
        (Finding(search=["bad name=x"]), "NAME=PATH"),
        (Finding(search=["a="]), "NAME=PATH"),
        (Finding(captions=["words.txt"]), "--recommend"),
        (Finding(["run"], "clip:x"), "--engine"),
        (Finding(["run"], None, ["missing.csv"]), "missing.csv"),
    ],
)
def test_what_is_wrong_is_one_line(finding, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CapsmithError, match=says) as refused:
        embeddings(finding)
    assert "\n" not in str(refused.value)


def test_two_indexes_need_two_names(home):
    with pytest.raises(CapsmithError, match="two are called photos"):
        embeddings(Finding(search=[str(home / "photos.index")] * 2))


@pytest.mark.parametrize(
    "arguments",
    [
        ["--search", "no/such.index"],
        ["--captions", "words.txt"],
        ["--recommend", "run", "--engine", "clip:x"],
        ["--recommend", "run", "--captions", "no/such.csv"],
    ],
)
def test_the_command_ends_with_one_line(arguments, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert main(["serve", "--port", "0", *arguments]) == 2
    errors = capsys.readouterr().err
    assert errors.splitlines()[-1].startswith("capsmith: ") and "Traceback" not in errors


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("/home/a b/runs/mine", "mine"),
        ("runs/one + runs/two", "one + two"),
        ("clip:/models/ViT-B/", "clip:ViT-B/"),
        ("clip:clip_vit_base_patch32", "clip:clip_vit_base_patch32"),
        ("C:\\runs\\mine", "mine"),
    ],
)
def test_clients_see_no_folder_of_a_model(name, shown):
    assert SharedEmbedder(ToyEmbedder(name)).name == shown


def test_equal_texts_are_embedded_once(monkeypatch):
    seen = []
    toy = ToyEmbedder()
    monkeypatch.setattr(
        toy, "embed_texts", lambda texts: seen.append(list(texts)) or ToyEmbedder.embed_texts(toy, texts)
    )
    shared = SharedEmbedder(toy)
    first = shared.embed_texts(["red", "blue", "red"])
    again = shared.embed_texts(["blue", "green", "red"])
    assert seen == [["red", "blue"], ["green"]]
    assert (again[0] == first[1]).all() and (again[2] == first[0]).all() and (first[2] == first[0]).all()
