"""Attacks on running servers, the quick ones: all of them answered, nothing told, and a photo captioned afterwards.

``benchmarks/attacks.py`` plays the slow ones too, and counts.
"""

import pytest

from tests import attacks
from tests.attacks.server import KEY
from tests.attacks.wire import Answer

pytest.importorskip("fastapi", reason="needs capsmith[serve]")
pytest.importorskip("uvicorn", reason="needs capsmith[serve]")

PATIENCE, MEMORY = 15.0, 700_000_000  # other tests may take the processors meanwhile


def _quick(server):
    return [pytest.param(case, id=case.name) for case in attacks.load(server) if not case.slow]


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    """Starts each server when it is first attacked."""
    running, stack = {}, []

    def get(name):
        if name not in running:
            stack.append(attacks.target(name, tmp_path_factory.mktemp(name)))
            running[name] = stack[-1].__enter__()
        return running[name]

    yield get
    for one in stack:
        one.__exit__(None, None, None)


def _play(case, server):
    outcome = attacks.carry_out(case, server, PATIENCE, MEMORY)
    assert outcome.faults == []


@pytest.mark.parametrize("case", _quick("serve"))
def test_attacks_on_the_service(case, servers):
    _play(case, servers("serve"))


@pytest.mark.parametrize("case", _quick("keyed"))
def test_attacks_on_keys(case, servers):
    _play(case, servers("keyed"))


@pytest.mark.parametrize("case", _quick("studio"))
def test_attacks_on_the_studio(case, servers):
    _play(case, servers("studio"))


@pytest.mark.parametrize("case", _quick("finding"))
def test_attacks_on_recommendations_and_search(case, servers):
    _play(case, servers("finding"))


def test_the_servers_end_as_told(servers):
    for name in attacks.SERVERS:
        assert servers(name).stop() == 0


# --- the checks find what is planted ----------------------------------------------------------------------------------

PROBLEM = ("content-type", "application/problem+json")
SAFE = ("x-content-type-options", "nosniff")
OURS = ("cross-origin-resource-policy", "same-origin")
BODY = b'{"type": "about:blank", "title": "Not Found", "status": 404, "detail": "no"}'


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (Answer(200, [SAFE, OURS], b"fine"), 0),
        (Answer(200, [SAFE], b"fine"), 1),
        (Answer(404, [SAFE, PROBLEM], BODY), 0),
        (Answer(200, [OURS], b"fine"), 1),
        (Answer(200, [SAFE, OURS], b"Traceback (most recent call last)"), 1),
        (Answer(200, [SAFE, OURS, ("access-control-allow-origin", "*")], b""), 1),
        (Answer(404, [SAFE, ("content-type", "text/plain")], b"no"), 1),
        (Answer(405, [SAFE, PROBLEM], BODY), 1),
        (Answer(404, [SAFE, PROBLEM], b'{"status": 404}'), 1),
        (Answer(429, [SAFE, PROBLEM], BODY.replace(b"404", b"429")), 1),
    ],
)
def test_faults_of_answers_are_found(answer, found):
    assert len(list(attacks.faults(answer))) == found


class FakeServer:
    """A server whose memory, log and caption can be bad."""

    keyed, seconds = False, 0.1

    def __init__(self, peak=0, caption=(), log=()):
        self._peak, self._caption, self._log = peak, list(caption), list(log)

    def reset_peak(self):
        pass

    def peak(self):
        return self._peak

    def good_caption(self, patience):
        return self._caption

    def log_faults(self):
        return self._log


@pytest.mark.parametrize(
    ("play", "server", "found"),
    [
        (lambda server: Answer(404, [SAFE, PROBLEM], BODY), FakeServer(), 0),
        (lambda server: None, FakeServer(), 1),  # no answer, though one is expected
        (lambda server: Answer(200, [SAFE, OURS]), FakeServer(), 1),
        (lambda server: [Answer(404, [SAFE, PROBLEM], BODY)] * 2, FakeServer(peak=10**9), 1),
        (lambda server: [], FakeServer(caption=["no answer"], log=["the key in the log"]), 2),
        (lambda server: 1 / 0, FakeServer(), 1),
    ],
)
def test_faults_of_servers_are_found(play, server, found):
    case = attacks.Attack("planted", "planted", (404,), play)
    assert len(attacks.carry_out(case, server, 1.0, 10**8).faults) == found


def test_the_key_of_the_attacks_is_one_that_a_service_takes(tmp_path):
    from capsmith.deploy.serving.keys import read_keys

    (tmp_path / "keys").write_text(KEY)
    assert read_keys(tmp_path / "keys") == (KEY,)
