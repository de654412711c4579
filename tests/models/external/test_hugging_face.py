"""Which files of a repository are fetched, in which revision, and what is said when they cannot be had."""

import json
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest

if not find_spec("huggingface_hub"):
    pytest.skip("huggingface_hub is not installed: pip install 'capsmith[blip]'", allow_module_level=True)

import huggingface_hub as hub
import huggingface_hub.constants
import huggingface_hub.errors

from capsmith.core.errors import ConfigError
from capsmith.models.external import hugging_face

NAME = "Someone/blip"
TITLE = "Adding `safetensors` variant of this model"


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A site with the given files by revision; returns what was fetched."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hugging_face, "_require_network", lambda _: None)

    def make(files: dict[str, dict[str, str]], requests: tuple[SimpleNamespace, ...] = ()) -> list[tuple[str, str]]:
        fetched: list[tuple[str, str]] = []

        def download(repository: str, file: str, revision: str | None = None) -> str:
            at = revision or "main"
            if file not in files.get(at, {}):
                raise huggingface_hub.errors.EntryNotFoundError(f"no {file} in {repository}")
            fetched.append((at, file))
            path = tmp_path / at / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(files[at][file])
            return str(path)

        monkeypatch.setattr(hub, "hf_hub_download", download)
        monkeypatch.setattr(hub.HfApi, "get_repo_discussions", lambda *_, **__: iter(requests))
        return fetched

    return make


def fetch(name: str = NAME) -> Path:
    return hugging_face.repository_folder("blip:", name, "blip", ["config.json"], ["vocab.txt", "extra.json"])


def request(author: str = "SFconvertbot", title: str = TITLE, status: str = "open", num: int = 7) -> SimpleNamespace:
    return SimpleNamespace(author=author, title=title, status=status, num=num)


MAIN = {"config.json": "{}", "vocab.txt": "a", "pytorch_model.bin": "pickle", "evil.py": "x"}
SAFE = {**MAIN, "model.safetensors": "w"}


def test_only_what_is_needed_is_fetched_and_never_a_pickle(site):
    fetched = site({"main": SAFE})
    assert sorted(path.name for path in fetch().iterdir()) == ["config.json", "model.safetensors", "vocab.txt"]
    assert {file for _, file in fetched} == {"config.json", "model.safetensors", "vocab.txt"}


def test_weights_converted_by_hugging_face_are_found(site):
    site({"main": MAIN, "refs/pr/7": SAFE}, (request("other", num=3), request()))
    folder = fetch()
    assert folder.parts[-3:] == ("refs", "pr", "7")
    assert (folder / "model.safetensors").is_file() and (folder / "vocab.txt").is_file()


@pytest.mark.parametrize(
    "requests", [(), (request("someone"),), (request(title="better weights"),), (request(status="closed"),)]
)
def test_weights_of_strangers_are_not(site, requests):
    site({"main": MAIN, "refs/pr/7": SAFE}, requests)
    with pytest.raises(ConfigError) as caught:
        fetch()
    assert "pickles are not loaded" in str(caught.value) and "\n" not in str(caught.value)


def test_a_revision_can_be_named(site):
    site({"main": MAIN, "refs/pr/5": SAFE}, (request(),))
    assert fetch(f"{NAME}@refs/pr/5").parts[-1] == "5"


def test_all_shards_are_fetched(site):
    index = json.dumps({"weight_map": {"a": "1.safetensors", "b": "2.safetensors", "c": "1.safetensors"}})
    shards = {"model.safetensors.index.json": index, "1.safetensors": "x", "2.safetensors": "y"}
    fetched = site({"main": {**MAIN, **shards}})
    assert {"1.safetensors", "2.safetensors"} <= {path.name for path in fetch().iterdir()}
    assert len(fetched) == len(set(fetched))


def test_what_is_cached_needs_no_network(site, tmp_path, monkeypatch):
    site({})
    monkeypatch.setattr(hugging_face, "_require_network", lambda _: pytest.fail("asked for the network"))
    for ref, at in (("refs/main", "aa"), ("refs/refs/pr/7", "bb")):
        store = tmp_path / "cache" / "models--Someone--blip"
        (store / ref).parent.mkdir(parents=True, exist_ok=True)
        (store / ref).write_text(at * 20)
        (store / "snapshots" / (at * 20)).mkdir(parents=True)
        for name in ("config.json", *(["model.safetensors"] if at == "bb" else [])):
            (store / "snapshots" / (at * 20) / name).write_text("x")
    assert fetch().name == "bb" * 20


@pytest.mark.parametrize("fault", ["slow", "refused", "gone"])
def test_a_fault_of_the_network_is_one_line(site, monkeypatch, fault):
    import time

    def download(*_: object, **__: object) -> str:
        if fault == "slow":
            time.sleep(2)
        if fault == "gone":
            raise huggingface_hub.errors.LocalEntryNotFoundError("x")
        raise ConnectionError("refused\nby the proxy")

    site({})
    monkeypatch.setattr(hub, "hf_hub_download", download)
    monkeypatch.setattr(hugging_face, "PATIENCE", 0.2)
    start = time.monotonic()
    with pytest.raises(ConfigError) as caught:
        fetch()
    assert time.monotonic() - start < 1.5
    assert "\n" not in str(caught.value) and "docs/other_captioners.md" in str(caught.value)
