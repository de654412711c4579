"""Kills a studio with ``kill -9`` in the middle of hundreds of concurrent edits, and counts the edits that are lost.

    python -m benchmarks.studio_kills [--kills 20] [--seed 1] [--write summary_part.json]

Half of the kills hit ``capsmith studio``, which captions by the starter while clients edit over HTTP; the other half a
process whose threads edit the project directly, which makes more edits a second. An edit that was acknowledged must be
in the project afterwards, in its history and as the current caption unless a later one replaced it; the database must
be undamaged. Each process goes on where the killed one stopped. Takes about two minutes; the exit code is 1 if an edit
was lost.
"""

import argparse
import http.client
import json
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from capsmith.deploy.folder.selection import select
from capsmith.deploy.studio.project import DATABASE, project_folder
from capsmith.deploy.studio.store import Store

COMMAND = "python -m benchmarks.studio_kills"
IMAGES, THREADS = 24, 8
LONGEST = 1.0
"""Seconds of editing after which the process is killed at the latest."""
CAPTION = "a dog <b>runs</b> كلب 犬 \N{DOG}"

Edit = tuple[int, int, str]
"""An acknowledged edit: image, revision after it, caption."""


def main() -> int:
    """Kills processes and checks what they kept; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the figure as JSON")
    parser.add_argument("--edit", type=Path, metavar="FOLDER", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.edit is not None:
        edit_without_end(args.edit)
        return 0
    chance = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = make_photos(Path(name) / "photos")
        acknowledged: list[Edit] = []
        problems: list[str] = []
        for kill in range(args.kills):
            run = killed_process if kill % 2 else killed_studio
            count = len(acknowledged)
            acknowledged += run(folder, chance)
            found = lost(folder, acknowledged)
            problems += found
            kind = "process" if kill % 2 else "studio"
            sys.stderr.write(f"{kill + 1}: {kind}, {len(acknowledged) - count} edits, {len(found)} problems\n")
    for problem in problems[:20]:
        sys.stderr.write(f"{problem}\n")
    note = f"of {len(acknowledged):,} edits that were acknowledged before {args.kills} kills (-9) amid concurrent edits"
    figure = {"value": len(problems), "unit": "", "command": COMMAND, "note": note}
    print(json.dumps({"studio.edits_lost": figure}, indent=2))
    if args.write:
        args.write.write_text(json.dumps({"studio.edits_lost": figure}, indent=2) + "\n")
    return bool(problems)


def make_photos(folder: Path) -> Path:
    """Makes a folder of small images, and a project over it."""
    folder.mkdir(parents=True)
    for number in range(IMAGES):
        pixels = np.random.default_rng(number).integers(0, 256, (48, 64, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:02}.png")
    with Store.open(project_folder(folder), folder) as store:
        store.sync(select([folder]).rooted().items)
    return folder


def lost(folder: Path, acknowledged: list[Edit]) -> list[str]:
    """Returns what is wrong with a project: acknowledged edits that it has not, and damage."""
    with Store.open(project_folder(folder), folder) as store:
        kept = {tuple(row) for row in store.database.rows("SELECT image, revision, caption FROM history")}
        problems = [f"lost: {edit}" for edit in acknowledged if edit not in kept]
        last: dict[int, Edit] = {}
        for id, revision, caption in sorted(kept):
            last[id] = (id, revision, caption)
        for image in store.images(limit=1000).images:
            current = (image.id, image.revision, image.caption)
            if image.revision and last.get(image.id) != current:
                problems.append(f"torn: {current} is not the last of the history, {last.get(image.id)}")
            if [row[1] for row in sorted(kept) if row[0] == image.id] != list(range(1, image.revision + 1)):
                problems.append(f"torn: the history of {image.id} has gaps")
    connection = sqlite3.connect(project_folder(folder) / DATABASE)
    result = connection.execute("PRAGMA integrity_check").fetchone()[0]
    connection.close()
    return problems + ([] if result == "ok" else [f"damaged: {result}"])


# --- a process that edits the project ---------------------------------------------------------------------------------


def edit_without_end(folder: Path) -> None:
    """Edits all images from several threads; writes a line for each edit when it is saved."""
    store = Store.open(project_folder(folder), folder)

    def work(number: int) -> None:
        revisions = {image.id: image.revision for image in store.images().images if image.id % THREADS == number}
        while True:
            for id in revisions:
                caption = f"{CAPTION} {id} {revisions[id]}"
                store.edit(id, caption, "edited", revisions[id])
                revisions[id] += 1
                os.write(1, (json.dumps([id, revisions[id], caption]) + "\n").encode())

    for number in range(THREADS):
        threading.Thread(target=work, args=(number,)).start()


def killed_process(folder: Path, chance: random.Random) -> list[Edit]:
    """Runs such a process, kills it, and returns the edits that it acknowledged."""
    command = [sys.executable, "-m", "benchmarks.studio_kills", "--edit", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    first = process.stdout.readline()
    timer = threading.Timer(chance.uniform(0, LONGEST), process.kill)
    timer.start()
    rest = process.stdout.read()
    process.wait()
    lines = [line for line in (first + rest).splitlines(keepends=True) if line.endswith(b"\n")]
    return [(id, revision, caption) for id, revision, caption in map(json.loads, lines)]


# --- clients of a studio ----------------------------------------------------------------------------------------------


def killed_studio(folder: Path, chance: random.Random) -> list[Edit]:
    """Runs a studio, edits over HTTP, kills it, and returns the edits that it acknowledged."""
    command = [sys.executable, "-m", "capsmith", "studio", "--images", str(folder), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    match = re.search(r"http://127\.0\.0\.1:(\d+)", process.stdout.readline())
    if match is None:
        process.kill()
        raise RuntimeError("the studio did not start")
    acknowledged: list[Edit] = []
    with Store.read(project_folder(folder)) as store:
        revisions = {image.id: image.revision for image in store.images(limit=1000).images}
    parts = [{id: revisions[id] for id in revisions if id % THREADS == number} for number in range(THREADS)]
    with ThreadPoolExecutor(THREADS) as pool:
        clients = [pool.submit(edit_over_http, int(match[1]), part, acknowledged.append) for part in parts]
        while not acknowledged and not all(client.done() for client in clients):
            time.sleep(0.01)
        time.sleep(chance.uniform(0, LONGEST))
        process.send_signal(signal.SIGKILL)
        process.wait()
    process.stdout.close()
    for client in clients:
        client.result()  # raises if an edit was refused
    return acknowledged


def edit_over_http(port: int, revisions: dict[int, int], acknowledged: Callable[[Edit], Any]) -> None:
    """Edits images until the studio does not answer any more."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        while True:
            for id in revisions:
                body = {
                    "caption": f"{CAPTION} {id} {revisions[id]} http",
                    "status": "edited",
                    "revision": revisions[id],
                }
                headers = {"Content-Type": "application/json"}
                connection.request("PUT", f"/v1/studio/images/{id}", json.dumps(body), headers)
                answer = connection.getresponse()
                image = json.loads(answer.read())
                if answer.status != 200:
                    raise RuntimeError(f"{answer.status}: {image}")
                revisions[id] = image["revision"]
                acknowledged((id, image["revision"], image["caption"]))
    except (OSError, http.client.HTTPException, ValueError):
        return
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main())
