import csv
import json
import os
import sys

import pytest

from capsmith.core.errors import CapsmithError, ConfigError
from capsmith.core.unicode import nfc
from capsmith.data.onboarding.init import init_config
from capsmith.data.records import read_dataset
from capsmith.deploy.studio.exports import FORMATS, export_captions, table
from capsmith.deploy.studio.store import Store
from tests.deploy.studio.projects import opened, photos, propose, write_image

CAPTIONS = {
    "a.png": "a dog <b>\"runs\"</b>, & jumps; it's 5 o'clock | really",
    "b.png": "كلب يركض على العشب الأخضر",
    "c.png": "一只狗在绿色的草地上奔跑",
    "sub/d.png": "cafe\N{COMBINING ACUTE ACCENT} 👩\u200d👩\u200d👧 outside",
}


@pytest.fixture
def store(folder):
    with opened(folder) as store:
        for image in store.images().images:
            propose(store, image.id, f"proposal {image.id}")
            store.edit(image.id, CAPTIONS[image.name], "edited", 0)
        yield store


def rows(path):
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_a_csv_holds_captions_as_they_were_typed(store, folder):
    done = export_captions(store, ["csv"])
    assert done.tables == [folder / "captions.csv"]
    found = rows(folder / "captions.csv")
    assert {row["image"]: row["caption"] for row in found} == CAPTIONS
    assert {row["status"] for row in found} == {"edited"}
    assert b"".join(table(store.captions())) == (folder / "captions.csv").read_bytes()


@pytest.mark.parametrize("formats", [["csv"], ["txt"], ["jsonl"]])
def test_init_reads_an_export_back(tmp_path, formats):
    folder = photos(tmp_path / "photos", [f"{n:02}.png" for n in range(12)])
    texts = list(CAPTIONS.values())
    with opened(folder) as store:
        for image in store.images().images:
            propose(store, image.id, f"a proposal of the model {image.id}")
            store.edit(image.id, f"{texts[image.id % 4]} {image.id}", "edited", 0)
        export_captions(store, formats)
        expected = {one.name: (nfc(one.caption),) for one in store.corrections()}
    layout, stats, _ = init_config(folder, None, tmp_path / "config.yaml")
    records = read_dataset(layout.config).records
    assert {
        record.path.relative_to(folder).as_posix(): tuple(map(nfc, record.captions)) for record in records
    } == expected


def test_a_cell_that_a_spreadsheet_would_run_is_text(tmp_path):
    folder = photos(tmp_path / "photos", ["=cmd.png", "b.png"])
    with opened(folder) as store:
        for image in store.images().images:
            store.edit(image.id, "=HYPERLINK(1)", "edited", 0)
        export_captions(store, ["csv", "jsonl", "txt"])
    assert {tuple(row.values())[:2] for row in rows(folder / "captions.csv")} == {
        ("'=cmd.png", "'=HYPERLINK(1)"),
        ("b.png", "'=HYPERLINK(1)"),
    }
    lines = [json.loads(line) for line in (folder / "captions.jsonl").read_text().splitlines()]
    assert [line["caption"] for line in lines] == ["=HYPERLINK(1)"] * 2
    assert (folder / "b.txt").read_text() == "=HYPERLINK(1)\n"


def test_json_lines_hold_proposed_and_corrected_captions(store, folder):
    export_captions(store, ["jsonl"])
    lines = [json.loads(line) for line in (folder / "captions.jsonl").read_text(encoding="utf-8").splitlines()]
    assert lines[0] == {
        "image": "a.png",
        "caption": CAPTIONS["a.png"],
        "status": "edited",
        "proposed": "proposal 1",
        "log_probability": -3.0,
    }
    assert {line["image"]: line["caption"] for line in lines} == CAPTIONS


def test_text_files_stand_beside_the_images(store, folder):
    done = export_captions(store, ["txt"])
    assert done.sidecars == {"txt": 4} and done.kept == []
    assert {name: (folder / name).with_suffix(".txt").read_text(encoding="utf-8") for name in CAPTIONS} == {
        name: f"{caption}\n" for name, caption in CAPTIONS.items()
    }


def test_a_corrected_caption_replaces_an_exported_one_but_nothing_of_somebody_else(store, folder):
    export_captions(store, ["txt", "csv"])
    store.edit(1, "a better one", "edited", 1)
    (folder / "b.txt").write_text("by hand\n")
    done = export_captions(store, ["txt", "csv"])
    assert (folder / "a.txt").read_text() == "a better one\n"
    assert (folder / "b.txt").read_text() == "by hand\n"
    assert (done.kept, done.sidecars) == (["b.txt"], {"txt": 3})
    assert rows(folder / "captions.csv")[0]["caption"] == "a better one"
    export_captions(store, ["txt"], overwrite=True)
    assert (folder / "b.txt").read_text(encoding="utf-8") == f"{CAPTIONS['b.png']}\n"


