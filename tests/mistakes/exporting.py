"""Mistakes in writing an export: foreign folders, unknown formats, runs that cannot be exported."""

import json

from tests.mistakes import Workshop, mistake


@mistake("export: an unknown format", "--format", "onx", "onnx")
def unknown_format(at: Workshop) -> list[str]:
    return ["export", str(at.toy.run), str(at / "out"), "--format", "onx"]


@mistake("export: an unknown quantisation", "int4", "int8")
def unknown_quantisation(at: Workshop) -> list[str]:
    return ["export", str(at.toy.run), str(at / "out"), "--quantise", "int4"]


@mistake("export: a quantisation that the format lacks", "savedmodel", "int8")
def quantised_savedmodel(at: Workshop) -> list[str]:
    return ["export", str(at.toy.run), str(at / "out"), "--format", "savedmodel", "--quantize", "int8"]


@mistake("export: not a run", "nothing")
def not_a_run(at: Workshop) -> list[str]:
    return ["export", str(at / "nothing"), str(at / "out")]


@mistake("export: a folder of other files", "out")
def foreign_folder(at: Workshop) -> list[str]:
    at.write("out/letter.txt", "dear")
    return ["export", str(at.toy.run), str(at / "out")]


@mistake("export: over its own run", "run")
def over_the_run(at: Workshop) -> list[str]:
    run = at.run()
    return ["export", str(run), str(run)]


@mistake("export: over a file", "out", "not a folder")
def over_a_file(at: Workshop) -> list[str]:
    at.write("out", "a file")
    return ["export", str(at.toy.run), str(at / "out")]


@mistake("export: over a link to a folder", "out", "not a folder")
def over_a_link(at: Workshop) -> list[str]:
    (at / "elsewhere").mkdir()
    (at / "out").symlink_to(at / "elsewhere")
    return ["export", str(at.toy.run), str(at / "out")]


@mistake("export: over an export to which somebody added a file", "out")
def over_a_changed_export(at: Workshop) -> list[str]:
    manifest = {"format": 1, "capsmith": "0", "kind": "onnx", "files": {}, "members": []}
    at.write("out/manifest.json", json.dumps(manifest))
    at.write("out/notes.txt", "mine")
    return ["export", str(at.toy.run), str(at / "out")]


@mistake("export: a manifest that claims other people's files", "out")
def over_a_claimed_folder(at: Workshop) -> list[str]:
    manifest = {"format": 1, "capsmith": "0", "kind": "onnx", "files": ["letter.txt"], "members": []}
    at.write("out/manifest.json", json.dumps(manifest))
    at.write("out/letter.txt", "dear")
    return ["export", str(at.toy.run), str(at / "out")]


@mistake("export: images that do not exist", "gone")
def no_such_images(at: Workshop) -> list[str]:
    return ["export", str(at.toy.run), str(at / "out"), "--images", str(at / "gone")]


@mistake("export: a folder without images", "pages", "no images")
def no_images(at: Workshop) -> list[str]:
    at.write("pages/letter.txt", "dear")
    return ["export", str(at.toy.run), str(at / "out"), "--images", str(at / "pages")]


@mistake("export: images of which none can be read", "broken")
def unreadable_images(at: Workshop) -> list[str]:
    at.write("broken/a.jpg", b"\xff\xd8 not an image")
    return ["export", str(at.toy.run), str(at / "out"), "--images", str(at / "broken")]


@mistake("export: a setting of the model changed", "decoder.units")
def changed_model(at: Workshop) -> list[str]:
    return ["export", str(at.toy.run), str(at / "out"), "--set", "decoder.units=8"]


@mistake("export: a reranker whose caption index is missing", "caption_index.npz")
def no_caption_index(at: Workshop) -> list[str]:
    return ["export", str(at.toy.run), str(at / "out"), "--set", "decoding.rerank={type: mbr}"]


@mistake("export: a run without weights", "model.weights.h5")
def no_weights(at: Workshop) -> list[str]:
    run = at.run()
    (run / "model.weights.h5").unlink()
    return ["export", str(run), str(at / "out")]


@mistake("export: a folder below a file", "file")
def below_a_file(at: Workshop) -> list[str]:
    at.write("file", "a file")
    return ["export", str(at.toy.run), str(at / "file" / "out")]
