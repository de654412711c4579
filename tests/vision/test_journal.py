import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capsmith.core.errors import FeatureError
from capsmith.vision import journal
from capsmith.vision.journal import Journal
from capsmith.vision.journal_lines import current_manifest
from capsmith.vision.store import FeatureStore, Manifest

PRINT = {"type": "test"}


def begin(folder, shape=(3,), print_=PRINT):
    folder.mkdir(exist_ok=True)
    return Journal(folder, Manifest(print_, shape, "float32" if len(shape) == 1 else "float16"))


def rows(*values):
    return np.array([[value] * 3 for value in values], np.float32)


def test_an_empty_folder_has_no_manifest(tmp_path):
    assert current_manifest(tmp_path, PRINT) is None


def test_complete_lines_count_and_a_torn_line_does_not(tmp_path):
    writer = begin(tmp_path)
    writer.append(["a", "b"], [10, 20], rows(1, 2), {})
    writer.append(["c"], [30], rows(3), {"d": {"reason": "d: empty", "size": 0}})
    writer.close()
    path = tmp_path / "journal.jsonl"
    whole = path.read_bytes()
    last = whole[:-1].rindex(b"\n") + 1
    for length in range(last, len(whole)):
        path.write_bytes(whole[:length])
        found = current_manifest(tmp_path, PRINT)
        assert found.ids == ["a", "b"] and not found.broken
    path.write_bytes(whole)
    found = current_manifest(tmp_path, PRINT)
    assert found.ids == ["a", "b", "c"] and found.file_sizes() == {"a": 10, "b": 20, "c": 30, "d": 0}


def test_a_torn_line_is_cut_off_before_the_next_is_written(tmp_path):
    writer = begin(tmp_path)
    writer.append(["a"], [1], rows(1), {})
    writer.close()
    with (tmp_path / "journal.jsonl").open("ab") as file:
        file.write(b'{"rows": [1], "ids": ["b"')
    again = Journal(tmp_path, current_manifest(tmp_path, PRINT))
    again.append(["c"], [1], rows(3), {})
    again.finish()
    store = FeatureStore.open(tmp_path, PRINT)
    assert store.ids == ["a", "c"]
    np.testing.assert_array_equal(store.gather(store.rows(["c", "a"])), rows(3, 1))


def test_a_torn_first_line_starts_a_new_journal(tmp_path):
    begin(tmp_path).close()
    path = tmp_path / "journal.jsonl"
    path.write_bytes(path.read_bytes()[:-3])
    assert current_manifest(tmp_path, PRINT) is None
    writer = begin(tmp_path)
    writer.append(["a"], [1], rows(1), {})
    writer.finish()
    assert FeatureStore.open(tmp_path).ids == ["a"]


@pytest.mark.parametrize("name", ['"\\ud83d"', "5"])
def test_an_invalid_name_is_damage(tmp_path, name):
    writer = begin(tmp_path)
    writer.append(["\U0001f600"], [1], rows(1), {})
    writer.close()
    path = tmp_path / "journal.jsonl"
    text = path.read_text()
    path.write_text(text.replace('"\\ud83d\\ude00"', name))
    assert path.read_text() != text
    with pytest.raises(FeatureError, match="journal.jsonl is damaged"):
        current_manifest(tmp_path, PRINT)


def test_features_are_on_the_disk_before_their_line(tmp_path, monkeypatch):
    writer = begin(tmp_path)
    events = []
    sync = journal._sync
    monkeypatch.setattr(journal, "_sync", lambda file: events.append(file.name) or sync(file))
    writer.append(["a"], [1], rows(1), {})
    assert [str(name).rpartition("/")[2] for name in events] == ["rows.part.npy", "journal.jsonl"]
    writer.close()


def test_another_encoder_is_refused(tmp_path):
    begin(tmp_path).close()
    with pytest.raises(FeatureError, match="type: test instead of other"):
        current_manifest(tmp_path, {"type": "other"})


def test_an_image_read_again_keeps_its_row(tmp_path):
    writer = begin(tmp_path)
    writer.append(["a", "b"], [1, 1], rows(1, 2), {})
    writer.append(["a", "c"], [5, 1], rows(9, 3), {})
    assert writer.manifest.ids == ["a", "b", "c"] and writer.manifest.sizes == [5, 1, 1]
    writer.finish()
    store = FeatureStore.open(tmp_path)
    np.testing.assert_array_equal(store.gather(store.rows(["a", "b", "c"])), rows(9, 2, 3))


def test_grid_rows_are_a_plain_npy_file_that_grows_in_place(tmp_path):
    writer = begin(tmp_path, (2, 3))
    writer.append(["a"], [1], np.ones((1, 2, 3)), {})
    writer.finish()
    inode = (tmp_path / "features.npy").stat().st_ino
    more = Journal(tmp_path, current_manifest(tmp_path, PRINT))
    more.append([f"{n}" for n in range(1000)], [1] * 1000, np.full((1000, 2, 3), 2.0), {})
    assert FeatureStore.open(tmp_path).ids == ["a"]  # the finished part is readable during extraction
    more.finish()
    found = np.load(tmp_path / "features.npy")
    assert found.shape == (1001, 2, 3) and found[0].max() == 1 and found[1:].min() == 2
    assert (tmp_path / "features.npy").stat().st_ino == inode
    assert len(FeatureStore.open(tmp_path)) == 1001


def test_the_npy_header_length_does_not_depend_on_the_rows():
    manifest = Manifest(PRINT, (49, 1280), "float16")
    assert len({len(journal._header(manifest, n)) for n in (0, 1, 10**6, 10**12)}) == 1


