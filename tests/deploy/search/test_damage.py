"""A damaged or malicious index is refused with one line that names a file of it."""

import pytest

from capsmith.core.errors import CapsmithError, ConfigError
from capsmith.deploy.search import ImageIndex, build_index
from tests.deploy.search.damage import DAMAGES


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    from tests.support.toy_embedder import ToyEmbedder
    from tests.support.toy_index import make_photos

    folder = tmp_path_factory.mktemp("whole")
    build_index(make_photos(folder / "photos"), folder / "photos.index", ToyEmbedder())
    return folder


@pytest.fixture
def copied(whole, tmp_path):
    import shutil

    shutil.copytree(whole, tmp_path / "copy", symlinks=True)
    return tmp_path / "copy" / "photos.index"


def use(out, toy):
    with ImageIndex.open(out, toy) as index:
        hits = [*index.search_text("red", top=20), *index.more_like(2, top=20), *index.search_words("red")]
        return [index.path(hit.id) for hit in hits]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_search_refuses_it(copied, toy, damage):
    assert len(use(copied, toy)) == 15
    DAMAGES[damage](copied)
    with pytest.raises(CapsmithError) as error:
        use(copied, toy)
    message = str(error.value)
    assert copied.name in message and "\n" not in message and len(message) < 700, message


UNSEEN = {  # what the next index repairs, or never reads
    "no database",
    "a huge caption",
    "a name with a way out",
    "an absolute name",
    "vectors that are no numbers",
}


@pytest.mark.parametrize("damage", sorted(set(DAMAGES) - UNSEEN))
def test_an_update_refuses_it(copied, toy, damage):
    DAMAGES[damage](copied)
    with pytest.raises(CapsmithError) as error:
        build_index(copied.parent / "photos", copied, toy)
    assert copied.name in str(error.value) and "\n" not in str(error.value)


def test_a_name_that_leads_out_of_the_folder_is_gone_after_an_update(copied, toy):
    DAMAGES["a name with a way out"](copied)
    report = build_index(copied.parent / "photos", copied, toy)
    assert (report.moved, report.total) == (1, 8)
    assert all(path.is_relative_to(copied.parent / "photos") for path in use(copied, toy))


def test_files_elsewhere_are_not_changed(copied, toy):
    elsewhere = copied.parent / "elsewhere"
    for name in ("semantic-0.f16", "visual-0.f16", "images.sqlite", "images.sqlite-wal", "index.json"):
        (copied / name).unlink(missing_ok=True)
        elsewhere.write_bytes(b"\0" * 4096)
        (copied / name).symlink_to(elsewhere)
        with pytest.raises((CapsmithError, ConfigError)):
            build_index(copied.parent / "photos", copied, toy)
        assert elsewhere.read_bytes() == b"\0" * 4096
