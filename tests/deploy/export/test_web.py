"""The page of a web export in a real browser: Python's captions, nothing requested from elsewhere, offline, accessible.

Skips without Playwright, Chromium, the packages of the extra ``export``, or a copy of onnxruntime-web: the file that
``CAPSMITH_ONNXRUNTIME_WEB`` names, or what npm can fetch.
"""

import base64
import http.server
import json
import os
import re
import shutil
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from benchmarks import browser
from capsmith import Captioner
from capsmith.core.errors import CapsmithError
from capsmith.core.pages.stylesheet import tokens
from capsmith.data.text.config import TextConfig
from capsmith.data.text.tokens import detokenise
from capsmith.decoding.beam import beam
from capsmith.decoding.config import BeamConfig, GreedyConfig
from capsmith.decoding.namespace import NumpyNamespace
from capsmith.decoding.sampling import greedy
from capsmith.decoding.wishes import Wishes
from capsmith.deploy.export.formats import FORMATS, chosen_quantisation
from capsmith.deploy.export.onnxruntime_web import onnxruntime_web
from capsmith.deploy.export.verify import LoadedExport
from capsmith.vision.images import load_image
from capsmith.vision.joined import join_features
from tests.support.table_model import A, B, C, Table, V, features

pytest.importorskip("playwright", reason="needs playwright")
pytest.importorskip("tf2onnx", reason="needs capsmith[export]")
if browser.chromium() is None:
    pytest.skip("needs Chromium", allow_module_level=True)

SETTINGS = ["decoding.beam_size=3", "decoding.min_length=2", "decoding.max_length=8", "decoding.prefix=there is"]
WORDS = Wishes(V, prefix=(A, C), exclude=((B,), (C, A), (C, C, C)))


@pytest.fixture(scope="module")
def package():
    named = os.environ.get("CAPSMITH_ONNXRUNTIME_WEB")
    try:
        onnxruntime_web(Path(named) if named else None)
    except CapsmithError as error:
        pytest.skip(f"needs onnxruntime-web: {error}")
    return Path(named) if named else None


@pytest.fixture(scope="module")
def site(tiny_run, package, tmp_path_factory):
    """A web export in a sub-folder of a server's root."""
    from capsmith.deploy.export.export import export

    folder = tmp_path_factory.mktemp("www") / "some where" / "site"
    export(tiny_run.run, folder, "web", "float32", overrides=SETTINGS, onnxruntime_web=package)
    return folder


@pytest.fixture(scope="module")
def chromium():
    with browser.launched() as launched:
        yield launched


@pytest.fixture(scope="module")
def root(site):
    with browser.served(site.parents[1]) as address:
        yield address


