"""A program for ``exec:``: names the colour of each image. What it does wrong is its first argument."""

import json
import os
import subprocess
import sys
import time

from PIL import Image

NAMES = ("red", "green", "blue")


def colour(path):
    pixel = Image.open(path).convert("RGB").resize((1, 1)).getpixel((0, 0))
    return NAMES[pixel.index(max(pixel))]


def main():
    mode = sys.argv[1] if len(sys.argv) > 1 else ""
    log = open(sys.argv[2], "a") if len(sys.argv) > 2 else None
    for number, line in enumerate(sys.stdin):
        path = line.rstrip("\n")
        if log:
            print(path, file=log, flush=True)
        answer = {"image": path, "caption": f"a {colour(path)}  square", "captions": None}
        del answer["captions"]
        if mode == "several":
            answer = {"captions": [f"a {colour(path)} square", f"something {colour(path)}", "a square"]}
        elif mode == "crash" and number == 1:
            print("torch: out of memory\x1b[31m", file=sys.stderr)
            sys.exit(3)
        elif mode == "silent":
            subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
            print(os.getpid(), file=log, flush=True)
            time.sleep(600)
        elif mode == "garbage":
            print("loading weights … 10 %", flush=True)
        elif mode == "flood":
            sys.stdout.write("x" * 3_000_000 + "\n")
        elif mode == "none":
            answer = {"text": "a dog"}
        elif mode == "number":
            answer = {"caption": 3}
        elif mode == "control":
            answer = {"caption": "a r\x1b[31med d\ud800og"}
        elif mode == "refuse" and "blue" in path:
            answer = {"error": "I do not caption\nblue images"}
        elif mode == "twice":
            print(json.dumps({"caption": "an answer to nothing"}), flush=True)
        elif mode == "behind":
            answer["image"] = "/the/image/before.png"
        elif mode == "escape":
            subprocess.Popen(["sleep", "15"], start_new_session=True)
            time.sleep(600)
        elif mode == "close":
            os.close(1)
            time.sleep(600)
        print(json.dumps(answer), flush=True)
        if mode == "leave":
            os.close(1)
            time.sleep(600)


main()
