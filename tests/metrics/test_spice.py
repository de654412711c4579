import pytest

from capsmith.core.errors import CapsmithError
from capsmith.metrics import score
from tests.support.fake_java import CAPTIONS, REFERENCES


def test_missing_models_name_the_download_command(fake_java):
    fake_java("")
    with pytest.raises(CapsmithError, match="SPICE.*get_stanford_models") as caught:
        score(CAPTIONS, REFERENCES, ["spice"])
    assert "\n" not in str(caught.value)


def test_input_and_output_of_the_program(fake_java, tmp_path):
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "stanford-corenlp-3.6.0-models.jar").touch()
    fake_java(
        "given = json.load(open(sys.argv[4]))\n"
        "assert [row['test'] for row in given] == ['a puppy is running through snow', 'two people in a park']\n"
        "rows = [{'image_id': row['image_id'], 'scores': {'All': {'f': f}}} for row, f in zip(given, [0.5, None])]\n"
        "json.dump(rows[::-1], open(sys.argv[sys.argv.index('-out') + 1], 'w'))"
    )
    found = score(CAPTIONS, REFERENCES, ["spice"])["spice"]
    assert found.per_image == {"a": 0.5, "b": 0.0} and found.value == 0.25
    assert found.signature.startswith("spice|v:1.0|")
