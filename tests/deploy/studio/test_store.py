import json
import os
import sqlite3
import subprocess
import sys
import threading
import time

import pytest

from capsmith.deploy.studio.caption_text import MAX_LENGTH, CaptionError
from capsmith.deploy.studio.project import DATABASE, StudioBusy, StudioError, find_project, project_folder
from capsmith.deploy.studio.records import Conflict, UnknownImage
from capsmith.deploy.studio.store import Store
from tests.deploy.studio.projects import listing, opened, photos, proposal, propose, write_image


@pytest.fixture
def store(folder):
    with opened(folder) as store:
        yield store


def ids(store, **arguments):
    return [image.id for image in store.images(**arguments).images]


def history(store):
    return [tuple(row) for row in store.database.rows("SELECT image, action, old_caption, caption FROM history")]


# --- images -----------------------------------------------------------------------------------------------------------


def test_images_are_numbered_in_order_of_their_names(store):
    page = store.images()
    assert page.total == 4
    assert [image.name for image in page.images] == ["a.png", "b.png", "c.png", "sub/d.png"]
    assert [image.status for image in page.images] == ["pending"] * 4
    assert store.path(page.images[3].id) == store.root / "sub/d.png"


def test_a_page_is_a_part_of_the_list(store):
    page = store.images(offset=1, limit=2)
    assert (page.total, [image.name for image in page.images]) == (4, ["b.png", "c.png"])
    assert store.images(offset=10).images == []


def test_uncertain_images_come_first_and_those_without_a_caption_last(store):
    first, second, third, fourth = ids(store)
    propose(store, first, per_word=-0.5, log_probability=-9.0)
    propose(store, third, per_word=-2.0, log_probability=-1.0)
    assert ids(store, sort="uncertain") == [third, first, second, fourth]
    assert ids(store, sort="score") == [third, first, second, fourth]
    propose(store, second, per_word=-3.0, log_probability=-2.0)
    assert ids(store, sort="uncertain") == [second, third, first, fourth]
    assert ids(store, sort="score") == [third, second, first, fourth]


def test_filters_show_the_images_of_a_status(store):
    first, second, third, fourth = ids(store)
    propose(store, first)
    propose(store, second)
    store.edit(second, "a dog runs", "accepted", 0)
    store.edit(third, "a cat", "edited", 0)
    store.propose([proposal(store.image(fourth), "", error="damaged")])
    assert {name: ids(store, filter=name) for name in ("all", "todo", "edited", "accepted", "failed")} == {
        "all": [first, second, third, fourth],
        "todo": [first],
        "edited": [third],
        "accepted": [second],
        "failed": [fourth],
    }
    assert store.counts()._asdict() == {"total": 4, "captioned": 3, "failed": 1, "edited": 1, "accepted": 1}


@pytest.mark.parametrize(
    "query",
    ["DOG", "grass dog", "ÉTÉ", "e\N{COMBINING ACUTE ACCENT}te\N{COMBINING ACUTE ACCENT}", "犬", "B.PNG", "STRASSE"],
)
def test_a_search_finds_words_in_captions_and_names(store, query):
    id = ids(store)[1]
    store.edit(id, "Dog on the grass, l'été, 犬が走る, Straße", "edited", 0)
    assert ids(store, query=query) == [id]


@pytest.mark.parametrize("query", ["dog%", "_og", "'; DROP TABLE images; --", "dog cat", "[a-z]"])
def test_a_search_takes_words_literally(store, query):
    store.edit(1, "a dog", "edited", 0)
    assert store.images(query=query).total == 0
    assert store.images(query="dog").total == 1


# --- edits ------------------------------------------------------------------------------------------------------------

CAPTIONS = (
    "a dog <b>runs</b> & \"jumps\" 'here'",
    "كلب يركض على العشب",
    "כלב רץ \u200fעל הדשא",
    "一只狗在草地上奔跑",
    "👩\u200d👩\u200d👧 in the 🌧️",
    "cafe\N{COMBINING ACUTE ACCENT}",
    "café",
    "'); DROP TABLE images; --",
    "=1+1",
)


@pytest.mark.parametrize("caption", CAPTIONS)
def test_a_caption_is_kept_as_typed(folder, caption):
    with opened(folder) as store:
        edited = store.edit(1, f"  {caption} ", "edited", 0)
        assert (edited.caption, edited.status, edited.revision) == (caption, "edited", 1)
    with opened(folder) as store:
        assert store.image(1).caption == caption
        assert [(one.id, one.name, one.caption, one.status) for one in store.corrections()] == [
            (1, "a.png", caption, "edited")
        ]


