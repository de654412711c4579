"""The training of a joint embedding, from its data to its evaluation."""

import keras

from capsmith.config import EmbeddingRunConfig
from capsmith.core.log import get_logger
from capsmith.data.prepare import prepare
from capsmith.data.records import Corpus
from capsmith.evaluation.retrieval.evaluate import evaluate_embedder
from capsmith.models.embedders import run_embedder
from capsmith.models.run import RunDirectory
from capsmith.retrieval.embedder import Embedder
from capsmith.training.embedding.parts import EmbeddingFiles, PairObjective, RetrievalValidation
from capsmith.training.embedding.trainee import Trainee
from capsmith.training.loop import TrainingLoop
from capsmith.training.sessions import Sessions
from capsmith.training.setup import make_vocabulary, precision_of

logger = get_logger(__name__)


def train_embedding(config: EmbeddingRunConfig, run: RunDirectory, corpus: Corpus, sessions: Sessions) -> Embedder:
    """Trains a joint embedding and evaluates it.

    Args:
        config: The config; its encoders are adapted already.
        run: The run directory, which is locked.
        corpus: The images and captions.
        sessions: Counts the processes of this training.

    Returns:
        The embedder of the best dev epoch, or of the ensemble that the config names.
    """
    resumed = run.has_state
    vocabulary, vectors = make_vocabulary(config, corpus, run)
    prepared = prepare(corpus, config.encoders, config.features, ("train", "dev"))
    precision = precision_of(config, run)
    keras.utils.set_random_seed(config.seed)  # initial weights do not depend on the random numbers drawn so far
    trainee = Trainee.new(config, vocabulary, vectors, prepared, precision)
    files = EmbeddingFiles(trainee, run, precision)
    loop = TrainingLoop(PairObjective(trainee), RetrievalValidation(trainee), files, sessions)
    files.write_config() if resumed else files.write()
    history = loop.run(resumed)
    logger.info(history.describe_best(RetrievalValidation.label))
    logger.info(f"trained in {sessions}: {run}")
    runs = [run.path, *(member.run for member in config.ensemble)]
    embedder = run_embedder(runs)
    if config.evaluation.after_training is not None:
        evaluate_embedder(embedder, run.report, corpus, config.evaluation.after_training)
    return embedder
