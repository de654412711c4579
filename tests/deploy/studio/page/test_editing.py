"""Captions edited on the studio's page, in a real browser: with keys alone, saved at once, there after a reload."""

from tests.deploy.studio.page.window import paint, propose, stored, studio_over


def test_an_edit_is_saved_and_there_after_a_reload(window, folder):
    window.press("Enter")
    window.write("a lake at dusk")
    window.press("Enter")
    assert window.current == window.focused == "b.png"
    window.saved()
    assert stored(folder)["a.png"] == ("a lake at dusk", "edited")
    window.reload()
    assert (window.caption("a.png"), window.status("a.png")) == ("a lake at dusk", "edited")
    assert window.current == "b.png"


def test_every_key_of_the_list_without_a_mouse(window, folder):
    window.press("a", "j", "k")
    assert window.status("a.png") == "accepted"
    assert window.current == "b.png"
    window.press("2")
    window.until(lambda: window.caption("b.png") == "the picture of a colour")
    window.press("ArrowRight", "Enter")
    window.write("a blue sky")
    window.press("Shift+Enter")
    assert (window.focused, window.caption("c.png"), window.status("c.png")) == ("c.png", "a blue sky", "edited")
    window.press("r")
    assert (window.caption("c.png"), window.status("c.png")) == ("a blue picture", "proposed")
    window.press("u")
    assert (window.caption("c.png"), window.status("c.png")) == ("a blue sky", "edited")
    window.press("End", "u", "u")
    assert window.focused == "b.png"
    assert (window.caption("b.png"), window.status("b.png")) == ("a green picture", "proposed")
    window.saved()
    expected = {
        "a.png": ("a red picture", "accepted"),
        "b.png": ("a green picture", "proposed"),
        "c.png": ("a blue picture", "proposed"),
        "d.png": ("a red picture", "proposed"),
    }
    assert stored(folder) == expected
    window.press("/")
    assert window.focused == "words"
    window.page.keyboard.type("green")
    window.until(lambda: window.names == ["b.png"])
    window.press("Enter")
    assert window.focused == "b.png"
    window.press("?")
    assert window.page.locator("#keys").is_visible()
    window.press("Escape", "f")
    assert window.page.locator("#viewer").is_visible()
    window.press("f")
    assert not window.page.locator("#viewer").is_visible()
    assert window.focused == "b.png"


def test_escape_keeps_the_caption(window, folder):
    window.press("Enter")
    window.write("nothing of this")
    window.press("Escape")
    assert (window.focused, window.caption("a.png"), window.status("a.png")) == ("a.png", "a red picture", "proposed")
    window.press("Enter")
    assert window.page.input_value("textarea.editor") == "a red picture"
    assert stored(folder)["a.png"] == ("a red picture", "proposed")


def test_a_text_that_is_saved_unchanged_is_accepted(window, folder):
    window.press("Enter", "Enter")
    window.saved()
    assert stored(folder)["a.png"] == ("a red picture", "accepted")


def test_leaving_the_field_saves(window, folder):
    window.press("Enter")
    window.write("left by mouse")
    window.cell("c.png").locator(".cell-picture").click()
    window.saved()
    assert window.current == "c.png"
    assert stored(folder)["a.png"] == ("left by mouse", "edited")


def test_a_caption_is_edited_where_it_is_clicked_and_accepted_with_the_button(window, folder):
    window.cell("c.png").locator(".cell-caption").click()
    window.write("by mouse")
    window.press("Enter")
    window.cell("b.png").hover()
    window.cell("b.png").locator(".cell-accept").click()
    window.saved()
    assert stored(folder)["c.png"] == ("by mouse", "edited")
    assert stored(folder)["b.png"] == ("a green picture", "accepted")


def test_an_empty_caption_is_not_saved(window, folder):
    window.press("Enter")
    window.write("   ")
    window.press("Enter")
    assert window.page.get_attribute("textarea.editor", "aria-invalid") == "true"
    assert window.page.locator(".editor-hint").is_visible()
    window.press("Escape")
    assert stored(folder)["a.png"] == ("a red picture", "proposed")


def test_pasted_lines_become_one(window, folder):
    window.press("Enter", "ControlOrMeta+a")
    window.page.keyboard.insert_text("two\r\n\tlines\u2028of text")
    window.press("Enter")
    window.saved()
    assert stored(folder)["a.png"] == ("two lines of text", "edited")


def test_text_being_written_outlives_a_reload(window, folder):
    window.press("j", "Enter")
    window.write("half a sent")
    window.page.reload()
    window.ready()
    field = window.page.locator("textarea.editor")
    field.wait_for()
    assert field.input_value() == "half a sent"
    assert window.current == "b.png"
    assert stored(folder)["b.png"] == ("a green picture", "proposed")
    window.page.keyboard.type("ence")
    window.press("Enter")
    window.saved()
    assert stored(folder)["b.png"] == ("half a sentence", "edited")


def test_a_change_of_the_window_keeps_the_field_open(window, folder):
    window.press("j", "Enter")
    window.write("still writing")
    window.page.set_viewport_size({"width": 700, "height": 800})
    window.until(lambda: window.focused == "field editor")
    window.page.wait_for_timeout(100)
    assert (window.page.input_value("textarea.editor"), window.current) == ("still writing", "b.png")
    assert stored(folder)["b.png"] == ("a green picture", "proposed")


