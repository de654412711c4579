"""The parts of the training loop for joint embeddings: objective, validation, and the files of a run."""

import keras
import numpy as np

from capsmith.data.sources import flip_ids
from capsmith.metrics.retrieval import Ranks, retrieval_scores
from capsmith.metrics.scores import Score
from capsmith.models.run import RunDirectory
from capsmith.retrieval.texts import embed_all
from capsmith.training.embedding.batches import PairBatches
from capsmith.training.embedding.trainee import Trainee, image_vectors
from capsmith.training.history import Row
from capsmith.training.objective import Objective
from capsmith.training.optimizers import build_optimizer
from capsmith.training.run_files import RunFiles
from capsmith.vision.encoder import build_encoders
from capsmith.vision.saved_encoder import save_encoders


class PairObjective(Objective):
    """Brings images and their captions together, and others apart.

    Args:
        trainee: The embedding to train.
    """

    name = "joint embedding"
    size_key = "embedding.text.units"
    batches: PairBatches

    def __init__(self, trainee: Trainee) -> None:
        config, training = trainee.config, trainee.config.training
        source, words = trainee.source(), trainee.vocabulary.words
        batches = PairBatches(
            source,
            trainee.examples("train"),
            trainee.visual[2],
            training.batch_size,
            training.captions_per_image,
            config.seed,
            flip_ids(words, training.flip_word_pairs),
            training.shuffle_window,
        )
        super().__init__(trainee.model, training, batches)

    @property
    def summary(self) -> str:
        """The number of images in a batch."""
        return f"{self.batches.images:,} images a batch"

    def progress(self, row: Row) -> str:
        """Returns the loss."""
        return f"loss {row['loss']:.4f}"

    def optimizer(self) -> keras.optimizers.Optimizer:
        """Returns the optimizer that the config defines."""
        return build_optimizer(self.config)

    def weight(self, targets: np.ndarray) -> int:
        """Returns the number of captions in a batch."""
        return len(targets)


class RetrievalValidation:
    """Retrieval among the dev images and their captions.

    Args:
        trainee: The embedding in training.
    """

    label = "dev"

    def __init__(self, trainee: Trainee) -> None:
        self.trainee, self.metric = trainee, trainee.config.dev_metric
        self.ids = [record.image_id for record in trainee.records["dev"]]
        examples = trainee.examples("dev")
        self.tokens = [caption for example in examples for caption in example.captions]
        self.owner = np.repeat(np.arange(len(examples)), [len(example.captions) for example in examples])

    def predict(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns the vectors of the dev images and of their captions, by the networks in NumPy."""
        image, text = self.trainee.model.heads()
        return image_vectors(image, self.trainee.dev), embed_all(text, self.tokens)

    def scores(self, predictions: tuple[np.ndarray, np.ndarray]) -> dict[str, Score]:
        """Returns the recalls, and their mean."""
        scores = retrieval_scores(Ranks.of(*predictions, self.owner), self.ids)
        return {name: score for name, score in scores.items() if not name.endswith(("_median", "_mean"))}


class EmbeddingFiles(RunFiles):
    """The files of the run of a joint embedding.

    Args:
        trainee: The embedding in training.
        run: The run directory.
        precision: Compute precision of the training.
    """

    def __init__(self, trainee: Trainee, run: RunDirectory, precision: str) -> None:
        super().__init__(trainee.config, run, precision)
        self.trainee = trainee

    def write_parts(self) -> None:
        """Writes the vocabulary and the encoders."""
        self.trainee.vocabulary.save(self.run.vocabulary)
        save_encoders(build_encoders(self.trainee.config.encoders), self.run.path)

    def write_best(self) -> None:
        """Writes ``embedding.npz``."""
        self.trainee.embedding().save(self.run.embedding)
