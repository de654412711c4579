"""What the page asks of the service: search options, the command that does the same, keys, and each kind of failure."""

import json
import shutil
import subprocess

import pytest

from capsmith.deploy.serving import bounds
from capsmith.deploy.serving.settings import ServeSettings
from tests.support.service import image_bytes
from tests.support.service_page import CAPTIONED, FAILED, PageVisit, caption_of, page_server

RED, GREEN = ("red.png", image_bytes((200, 20, 20), (90, 60))), ("green.png", image_bytes((20, 200, 20), (90, 60)))
OPTIONS = {
    "search": "beam",
    "beam_size": "7",
    "n": "2",
    "prefix": "a",
    "include": "red, green|blue",
    "exclude": "dog",
    "min_length": "2",
    "max_length": "9",
    "length_penalty": "0.5",
    "no_repeat": "3",
}


RECORD = """() => {
    window.sent = [];
    const send = XMLHttpRequest.prototype.send;
    XMLHttpRequest.prototype.send = function (body) {
        if (body) window.sent.push([...body].filter(([name]) => name !== 'image'));
        return send.call(this, body);
    };
}"""


def open_options(visit):
    if visit.page.locator("#options").is_hidden():
        visit.page.click(".options summary")
    visit.page.click("#options [type=reset]")


def fill(visit, options):
    for name, value in options.items():
        if name == "search":
            visit.page.select_option("#search", value)
        else:
            visit.page.fill(f"#{name}", value)


def test_options_are_sent_and_said(visit):
    visit.page.evaluate(RECORD)
    open_options(visit)
    fill(visit, OPTIONS)
    visit.choose(RED)
    lists = [["include", "red"], ["include", "green|blue"], ["exclude", "dog"]]
    (found,) = visit.page.evaluate("window.sent")
    assert [pair for pair in found if pair[0] in ("include", "exclude")] == lists
    single = [[name, value] for name, value in OPTIONS.items() if name not in ("include", "exclude")]
    assert sorted(pair for pair in found if pair not in lists) == sorted([*single, ["attention", "true"]])
    assert "beam size 7" in visit.page.inner_text("#options-summary")
    open_options(visit)
    visit.page.click("#apply")
    visit.page.wait_for_function("() => window.sent.length === 2")
    assert visit.page.evaluate("window.sent[1]") == [["attention", "true"]]
    visit.wait(RED)


@pytest.mark.parametrize(
    ("search", "shown", "hidden"),
    [
        ("greedy", {"include", "prefix"}, {"beam_size", "length_penalty", "temperature", "seed"}),
        ("sample", {"temperature", "top_k", "top_p", "seed", "n"}, {"beam_size", "include"}),
        ("beam", {"beam_size", "include", "length_penalty", "n"}, {"temperature", "top_p"}),
    ],
)
def test_only_options_of_the_search_are_shown(visit, search, shown, hidden):
    open_options(visit)
    visit.page.select_option("#search", search)
    assert [visit.page.locator(f"#{name}").is_visible() for name in sorted(shown)] == [True] * len(shown)
    assert [visit.page.locator(f"#{name}").is_visible() for name in sorted(hidden)] == [False] * len(hidden)
    open_options(visit)


def test_the_bounds_are_those_of_the_service(visit):
    named = visit.page.eval_on_selector_all("#options [name]", "all => all.map(field => field.name)")
    assert set(named) == set(bounds.OPTIONS)
    for name, (kind, least, most) in bounds.NUMBERS.items():
        field = visit.page.locator(f"#{name}")
        found = [float(field.get_attribute(bound)) for bound in ("min", "max")]
        assert (found, field.get_attribute("step") == "1") == ([least, most], kind is int), name
    assert int(visit.page.get_attribute("#prefix", "maxlength")) == bounds.MAX_PREFIX


def test_a_value_out_of_bounds_is_not_sent(visit):
    visit.choose(RED)
    open_options(visit)
    visit.page.fill("#beam_size", "99")
    visit.requests.clear()
    visit.page.click("#apply")
    assert visit.page.evaluate("document.activeElement.id") == "beam_size" and visit.requests == []
    open_options(visit)


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
@pytest.mark.parametrize("name", ["red.png", 'it\'s my "dog"; $(id),1.png', "ein Hünd & co.png"])
def test_the_command_gives_what_the_page_shows(visit, tmp_path, name):
    (tmp_path / name).write_bytes(RED[1])
    open_options(visit)
    fill(visit, {"search": "beam", "beam_size": "4", "n": "2", "include": "red", "exclude": "dog, it's $HOME"})
    card = visit.choose((name, RED[1]))
    command = card.locator(".request code").text_content()
    open_options(visit)
    assert f"Command copied: {command}" == _copied(visit, card)
    answer = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, check=True, timeout=30)
    (result,) = json.loads(answer.stdout)["results"]
    assert result["caption"] == caption_of(card) == "a red picture"
    assert (
        result["image"] == name.replace('"', "%22")
        and len(result["alternatives"]) == 1
        and "attention" in result["words"][0]
    )


def _copied(visit, card):
    card.locator(".request summary").click()
    card.locator(".copy-curl").click()
    visit.hear("Command copied")
    return f"Command copied: {visit.page.evaluate('navigator.clipboard.readText()')}"