def test_the_journal_is_plain_json_lines(tmp_path):
    writer = begin(tmp_path)
    writer.append(["ü.jpg"], [7], rows(1), {})
    writer.close()
    first, second = (json.loads(line) for line in (tmp_path / "journal.jsonl").read_text().splitlines())
    assert first == {"fingerprint": PRINT, "shape": [3], "dtype": "float32", "precision": "float32"}
    assert second == {"rows": [0], "ids": ["ü.jpg"], "sizes": [7], "broken": {}}


# --- properties: any appends, cut at any byte -------------------------------------------------------------------------

NAMES = st.sampled_from(["a", "b", "", "ü.jpg", "\u2028", "狗", '"\\', "a\nb", "\x00", "\U0001f600"]) | st.text(
    st.characters(exclude_categories=["Cs"]), max_size=3
)
SHAPES = st.sampled_from([(1,), (3,), (1, 1), (2, 3)])


@st.composite
def histories(draw):
    """Draws batches: readable images with their numbers, and unreadable images."""
    batches = []
    for _ in range(draw(st.integers(0, 5))):
        ids = draw(st.lists(NAMES, max_size=4, unique=True))
        good = ids[: draw(st.integers(0, len(ids)))]
        batches.append(
            ({name: draw(st.integers(-2000, 2000)) for name in good}, [name for name in ids if name not in good])
        )
    return batches


def append(writer, shape, good, broken, size=7):
    values = np.array([np.full(shape, value) for value in good.values()], np.float32).reshape(len(good), *shape)
    notes = {name: {"reason": f"{name}: spoilt", "size": size} for name in broken}
    writer.append(list(good), [abs(value) for value in good.values()], values, notes)


def dictionaries(batches):
    """Returns the expected content after each batch: {id: number}, and the unreadable ids."""
    kept, broken, states = {}, set(), [({}, set())]
    for good, bad in batches:
        kept = {name: value for name, value in kept.items() if name not in bad} | good
        broken = (broken | set(bad)) - set(good)
        states.append((dict(kept), set(broken)))
    return states


def holds(folder, kept, broken, data=None):
    store = FeatureStore.open(folder, PRINT)
    assert set(store.ids) == set(kept) and len(store.ids) == len(kept) and set(store.missing) == broken
    asked = data.draw(st.lists(st.sampled_from(sorted(kept)), max_size=9)) if data and kept else sorted(kept)
    for name, row in zip(asked, store.gather(store.rows(asked)), strict=True):
        assert (row == kept[name]).all(), name
    assert {n: s for n, s in Manifest.read(folder).file_sizes().items() if n in kept} == {
        name: abs(value) for name, value in kept.items()
    }


def written(folder, shape, batches, reopened=frozenset()):
    """Appends batches; before some of them, closes and reopens or finishes the journal."""
    writer = begin(folder, shape)
    for number, batch in enumerate(batches):
        if number in reopened:
            writer.finish() if number % 2 else writer.close()
            found = current_manifest(folder, PRINT)
            writer = Journal(folder, found)
        append(writer, shape, *batch)
    return writer


@settings(max_examples=60, deadline=None)
@given(SHAPES, histories(), st.sets(st.integers(0, 4)), st.data())
def test_a_journal_behaves_like_a_dictionary(tmp_path_factory, shape, batches, reopened, data):
    folder = tmp_path_factory.mktemp("journal")
    written(folder, shape, batches, reopened).finish()
    holds(folder, *dictionaries(batches)[-1], data)


@settings(max_examples=60, deadline=None)
@given(SHAPES, histories(), st.floats(0, 1), st.data())
def test_a_journal_cut_at_any_byte_gives_the_earlier_appends(tmp_path_factory, shape, batches, share, data):
    folder = tmp_path_factory.mktemp("cut")
    written(folder, shape, batches).close()
    path = folder / "journal.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[: round(share * len(whole))])
    lines = path.read_bytes().count(b"\n")  # the header's, and one per batch
    found = current_manifest(folder, PRINT)
    assert (found is None) == (lines == 0)
    writer = begin(folder, shape) if found is None else Journal(folder, found)
    kept, broken = _first_of_overwritten(dictionaries(batches), max(lines - 1, 0), batches)
    if data.draw(st.booleans()):  # another batch follows, or none
        append(writer, shape, {"new": 5}, [])
        kept, broken = {**kept, "new": [5]}, broken - {"new"}
        writer.close()
        writer = Journal(folder, current_manifest(folder, PRINT))
    writer.finish()
    store = FeatureStore.open(folder, PRINT)
    assert set(store.ids) == set(kept) and set(store.missing) == broken
    for name in kept:
        (row,) = store.gather(store.rows([name]))
        assert any((row == value).all() for value in kept[name]), name


def _first_of_overwritten(states, count, batches):
    """After so many complete lines, an image that is read again later may have its later features."""
    kept, broken = states[count]
    return {n: [value, *(g[n] for g, _ in batches[count:] if n in g)] for n, value in kept.items()}, broken


@settings(max_examples=80, deadline=None)
@given(SHAPES, histories().filter(len), st.data())
def test_a_journal_with_bytes_changed_is_refused_or_cut(tmp_path_factory, shape, batches, data):
    """Damage is refused or ends the journal; all content read is of images that were appended."""
    folder = tmp_path_factory.mktemp("damaged")
    written(folder, shape, batches).close()
    path = folder / "journal.jsonl"
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        found = current_manifest(folder, PRINT)
        if found is not None:
            writer = Journal(folder, found)
            writer.finish()
            FeatureStore.open(folder)
    except FeatureError as error:
        assert "\n" not in str(error)
