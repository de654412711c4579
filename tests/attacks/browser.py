"""Stored scripts: captions and file names that are HTML, looked at in Chromium. Plays on the studio."""

import contextlib
from collections.abc import Iterator
from typing import Any

from benchmarks import browser
from tests.attacks import Breach, Played, attack
from tests.attacks.server import Server
from tests.attacks.studio import HTML, IMAGES, NAMES, edit, image

_PLANTED = "document.querySelectorAll('script:not([src]), [onerror], [onload], [onclick], img[src=x], iframe').length"
_MADE = """() => { const made = []; for (const one of document.querySelectorAll('img'))
    if (!['http:', 'blob:', 'data:'].includes(new URL(one.src, location).protocol)) made.push(one.src); return made }"""


@contextlib.contextmanager
def visit(server: Server, path: str = "/") -> Iterator[tuple[Any, list[str], list[str]]]:
    """Yields a tab that shows a path, its console's errors, and the addresses that it requested."""
    with browser.launched() as launched:
        tab = launched.new_page()
        messages: list[str] = []
        addresses: list[str] = []
        tab.on("console", lambda message: messages.append(message.text) if message.type == "error" else None)
        tab.on("pageerror", lambda error: messages.append(str(error)))
        tab.on("dialog", lambda dialog: (messages.append("dialog"), dialog.dismiss()))
        tab.on("request", lambda request: addresses.append(request.url))
        tab.goto(f"http://127.0.0.1:{server.port}{path}")
        yield tab, messages, addresses


def check(server: Server, tab: Any, messages: list[str], addresses: list[str]) -> None:
    """Raises Breach if a script ran, a text became an element, or something was requested from elsewhere."""
    if tab.title() == "run" or "dialog" in messages:
        raise Breach("a script ran")
    if tab.evaluate(_PLANTED) or tab.evaluate(_MADE):
        raise Breach("a caption became elements")
    if tab.evaluate("({}).polluted !== undefined"):
        raise Breach("the prototype is polluted")
    own = f"http://127.0.0.1:{server.port}/"
    if foreign := [one for one in addresses if not one.startswith((own, "blob:", "data:"))]:
        raise Breach(f"requests to {foreign[0]}")
    refused = [
        message for message in messages if "Content Security Policy" in message and "inline style" not in message
    ]
    if refused:
        raise Breach(f"only the policy stopped it: {refused[0][:100]}")


@attack("HTML in captions and names, shown by the studio", 200, slow=True)
def _(server: Server) -> Played:
    answers = [edit(server, HTML, name) for name in ("plain.png", NAMES[0], "__proto__.png")]
    with visit(server) as (tab, messages, addresses):
        tab.wait_for_function("() => document.body.innerText.includes('onerror')", timeout=20_000)
        check(server, tab, messages, addresses)
        for _ in range(12):  # every image is shown once in detail
            tab.keyboard.press("j")
            tab.wait_for_timeout(60)
        check(server, tab, messages, addresses)
        tab.fill("#words", HTML[:100])
        tab.wait_for_timeout(700)
        check(server, tab, messages, addresses)
    return [answer for answer in answers if answer is not None]


@attack("HTML in a caption that two people change", 200, slow=True)
def _(server: Server) -> Played:
    """The page compares the two versions, which are both HTML."""
    with visit(server) as (tab, messages, addresses):
        tab.wait_for_function("() => document.body.innerText.includes('png')", timeout=20_000)
        edit(server, f"{HTML} other")
        tab.keyboard.press("j")
        tab.keyboard.press("Enter")
        tab.wait_for_timeout(200)
        tab.keyboard.type(f"{HTML} mine")
        tab.keyboard.press("Control+Enter")
        tab.wait_for_timeout(1000)
        check(server, tab, messages, addresses)
    return server.get(IMAGES)


@attack("pictures and data are not shown as pages", 200, slow=True)
def _(server: Server) -> Played:
    one = image(server)
    edit(server, HTML)
    targets = (f"{IMAGES}/{one['id']}", f"{IMAGES}/{one['id']}/picture", IMAGES, "/openapi.json", "/metrics")
    answers = []
    for target in targets:
        with visit(server, target) as (tab, messages, addresses):
            tab.wait_for_timeout(100)
            check(server, tab, messages, addresses)
        answers.append(server.get(target))
    return [answer for answer in answers if answer is not None]
