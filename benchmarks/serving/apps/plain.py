"""A plain FastAPI handler around ``Captioner.caption``, as tutorials write it; run by uvicorn."""

import threading
from typing import Any

from fastapi import FastAPI, UploadFile

from benchmarks.serving.apps.captioning import answer, load

app = FastAPI()
captioner = load()
lock = threading.Lock()  # a captioner is used by one thread at a time


@app.post("/caption")
def caption(image: UploadFile) -> dict[str, Any]:
    """Captions an image."""
    content = image.file.read()
    with lock:
        return answer(captioner.caption(content, probabilities=True))