def test_what_is_not_an_image_is_refused_in_words(visit):
    card = visit.choose(("notes.txt", b"not an image"), GREEN, state=FAILED)
    assert "image" in card.locator(".photo-status").inner_text()
    assert card.locator(".retry").is_visible()
    assert caption_of(visit.page.locator(CAPTIONED)) == "a green picture"


def test_options_that_the_model_refuses_are_explained(visit):
    open_options(visit)
    fill(visit, {"search": "beam", "prefix": "zzzunknown"})
    card = visit.choose(RED, state=FAILED)
    assert "zzzunknown" in card.locator(".photo-status").inner_text()
    open_options(visit)
    card.locator(".retry").click()
    visit.wait(RED)


@pytest.fixture
def answered(context, address):
    """A visit whose requests for captions are first answered by given problems."""

    def begin(*answers, path="captions"):
        left = list(answers)

        def handle(route):
            answer = left.pop(0) if left else None
            if answer is None:
                route.continue_()
            elif answer == "gone":
                route.abort()
            else:
                status, headers = answer
                body = json.dumps({"type": "about:blank", "title": "T", "status": status, "detail": "why it is so"})
                route.fulfill(status=status, headers={"content-type": "application/problem+json"} | headers, body=body)

        context.route(f"**/v1/{path}", handle)
        return PageVisit.begin(context, address, example=False)

    return begin


def test_a_busy_server_is_asked_again_when_it_says(answered):
    visit = answered((429, {"retry-after": "2"}), (503, {"retry-after": "1"}))
    visit.page.wait_for_function("() => /busy.*2\\ss/.test(document.querySelector('.photo-status')?.textContent)")
    visit.page.wait_for_selector(CAPTIONED)


def test_models_that_are_loading_are_waited_for(answered):
    visit = answered((503, {"retry-after": "2"}), path="models")
    visit.page.wait_for_function("() => /loading/.test(document.getElementById('state').textContent)")
    visit.page.wait_for_selector(CAPTIONED)
    assert visit.page.locator("#state").is_hidden()


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        ("gone", "running"),
        ((413, {}), "too large"),
        ((500, {}), "failed"),
        ((504, {}), "too long"),
        ((403, {}), "refuses"),
    ],
)
def test_each_failure_is_said_and_can_be_tried_again(answered, answer, word):
    visit = answered(answer)
    visit.page.wait_for_selector(FAILED)
    assert word in visit.page.inner_text(".photo-status")
    visit.page.click(".retry")
    visit.page.wait_for_selector(CAPTIONED)


def test_a_server_that_comes_back_is_used_again(answered):
    visit = answered("gone", path="models")
    visit.page.wait_for_function("() => /running/.test(document.getElementById('state').textContent)")
    visit.choose(RED)
    assert visit.page.locator("#state").is_hidden()


def test_a_file_that_can_no_longer_be_read(answered, tmp_path):
    visit = answered((503, {"retry-after": "2"}), path="models")
    (tmp_path / "gone.png").write_bytes(RED[1])
    visit.page.set_input_files("#files", tmp_path / "gone.png")
    (tmp_path / "gone.png").unlink()
    card = visit.wait(tmp_path / "gone.png", FAILED)
    assert "cannot be read" in card.locator(".photo-status").inner_text()


def test_a_photograph_that_is_removed_is_no_longer_waited_for(answered):
    visit = answered((429, {"retry-after": "1"}))
    visit.page.wait_for_function("() => /busy/.test(document.querySelector('.photo-status')?.textContent)")
    visit.page.click(".remove")
    visit.requests.clear()
    visit.page.wait_for_timeout(1300)
    assert visit.requests == [] and visit.page.locator(".photo").count() == 0


def test_a_photograph_over_the_limit_of_the_server_is_sent_smaller(context):
    with page_server(ServeSettings(max_upload=60_000)) as address:
        visit = PageVisit.begin(context, address)
        large = ("large.png", image_bytes((9, 200, 9), (2000, 50), "BMP"))
        card = visit.choose(large, state=FAILED)
        assert "too large" in card.locator(".photo-status").inner_text()
        card.locator(".smaller").click()
        assert caption_of(visit.wait(large)) == "a green picture"
        assert "1600 × 40" in card.locator(".photo-foot").inner_text()


KEY = "k" * 40


def test_the_page_asks_for_a_key_and_keeps_it_in_the_tab(context):
    with page_server(ServeSettings(keys=(KEY,))) as address:
        visit = PageVisit.begin(context, address, example=False)
        visit.page.wait_for_selector("#key:visible")
        visit.page.fill("#key-field", "wrong")
        visit.page.press("#key-field", "Enter")
        visit.page.wait_for_selector("#key-wrong:visible")
        visit.page.fill("#key-field", KEY)
        visit.page.press("#key-field", "Enter")
        visit.page.wait_for_selector(CAPTIONED)
        assert visit.page.locator("#key").is_hidden()
        command = visit.page.locator(".request code").text_content()
        assert KEY not in visit.page.content() and "$CAPSMITH_API_KEY" in command
        assert visit.page.evaluate("[Object.keys(localStorage).length, document.cookie]") == [0, ""]
        assert KEY in visit.page.evaluate("Object.values(sessionStorage)")
        visit.page.reload()
        visit.page.wait_for_selector(CAPTIONED)
