"""Any order of edits, undos, proposals and changes of files, against a model of a few lines."""

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from capsmith.deploy.studio.records import Conflict
from tests.deploy.studio.projects import listing, opened, photos, proposal, write_image

IDS = st.sampled_from([1, 2])
STEPS = st.one_of(
    st.tuples(st.just("edit"), IDS, st.sampled_from(["mine", "yours", "model 1"]), st.booleans()),
    st.tuples(st.just("reset"), IDS),
    st.tuples(st.just("undo"), IDS),
    st.tuples(st.just("propose"), IDS, st.sampled_from(["model 1", "model 2"])),
    st.tuples(st.just("change"), IDS),
    st.tuples(st.just("reopen"), IDS),
)


@given(st.lists(STEPS, max_size=14))
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_person_decides_and_nothing_else_does(steps):
    with tempfile.TemporaryDirectory() as name:
        folder = photos(Path(name) / "photos", ["a.png", "b.png"])
        store = opened(folder)
        decided, revisions, seed = {1: None, 2: None}, {1: 0, 2: 0}, 100
        earlier = {1: [], 2: []}
        for kind, id, *rest in steps:
            revision = revisions[id]
            if kind == "edit":
                caption, current = rest
                if not current:
                    try:
                        store.edit(id, caption, "edited", revision + 1)
                    except Conflict as conflict:
                        assert conflict.current.revision == revision
                    else:
                        raise AssertionError("no conflict")
                    continue
                store.edit(id, caption, "edited", revision)
                earlier[id].append(decided[id])
                decided[id], revisions[id] = caption, revision + 1
            elif kind == "reset":
                store.edit(id, "", "proposed", revision)
                earlier[id].append(decided[id])
                decided[id], revisions[id] = None, revision + 1
            elif kind == "undo" and earlier[id]:
                store.undo(id, revision)
                decided[id], revisions[id] = earlier[id].pop(), revision + 1
            elif kind == "propose":
                store.propose([proposal(store.image(id), rest[0])])
            elif kind == "change":
                seed += 1
                write_image(store.path(id), seed)
                store.sync(listing(folder).items)
            elif kind == "reopen":
                store.close()
                store = opened(folder)
        for id, caption in decided.items():
            image = store.image(id)
            assert image.revision == revisions[id]
            assert image.caption == (image.proposed if caption is None else caption)
            assert (image.status in ("edited", "accepted")) == (caption is not None)
            rows = store.database.rows("SELECT revision FROM history WHERE image = ? ORDER BY id", (id,))
            assert [row[0] for row in rows] == list(range(1, revisions[id] + 1))
        assert {one.id: one.caption for one in store.corrections()} == {
            k: v for k, v in decided.items() if v is not None
        }
        store.close()
