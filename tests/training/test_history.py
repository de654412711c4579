import pytest

from capsmith.training.config import TrainingConfig
from capsmith.training.history import History, read_csv

CONFIG = TrainingConfig(epochs=100, patience=None)


def after(scores, config=CONFIG):
    """Returns the history of dev scores, and whether each epoch was the best so far."""
    history = History("cider")
    return history, [
        history.add({"epoch": n, "loss": 1 / n, "dev_cider": score}, config) for n, score in enumerate(scores, 1)
    ]


def test_the_earlier_of_equals_is_best():
    history, best = after([0.2, 0.5, 0.5, 0.4, 0.5])
    assert history.best == 1
    assert best == [True, True, False, False, False]
    assert history.epochs_since_best == 3
    assert after([0.0, 0.0])[0].best == 0


def test_before_the_first_epoch_nothing_is_best_or_finished():
    history = History("cider")
    assert history.best is None
    assert history.epochs == history.epochs_since_best == 0
    assert not history.finished(TrainingConfig(patience=1))


@pytest.mark.parametrize(
    ("scores", "patience", "done"),
    [
        ([1, 2, 3], 2, False),
        ([3, 2], 2, False),
        ([3, 2, 1], 2, True),
        ([3, 2, 3], 2, True),  # an equal score is no improvement
        ([3, 2, 4], 2, False),
        ([3, 2, 1, 0, 0, 0], None, False),
    ],
)
def test_patience(scores, patience, done):
    assert after(scores)[0].finished(TrainingConfig(epochs=100, patience=patience)) is done


def test_all_epochs_done():
    assert after([1, 2, 3])[0].finished(TrainingConfig(epochs=3))
    assert not after([1, 2, 3])[0].finished(TrainingConfig(epochs=4))


def test_plateau_acts_each_time_patience_is_used_up():
    config = TrainingConfig(epochs=100, schedule="plateau", plateau_factor=0.5, plateau_patience=2, patience=None)
    scales = [after([5, *[1] * n], config)[0].scale for n in range(6)]
    assert scales == [1, 1, 0.5, 0.5, 0.25, 0.25]
    assert after([5, 1, 6, 1, 7], config)[0].scale == 1  # never two epochs without improvement
    assert after([5, 1, 1, 1], CONFIG)[0].scale == 1  # other schedules ignore the plateau


def test_resumes_from_json():
    history, _ = after([0.1, 0.7, 0.3])
    history.scale = 0.25
    again = History.from_json(history.to_json())
    assert again == history
    assert again.best == 1


def test_csv_round_trip_is_exact(tmp_path):
    history, _ = after([0.1, 1 / 3, 2e-17])
    history.write_csv(tmp_path / "history.csv")
    assert read_csv(tmp_path / "history.csv") == history.rows
    assert (tmp_path / "history.csv").read_text().splitlines()[0] == "epoch,loss,dev_cider"


def test_csv_of_epochs_with_different_metrics(tmp_path):
    """A resumed training may compute other metrics."""
    history, _ = after([0.1])
    history.add({"epoch": 2, "loss": 0.5, "dev_cider": 0.2, "dev_rouge": 0.6}, CONFIG)
    history.add({"epoch": 3, "loss": 0.4, "dev_cider": 0.3}, CONFIG)
    history.write_csv(tmp_path / "history.csv")
    assert read_csv(tmp_path / "history.csv") == history.rows
