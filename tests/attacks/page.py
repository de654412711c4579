"""The page of the service in Chromium: names of files, and what is dropped or pasted, are HTML or addresses."""

from tests.attacks import Breach, Played, attack
from tests.attacks.browser import check, visit
from tests.attacks.server import Server
from tests.attacks.studio import HTML

_DROP = """([kind, text]) => { const data = new DataTransfer(); data.setData(kind, text);
    for (const name of ['dragenter', 'dragover', 'drop', 'paste'])
        document.body.dispatchEvent(name === 'paste'
            ? new ClipboardEvent(name, {bubbles: true, cancelable: true, clipboardData: data})
            : new DragEvent(name, {bubbles: true, cancelable: true, dataTransfer: data})) }"""


@attack("HTML in the names of files that are chosen", 200, slow=True)
def _(server: Server) -> Played:
    names = (HTML, "__proto__", "constructor.jpg", "a\u202egpj.exe", "x" * 3000, "'; rm -rf ~ #.jpg", "$(id).jpg")
    files = [{"name": name, "mimeType": "image/jpeg", "buffer": server.photo} for name in names]
    with visit(server) as (tab, messages, addresses):
        tab.wait_for_timeout(500)
        tab.set_input_files("input[type=file]", files)
        tab.wait_for_function(
            "caption => document.body.innerText.includes(caption)", arg=server.caption, timeout=30_000
        )
        tab.wait_for_timeout(500)
        check(server, tab, messages, addresses)
        shell = tab.evaluate("[...document.querySelectorAll('code, pre')].map(one => one.textContent)")
        if any("$(id)" in text and "'" not in text for text in shell):
            raise Breach("the curl command runs a part of a file name")
    return server.get("/")


@attack("files that are no images, by their type and by their content", 200, slow=True)
def _(server: Server) -> Played:
    svg = b'<svg xmlns="http://www.w3.org/2000/svg" onload="document.title=\'run\'"><script>1</script></svg>'
    files = [
        {"name": "a.svg", "mimeType": "image/svg+xml", "buffer": svg},
        {"name": "a.jpg", "mimeType": "image/jpeg", "buffer": b"<script>document.title='run'</script>"},
        {"name": "a.html", "mimeType": "text/html", "buffer": b"<script>document.title='run'</script>"},
        {"name": "empty.png", "mimeType": "image/png", "buffer": b""},
    ]
    with visit(server) as (tab, messages, addresses):
        tab.wait_for_timeout(500)
        tab.set_input_files("input[type=file]", files)
        tab.wait_for_timeout(2000)
        check(server, tab, [one for one in messages if "Failed to load" not in one], addresses)
    return server.get("/")


@attack("addresses and HTML that are dropped or pasted", 200, slow=True)
def _(server: Server) -> Played:
    dropped = [
        ["text/uri-list", "http://evil.example/a.jpg"],
        ["text/uri-list", "javascript:document.title='run'"],
        ["text/html", HTML],
        ["text/plain", HTML],
        ["text/html", '<img src="http://evil.example/a.jpg">'],
    ]
    with visit(server) as (tab, messages, addresses):
        tab.wait_for_timeout(500)
        for one in dropped:
            tab.evaluate(_DROP, one)
            tab.wait_for_timeout(150)
        check(server, tab, messages, addresses)
    return server.get("/")


@attack("HTML and paths in the address of the page", 200, slow=True)
def _(server: Server) -> Played:
    with visit(server, f"/?q={HTML}&__proto__[polluted]=1#{HTML}") as (tab, messages, addresses):
        tab.wait_for_timeout(500)
        check(server, tab, messages, addresses)
    return server.get("/")


@attack("Swagger UI that is told to show another site's document", 200, slow=True)
def _(server: Server) -> Played:
    evil = "http://evil.example/openapi.json"
    for query in (f"url={evil}", f"configUrl={evil}", f"urls.primaryName=x&url=data:text/html,{HTML}"):
        with visit(server, f"/docs?{query}#/{HTML}") as (tab, messages, addresses):
            tab.wait_for_function("() => document.body.innerText.includes('/v1/captions')", timeout=20_000)
            check(server, tab, messages, addresses)
    return server.get("/docs")
