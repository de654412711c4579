import pytest

from capsmith.cli import main
from capsmith.data import DATASETS
from capsmith.decoding.config import DECODINGS
from capsmith.decoding.rerank.config import RERANKERS
from capsmith.metrics.scorer import METRICS
from capsmith.models.decoders.config import DECODERS
from capsmith.vision.encoders import ENCODERS


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("encoders", ENCODERS),
        ("decoders", DECODERS.names()),
        ("datasets", DATASETS.names()),
        ("metrics", METRICS),
        ("decodings", DECODINGS.names()),
        ("rerankers", RERANKERS.names()),
        ("configs", ["quickstart.yaml", "flickr8k.yaml", "folder.yaml"]),
    ],
)
def test_lists_every_name_with_its_description(kind, names, capsys):
    assert main(["list", kind]) == 0
    lines = capsys.readouterr().out.splitlines()
    shown = {line.split()[0]: line.split(maxsplit=1)[1] for line in lines}
    assert set(names) <= set(shown)
    assert all(len(text) > 10 for text in shown.values())


def test_custom_configs_are_listed_even_if_invalid(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "empty.yaml").write_bytes(b"")
    (tmp_path / "configs" / "other.yaml").write_bytes(b"# \xff\xfe not UTF-8\n")
    assert main(["list", "configs"]) == 0
    shown = capsys.readouterr().out
    assert "empty.yaml" in shown
    assert "quickstart.yaml" in shown