@pytest.mark.parametrize("name", ["captions.csv", "captions.jsonl"])
def test_a_table_of_somebody_else_is_kept_and_nothing_is_written(store, folder, name):
    (folder / name).write_text("theirs")
    with pytest.raises(ConfigError):
        export_captions(store, ["txt", "csv", "jsonl"])
    assert (folder / name).read_text() == "theirs" and not (folder / "a.txt").exists()


def test_files_of_capsmith_caption_are_replaced(store, folder):
    from capsmith.deploy.folder.caption_folder import caption_folder
    from capsmith.deploy.folder.destination import destination
    from capsmith.deploy.folder.pipeline import Captioned
    from capsmith.models.caption import Caption
    from tests.deploy.studio.projects import listing

    place, selection = destination("txt,csv", None, listing(folder))
    caption_folder(
        lambda paths: iter([Captioned(path, Caption("old", -1, -1)) for path in paths]), selection, place, "m", {}
    )
    assert (folder / "a.txt").read_text() == "old\n"
    done = export_captions(store, ["txt", "csv"])
    assert (done.kept, done.sidecars) == ([], {"txt": 4})
    assert rows(folder / "captions.csv")[0]["caption"] == CAPTIONS["a.png"]


def test_only_images_with_a_caption_that_exist_are_exported(folder):
    with opened(folder) as store:
        with pytest.raises(ConfigError, match="caption"):
            export_captions(store, ["csv"])
        propose(store, 1, "a dog")
        store.edit(2, "a cat", "edited", 0)
        store.edit(4, "gone", "edited", 0)
        (folder / "sub/d.png").unlink()
        (folder / "sub").rmdir()
        done = export_captions(store, ["csv", "txt"])
    assert [(row["image"], row["status"]) for row in rows(folder / "captions.csv")] == [
        ("a.png", "proposed"),
        ("b.png", "edited"),
    ]
    assert done.sidecars == {"txt": 2} and not (folder / "sub").exists()


def test_results_go_into_a_folder_or_into_a_project_elsewhere(folder, tmp_path):
    project = tmp_path / "project"
    with opened(folder, project) as store:
        store.edit(4, "a cat", "edited", 0)
        before = sorted(os.listdir(folder))
        assert export_captions(store, ["csv", "txt"]).folder == project / "exports"
        assert (project / "exports/sub/d.txt").read_text() == "a cat\n"
        assert export_captions(store, ["csv", "txt"], tmp_path / "out").tables == [tmp_path / "out/captions.csv"]
        assert (tmp_path / "out/sub/d.txt").read_text() == "a cat\n"
        assert sorted(os.listdir(folder)) == before
        (tmp_path / "file").write_text("")
        with pytest.raises(ConfigError, match="--output"):
            export_captions(store, ["csv"], tmp_path / "file")


def test_an_export_of_another_process_reads_beside_the_studio(store, folder):
    with Store.read(store.project) as other:
        assert export_captions(other, ["csv"]).tables == [folder / "captions.csv"]


def test_unknown_formats(store):
    with pytest.raises(ConfigError):
        export_captions(store, ["csv", "../x"])
    assert set(FORMATS) == {"csv", "jsonl", "txt", "xmp"}


def test_images_that_differ_in_the_ending_have_their_own_text_files(tmp_path):
    folder = photos(tmp_path / "photos", ["a.png", "a.jpg"])
    with opened(folder) as store:
        for image in store.images().images:
            store.edit(image.id, image.name, "edited", 0)
        export_captions(store, ["txt"])
    assert (folder / "a.png.txt").read_text() == "a.png\n" and (folder / "a.jpg.txt").read_text() == "a.jpg\n"


@pytest.mark.skipif(sys.platform == "darwin", reason="file names are UTF-8 there")
def test_a_name_that_is_not_utf8(tmp_path):
    folder = photos(tmp_path / "photos", ["a.png"])
    os.rename(folder / "a.png", os.path.join(os.fsencode(folder), b"caf\xe9.png"))
    with opened(folder) as store:
        store.edit(1, "mine", "edited", 0)
        export_captions(store, ["csv", "jsonl", "txt"])
        assert json.loads((folder / "captions.jsonl").read_text())["image"] == "caf\udce9.png"
        assert store.path(1).with_suffix(".txt").read_text() == "mine\n"


@pytest.mark.skipif(os.geteuid() == 0, reason="the administrator may write everywhere")
def test_a_folder_that_cannot_be_written(store, folder):
    (folder / "sub").chmod(0o500)
    try:
        done = export_captions(store, ["txt"])
        assert len(done.failed) == 1 and isinstance(done.failed[0], CapsmithError)
        assert done.sidecars == {"txt": 3}
    finally:
        (folder / "sub").chmod(0o700)


def test_an_image_that_came_back_as_another_is_exported_with_its_new_caption(store, folder):
    export_captions(store, ["txt"])
    write_image(folder / "a.png", seed=99)
    assert (folder / "a.txt").exists()
    store.edit(1, "new", "edited", 1)
    assert export_captions(store, ["txt"]).kept == []