def test_text_of_one_folder_does_not_appear_in_another(open_window, tmp_path):
    """Ports and numbers of images are reused; the names are often the same too."""
    one, other = paint(tmp_path / "one"), paint(tmp_path / "other")
    with studio_over(one) as address:
        window = open_window(address)
        window.press("Enter")
        window.write("of the first folder")
        port = int(address.rpartition(":")[2])
    with studio_over(other, port=port) as address:
        window.page.goto(address)
        window.ready()
        window.page.wait_for_timeout(200)
        assert window.page.locator("textarea.editor").count() == 0
        assert window.caption("a.png") == "a red picture"


def test_html_stays_text(open_window, tmp_path):
    bad = "<img src=x onerror=document.title='hit'><b>bold</b> &amp; \"quotes\""
    folder = propose(
        paint(tmp_path / "photos"), {"a.png": bad, "b.png": "</textarea><script>document.title='hit'</script>"}
    )
    with studio_over(folder) as address:
        window = open_window(address)
        assert window.caption("a.png") == bad
        window.press("f")
        window.page.wait_for_timeout(400)
        window.press("f", "Enter")
        window.write(f"{bad}!")
        window.press("Enter", "Enter")
        assert window.page.input_value("textarea.editor") == "</textarea><script>document.title='hit'</script>"
        window.press("Escape")
        window.saved()
        window.reload()
        assert window.caption("a.png") == f"{bad}!"
        assert stored(folder)["a.png"] == (f"{bad}!", "edited")
        assert "hit" not in window.page.title()
        assert window.page.locator(".cell-caption b, .panel b, .panel-caption img").count() == 0


WRITINGS = {
    "arabic.png": ("كلب يركض على العشب", "rtl"),
    "chinese.png": ("一只狗在草地上奔跑", "ltr"),
    "emoji.png": ("a 👩‍👩‍👧 family 🏖️", "ltr"),
    "hebrew.png": ("כלב רץ על הדשא (אחד)", "rtl"),
    "hindi.png": ("घास पर दौड़ता कुत्ता", "ltr"),
    "japanese.png": ("芝生の上を走る犬", "ltr"),
}
_EDGES = """node => {
    const range = document.createRange();
    range.selectNodeContents(node);
    const [text, box] = [range, node].map(one => one.getBoundingClientRect());
    return [text.left - box.left, box.right - text.right];
}"""


def test_any_script(open_window, tmp_path):
    folder = paint(tmp_path / "photos", tuple(WRITINGS))
    direction = "node => getComputedStyle(node).direction"
    with studio_over(folder) as address:
        window = open_window(address)
        for text, expected in WRITINGS.values():
            window.press("Enter", "ControlOrMeta+a")
            window.page.keyboard.insert_text(text)
            assert window.page.locator("textarea.editor").evaluate(direction) == expected
            window.press("Enter")
        window.saved()
        assert stored(folder) == {name: (text, "edited") for name, (text, _) in WRITINGS.items()}
        window.reload()
        for name, (text, expected) in WRITINGS.items():
            shown = window.cell(name).locator(".cell-caption")
            assert (shown.text_content(), shown.evaluate(direction)) == (text, expected)
            left, right = shown.evaluate(_EDGES)
            assert (right < left) == (expected == "rtl")  # right-to-left text begins at the right


def test_enter_and_escape_belong_to_the_input_method_while_it_composes(window, folder):
    window.press("Enter", "ControlOrMeta+a")
    keyboard = window.page.context.new_cdp_session(window.page)
    for text in ("い", "いぬ"):
        keyboard.send("Input.imeSetComposition", {"text": text, "selectionStart": len(text), "selectionEnd": len(text)})
    for key in ("Enter", "Escape"):
        event = {"key": key, "code": key, "windowsVirtualKeyCode": 229}
        keyboard.send("Input.dispatchKeyEvent", {"type": "rawKeyDown", **event})
        keyboard.send("Input.dispatchKeyEvent", {"type": "keyUp", **event})
    assert window.page.input_value("textarea.editor") == "いぬ"
    keyboard.send("Input.insertText", {"text": "犬"})
    assert window.page.input_value("textarea.editor") == "犬"
    assert stored(folder)["a.png"] == ("a red picture", "proposed")
    window.press("Enter")
    window.saved()
    assert stored(folder)["a.png"] == ("犬", "edited")


def test_letters_go_by_their_place_on_a_keyboard_of_another_script(window):
    press = "([key, code]) => document.body.dispatchEvent(new KeyboardEvent('keydown', {key, code, bubbles: true}))"
    window.page.evaluate(press, ["о", "KeyJ"])  # Russian
    assert window.current == "b.png"
    window.page.evaluate(press, ["ש", "KeyA"])  # Hebrew
    assert window.status("b.png") == "accepted"


def test_single_keys_can_be_switched_off(window):
    window.press("?")
    window.page.uncheck("#keys-on")
    window.press("Escape", "a", "j")
    assert (window.current, window.status("a.png")) == ("a.png", "proposed")
    window.press("ArrowRight")
    assert window.current == "b.png"
    window.reload()
    window.press("j")
    assert window.current == "b.png"
