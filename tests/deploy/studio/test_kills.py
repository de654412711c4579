"""Real processes are killed (-9) amid concurrent edits; ``benchmarks.studio_kills`` does so more often."""

import random

import pytest

from benchmarks.studio_kills import killed_process, killed_studio, lost, make_photos
from capsmith.core.starter import has_starter
from capsmith.deploy.studio.project import project_folder
from capsmith.deploy.studio.store import Store


@pytest.fixture
def folder(tmp_path):
    return make_photos(tmp_path / "photos")


def test_no_acknowledged_edit_is_lost_when_processes_are_killed(folder):
    chance, acknowledged = random.Random(3), []
    for _ in range(5):
        acknowledged += killed_process(folder, chance)
        assert lost(folder, acknowledged) == []
    assert len(acknowledged) > 5


@pytest.mark.skipif(not has_starter(), reason="needs the starter")
def test_no_acknowledged_edit_is_lost_when_the_studio_is_killed(folder):
    pytest.importorskip("fastapi")
    acknowledged = killed_studio(folder, random.Random(4))
    assert acknowledged and lost(folder, acknowledged) == []


def test_a_lost_edit_would_be_found(folder):
    edits = killed_process(folder, random.Random(5))
    with Store.open(project_folder(folder)) as store, store.database.change() as connection:
        connection.execute("DELETE FROM history WHERE (image, revision, caption) = (?, ?, ?)", edits[0])
        connection.execute("UPDATE images SET caption = 'torn' WHERE id = ?", (edits[0][0],))
    assert {problem.split(":")[0] for problem in lost(folder, edits)} == {"lost", "torn"}


def test_what_a_killed_process_saved_can_be_read_without_opening_the_project_for_writing(folder):
    acknowledged = killed_process(folder, random.Random(6))
    assert (project_folder(folder) / "studio.sqlite-wal").exists()
    with Store.read(project_folder(folder)) as store:
        kept = {tuple(row) for row in store.database.rows("SELECT image, revision, caption FROM history")}
        assert kept >= set(acknowledged)
