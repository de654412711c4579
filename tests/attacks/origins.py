"""Who asks: host names that were rebound to this machine, and pages of other sites."""

from tests.attacks import Breach, Played, attack
from tests.attacks.forms import FORM, IMAGE
from tests.attacks.server import Server
from tests.attacks.wire import exchange, form, head


@attack("another host name, as after DNS rebinding", 400, 403, bare=True)
def _(server: Server) -> Played:
    hosts = (
        "evil.example",
        "evil.example:{port}",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "evil.example#localhost",
        "evil.example@127.0.0.1",
        "127.0.0.1@evil.example",
        "127.0.0.1, evil.example",
        "127.0.0.1/../evil",
        "[::ffff:8.8.8.8]",
        "[::1",
        "0.0.0.0",
        "169.254.169.254",
        "127.0.0.1:port",
        "127.0.0.1:999999",
        "",
        "١٢٧.0.0.1",
    )
    answers = [server.get("/v1/models", Host=host.format(port=server.port)) for host in hosts]
    return [answer for answer in answers if answer is not None]


@attack("two Hosts", 400, bare=True)
def _(server: Server) -> Played:
    lines = [("Host", "127.0.0.1"), ("Host", "evil.example"), ("Connection", "close")]
    answers = exchange(server.port, head("GET", "/v1/models", lines))
    answers += exchange(server.port, head("GET", "/v1/models", [lines[1], lines[0], lines[2]]))
    return answers or None


@attack("no Host", 400, bare=True)
def _(server: Server) -> Played:
    return server.get("/v1/models", Host=None)


@attack("another host in the first line", 400, 403, 404, bare=True)
def _(server: Server) -> Played:
    targets = ("http://evil.example/v1/models", "//evil.example/v1/models", "evil.example:80", "*")
    return [answer for target in targets if (answer := server.get(target)) is not None]


@attack("hosts of proxies", 403)
def _(server: Server) -> Played:
    headers = {"X-Forwarded-Host": "127.0.0.1", "X-Forwarded-For": "127.0.0.1", "Forwarded": "for=127.0.0.1"}
    return server.request("GET", "/v1/models", headers={"Host": "evil.example", **headers})


@attack("a form sent by a page of another site", 403)
def _(server: Server) -> Played:
    senders: list[dict[str, str | None]] = [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://localhost.evil.example"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": f"http://127.0.0.1:{server.port}.evil.example"},
        {"Origin": f"http://127.0.0.1:{server.port}@evil.example"},
        {"Origin": f"ftp://127.0.0.1:{server.port}"},
        {"Origin": f"http://localhost:{server.port}"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Origin": f"http://127.0.0.1:{server.port}"},
    ]
    body, answers = form([(IMAGE, server.photo)]), []
    for sender in senders:
        answers.append(server.request("POST", "/v1/captions", body, {"Content-Type": FORM, **sender}))
    return [answer for answer in answers if answer is not None]


@attack("a question of another site, before it sends", 403, 404, 405)
def _(server: Server) -> Played:
    headers = {"Origin": "https://evil.example", "Access-Control-Request-Method": "PUT"}
    answer = server.request("OPTIONS", "/v1/captions", headers=headers)
    if answer and any(name.startswith("access-control") for name, _ in answer.headers):
        raise Breach("another site may send")
    return answer


@attack("a page of another site that reads answers or frames the page", 200)
def _(server: Server) -> Played:
    answers = []
    for target in ("/", "/docs", "/v1/models", "/openapi.json"):
        answer = server.get(target, Origin="https://evil.example")
        if answer is None:
            continue
        policy = answer.header("content-security-policy")
        if "frame-ancestors 'none'" not in policy or "script-src" in policy and "'unsafe-inline'" in _scripts(policy):
            raise Breach(f"{target}: {policy or 'no policy'}")
        if answer.header("cross-origin-resource-policy") != "same-origin":
            raise Breach(f"{target} can be embedded")
        if answer.header("referrer-policy") != "no-referrer" or answer.header("set-cookie"):
            raise Breach(f"{target} tells too much")
        answers.append(answer)
    return answers


def _scripts(policy: str) -> str:
    return next((part for part in policy.split(";") if part.strip().startswith("script-src")), "")