@pytest.fixture(scope="module")
def visit(chromium, root):
    context = chromium.new_context(permissions=["clipboard-read", "clipboard-write"])
    yield browser.Visit.begin(context, f"{root}/some where/site/")
    context.close()


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Files of every kind that needs care before the encoder sees it."""
    folder = tmp_path_factory.mktemp("photos")
    scene = Image.new("RGB", (90, 60), (40, 90, 200))
    draw = ImageDraw.Draw(scene)
    draw.rectangle((0, 40, 90, 60), fill=(60, 140, 50))
    draw.ellipse((10, 15, 40, 45), fill=(220, 60, 40))
    exif = Image.Exif()
    exif[0x0112] = 6
    scene.save(folder / "plain.png")
    scene.save(folder / "photo.jpg", quality=92)
    scene.save(folder / "rotated.jpg", exif=exif, quality=92)
    scene.resize((900, 700)).save(folder / "large.jpg", quality=92)
    scene.convert("L").save(folder / "grey.png")
    scene.quantize(16).save(folder / "palette.gif")
    scene.convert("CMYK").save(folder / "cmyk.jpg", quality=92)
    scene.save(folder / "photo.webp", lossless=True)
    cut = scene.convert("RGBA")
    cut.putalpha(Image.linear_gradient("L").resize(scene.size))
    cut.save(folder / "transparent.png")
    return sorted(folder.iterdir())


def test_captions_and_scores_are_those_of_python(visit, tiny_run, photos):
    captioner = Captioner.load(tiny_run.run, overrides=SETTINGS)
    expected = captioner.caption(photos)
    shown = visit.caption(photos)
    assert [card.state for card in shown] == ["captioned"] * len(photos)
    assert [card.text for card in shown] == [caption.text for caption in expected]
    assert [card.others for card in shown] == [[one.text for one in caption.alternatives] for caption in expected]
    assert [card.alt for card in shown] == [caption.text for caption in expected]
    np.testing.assert_allclose([card.score for card in shown], [one.score for one in expected], atol=2e-3)
    assert len({round(one.score, 5) for one in expected}) > len(photos) // 2  # the images do differ


@pytest.mark.parametrize("quantise", ["float16", "int8"])
def test_quantised_files_give_the_captions_of_onnxruntime(chromium, site, tiny_run, photos, tmp_path, quantise):
    import onnx

    from capsmith.deploy.export.onnx_weights import store_float16, store_int8

    folder = Path(shutil.copytree(site, tmp_path / "site"))
    manifest = json.loads((folder / "manifest.json").read_text())
    for name in ("encoder.onnx", "start.onnx", "step.onnx"):
        stored = {"float16": store_float16, "int8": store_int8}[quantise](onnx.load(folder / name))
        (folder / name).write_bytes(stored.SerializeToString())
        manifest["files"][name]["bytes"] = (folder / name).stat().st_size
    (folder / "manifest.json").write_text(json.dumps(manifest))
    captioner = Captioner.load(tiny_run.run, overrides=SETTINGS)
    python = LoadedExport(folder, manifest["members"], FORMATS["web"], captioner)
    expected = [python.caption(python.features(photo), captioner.config.decoding) for photo in photos]
    context = chromium.new_context()
    with browser.served(tmp_path) as address:
        shown = browser.Visit.begin(context, f"{address}/site/").caption(photos)
    context.close()
    assert [card.text for card in shown] == [caption.text for caption in expected]
    np.testing.assert_allclose([card.score for card in shown], [one.score for one in expected], atol=2e-3)


def test_the_default_is_float16_and_float32_can_be_named():
    web, onnx = FORMATS["web"], FORMATS["onnx"]
    asked = [(web, None), (web, "float32"), (web, "int8"), (onnx, None), (onnx, "float32"), (onnx, "float16")]
    found = [chosen_quantisation(*one) for one in asked]
    assert found == ["float16", None, "int8", None, None, "float16"]


def test_pixels_are_those_of_python(visit, photos):
    body = """
        const bytes = Uint8Array.from(atob(argument.data), c => c.charCodeAt(0));
        const bitmap = await module.decodeImage(new File([bytes], argument.name));
        return Array.from(module.pixelsOf(bitmap, argument.size, argument.jpeg));
    """
    for photo in photos:
        argument = {
            "data": base64.b64encode(photo.read_bytes()).decode(),
            "name": photo.name,
            "size": [48, 40],
            "jpeg": photo.suffix == ".jpg",
        }
        pixels = np.array(visit.run_module("image.js", body, argument)).reshape(48, 40, 3)
        difference = np.abs(pixels - load_image(photo, (48, 40)).astype(int))
        exact = photo.name not in ("large.jpg", "cmyk.jpg")  # decoded at a fraction of its size; another conversion
        assert difference.max() <= (1 if exact else 8), photo.name
        assert difference.mean() <= (0.5 if exact else 1.5), photo.name


@pytest.mark.parametrize(
    ("source", "target"), [((90, 61), (40, 48)), ((31, 17), (64, 70)), ((48, 90), (48, 20)), ((7, 300), (7, 300))]
)
def test_resizing_is_pillows(visit, source, target):
    pixels = np.random.default_rng(0).integers(0, 256, (source[1], source[0], 3), np.uint8)
    body = """
        const [[width, height], [columns, lines]] = [argument.source, argument.target];
        const rows = module.resizeRows(argument.pixels, height, width, 3, module.weights(width, columns));
        return Array.from(module.resizeColumns(rows, columns, module.weights(height, lines)));
    """
    argument = {"source": source, "target": target, "pixels": pixels.ravel().tolist()}
    found = np.array(visit.run_module("resample.js", body, argument)).reshape(target[1], target[0], 3)
    expected = Image.fromarray(pixels).resize(target, Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(found, np.asarray(expected))


SEARCHES = [
    GreedyConfig(max_length=6),
    GreedyConfig(max_length=5, min_length=3, no_repeat=2),
    BeamConfig(beam_size=1, max_length=5),
    BeamConfig(beam_size=3, max_length=6),
    BeamConfig(beam_size=5, max_length=7, min_length=3, length_penalty=0.0),
    BeamConfig(beam_size=4, max_length=6, length_penalty=2.0, no_repeat=1),
    BeamConfig(beam_size=4, max_length=7, no_repeat=2, min_length=4),
    BeamConfig(beam_size=5, max_length=2),
    BeamConfig(beam_size=6, groups=3, max_length=6, diversity=0.8),
    BeamConfig(beam_size=4, groups=4, max_length=5, diversity=3.0, no_repeat=1),
    BeamConfig(beam_size=40, max_length=3),
]


def _first_of_equals(array, k):
    """Returns the k largest, of equal ones the first, as the compiled search does; NumPy's own takes any of them."""
    index = np.argsort(-array, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(array, index, axis=1), index.astype(np.int32)


def _python(model, images, config, words):
    return (beam if config.type == "beam" else greedy)(config, model, images, words)


@pytest.mark.parametrize("words", [None, WORDS], ids=["free", "words"])
@pytest.mark.parametrize("ties", [False, True], ids=["distinct", "ties"])
def test_searches_find_the_hypotheses_of_python(visit, ties, words, monkeypatch):
    monkeypatch.setattr(NumpyNamespace, "top_k", staticmethod(_first_of_equals))
    images = 12
    model = Table(images, seed=3)
    if ties:
        model.table = np.round(model.table)
    expected = [
        [[(list(h.tokens), h.log_probability, h.score, h.ended) for h in found] for found in ranked]
        for ranked in (_python(model, features(images), config, words) for config in SEARCHES)
    ]
    body = """
        const results = [];
        for (const decoding of argument.decodings) {
            const ofImages = [];
            for (const table of argument.tables) {
                let before = [0];
                const step = async (tokens, parents) => {
                    const own = Array.from(parents, parent => before[parent]);
                    before = Array.from(tokens);
                    return Float32Array.from(own.flatMap((one, row) => table[one][tokens[row]]));
                };
                ofImages.push(await module.search(step, decoding, argument.words ?? undefined));
            }
            results.push(ofImages.map(found => found.map(h => [h.tokens, h.logProbability, h.score, h.ended])));
        }
        return results;
    """
    argument = {"decodings": [config.model_dump() for config in SEARCHES], "tables": model.table.tolist()}
    argument["words"] = words and {"prefix": words.prefix, "exclude": words.exclude}
    found = visit.run_module("search.js", body, argument)
    for config, ours, theirs in zip(SEARCHES, found, expected, strict=True):
        for one, other in zip(ours, theirs, strict=True):
            assert [(h[0], h[3]) for h in one] == [(h[0], h[3]) for h in other], config
            np.testing.assert_allclose([h[1:3] for h in one], [h[1:3] for h in other], rtol=1e-6)


def test_text_is_joined_as_in_python(visit):
    sentences = [["the", "dog", "'s", "ball"], ["'s"], ["l'homme", "n't"], ["एक", "'s"], ["'", "'s"], ["7", "'LL"], []]
    body = "return argument.map(words => module.detokenise(words, {mode: 'word'}));"
    assert visit.run_module("text.js", body, sentences) == [detokenise(words, TextConfig()) for words in sentences]
    body = "return module.decode(argument, {pieces: true, words: ['', '', '', '', 'un', '##related', '##', 'b']});"
    assert visit.run_module("text.js", body, [4, 5, 6, 7, 5, 3, 4]) == ["unrelated", "##", "brelated"]


def test_features_are_joined_as_in_python(visit):
    rng = np.random.default_rng(5)
    parts = [(scale * rng.normal(size=(1, regions, 3))).astype(np.float32) for regions, scale in ((9, 1), (16, 1e-5))]
    body = """
        const parts = argument.map(part => ({data: Float32Array.from(part.flat()), shape: [part.length, 3]}));
        return Array.from(module.joinFeatures(parts, true));
    """
    found = np.array(visit.run_module("features.js", body, [part[0].tolist() for part in parts])).reshape(9, 6)
    expected = join_features([part.astype(np.float16) for part in parts])[0]
    np.testing.assert_array_equal(found[:, :3], expected[:, :3])
    np.testing.assert_allclose(found[:, 3:], expected[:, 3:], atol=6e-8)  # the last bit of a small float16


def test_files_that_are_no_images_are_refused_in_a_sentence(visit, photos, tmp_path):
    (tmp_path / "notes.txt").write_text("not an image")
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "half.png").write_bytes(photos[0].read_bytes()[:40])
    shown = visit.caption([tmp_path / "notes.txt", photos[0], tmp_path / "empty.png", tmp_path / "half.png"])
    assert [card.state for card in shown] == ["refused", "captioned", "refused", "refused"]
    assert all(card.text.endswith(".") and "Error" not in card.text for card in shown if card.state == "refused")
    visit.problems[:] = [text for text in visit.problems if "blob:" not in text]  # the image element cannot show them


