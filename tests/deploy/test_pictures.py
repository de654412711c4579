import os

import pytest

from capsmith.core.errors import ImageError
from capsmith.deploy.folder.selection import select
from capsmith.deploy.pictures import FOLDER, Pictures
from tests.deploy.studio.projects import photos, write_image


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "project").mkdir()
    return photos(tmp_path / "photos")


def kept(project):
    return sorted(os.listdir(project / FOLDER))


def test_small_images_are_made_once(folder, tmp_path, monkeypatch):
    pictures = Pictures(tmp_path / "project")
    first = pictures.small(1, folder / "a.png")
    monkeypatch.setattr("capsmith.deploy.pictures.thumbnail", None)
    assert pictures.small(1, folder / "a.png") == first
    assert Pictures(tmp_path / "project").small(1, folder / "a.png") == first
    assert len(kept(tmp_path / "project")) == 1


def test_a_changed_file_is_made_anew(folder, tmp_path):
    pictures = Pictures(tmp_path / "project")
    first = pictures.small(1, folder / "a.png")
    write_image(folder / "a.png", seed=9)
    assert pictures.small(1, folder / "a.png") != first


@pytest.mark.parametrize("content", [b"", b"\xff\xd8 torn", b"<script>"])
def test_a_torn_copy_is_made_anew(folder, tmp_path, content):
    first = Pictures(tmp_path / "project").small(1, folder / "a.png")
    (tmp_path / "project" / FOLDER / kept(tmp_path / "project")[0]).write_bytes(content)
    assert Pictures(tmp_path / "project").small(1, folder / "a.png") == first


def test_the_oldest_copies_are_removed(folder, tmp_path):
    size = len(Pictures(tmp_path / "project").small(1, folder / "a.png"))
    pictures = Pictures(tmp_path / "project", limit=3 * size)
    for id in range(2, 9):
        pictures.small(id, folder / "a.png")
    assert [name.split("-")[0] for name in kept(tmp_path / "project")] == ["6", "7", "8"]


def test_only_our_copies_are_removed_and_links_are_not_followed(folder, tmp_path):
    project, other = tmp_path / "project", tmp_path / "other"
    (project / FOLDER).mkdir()
    (project / FOLDER / "mine.txt").write_text("mine")
    other.write_bytes(b"\xff\xd8secret\xff\xd9")
    pictures = Pictures(project, limit=1)
    name = kept(project)[0]
    pictures.small(1, folder / "a.png")
    assert kept(project) == [name] == ["mine.txt"]
    first = Pictures(project).small(1, folder / "a.png")
    copy = project / FOLDER / next(name for name in kept(project) if name != "mine.txt")
    copy.unlink()
    copy.symlink_to(other)
    assert Pictures(project).small(1, folder / "a.png") == first


def test_a_linked_folder_of_copies_is_not_used(folder, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "project" / FOLDER).symlink_to(tmp_path / "elsewhere")
    Pictures(tmp_path / "project").small(1, folder / "a.png")
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_copies_are_not_taken_for_images(folder):
    Pictures(folder).small(1, folder / "a.png")  # a project in a folder that is not hidden
    assert len(select([folder]).items) == 4


def test_unreadable_images(folder, tmp_path):
    (folder / "a.png").write_text("text")
    pictures = Pictures(tmp_path / "project")
    for call in (lambda: pictures.small(1, folder / "a.png"), lambda: pictures.large(folder / "none.png")):
        with pytest.raises(ImageError):
            call()
