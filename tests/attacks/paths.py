"""Paths: out of the folder of the pages, encoded in every way, endless, and with line breaks for the log."""

from tests.attacks import Breach, Played, attack
from tests.attacks.server import Server

MISSING = (400, 404, 405)


def _get(server: Server, *targets: str) -> Played:
    answers = []
    for target in targets:
        answer = server.get(target)
        if answer is None:
            continue
        if answer.status == 200:
            raise Breach(f"{target} is answered")
        answers.append(answer)
    return answers or None


@attack("files outside of the pages by ..", *MISSING, bare=True)
def _(server: Server) -> Played:
    return _get(
        server,
        *[f"/static/{up}{name}" for up in ("../", "../../", "swagger/../../") for name in ("app.py", "settings.py")],
        *[f"/static{'/..' * depth}/etc/passwd" for depth in (1, 4, 9, 40)],
    )


@attack("files outside of the pages by encoded dots and slashes", *MISSING, bare=True)
def _(server: Server) -> Played:
    ways = (
        "%2e%2e/app.py",
        "%2e%2e%2fapp.py",
        "..%2fapp.py",
        "..%5capp.py",
        "..\\app.py",
        "%252e%252e%252fapp.py",
        "%c0%ae%c0%ae/app.py",
        "%u002e%u002e/app.py",
        "....//app.py",
        "..;/app.py",
        "./../app.py",
        "swagger/%2e%2e/%2e%2e/app.py",
        "\uff0e\uff0e/app.py",
    )
    return _get(server, *[f"/static/{way}" for way in ways])


@attack("files by their absolute path", *MISSING, bare=True)
def _(server: Server) -> Played:
    return _get(
        server,
        "/static//etc/passwd",
        "/static/%2fetc%2fpasswd",
        "/static/C:/windows/win.ini",
        "/static/\\\\127.0.0.1\\share",
        "/static/file:///etc/passwd",
        "//etc/passwd",
        "/etc/passwd",
        "/proc/self/environ",
    )


@attack("names with NUL, line breaks, and other endings", *MISSING, bare=True)
def _(server: Server) -> Played:
    ways = ("style.css%00.js", "%00", "style.css%0a", "style.css/", "style.css::$DATA", "style.css.", "STYLE.CSS", "")
    return _get(server, *[f"/static/{way}" for way in ways])


@attack("names of 10,000 letters", *MISSING, 431, bare=True)
def _(server: Server) -> Played:
    return _get(server, "/static/" + "a" * 10_000, "/static/" + "../" * 3_000 + "etc/passwd", "/" + "/" * 10_000)


@attack("files that are no part of the pages", *MISSING)
def _(server: Server) -> Played:
    return _get(
        server, "/static/swagger/", "/static/swagger", "/static/.", "/.git/config", "/static/js", "/.env", "/app.py"
    )


@attack("paths with line breaks and escape sequences, for the log", *MISSING, bare=True)
def _(server: Server) -> Played:
    return _get(server, "/%0d%0ainjected:%20line", "/%1b[2Jinjected", "/\x1b]0;injected\x07", "/v1/%E2%80%AEinjected")


@attack("an agent with escape sequences and line breaks, for the log", 200, 400, bare=True)
def _(server: Server) -> Played:
    agents = ("\x1b[2J\x1b]0;injected\x07", "%0a injected", "${jndi:ldap://127.0.0.1/injected}", "a" * 5_000)
    answers = [server.get("/healthz", User_Agent=agent, Referer=agent) for agent in agents]
    return [answer for answer in answers if answer is not None]


@attack("parameters where none belong", 200)
def _(server: Server) -> Played:
    targets = (
        "/v1/models?model=../../etc",
        "/healthz?__proto__[a]=1",
        "/openapi.json?url=//evil",
        "/docs?url=//evil.example",
    )
    answers = [server.get(target) for target in targets]
    return [answer for answer in answers if answer is not None]
