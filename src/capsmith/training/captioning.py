"""The training of a captioner, from its data to its evaluation."""

from collections.abc import Callable
from dataclasses import replace

import keras

from capsmith.config import Config
from capsmith.core.log import get_logger
from capsmith.data.prepare import Prepared, prepare
from capsmith.data.records import Corpus
from capsmith.decoding.limits import images_at_once
from capsmith.evaluation.build_index import build_caption_index
from capsmith.evaluation.evaluate import evaluate_captioner
from capsmith.models.captioner import Captioner
from capsmith.models.checkpoints import load_weights
from capsmith.models.judge_copy import copy_judge, require_embedding
from capsmith.models.keras_member import KerasMember
from capsmith.models.loading import keras_members
from capsmith.models.member import Member, StoredFeatures
from capsmith.models.run import RunDirectory
from capsmith.models.training_domain import TrainingDomain
from capsmith.models.wishes import resolve
from capsmith.training.cross_entropy import CrossEntropy
from capsmith.training.history import History
from capsmith.training.loop import TrainingLoop
from capsmith.training.objective import Objective
from capsmith.training.run_files import CaptionerFiles
from capsmith.training.self_critical import SelfCritical
from capsmith.training.sessions import Sessions
from capsmith.training.setup import make_vocabulary, new_captioner, precision_of
from capsmith.training.training_images import TrainingImages
from capsmith.training.transfer import transferred_domain
from capsmith.training.validation import CaptionValidation
from capsmith.training.warm_start import initialise

logger = get_logger(__name__)

OBJECTIVES: dict[str, Callable[[Captioner, TrainingImages], Objective]] = {
    "cross_entropy": CrossEntropy,
    "scst": SelfCritical,
}
"""Values of ``training.objective``."""


def train_captioner(config: Config, run: RunDirectory, corpus: Corpus, sessions: Sessions) -> Captioner:
    """Trains a captioner and evaluates it.

    Args:
        config: The config; its encoders are adapted already.
        run: The run directory, which is locked.
        corpus: The images and captions.
        sessions: Counts the processes of this training.
    """
    captioner, prepared, files = _set_up(config, run, corpus)
    resumed = run.has_state
    if not resumed or config.training.rehearsal is not None:  # a teacher has the weights before training
        initialise(captioner)
    loop = TrainingLoop(
        OBJECTIVES[config.training.objective](captioner, TrainingImages.of(captioner, prepared)),
        CaptionValidation(captioner, prepared),
        files,
        sessions,
    )
    from_pickle = captioner.members[0].feature_origin is not None
    if not resumed or from_pickle:  # the config may now name the encoder of a pickle's features
        files.write()
    else:
        files.write_config()
    copy_judge(config, run.path)  # another encoder is noticed now, not after the training
    history = loop.run(resumed)
    load_weights(captioner.model.without_optimizer(), run.weights)
    if files.precision != "float32":
        captioner = Captioner([KerasMember.load(run.path, captioner.encoder is not None)])  # computes in float32
    _finish(captioner.members[0], prepared, run, history)
    logger.info(f"trained in {sessions}: {run}")
    captioner = Captioner([replace(keras_members(captioner.members)[0], run=run)])
    _evaluate(captioner, prepared, run, corpus)
    return captioner


def _set_up(config: Config, run: RunDirectory, corpus: Corpus) -> tuple[Captioner, Prepared, CaptionerFiles]:
    """Returns the captioner to train, its data, and the files of its run.

    Raises:
        CheckpointError: The run was trained on other captions.
        ConfigError: The search in the config would not fit into memory.
    """
    vocabulary, vectors = make_vocabulary(config, corpus, run)
    require_embedding(config, run.path)
    wishes = resolve(config.decoding, vocabulary, config.text)  # fails now, not after training, as the next line
    images_at_once(config.decoding, len(vocabulary), 1, 1 + len(config.ensemble), wishes.banks if wishes else 1)
    prepared = prepare(corpus, config.encoders, config.features, ("train", "dev"))
    precision = precision_of(config, run)
    keras.utils.set_random_seed(config.seed)  # initial weights do not depend on the random numbers drawn so far
    captioner = new_captioner(config, vocabulary, vectors, prepared, precision)
    return captioner, prepared, CaptionerFiles(captioner, run, precision)


def _finish(member: Member, prepared: Prepared, run: RunDirectory, history: History) -> None:
    """Saves the summary of the training images, and logs the best epoch."""
    ids = [[record.image_id for record in prepared.split(split)] for split in ("train", "dev")]
    lookup, training = StoredFeatures(member, prepared.source), member.config.training
    domain = TrainingDomain.of(lookup, *ids)
    if (
        training.keep_words
        and (old := transferred_domain(training.transfer_from, member.feature_shape[-1])) is not None
    ):
        domain = old.extended(lookup, ids[0])  # the images of the old model are familiar too
    if domain is not None:
        domain.save(run.domain)
    logger.info(history.describe_best(CaptionValidation.label))


def _evaluate(captioner: Captioner, prepared: Prepared, run: RunDirectory, corpus: Corpus) -> None:
    """Builds the caption index if the search needs it, and writes the report if the config requests one."""
    config = captioner.config
    if config.decoding.requires_caption_index:
        build_caption_index(captioner.members[0], prepared).save(run.path)
    copy_judge(config, run.path)
    if config.evaluation.after_training is None:
        return
    others = [member.run for member in config.ensemble]
    ensemble = Captioner([*captioner.members, *(KerasMember.load(other, encoder=False) for other in others)])
    evaluate_captioner(ensemble, run.report, corpus, config.evaluation.after_training, [run.path, *others])
