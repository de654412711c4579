"""Samples captions for blind judgement beside their images, and counts the verdicts.

    python -m tools.judged_sample draw --images FLICKR8K/Images --tokens FLICKR8K/Flickr8k.token.txt
    python -m tools.judged_sample count [--enter]

``draw`` takes 60 random test images, the caption of each row for them, and one reference as the row of people. Equal
captions of an image are judged once. It writes ``captions.csv`` (captions in random order, without their rows),
``key.json`` (the rows of each caption) and contact sheets of the images in a temporary folder. A reader fills in
``verdicts.csv`` by the rules in ``results/flickr8k/judged/README.md``. ``count`` prints the shares of every row with
95 % intervals; ``--enter`` puts them into ``results/summary.json``.
"""

import argparse
import csv
import json
import math
import random
import tempfile
from collections import defaultdict
from pathlib import Path

from tools import paths
from tools.rows import ROWS as ALL_ROWS

HERE = paths.FLICKR8K / "judged"
IMAGES, SEED = 60, 20261128
ROWS = {
    name: ALL_ROWS[name].folders[0] for name in ("best", "best_five", "scst_consensus", "scst", "xe", "quick", "merge")
}
"""The folder of the first seed of each judged row."""
PEOPLE = "people"


def predictions(folder: str) -> dict[str, str]:
    """Returns the kept caption of each test image."""
    lines = (paths.RESULTS / folder / "report" / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    return {row["image"]: row["caption"] for row in map(json.loads, lines)}


def references(tokens: Path) -> dict[str, list[str]]:
    """Returns the five references of each image, in lower case without their full stop."""
    captions = defaultdict(list)
    for line in tokens.read_text(encoding="utf-8").splitlines():
        name, _, caption = line.partition("\t")
        captions[Path(name.partition("#")[0]).stem].append(caption.lower().strip().rstrip(".").strip())
    return captions


def draw(images: Path, tokens: Path) -> None:
    """Writes the captions to judge, and the key of their rows."""
    chance = random.Random(SEED)  # noqa: S311
    rows = {row: predictions(folder) for row, folder in ROWS.items()}
    people = references(tokens)
    names = chance.sample(sorted(rows["best"]), IMAGES)
    written, key = [], {}
    for name in names:
        writers = defaultdict(list)
        for row, captions in rows.items():
            writers[captions[name]].append(row)
        writers[chance.choice(people[Path(name).stem])].append(PEOPLE)
        order = sorted(writers)
        chance.shuffle(order)
        for number, caption in enumerate(order):
            code = f"{names.index(name):02d}{chr(ord('a') + number)}"
            written.append((code, name, caption))
            key[code] = writers[caption]
    with (HERE / "captions.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("code", "image", "caption"), *written])
    (HERE / "key.json").write_text(json.dumps(key, indent=1) + "\n", encoding="utf-8")
    print(f"{len(written)} captions of {len(names)} images; sheets in {sheets(images, names)}")


def sheets(images: Path, names: list[str], each: int = 6) -> Path:
    """Writes contact sheets of the images, numbered as in the codes; returns their folder."""
    from PIL import Image, ImageDraw

    folder = Path(tempfile.mkdtemp(prefix="judged"))
    for first in range(0, len(names), each):
        sheet = Image.new("RGB", (3 * 340, 2 * 360), "white")
        for place, name in enumerate(names[first : first + each]):
            path = images / (name if name.endswith(".jpg") else f"{name}.jpg")
            x, y = place % 3 * 340, place // 3 * 360
            with Image.open(path) as image:
                sheet.paste(image.convert("RGB").resize((330, 330)), (x, y + 25))
            ImageDraw.Draw(sheet).text((x + 5, y + 5), f"{first + place:02d}", fill="black", font_size=18)
        sheet.save(folder / f"{first // each:02d}.png")
    return folder


def interval(count: int, total: int) -> tuple[float, float]:
    """Returns Wilson's 95 % interval of a share (Wilson 1927)."""
    z, share = 1.96, count / total
    middle = (share + z * z / (2 * total)) / (1 + z * z / total)
    half = z / (1 + z * z / total) * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    return max(0.0, middle - half), min(1.0, middle + half)


def shares() -> dict[str, dict[str, float]]:
    """Returns the shares of right, partly right, wrong and ungrammatical captions of each row."""
    key = json.loads((HERE / "key.json").read_text(encoding="utf-8"))
    counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    with (HERE / "verdicts.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            for writer in key[row["code"]]:
                counts[writer][row["content"]] += 1
                counts[writer]["ungrammatical"] += row["language"] == "bad"
    kinds = ("right", "partly", "wrong", "ungrammatical")
    return {row: {kind: counts[row][kind] / IMAGES for kind in kinds} for row in (*ROWS, PEOPLE)}


def count() -> None:
    """Prints the table."""
    print("| row | right | partly | wrong | ungrammatical |\n|---|---|---|---|---|")
    for row, row_shares in shares().items():
        cells = []
        for share in row_shares.values():
            low, high = interval(round(share * IMAGES), IMAGES)
            cells.append(f"{share:.2f} ({low:.2f} to {high:.2f})")
        print(f"| {row} | {' | '.join(cells)} |")


def enter() -> None:
    """Enters the shares of every row into the summary."""
    summary = paths.read_summary()
    names = {"right": "correct_share", "partly": "partly_share", "wrong": "wrong_share"}
    for row, row_shares in shares().items():
        for kind, share in row_shares.items():
            low, high = interval(round(share * IMAGES), IMAGES)
            summary[f"reading.{names.get(kind, 'ungrammatical_share')}_{row}"] = {
                "value": round(share, 4),
                "unit": "",
                "command": "python -m tools.judged_sample count",
                "seeds": 1,
                "note": f"of {IMAGES} captions judged beside their images, 95 % interval {low:.2f} to {high:.2f}",
            }
    paths.write_summary(summary)


def main() -> None:
    """Runs ``draw`` or ``count``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("draw", "count"))
    parser.add_argument("--images", type=Path)
    parser.add_argument("--tokens", type=Path)
    parser.add_argument("--enter", action="store_true", help="put the shares into results/summary.json")
    args = parser.parse_args()
    if args.what == "count":
        count()
        if args.enter:
            enter()
    elif args.images and args.tokens:
        draw(args.images, args.tokens)
    else:
        parser.error("draw needs --images and --tokens")


if __name__ == "__main__":
    main()
