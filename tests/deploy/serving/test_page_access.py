"""The page for everybody: keyboard, screen readers, phones, dark mode, less motion, other scripts, hostile text."""

import pytest

from tests.support.service import image_bytes
from tests.support.service_page import CAPTIONED, DESKTOP, PHONE, SCHEMES, PageVisit, caption_of

RED = ("red.png", image_bytes((200, 20, 20), (90, 60)))
BLUE = ("blue.png", image_bytes((20, 20, 200), (60, 90)))
EVIL = "<img src=x onerror=\"document.title='hacked'\">"
LONG = "a_very_long_name_without_any_space_that_could_be_broken" * 4


@pytest.fixture
def answering(context, address):
    """A visit to a service that answers with a given caption."""

    def begin(caption, words=None):
        def handle(route):
            answer = route.fetch()
            body = answer.json()
            result = body["results"][0]
            result["caption"] = caption
            parts = words or caption.split()
            maps = [word["attention"] for word in result["words"]]
            result["words"] = [
                {"word": word, "probability": 0.5, "attention": maps[place % 3]} for place, word in enumerate(parts)
            ]
            result["alternatives"][0]["caption"] = f"{caption} {caption}"
            route.fulfill(response=answer, json=body)

        context.route("**/v1/captions", handle)
        return PageVisit.begin(context, address)

    return begin


def focused(visit):
    return visit.page.evaluate(
        "() => { const e = document.activeElement; return e.id || e.dataset.example || e.classList.value; }"
    )


def test_everything_is_reached_by_the_keyboard(visit):
    visit.choose(RED)
    visit.page.evaluate("() => { document.activeElement.blur(); getSelection().removeAllRanges(); scrollTo(0, 0); }")
    visit.page.evaluate("document.querySelector('.skip-link').focus()")
    reached = [focused(visit)]
    for _ in range(40):
        visit.page.keyboard.press("Tab")
        reached.append(focused(visit))
        if "remove" in reached[-1]:
            break
    order = ["skip-link", "files", "dog.jpg", "rocket.jpg", "word", "play", "edit", "copy-alt", "copy-caption"]
    order += ["download", "alternative", "remove"]
    places = [next(place for place, name in enumerate(reached) if wanted in name.split()) for wanted in order]
    assert places == sorted(places)
    assert sum("word" in name.split() for name in reached) == 1  # the arrow keys go on from there


def test_arrow_keys_go_from_word_to_word(visit):
    card = visit.choose(RED)
    words = card.locator(".word")
    words.nth(0).focus()
    seen = []
    for key in ("ArrowRight", "ArrowRight", "ArrowRight", "ArrowLeft", "Home", "End"):
        visit.page.keyboard.press(key)
        seen.append(card.locator(".photo-word").inner_text().split(",")[0])
    assert seen == ["red", "picture", "picture", "red", "a", "picture"]
    visit.page.keyboard.press("Escape")
    assert card.locator(".photo-word").is_hidden()


def test_a_caption_is_edited_and_copied_by_the_keyboard_alone(visit):
    card = visit.choose(RED)
    card.locator(".edit").focus()
    visit.page.keyboard.press("Enter")
    visit.page.keyboard.type("a dog")
    visit.page.keyboard.press("Enter")
    assert caption_of(card) == "a dog" and "edit" in focused(visit)
    card.locator(".copy-alt").focus()
    visit.page.keyboard.press("Space")
    visit.hear("Alt text copied")
    assert visit.page.evaluate("navigator.clipboard.readText()") == "A dog."


def test_the_focus_is_visible(visit):
    card = visit.choose(RED)
    visit.page.keyboard.press("Tab")
    for selector in (".word >> nth=0", ".edit", ".alternative >> nth=0"):
        card.locator(selector).focus()
        assert card.locator(selector).evaluate("e => parseFloat(getComputedStyle(e).outlineWidth)") >= 2, selector
    visit.page.focus("#files")
    assert visit.page.locator("label[for=files]").evaluate("e => getComputedStyle(e).outlineStyle") == "solid"


