"""The page in a real browser: photographs in, captions, words, other captions, editing, copying, downloading."""

import json
import math

import pytest

from tests.support.service import image_bytes
from tests.support.service_page import CAPTIONED, PageVisit, caption_of

RED, GREEN = ("red.png", image_bytes((200, 20, 20), (90, 60))), ("green.png", image_bytes((20, 200, 20), (90, 60)))
BLUE = ("blue.png", image_bytes((20, 20, 200), (60, 90)))
BRING = """([kind, name, bytes]) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([Uint8Array.from(bytes)], name, {type: 'image/png'}));
    const make = {paste: ClipboardEvent, drop: DragEvent}[kind];
    document.body.dispatchEvent(
        new make(kind, {bubbles: true, cancelable: true, clipboardData: transfer, dataTransfer: transfer}));
}"""


def clipboard(visit):
    return visit.page.evaluate("navigator.clipboard.readText()")


def test_the_first_example_is_captioned_at_once(context, address):
    visit = PageVisit.begin(context, address)
    assert visit.page.locator(".photo").count() == 1
    card = visit.page.locator(".photo").first
    assert card.get_attribute("data-name") == "dog.jpg"
    assert caption_of(card).endswith("picture")
    assert card.locator("img").get_attribute("alt") == caption_of(card)


def test_one_click_captions_an_example_and_a_second_brings_it_back(visit):
    for name in ("rocket.jpg", "bear.jpg", "rocket.jpg"):
        visit.page.click(f"[data-example='{name}']")
        visit.page.wait_for_selector(f".photo:first-child[data-name='{name}']{CAPTIONED[6:]}")
    names = visit.page.eval_on_selector_all(".photo", "cards => cards.map(card => card.dataset.name)")
    assert names == ["rocket.jpg", "bear.jpg"]


def test_several_photographs_each_get_a_card(visit):
    visit.choose(RED, GREEN, BLUE)
    cards = visit.page.locator(CAPTIONED)
    assert [caption_of(cards.nth(place)) for place in range(3)] == [
        "a red picture",
        "a green picture",
        "a blue picture",
    ]
    assert all(src.startswith("blob:") for src in cards.locator("img").evaluate_all("all => all.map(i => i.src)"))
    visit.page.click("#clear")
    assert visit.page.locator(".photo").count() == 0 and visit.page.locator("#results").is_hidden()


def test_a_photograph_is_removed_and_another_shown_large(visit):
    visit.choose(GREEN)
    visit.choose(RED)
    visit.page.locator(".photo").nth(1).locator(".enlarge").click()
    first = visit.page.locator(".photo").first
    assert first.get_attribute("data-name") == "green.png"
    assert first.bounding_box()["width"] > 900
    first.locator(".remove").click()
    assert visit.page.locator(".photo").count() == 1


@pytest.mark.parametrize("kind", ["paste", "drop"])
def test_a_photograph_is_brought(visit, kind):
    visit.page.evaluate(BRING, [kind, GREEN[0], list(GREEN[1])])
    assert caption_of(visit.wait(GREEN)) == "a green picture"


def test_the_page_shows_that_it_can_take_what_is_held_over_it(visit):
    over = """kind => {
        const transfer = new DataTransfer();
        transfer.items.add(new File([''], 'a.png'));
        document.body.dispatchEvent(new DragEvent(kind, {bubbles: true, cancelable: true, dataTransfer: transfer}));
    }"""
    visit.page.evaluate(over, "dragenter")
    assert visit.page.locator(".drop-veil").is_visible()
    visit.page.evaluate(over, "dragleave")
    assert visit.page.locator(".drop-veil").is_hidden()


def test_what_is_dropped_without_a_file_is_explained(visit):
    visit.page.evaluate(
        """() => {
            const transfer = new DataTransfer();
            transfer.setData('text/plain', 'a dog');
            const init = {bubbles: true, cancelable: true, dataTransfer: transfer};
            document.body.dispatchEvent(new DragEvent('drop', init));
        }"""
    )
    assert visit.page.locator("#state").is_visible()
    visit.choose(RED)
    assert visit.page.locator("#state").is_hidden()