def test_the_keyboard_reaches_everything_and_copies(visit, photos):
    (shown,) = visit.caption(photos[:1])
    visit.page.evaluate("document.activeElement.blur()")
    reached = []
    for _ in range(8):
        visit.page.keyboard.press("Tab")
        reached.append(visit.page.evaluate("document.activeElement.id || document.activeElement.className"))
        if reached[-1].endswith("copy"):
            visit.page.keyboard.press("Enter")
            visit.page.wait_for_function("() => document.activeElement.textContent === 'Copied'")
    assert {"files", "clear", "quiet copy"} <= set(reached)
    assert visit.page.evaluate("navigator.clipboard.readText()") == shown.text


def test_pasted_and_dropped_photos_are_captioned(visit, photos):
    data = list(photos[0].read_bytes())
    for kind in ("paste", "drop"):
        visit.page.evaluate("document.getElementById('clear').click()")
        visit.page.evaluate(
            """([kind, bytes]) => {
                const transfer = new DataTransfer();
                transfer.items.add(new File([Uint8Array.from(bytes)], 'photo.png', {type: 'image/png'}));
                const init = {bubbles: true, cancelable: true, clipboardData: transfer, dataTransfer: transfer};
                document.body.dispatchEvent(new ({paste: ClipboardEvent, drop: DragEvent}[kind])(kind, init));
            }""",
            [kind, data],
        )
        visit.page.wait_for_selector(".card[data-state=captioned]")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_accessible(visit, photos, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python")
    visit.page.emulate_media(color_scheme=scheme)
    visit.caption(photos[:2])
    visit.page.click(".card summary >> nth=0")
    results = axe.Axe().run(visit.page)
    assert [rule["id"] for rule in results.response["violations"]] == []


def test_nothing_is_requested_from_another_origin(visit, root, photos):
    visit.caption(photos)
    assert len(visit.requests) > 10
    assert [url for url in visit.requests if not url.startswith((f"{root}/", f"blob:{root}/"))] == []
    assert visit.problems == []


def test_requests_to_another_origin_are_blocked_in_page_and_worker(visit, site):
    asked = []

    class Other(http.server.BaseHTTPRequestHandler):
        def do_GET(self):  # noqa: N802
            asked.append(self.path)
            self.send_response(204)
            self.send_header("Access-Control-Allow-Origin", "*")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Other)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    before = len(visit.problems)
    try:
        attempt = "url => fetch(url).then(() => 'sent', () => 'blocked')"
        in_worker = """url => new Promise(resolve => {
            const code = `fetch(${JSON.stringify(url)}).then(() => postMessage('sent'), () => postMessage('blocked'))`;
            const worker = new Worker(URL.createObjectURL(new Blob([code], {type: 'text/javascript'})));
            worker.onmessage = ({data}) => resolve(data);
        })"""
        for script in (attempt, in_worker):
            assert visit.page.evaluate(script, f"http://127.0.0.1:{server.server_port}/") == "blocked"
    finally:
        server.shutdown()
        server.server_close()
        del visit.problems[before:]
    assert asked == []