def test_captions_are_said(visit):
    visit.choose(RED)
    visit.hear("red.png: a red picture")
    assert visit.page.get_attribute("#announcer", "aria-live") == "polite"


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_axe_finds_nothing_serious(visit, size, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python")
    visit.page.set_viewport_size(size)
    visit.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    visit.choose(RED)
    card = visit.choose(BLUE)
    visit.choose(("notes.txt", b"no image"), state=".photo[data-state=failed]")
    card = visit.page.locator(CAPTIONED).first
    visit.page.evaluate("document.querySelectorAll('details').forEach(details => (details.open = true))")
    card.locator(".word").nth(1).focus()
    found = axe.Axe().run(visit.page).response["violations"]
    visit.page.emulate_media(color_scheme="light", reduced_motion="no-preference")
    assert [(rule["id"], rule["nodes"][0]["html"][:120]) for rule in found] == []


def test_axe_finds_nothing_serious_with_two_models(context, address_of_two):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python")
    visit = PageVisit.begin(context, address_of_two)
    visit.page.click("#models button >> nth=1")
    visit.page.wait_for_selector(".photo[data-models='2']")
    visit.page.wait_for_timeout(400)  # the captions appear
    found = axe.Axe().run(visit.page).response["violations"]
    assert [(rule["id"], rule["nodes"][0]["html"][:120]) for rule in found] == []


@pytest.mark.parametrize("width", [320, PHONE["width"], 768, DESKTOP["width"]])
def test_no_width_needs_sideways_scrolling(answering, width):
    visit = answering("supercalifragilistic" * 5 + " dog")
    visit.page.set_viewport_size({"width": width, "height": 844})
    visit.choose(RED)
    visit.choose((f"{LONG}.png", RED[1]))
    visit.page.evaluate("document.querySelectorAll('details').forEach(details => (details.open = true))")
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= width


def test_controls_are_large_enough_for_fingers(chromium, address):
    """WCAG 2.2, 2.5.8: 24 × 24 pixels, except for words in a sentence."""
    context = chromium.new_context(viewport=PHONE, has_touch=True, is_mobile=True)
    visit = PageVisit.begin(context, address)
    assert visit.page.locator(".camera").is_visible()
    sizes = visit.page.eval_on_selector_all(
        "button:not(.word), .button, summary",
        "all => all.filter(e => e.checkVisibility()).map(e => { const r = e.getBoundingClientRect();"
        " return [Math.min(r.width, r.height), e.outerHTML.slice(0, 80)]; })",
    )
    assert len(sizes) > 10 and [one for one in sizes if one[0] < 24] == []
    word = visit.page.locator(".word").nth(1)
    word.tap()
    assert visit.overlay(visit.page.locator(".photo").first, 0.95, 0.95)[3] > 120
    context.close()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_page_follows_the_system(visit, scheme):
    visit.page.emulate_media(color_scheme=scheme)
    rgb = visit.page.evaluate(
        "getComputedStyle(document.body).backgroundColor.match(/[0-9.]+/g).slice(0, 3).map(Number)"
    )
    visit.page.emulate_media(color_scheme="light")
    assert (sum(rgb) < 120) if scheme == "dark" else (sum(rgb) > 600)


def test_nothing_moves_for_those_who_ask(visit):
    visit.page.emulate_media(reduced_motion="reduce")
    card = visit.choose(RED)
    settled = card.evaluate(
        """card => new Promise(done => {
            card.querySelector('.word').focus();
            requestAnimationFrame(() => done(card.querySelector('canvas').dataset.settled));
        })"""
    )
    running = visit.page.evaluate("document.getAnimations().filter(one => one.playState === 'running').length")
    visit.page.emulate_media(reduced_motion="no-preference")
    assert settled == "1" and running == 0


def test_a_phone_moves_to_the_new_photograph(visit):
    visit.page.set_viewport_size(PHONE)
    visit.page.evaluate("scrollTo({top: 0, behavior: 'instant'})")
    visit.choose(RED)
    visit.page.wait_for_function("() => document.querySelector('.photo').getBoundingClientRect().top < 100")


def test_a_caption_from_right_to_left(answering):
    visit = answering("כלב חום רץ")
    line = visit.page.locator(".caption-large").first
    assert line.evaluate("e => getComputedStyle(e).direction") == "rtl"
    words = visit.page.locator(".word")
    assert words.nth(0).bounding_box()["x"] > words.nth(2).bounding_box()["x"]
    words.nth(0).focus()
    visit.page.keyboard.press("ArrowLeft")
    assert visit.page.locator(".looking").inner_text() == "חום"


def test_a_caption_without_spaces(answering):
    visit = answering("一只狗在跑。", ["一只", "狗", "在", "跑"])
    assert caption_of(visit.page.locator(".photo").first) == "一只狗在跑。".removesuffix("。")
    assert visit.page.locator(".word").all_inner_texts() == ["一只", "狗", "在", "跑"]


def test_text_is_never_markup(answering):
    visit = answering(EVIL)
    card = visit.choose((f"{EVIL}.png", RED[1]))
    assert caption_of(card) == EVIL and visit.page.locator("img[src='x']").count() == 0
    card.locator(".edit").click()
    card.locator("textarea").fill(f"{EVIL} <b>bold</b>")
    card.locator("textarea").press("Enter")
    assert "<b>" in caption_of(card) and card.locator("b").count() == 0
    assert "hacked" not in visit.page.title()


def test_nothing_is_requested_from_elsewhere_and_no_policy_is_violated(visit, address):
    visit.requests.clear()
    visit.page.reload()
    visit.page.wait_for_selector(CAPTIONED)
    card = visit.choose(RED)
    card.locator(".word").nth(0).focus()
    card.locator(".copy-alt").click()
    for summary in visit.page.locator("summary").all():
        summary.click()
    assert len(visit.requests) > 20
    own = (f"{address}/", f"blob:{address}/")
    assert [url for url in visit.requests if not url.startswith(own)] == []
    assert visit.problems == []


def test_the_page_works_without_inline_code(visit):
    policy = visit.page.evaluate("fetch(location.href).then(answer => answer.headers.get('content-security-policy'))")
    assert "unsafe" not in policy and "script-src 'self'" in policy
    html = visit.page.evaluate("fetch(location.href).then(answer => answer.text())")
    assert "style=" not in html and " onclick" not in html and "<style" not in html
