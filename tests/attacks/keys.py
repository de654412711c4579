"""API keys: guessed, sent in wrong places, and looked for in the log. The server of these attacks has a key."""

import base64

from tests.attacks import Breach, Played, attack
from tests.attacks.server import KEY, Server
from tests.attacks.wire import exchange, head

GUESS = "guessed-key-0123456789"


def _ask(server: Server, target: str = "/v1/models", **headers: str | None) -> Played:
    return server.request(
        "GET", target, headers={"Authorization": None, **{k.replace("_", "-"): v for k, v in headers.items()}}
    )


@attack("no key", 401, 404)
def _(server: Server) -> Played:
    targets = ("/v1/models", "/metrics", "/model/metadata", "/v1/nothing", "/static/../v1/models", "//v1/models")
    answers = [_ask(server, target) for target in targets]
    for answer in answers:
        if answer is not None and answer.status == 401 and "bearer" not in answer.header("www-authenticate").lower():  # type: ignore[union-attr]
            raise Breach("no WWW-Authenticate")
    return [answer for answer in answers if answer is not None]  # type: ignore[misc]


@attack("a key in the address, where logs and histories keep it", 401)
def _(server: Server) -> Played:
    names = ("key", "api_key", "apikey", "api-key", "access_token", "token", "Authorization", "X-API-Key")
    return [a for name in names if (a := _ask(server, f"/v1/models?{name}={KEY}")) is not None]  # type: ignore[misc]


@attack("a key by other schemes, in cookies, in the host", 400, 401, 403)
def _(server: Server) -> Played:
    basic = base64.b64encode(f"user:{KEY}".encode()).decode()
    answers = [
        _ask(server, Authorization=f"Basic {basic}"),
        _ask(server, Authorization=f"Digest {KEY}"),
        _ask(server, Authorization=KEY),
        _ask(server, Authorization="Bearer"),
        _ask(server, Authorization="Bearer "),
        _ask(server, Cookie=f"api_key={KEY}; X-API-Key={KEY}"),
        _ask(server, Host=f"{KEY}@127.0.0.1"),
        _ask(server, X_API_Key=""),
    ]
    return [answer for answer in answers if answer is not None]  # type: ignore[misc]


@attack("keys that are nearly right", 401, 400, bare=True)
def _(server: Server) -> Played:
    near = (KEY[:-1], KEY + "x", KEY.upper(), f"{KEY}\0", "*")
    return [a for key in near if (a := _ask(server, Authorization=f"Bearer {key}")) is not None]  # type: ignore[misc]


@attack("60 guesses, then the right key", 401, 429)
def _(server: Server) -> Played:
    answers = [_ask(server, Authorization=f"Bearer {GUESS}{number}") for number in range(60)]
    late = [answer for answer in answers[20:] if answer is not None and answer.status != 429]  # type: ignore[union-attr]
    if late:
        raise Breach("guesses are not limited")
    return [answer for answer in answers if answer is not None]  # type: ignore[misc]


@attack("uploads without a key are not read", 401)
def _(server: Server) -> Played:
    lines = [("Host", "127.0.0.1"), ("Content-Length", "9000000"), ("Content-Type", "multipart/form-data; boundary=x")]
    return exchange(server.port, head("POST", "/v1/captions", lines), b"x" * 1000, timeout=12.0) or None


@attack("what needs no key tells nothing about images or models", 200)
def _(server: Server) -> Played:
    answers = [_ask(server, target) for target in ("/healthz", "/readyz", "/docs", "/openapi.json")]
    for answer in answers:
        if answer is not None and KEY.encode() in answer.body:  # type: ignore[union-attr]
            raise Breach("the key is told")
    return [answer for answer in answers if answer is not None]  # type: ignore[misc]
