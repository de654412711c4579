"""Copies the joint embedding that a reranker names into a captioner's run, and notices when it has changed."""

from pathlib import Path
from typing import Any

from capsmith.core.errors import CheckpointError, ConfigError, one_line
from capsmith.core.files import read_json
from capsmith.core.log import get_logger
from capsmith.core.yaml_io import read_yaml
from capsmith.data.text.plain_settings import text_from
from capsmith.data.text.tokens import detokenise
from capsmith.data.text.vocabulary import Vocabulary
from capsmith.models.feature_origin import FeatureOrigin
from capsmith.models.run import RunDirectory
from capsmith.retrieval.caption_index import CaptionIndex
from capsmith.retrieval.joint_embedding import JointEmbedding
from capsmith.retrieval.judge_file import StoredJudge, digest
from capsmith.vision.encoder_folder import encoder_folders
from capsmith.vision.encoders import ENCODERS
from capsmith.vision.fingerprint import MAY_DIFFER_IN_RUNS, describe_differences

logger = get_logger(__name__)
_KEY = "decoding.rerank.embedding"


def copy_judge(config: Any, run: Path) -> None:
    """Copies the embedding of a config's reranker into a run, unless the run has the same one already.

    Where the embedding's run no longer exists, the copy stays as it is.

    Args:
        config: The config of the captioner.
        run: The captioner's run, whose encoders are saved.

    Raises:
        CheckpointError: The folder is not the run of a joint embedding, or one over other encoders; or a file is
            damaged or cannot be written.
    """
    if not config.decoding.requires_embedding:
        return
    path, target = Path(config.decoding.rerank.embedding), RunDirectory(run)
    before = _saved(target)
    judge = _current(RunDirectory(path), target, before)
    wants_vectors = config.decoding.rerank.requires_caption_vectors and target.caption_index.is_file()
    if wants_vectors and judge.vectors is None:
        judge = judge.with_vectors(_captions(target, config))
    if judge is not before:
        logger.info(f"rerank: copying the joint embedding of {path} into {target}")
        judge.save(run)


def require_embedding(config: Any, run: Path) -> None:
    """Checks that the embedding of a config's reranker exists, or a run's copy of it.

    Raises:
        CheckpointError: There is neither.
    """
    if config.decoding.requires_embedding and not RunDirectory(run).caption_judge.is_file():
        _digest(RunDirectory(Path(config.decoding.rerank.embedding)))


def _current(source: RunDirectory, target: RunDirectory, before: StoredJudge | None) -> StoredJudge:
    """Returns the copy in a run if it is still that of the source, or a new one."""
    if not source.embedding.is_file() and before is not None:
        require_same_judge(before, source.path)
        return before
    sha256 = _digest(source)
    if before is not None and before.sha256 == sha256:
        return before
    embedding, text, pools = _read(source)
    _require_same_features(source, target, embedding)
    return StoredJudge(embedding, Vocabulary.load(source.vocabulary), text, str(source.path), sha256, pools)


def _captions(target: RunDirectory, config: Any) -> list[str]:
    """Returns the captions of a run's caption index as text."""
    vocabulary, index = Vocabulary.load(target.vocabulary), CaptionIndex.load(target.path)
    return [detokenise(vocabulary.decode(ids), config.text) for group in index.captions for ids in group]


def require_same_judge(judge: StoredJudge, path: Path) -> None:
    """Checks that a run's copy is still that of the embedding that a search names.

    Args:
        judge: The copy.
        path: ``decoding.rerank.embedding``.

    Raises:
        CheckpointError: The embedding is another one, or was trained again; or there is none at this path.
    """
    source = RunDirectory(path)
    if source.embedding.is_file():
        if _digest(source) != judge.sha256:
            raise CheckpointError(
                f"{_KEY}: the run judges with a copy of {judge.source}, and {path} is another embedding, or was "
                "trained again: evaluate the run once to copy it"
            )
    elif str(path) != judge.source:
        raise _not_an_embedding(path)


def _digest(source: RunDirectory) -> str:
    if not source.embedding.is_file():
        raise _not_an_embedding(source.path)
    return digest(source.embedding, source.vocabulary)


def _saved(target: RunDirectory) -> StoredJudge | None:
    """Returns the copy in a run; None if there is none, or it is damaged and is to be written again."""
    try:
        return StoredJudge.load(target.path)
    except CheckpointError:
        return None


def _not_an_embedding(path: Path) -> CheckpointError:
    return CheckpointError(
        f"{_KEY}: {path} is not the trained run of a joint embedding (it has no embedding.npz): train one, or set "
        "decoding.rerank.embedding_weight=0"
    )


def _read(source: RunDirectory) -> tuple[JointEmbedding, dict[str, Any], bool]:
    """Returns the networks of an embedding's run, its settings of text, and whether it was trained on vectors."""
    embedding = JointEmbedding.load(source.embedding)
    try:
        values = read_yaml(source.config)
        text, encoders = values.get("text"), _encoders(values)
        if not isinstance(text, dict) or not all(isinstance(one, dict) for one in encoders):
            raise ConfigError("its config is damaged")
        text_from(text)
    except ConfigError as error:
        raise CheckpointError(f"{source} is not the run of a joint embedding: {one_line(error)}") from error
    return embedding, text, encoders[0].get("output") != "grid"


def _encoders(config: dict[str, Any]) -> list[Any]:
    """Returns the settings of the encoders of a run."""
    values = config.get("encoder")
    return values if isinstance(values, list) and values else [values]


def _require_same_features(source: RunDirectory, target: RunDirectory, embedding: JointEmbedding) -> None:
    """Checks that an embedding reads the features of a captioner, or their mean over regions."""
    theirs, ours = _features(source), _features(target)
    if len(theirs) != len(ours):
        raise CheckpointError(
            f"{_KEY}: {source} reads the features of {len(theirs)} encoders, and {target} those of {len(ours)}: train "
            "the embedding with the encoders of the captioner"
        )
    for one, other in zip(theirs, ours, strict=True):
        changed = describe_differences(one, other, (*MAY_DIFFER_IN_RUNS, "output"))
        if not changed and one.get("output") != other.get("output"):
            kind = ENCODERS[str(one["type"])].pooling if one.get("type") in ENCODERS else "mean"
            if len(theirs) > 1 or kind != "mean" or embedding.image.pooling != "mean":
                changed = f"output: {one.get('output')} instead of {other.get('output')}"
        if changed:
            raise CheckpointError(
                f"{_KEY}: {source} reads features of another encoder than {target} ({changed}): train the embedding "
                "with the encoders of the captioner"
            )


def _features(run: RunDirectory) -> list[dict[str, Any]]:
    """Returns what determines the features of a run: the fingerprints of its encoders, or a pickle."""
    if (origin := FeatureOrigin.of_run(run.path)) is not None and origin.encoder != "verified":
        return [{"pickle": f"sha256:{origin.sha256}"}]
    folders = encoder_folders(run.path, len(_encoders(read_yaml(run.config))))
    contents = [read_json(folder.description, CheckpointError) for folder in folders]
    found = [content.get("fingerprint") if isinstance(content, dict) else None for content in contents]
    if damaged := next((f for f, one in zip(folders, found, strict=True) if not isinstance(one, dict)), None):
        raise CheckpointError(f"{damaged.description} is damaged")
    return [one for one in found if isinstance(one, dict)]
