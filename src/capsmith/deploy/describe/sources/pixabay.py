"""Pixabay as a source: photographs for a query, by its public API (https://pixabay.com/api/docs/).

Its terms: answers are kept for 24 hours, images are downloaded and not linked, and whoever shows them says where they
are from. The key stands in the environment and in the address of a request, and nowhere else.
"""

import json
import os
import threading
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from typing import Any

from capsmith.core.errors import CapsmithError, ConfigError
from capsmith.deploy.describe.parts import SourceImage
from capsmith.deploy.describe.sources.download_cache import DownloadCache
from capsmith.deploy.describe.sources.downloads import Download, download_images
from capsmith.deploy.describe.sources.http import WAIT, Answer, HttpError, get

KEY = "PIXABAY_API_KEY"
"""The variable of the environment that holds the key."""
ADDRESS = "https://pixabay.com/api/"
_MAX_QUERY, _MIN_PAGE = 100, 3  # characters, and images of an answer: limits of the API
_DAY = 24 * 3600.0
_LIMIT = 2_000_000  # bytes of an answer
_HIDDEN = "…"


class Pixabay:
    """Photographs of Pixabay.

    Args:
        key: The key of the API.
        limit: Photographs to yield at most.
        answers: Keeps answers.
        images: Keeps photographs.
        address: Of the API.
    """

    name, reads_query = "Pixabay", True

    def __init__(
        self, key: str, limit: int, answers: DownloadCache, images: DownloadCache, address: str = ADDRESS
    ) -> None:
        self._key, self._limit, self._address = key, limit, address
        self._answers, self._images = answers, images
        self._lock = threading.Lock()
        self._next = 0.0  # time.monotonic() from which the server takes requests

    @classmethod
    def from_environment(cls, limit: int) -> "Pixabay":
        """Returns Pixabay with the key that the environment holds.

        Raises:
            ConfigError: It holds none.
        """
        key = os.environ.get(KEY, "").strip()
        if not key:
            raise ConfigError(
                f"--source pixabay needs a key: set {KEY} to the one that https://pixabay.com/api/docs/ shows you"
            )
        return cls(key, limit, DownloadCache.of_user("pixabay-answers"), DownloadCache.of_user("pixabay"))

    def __repr__(self) -> str:
        return "Pixabay(key=…)"

    def images(self, query: str) -> Iterator[SourceImage]:
        """Yields the photographs that Pixabay finds, in its order.

        Args:
            query: Words; what is longer than the 100 characters of the API is cut at a space.

        Raises:
            ConfigError: The query is empty.
            CapsmithError: Pixabay cannot be asked, refuses, or finds nothing.
        """
        words = _shortened(query)
        if not words:
            raise ConfigError("Pixabay needs words to search for: pass --query")
        hits = self._hits(words)
        if not hits:
            raise CapsmithError(f"Pixabay has no photograph for {words!r}: pass other words with --query")
        yield from download_images([_download(hit) for hit in hits[: self._limit]], self._images)

    def _hits(self, words: str) -> list[Mapping[str, Any]]:
        settings = {
            "q": words,
            "image_type": "photo",
            "safesearch": "true",
            "per_page": str(max(self._limit, _MIN_PAGE)),
        }
        kept = json.dumps(settings, sort_keys=True)
        if (body := self._answers.read(kept, _DAY)) is not None and (hits := _read(body)) is not None:
            return hits
        body = self._asked(settings)
        if (hits := _read(body)) is None:
            raise CapsmithError("Pixabay's answer cannot be understood: try again later")
        self._answers.write(kept, body)
        self._answers.trim()
        return hits

    def _asked(self, settings: Mapping[str, str]) -> bytes:
        """Returns the answer of the API. It has a limited number of requests a minute, so one waits for the other."""
        url = f"{self._address}?{urllib.parse.urlencode({'key': self._key, **settings})}"
        with self._lock:
            if (wait := self._next - time.monotonic()) > 0:
                if wait > WAIT:
                    raise CapsmithError(f"Pixabay takes no more requests for {wait:.0f} s")
                time.sleep(wait)
            try:
                answer = get(url, _LIMIT, redirects=False)
            except HttpError as error:
                raise CapsmithError(f"Pixabay cannot be asked: {self._without_key(str(error))}") from None
            self._next = time.monotonic() + _pause(answer)
            return answer.body

    def _without_key(self, text: str) -> str:
        for form in (self._key, urllib.parse.quote(self._key), urllib.parse.quote_plus(self._key)):
            text = text.replace(form, _HIDDEN)
        return text


def _pause(answer: Answer) -> float:
    """Returns how many seconds the API takes no requests."""
    left, reset = (answer.headers.get(f"x-ratelimit-{name}", "") for name in ("remaining", "reset"))
    return float(reset) if left == "0" and reset.isdecimal() else 0.0


def _shortened(query: str) -> str:
    words = " ".join(query.split())
    return words if len(words) <= _MAX_QUERY else (words[: _MAX_QUERY + 1].rpartition(" ")[0] or words[:_MAX_QUERY])


def _read(body: bytes) -> list[Mapping[str, Any]] | None:
    """Returns the photographs of an answer that have all that is needed; None if it is none."""
    try:
        hits = json.loads(body)["hits"]
        return [hit for hit in hits if _is_whole(hit)] if isinstance(hits, list) else None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _is_whole(hit: Any) -> bool:
    if not isinstance(hit, dict) or not isinstance(hit.get("id"), int):
        return False
    return all(isinstance(hit.get(name), str) for name in ("webformatURL", "pageURL"))


def _download(hit: Mapping[str, Any]) -> Download:
    user = hit.get("user") if isinstance(hit.get("user"), str) else ""
    tags = hit.get("tags") if isinstance(hit.get("tags"), str) else ""
    page = hit["pageURL"] if hit["pageURL"].startswith(("https://", "http://")) else ""
    name = f"Pixabay's photograph {hit['id']}"
    credit = f"{user} on Pixabay" if user else "Pixabay"
    return Download(hit["webformatURL"], f"pixabay {hit['id']} 640", name, tags or name, page, credit)