def test_the_camera_can_be_used(visit):
    assert visit.page.get_attribute("#camera", "capture") == "environment"
    visit.page.set_input_files("#camera", {"name": "camera.png", "mimeType": "image/png", "buffer": RED[1]})
    assert caption_of(visit.wait(("camera.png",))) == "a red picture"


def test_other_captions_are_shown_with_how_likely_they_are(visit):
    card = visit.choose(RED)
    rows = card.locator(".alternative")
    likely = [f"{100 * math.exp(-1.5 * rank):.1f} %" for rank in (1, 3, 4)]
    assert rows.locator(".alternative-text").all_inner_texts() == [
        "a red picture",
        "the red picture 1",
        "the red picture 2",
    ]
    assert rows.locator(".alternative-likely").all_inner_texts() == [likely[0].replace("22.3", "22"), *likely[1:]]
    rows.nth(1).click()
    assert caption_of(card) == "the red picture 1" and card.locator(".word").count() == 0
    assert rows.nth(1).get_attribute("aria-pressed") == "true"
    card.locator(".copy-caption").click()
    assert clipboard(visit) == "the red picture 1"
    card.locator(".restore").click()
    assert caption_of(card) == "a red picture" and card.locator(".word").count() == 3


def test_a_word_lights_where_the_model_looked(visit):
    card = visit.choose(RED)
    words = card.locator(".word")
    assert [words.nth(place).get_attribute("aria-label") for place in range(3)] == [
        "a, 90 %",
        "red, 80 %",
        "picture, 70 %",
    ]
    for place in (0, 2):
        words.nth(place).focus()
        near, far = (place + 0.5) / 9, 0.95
        assert visit.overlay(card, near, near)[3] < 40  # the photograph as it is
        red, green, blue, alpha = visit.overlay(card, far, far)
        assert alpha > 120 and max(red, green, blue) < 40  # darkened
        assert card.locator(".photo-word").inner_text() == ["a, 90 %", "", "picture, 70 %"][place]
    words.nth(2).blur()
    assert visit.overlay(card, 0.95, 0.95)[3] == 0 and card.locator(".photo-word").is_hidden()


def test_the_lit_place_has_a_light_line_around_it(visit):
    card = visit.choose(("black.png", image_bytes((0, 0, 0), (90, 90))))
    card.locator(".word").nth(2).focus()
    bright = [sum(colour[:3]) > 600 and colour[3] > 200 for colour in visit.overlay_row(card, 2.5 / 9)]
    middle = round(2.5 / 9 * len(bright))
    assert any(bright[:middle]) and any(bright[middle:]) and not any(bright[2 * middle :])


def test_the_mouse_lights_a_word_and_a_click_keeps_it(visit):
    card = visit.choose(RED)
    word = card.locator(".word").nth(1)
    word.hover()
    assert visit.overlay(card, 0.95, 0.95)[3] > 120
    visit.page.mouse.move(5, 5)
    assert visit.overlay(card, 0.95, 0.95)[3] == 0
    word.click()
    visit.page.mouse.move(5, 5)
    assert visit.overlay(card, 0.95, 0.95)[3] > 120


def test_unsure_words_are_marked(context, address):
    def unsure(route):
        answer = route.fetch()
        body = answer.json()
        body["results"][0]["words"][1]["probability"] = 0.1
        route.fulfill(response=answer, json=body)

    context.route("**/v1/captions", unsure)
    visit = PageVisit.begin(context, address)
    marked = visit.page.eval_on_selector_all(".word", "all => all.map(word => word.classList.contains('unsure'))")
    assert marked == [False, True, False]
    styles = visit.page.eval_on_selector_all(
        ".word", "all => all.map(word => getComputedStyle(word).textDecorationLine)"
    )
    assert styles == ["none", "underline", "none"]