@pytest.mark.parametrize(
    "caption",
    [
        "",
        " \t ",
        "two\nlines",
        "a\rb",
        "tab\there",
        "nul\0",
        "\x1b[31m",
        "\x85",
        "a\u2028b",
        "\ud800",
        "\ufeffa",
        "\u200b",
    ]
    + ["x" * (MAX_LENGTH + 1)],
)
def test_a_caption_that_is_not_a_line_of_text_is_refused(store, caption):
    with pytest.raises(CaptionError):
        store.edit(1, caption, "edited", 0)
    assert store.image(1).revision == 0 and history(store) == []


def test_two_windows_that_edit_the_same_image(store):
    store.edit(1, "first window", "edited", 0)
    with pytest.raises(Conflict) as conflict:
        store.edit(1, "second window", "edited", 0)
    assert conflict.value.current == store.image(1)
    assert store.image(1).caption == "first window"
    assert store.edit(1, "second window", "edited", 1).revision == 2


def test_the_stored_status_says_whether_the_caption_is_the_proposed_one(store):
    propose(store, 1, "a dog runs")
    assert store.edit(1, "a dog runs", "edited", 0).status == "accepted"
    assert store.edit(1, "a cat runs", "accepted", 1).status == "edited"
    assert store.edit(1, "ignored", "proposed", 2).caption == "a dog runs"
    assert store.image(1).status == "proposed"
    with pytest.raises(ValueError, match="status"):
        store.edit(1, "a", "failed", 3)


def test_every_edit_is_in_the_history_and_can_be_undone(store):
    propose(store, 1, "a dog runs")
    store.edit(1, "one", "edited", 0)
    store.edit(1, "two", "edited", 1)
    assert store.undo(1, 2).caption == "one"
    assert (store.undo(1, 3).caption, store.image(1).status) == ("a dog runs", "proposed")
    assert store.undo(1, 4).revision == 4  # nothing is left to undo
    with pytest.raises(Conflict):
        store.undo(1, 1)
    assert history(store) == [
        (1, "edit", "a dog runs", "one"),
        (1, "edit", "one", "two"),
        (1, "undo", "two", "one"),
        (1, "undo", "one", "a dog runs"),
    ]


def test_undo_of_an_edit_shows_a_proposal_that_came_since(store):
    store.edit(1, "mine", "edited", 0)
    propose(store, 1, "a dog runs")
    undone = store.undo(1, 1)
    assert (undone.caption, undone.status) == ("a dog runs", "proposed")


def test_an_unknown_image(store):
    for call in (store.image, store.path, lambda id: store.edit(id, "a", "edited", 0), lambda id: store.undo(id, 0)):
        with pytest.raises(UnknownImage):
            call(99)


# --- proposals --------------------------------------------------------------------------------------------------------


def test_a_proposal_never_replaces_what_a_person_decided(store):
    propose(store, 1, "a dog runs")
    store.edit(1, "a wolf runs", "edited", 0)
    propose(store, 2, "a dog runs")
    store.edit(2, "a dog runs", "accepted", 0)
    for id in (1, 2):
        image = propose(store, id, "a cat", model="two")
        assert image.caption == {1: "a wolf runs", 2: "a dog runs"}[id]
        assert (image.proposed, image.model) == ("a dog runs", "one")


def test_a_proposal_for_a_file_that_changed_meanwhile_is_dropped(store):
    image = store.image(1)
    write_image(store.path(1), seed=77)
    store.sync(listing(store.root).items)
    assert store.propose([proposal(image)]) == 0
    assert store.image(1).status == "pending"


def test_todo_are_images_without_a_proposal_and_those_of_another_model_on_demand(store):
    propose(store, 1)
    propose(store, 2, model="two")
    store.propose([proposal(store.image(3), "", error="damaged")])
    propose(store, 4)
    store.edit(4, "mine", "edited", 0)
    assert [todo.id for todo in store.todo("one")] == [3]
    assert [todo.id for todo in store.todo("one", again=True)] == [2, 3]
    assert store.proposed_by_others("one") == 1


# --- folders that change ----------------------------------------------------------------------------------------------


def test_new_changed_moved_and_removed_files(folder):
    with opened(folder) as store:
        for id in (1, 2, 3, 4):
            propose(store, id)
        for id in (1, 2, 4):
            store.edit(id, f"mine {id}", "edited", 0)
    write_image(folder / "b.png", seed=50)  # edited: keeps the caption
    write_image(folder / "c.png", seed=51)  # untouched: captioned anew
    (folder / "sub/d.png").rename(folder / "e.png")
    write_image(folder / "0.png", seed=52)
    (folder / "a.png").unlink()
    with opened(folder) as store:
        found = {image.name: (image.id, image.status, image.caption) for image in store.images().images}
        assert found == {
            "0.png": (5, "pending", ""),
            "b.png": (2, "edited", "mine 2"),
            "c.png": (3, "pending", ""),
            "e.png": (4, "edited", "mine 4"),
        }
        assert [image.name for image in store.images().images] == sorted(found)
        with pytest.raises(UnknownImage):
            store.image(1)
        assert {one.id for one in store.corrections()} == {2, 4}
    write_image(folder / "a.png", seed=0)
    with opened(folder) as store:
        assert store.image(1).caption == "mine 1"


