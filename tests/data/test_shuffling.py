"""The order of an epoch, in full and in windows."""

import numpy as np
import pytest

from capsmith.data.batches import Batches
from capsmith.data.encoded_captions import EncodedCaptions, Example
from capsmith.data.shuffling import BLOCKS, batch_order, epoch_order
from tests.data.test_batches import Source, examples, read


def rng(*seed):
    return np.random.default_rng(seed)


def test_without_a_window_the_order_is_a_full_permutation():
    rows = rng(5).permutation(1000)
    assert (epoch_order(rows, rng(1, 2)) == rng(1, 2).permutation(1000)).all()
    assert (rows[epoch_order(rows, rng(1, 2))] == rng(1, 2).permutation(rows)).all()
    assert (batch_order(70, rng(3)) == rng(3).permutation(70)).all()
    assert (epoch_order(rows, rng(1, 2), 1000) == rng(1, 2).permutation(1000)).all()


@pytest.mark.parametrize("window", [1, 7, 64, 160, 999])
@pytest.mark.parametrize("shuffled", [True, False])
def test_windows_are_made_of_runs_of_rows(window, shuffled):
    rows = rng(5).permutation(1000) if shuffled else np.arange(1000)
    order = rows[epoch_order(rows, rng(1), window)]
    assert sorted(order) == list(range(1000))
    assert order.tolist() != sorted(order)
    size = max(1, window // BLOCKS)
    read = order[: size * BLOCKS]  # of the first window; its first or last block may be shorter
    runs = np.count_nonzero(np.diff(np.sort(read)) > 1) + 1
    assert runs <= BLOCKS + 1
    assert window < 64 or 0.3 < (np.diff(read) > 0).mean() < 0.7  # shuffled within


def test_the_order_is_a_function_of_the_seed_and_borders_change():
    rows = np.arange(1000)
    first, again, other = (epoch_order(rows, rng(seed, epoch), 160) for seed, epoch in ((1, 0), (1, 0), (1, 1)))
    assert (first == again).all()
    starts = [set(order[:10] % 10) for order in (first, other)]
    assert (first != other).any() and starts


def test_rows_of_another_store_are_spread():
    rows = np.concatenate([np.arange(900), -1 - np.arange(300)])
    order = rows[epoch_order(rows, rng(4), 64)]
    assert sorted(order) == sorted(rows)
    shares = [(part < 0).mean() for part in np.split(order, 8)]
    assert 0.1 < min(shares) and max(shares) < 0.4


def test_batches_stay_in_their_window():
    order = batch_order(70, rng(3), 16)
    assert sorted(order) == list(range(70))
    for first in range(0, 70, 16):
        assert sorted(order[first : first + 16]) == list(range(first, min(first + 16, 70)))
    assert order.tolist() != sorted(order)


@pytest.mark.parametrize("together", [True, False])
def test_an_epoch_in_windows_holds_every_caption_once_and_reads_few_rows_at_a_time(together):
    given = examples(400)
    batches = Batches(Source(), given, 40, 3, together, window=64)
    for epoch in (0, 2):
        batches.set_epoch(epoch)
        found = read(batches)
        pairs = sorted(pair for some in found for pair in some)
        assert pairs == sorted((example.row, caption) for example in given for caption in example.captions)
    window = 64 // (8 if together else 40 / 5)
    rows = [{row for row, _ in some} for some in found]
    first = set().union(*rows[: int(window)])
    spread = np.count_nonzero(np.diff(sorted(first)) > 1)
    assert len(first) < 150 and spread < 3 * BLOCKS
    resumed = Batches(Source(), given, 40, 3, together, window=64)
    resumed.set_epoch(2)
    assert read(resumed) == found


# --- encoded captions -------------------------------------------------------------------------------------------------


def test_encoded_captions_are_the_same_examples():
    given = [*examples(9, captions=3), Example(40, ((1,), (70_000, 2))), Example(-4, ((5, 6),))]
    encoded = EncodedCaptions(iter(given))
    assert list(encoded) == given and encoded[-1] == given[-1] and encoded[2:4] == given[2:4]
    assert encoded.lengths.tolist() == [len(caption) for example in given for caption in example.captions]
    assert EncodedCaptions.of(encoded) is encoded
    with pytest.raises(IndexError):
        encoded[len(given)]
    assert len(EncodedCaptions()) == 0