def test_it_works_with_the_server_gone(chromium, site, photos):
    context = chromium.new_context()
    with browser.served(site.parent) as address:
        visit = browser.Visit.begin(context, f"{address}/site/")
        online = visit.caption(photos[:2])
        visit.page.wait_for_selector("body[data-offline]")
    visit.page.reload()
    visit.page.wait_for_selector("body[data-ready]")
    offline = visit.caption(photos[:2])
    assert [card.text for card in offline] == [card.text for card in online]
    assert visit.page.evaluate("crossOriginIsolated")  # threads, from the second visit on
    context.close()


def test_a_new_export_replaces_the_stored_one(chromium, site, tmp_path):
    changed = Path(shutil.copytree(site, tmp_path / "changed"))
    context = chromium.new_context()
    with browser.served(tmp_path) as address:
        visit = browser.Visit.begin(context, f"{address}/changed/")
        visit.page.wait_for_selector("body[data-offline]")
        page = (changed / "index.html").read_text()
        (changed / "index.html").write_text(page.replace("<h1>A caption", "<h1>Another caption"))
        worker = (changed / "service-worker.js").read_text()
        (changed / "service-worker.js").write_text(worker.replace('VERSION = "', 'VERSION = "replaced '))
        titles = []
        for _ in range(2):
            visit.page.reload()
            visit.wait_for_captioner()
            titles.append(visit.page.inner_text("h1").split()[0])
            deadline = time.monotonic() + 60
            while not all("replaced" in name for name in visit.page.evaluate("caches.keys()")):
                assert time.monotonic() < deadline
                time.sleep(0.1)
    assert titles == ["A", "Another"]
    context.close()


