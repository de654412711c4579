"""The studio over a captioner without a network, for tests of its page.

``python -m tests.support.studio FOLDER PORT`` runs it in a process of its own, which a test can kill.
"""

import sys
from dataclasses import replace
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from capsmith.deploy.serving.settings import ServeSettings
from capsmith.deploy.studio.app import studio_app
from capsmith.models.caption import Caption
from tests.deploy.studio.projects import studio_of
from tests.support.service import QuickCaptioner

OTHERS = ("a coloured picture", "the picture of a colour", "a photo", "the dog")
"""Alternatives of each caption."""


class StudioCaptioner(QuickCaptioner):
    """Its captions have alternatives, and the probabilities of their words fall from 0.9 to 0.1."""

    def caption_features(self, features, decoding):
        others = tuple(Caption(text, -1.0 - n, -3.0 - n, words=tuple(text.split())) for n, text in enumerate(OTHERS))
        return [replace(caption, alternatives=others) for caption in super().caption_features(features, decoding)]

    def _detailed(self, caption, attention):
        return replace(super()._detailed(caption, attention), probabilities=(0.9, 0.3, 0.1)[: len(caption.words)])


def quick_studio(folder: Path, captioner=None, retraining=None) -> FastAPI:
    """Returns the studio of a folder."""
    return studio_app(studio_of(folder, captioner or StudioCaptioner(), retraining=retraining), ServeSettings())


if __name__ == "__main__":
    app = quick_studio(Path(sys.argv[1]))
    uvicorn.run(app, port=int(sys.argv[2]), log_level="warning", access_log=False)
