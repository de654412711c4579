"""The options of ``capsmith serve``: what they set, and one line for what they must not be."""

import sys

import pytest

from capsmith.cli import main
from capsmith.cli.serve import bytes_of, settings_of
from capsmith.core.errors import ConfigError
from capsmith.deploy.serving.settings import ServeSettings


@pytest.fixture
def parsed():
    """Returns the settings of a command line."""
    import argparse

    from capsmith.cli import serve

    def settings(*arguments):
        parser = argparse.ArgumentParser()
        serve.add_arguments(parser)
        return settings_of(parser.parse_args(arguments))

    return settings


def test_the_defaults_are_those_of_the_settings(parsed):
    assert parsed() == ServeSettings()
    assert parsed().host == "127.0.0.1" and parsed().max_upload == 10_000_000


def test_options_set_the_limits(parsed, tmp_path):
    keys = tmp_path / "keys"
    keys.write_text("0123456789abcdef\n")
    keys.chmod(0o600)
    options = (
        "--host ::1 --port 0 --max-upload 2.5MB --max-images 3 --max-queue 9 --max-batch 4 --threads 1 --workers 5"
    )
    settings = parsed(*options.split(), "--api-key-file", str(keys), "--allowed-host", "photos.example", "--verbose")
    assert settings == ServeSettings(
        host="::1",
        port=0,
        hosts=("photos.example",),
        keys=("0123456789abcdef",),
        max_upload=2_500_000,
        max_images=3,
        max_queue=9,
        max_batch=4,
        threads=1,
        workers=5,
        verbose=True,
    )


@pytest.mark.parametrize(("text", "size"), [("10MB", 10**7), ("500kb", 5 * 10**5), ("20000", 20_000), ("1 G", 10**9)])
def test_sizes(text, size):
    assert bytes_of(text, "--max-upload") == size


@pytest.mark.parametrize("text", ["", "ten", "-1MB", "1TB", "10 MB MB", "1e9", "1KB", "2GB", "٣MB", "NaN", "1" * 40])
def test_what_is_not_a_size_is_refused(text):
    with pytest.raises(ConfigError, match="--max-upload"):
        bytes_of(text, "--max-upload")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--port", "70000"],
        ["--host", "no-such-host.invalid"],
        ["--max-batch", "0"],
        ["--max-queue", "-3"],
        ["--threads", "1000"],
        ["--max-upload", "huge"],
        ["--api-key-file", "no/such/file"],
        ["--set", "nonsense"],
        ["--set", "decoding.beam_size=0"],
        ["--set", "decoder.units=3"],
        ["no/such/run"],
        ["a=no/such/run"],
        ["starter", "starter"],
        ["bad name=starter"],
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(arguments, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert main(["serve", "--port", "0", *arguments] if "--port" not in arguments else ["serve", *arguments]) == 2
    errors = capsys.readouterr().err
    assert errors.splitlines()[-1].startswith("capsmith: ") and "Traceback" not in errors


def test_a_missing_extra_is_named(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert main(["serve", "--port", "0", "starter"]) == 2
    assert "pip install 'capsmith[serve]'" in capsys.readouterr().err