def test_the_words_are_played_one_after_the_other(visit):
    card = visit.choose(RED)
    visit.page.evaluate(
        "() => { window.seen = []; new MutationObserver(() => { const w = document.querySelector('.word.looking');"
        " if (w && window.seen.at(-1) !== w.textContent) window.seen.push(w.textContent); })"
        ".observe(document.body, {subtree: true, attributes: true}); }"
    )
    card.locator(".play").click()
    assert card.locator(".play").get_attribute("aria-pressed") == "true"
    card.locator(".play[aria-pressed=false]").wait_for()
    assert visit.page.evaluate("window.seen") == ["a", "red", "picture"]


def test_two_models_side_by_side(context, address_of_two):
    visit = PageVisit.begin(context, address_of_two)
    card = visit.choose(RED)
    assert card.locator(".caption-card").count() == 1
    visit.page.click("#models button >> nth=1")
    visit.page.wait_for_selector(".photo[data-models='2']")
    cards = visit.page.locator(".photo").first.locator(".caption-card")
    first, second = cards.nth(0).bounding_box(), cards.nth(1).bounding_box()
    assert first["y"] == second["y"] and second["x"] >= first["x"] + first["width"]
    assert [cards.nth(place).locator(".play").count() for place in (0, 1)] == [1, 0]  # the second does not attend
    assert [cards.nth(place).get_attribute("data-model") for place in (0, 1)] == ["quick", "quick-2"]
    visit.page.click("#models button >> nth=0")
    visit.page.wait_for_selector(".photo:first-child [data-model='quick-2']:only-child")
    assert visit.page.locator("#looks").is_hidden()


def test_a_caption_is_edited(visit):
    card = visit.choose(RED)
    card.locator(".edit").click()
    field = card.locator("textarea")
    field.fill("thrown away")
    field.press("Escape")
    assert caption_of(card) == "a red picture"
    card.locator(".edit").click()
    card.locator("textarea").fill("  my  red\npicture ")
    card.locator("textarea").press("Enter")
    assert caption_of(card) == "my red picture"
    assert card.locator("img").get_attribute("alt") == "my red picture"
    card.locator(".copy-alt").click()
    assert clipboard(visit) == "My red picture."


def test_alt_text_is_copied_and_said(visit):
    card = visit.choose(RED)
    card.locator(".copy-alt").click()
    visit.hear("Alt text copied")
    assert clipboard(visit) == "A red picture."
    assert card.locator(".copy-alt").inner_text() == "Copied"


def test_copying_works_where_the_browser_has_no_clipboard(visit):
    """As on a page that another machine serves without TLS."""
    card = visit.choose(RED)
    visit.page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('not allowed')); }")
    card.locator(".copy-alt").click()
    visit.hear("Alt text copied")
    visit.page.evaluate("() => { delete navigator.clipboard.writeText; }")
    assert clipboard(visit) == "A red picture."


def test_the_answer_is_downloaded(visit, tmp_path):
    card = visit.choose(RED)
    with visit.page.expect_download() as caught:
        card.locator(".download").click()
    caught.value.save_as(tmp_path / "answer.json")
    answer = json.loads((tmp_path / "answer.json").read_text())
    assert caught.value.suggested_filename == "red.json" and answer["model"] == "quick"
    assert answer["results"][0]["caption"] == "a red picture" and len(answer["results"][0]["words"]) == 3


def test_a_photograph_unlike_the_training_images_has_a_note(visit):
    assert visit.choose(BLUE).locator(".unlike").is_visible()
    assert visit.choose(RED).locator(".unlike").count() == 0


def test_a_photograph_that_the_browser_cannot_show_is_captioned(visit):
    card = visit.choose(("photo.tif", image_bytes((200, 20, 20), (80, 40), "TIFF")))
    assert caption_of(card) == "a red picture" and card.locator("img").is_hidden()
    assert card.locator(".photo-picture").get_attribute("data-unshown")
    card.locator(".word").nth(0).focus()
    assert visit.overlay(card, 0.95, 0.95)[3] > 120


def test_what_the_model_learned_from_is_said(visit):
    assert "quick" in visit.page.inner_text("#trained") and "words" in visit.page.inner_text("#trained")
    assert visit.page.inner_text("#server") == visit.page.url.split("/")[2]