def test_two_equal_files_are_not_taken_for_moved_ones(tmp_path):
    folder = photos(tmp_path / "photos", ["a.png"])
    (tmp_path / "copy.png").write_bytes((folder / "a.png").read_bytes())
    with opened(folder) as store:
        store.edit(1, "mine", "edited", 0)
    stamp = os.stat(folder / "a.png").st_mtime_ns
    data = (folder / "a.png").read_bytes()
    (folder / "a.png").unlink()
    for name in ("x.png", "y.png"):
        (folder / name).write_bytes(data)
        os.utime(folder / name, ns=(stamp, stamp))
    with opened(folder) as store:
        assert [image.status for image in store.images().images] == ["pending", "pending"]


@pytest.mark.skipif(sys.platform == "darwin", reason="file names are UTF-8 there")
def test_a_name_that_is_not_utf8(tmp_path):
    folder = photos(tmp_path / "photos", ["a.png"])
    raw = os.path.join(os.fsencode(folder), b"caf\xe9.png")
    os.rename(os.path.join(os.fsencode(folder), b"a.png"), raw)
    with opened(folder) as store:
        store.edit(1, "mine", "edited", 0)
        assert store.image(1).name == "caf\\xe9.png"
        assert os.fsencode(store.path(1)) == raw
        assert os.fsencode(store.corrections()[0].path) == raw


def test_the_project_is_not_taken_for_images_and_moves_with_the_folder(folder, tmp_path):
    with opened(folder) as store:
        store.edit(1, "mine", "edited", 0)
        write_image(store.project / "thumbnails" / "x.png")
        assert len(listing(folder).items) == 4
    folder.rename(tmp_path / "elsewhere")
    with opened(tmp_path / "elsewhere") as store:
        assert store.image(1).caption == "mine"
        assert store.root == tmp_path / "elsewhere"


def test_a_temporary_file_is_not_mistaken_for_the_project(folder):
    from capsmith.core.temporary import _cleaned, remove_abandoned

    with opened(folder) as store:
        store.edit(1, "mine", "edited", 0)
    _cleaned.discard(os.path.abspath(folder))
    remove_abandoned(folder)
    assert (project_folder(folder) / DATABASE).exists()


# --- opening ----------------------------------------------------------------------------------------------------------


def test_a_second_studio_is_refused_but_may_read(folder, store):
    store.edit(1, "mine", "edited", 0)
    code = f"from capsmith.deploy.studio.store import Store; Store.open({str(store.project)!r})"
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "StudioBusy" in child.stderr and str(store.project) in child.stderr
    with pytest.raises(StudioBusy):
        Store.open(store.project)
    with Store.read(find_project(folder)) as other:
        assert [one.caption for one in other.corrections()] == ["mine"]
        assert other.root == folder
        with pytest.raises(StudioError):
            other.edit(1, "theirs", "edited", 1)


def test_a_project_elsewhere_belongs_to_one_folder(folder, tmp_path):
    project = tmp_path / "project"
    with opened(folder, project) as store:
        assert store.project == project and not project_folder(folder).exists()
    with Store.open(project) as store:
        assert store.root == folder
    with pytest.raises(StudioError, match="--project"):
        Store.open(project, photos(tmp_path / "others"))
    with pytest.raises(StudioError):
        Store.open(tmp_path / "empty")


def test_the_project_knows_the_model_that_proposed(folder):
    with opened(folder) as store:
        assert store.model == []
        store.keep_model(["starter"])
        store.keep_model(["/runs/one", "/runs/caf\udce9"])
    with Store.read(project_folder(folder)) as store:
        assert store.model == ["/runs/one", "/runs/caf\udce9"]