def test_an_incomplete_file_is_reported_on_the_page(chromium, site, tmp_path):
    broken = Path(shutil.copytree(site, tmp_path / "broken"))
    (broken / "step.onnx").write_bytes((broken / "step.onnx").read_bytes()[:-10])
    context = chromium.new_context()
    with browser.served(tmp_path) as address:
        visit = browser.Visit.begin(context, f"{address}/broken/")
        assert "step.onnx" in visit.page.inner_text("#failure")
    context.close()


def test_the_page_has_the_colours_of_every_page(site):
    style = (site / "style.css").read_text(encoding="utf-8")
    assert style.startswith(tokens())
    assert set(re.findall(r"var\((--[a-z0-9-]+)\)", style)) <= set(re.findall(r"^\s*(--[a-z0-9-]+):", tokens(), re.M))


def test_the_service_worker_stores_what_the_page_needs(site):
    listed = json.loads((site / "service-worker.js").read_text().split("const FILES = ")[1].split(";\n")[0])
    files = {path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file()}
    assert set(listed) <= files
    assert {"index.html", "manifest.json", "vocabulary.json", "ort/ort-wasm-simd-threaded.wasm"} <= set(listed)
    assert {name for name in files if name.endswith((".js", ".css", ".onnx"))} - {"service-worker.js"} <= set(listed)
    assert "@" not in (site / "service-worker.js").read_text()
    assert {"ort/LICENSE", "ort/ThirdPartyNotices.txt"} <= files