@pytest.mark.parametrize(
    "damage",
    ["text", "cut", "zeros", "foreign", "newer", "trigger", "link", "folder", "pipe", "file"],
)
def test_a_damaged_or_foreign_database_is_one_line(folder, tmp_path, damage):
    with opened(folder) as store:
        store.edit(1, "mine", "edited", 0)
    project = project_folder(folder)
    path = project / DATABASE
    data = path.read_bytes()
    if damage in ("text", "cut", "zeros"):
        path.write_bytes(
            {"text": b"not a database " * 400, "cut": data[: len(data) // 2], "zeros": data[:100] + bytes(9000)}[damage]
        )
    elif damage in ("foreign", "newer", "trigger"):
        statement = {
            "foreign": "PRAGMA application_id = 7",
            "newer": "PRAGMA user_version = 99",
            "trigger": "CREATE TRIGGER t AFTER UPDATE ON images BEGIN DELETE FROM history; END",
        }[damage]
        connection = sqlite3.connect(path)
        connection.execute(statement)
        connection.close()
    else:
        path.unlink()
        if damage == "link":
            path.symlink_to(tmp_path / "other")
        elif damage == "folder":
            path.mkdir()
        elif damage == "pipe":
            os.mkfifo(path)
        else:
            for file in project.iterdir():
                file.unlink()
            project.rmdir()
            project.write_text("a file")
    for opening in (Store.open, Store.read):
        with pytest.raises(StudioError) as error:
            opening(project, *([folder] if opening == Store.open else []))
        assert "\n" not in str(error.value) and str(project) in str(error.value)


def test_names_that_lead_out_of_the_folder_are_refused(folder):
    with opened(folder):
        pass
    connection = sqlite3.connect(project_folder(folder) / DATABASE)
    for name in (b"../secret.png", b"/etc/passwd", b"", b"a\0b"):
        connection.execute("UPDATE images SET name = ?, status = 'edited' WHERE id = 1", (name,))
        connection.commit()
        with Store.read(project_folder(folder)) as store, pytest.raises(StudioError):
            store.corrections()
        with Store.read(project_folder(folder)) as store, pytest.raises(StudioError):
            store.path(1)
    connection.close()
    with opened(folder) as store:  # the listing decides which images exist
        assert len(store.images().images) == 4


def test_a_database_that_is_removed_while_it_is_open_takes_no_edits(store):
    (store.project / DATABASE).unlink()
    with pytest.raises(StudioError, match="removed"):
        store.edit(1, "mine", "edited", 0)


def test_a_full_disk_loses_nothing_and_is_told(store):
    for revision in range(3):
        store.edit(1, f"caption {revision}", "edited", revision)
    pages = store.database.rows("PRAGMA page_count")[0][0]
    store.database._writer.execute(f"PRAGMA max_page_count = {pages}")
    saved = 0
    with pytest.raises(StudioError, match="full"):
        for saved in range(3, 500):
            store.edit(1, f"caption {saved} " + "x" * 900, "edited", saved)
    assert store.image(1).revision == saved == len(history(store))
    store.database._writer.execute("PRAGMA max_page_count = 100000")
    assert store.edit(1, "there is space", "edited", saved).revision == saved + 1


@pytest.mark.skipif(os.geteuid() == 0, reason="the administrator may write everywhere")
def test_a_folder_that_cannot_be_written(folder):
    folder.chmod(0o500)
    try:
        with pytest.raises(StudioError, match="--project"):
            opened(folder)
    finally:
        folder.chmod(0o700)


# --- threads, size ----------------------------------------------------------------------------------------------------


def test_edits_and_lists_of_many_threads(store):
    failures = []

    def work(id):
        try:
            for revision in range(10):
                store.edit(id, f"{id} {revision}", "edited", revision)
                store.images(sort="uncertain")
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(id,)) for id in (1, 2, 3, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert [store.image(id).caption for id in (1, 2, 3, 4)] == ["1 9", "2 9", "3 9", "4 9"]
    assert len(history(store)) == 40


def test_a_page_of_5000_images_is_quick(tmp_path):
    folder = photos(tmp_path / "photos", ["a.png"])
    other = {"caption": "a dog runs on the green grass", "log_probability": -9.123456, "score": -1.234567}
    words = {"words": ["word"] * 12, "probabilities": [0.123456] * 12}
    details = json.dumps(words | {"score": -1.0, "alternatives": [other] * 4})
    with opened(folder) as store:
        with store.database.change() as connection:
            connection.executemany(
                "INSERT INTO images (name, place, size, mtime, status, caption, words, per_word, log_probability, "
                "details) VALUES (?, ?, 1, ?, 'proposed', ?, ?, ?, ?, ?)",
                [
                    (f"{n:05}.jpg".encode(), n, n, f"caption {n}", f"caption {n}", -(n % 97) / 10, -n % 89, details)
                    for n in range(5000)
                ],
            )
        for arguments in ({}, {"sort": "uncertain"}, {"sort": "score", "filter": "todo"}, {"query": "caption 4"}):
            seconds = []
            for _ in range(5):
                began = time.perf_counter()
                page = store.images(offset=2000 if "query" not in arguments else 0, limit=200, **arguments)
                seconds.append(time.perf_counter() - began)
                assert len(page.images) == 200
            assert min(seconds) < 0.2  # other processes may hold the machine
        plan = store.database.rows(
            "EXPLAIN QUERY PLAN SELECT id FROM images WHERE missing = 0 "
            "ORDER BY per_word IS NULL, per_word, place LIMIT 200"
        )
        assert "by_per_word" in str([tuple(row) for row in plan]) and "TEMP" not in str([tuple(row) for row in plan])
