"""Copies the joint embedding that a reranker names into a captioner's run, and notices when it has changed."""

from pathlib import Path
from typing import Any

from capsmith.core.errors import CheckpointError, ConfigError, one_line
from capsmith.core.files import read_json
from capsmith.core.log import get_logger
from capsmith.core.yaml_io import read_yaml
from capsmith.data.text.plain_settings import text_from
from capsmith.data.text.vocabulary import Vocabulary
from capsmith.models.run import RunDirectory
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
    path = Path(config.decoding.rerank.embedding)
    source, target = RunDirectory(path), RunDirectory(run)
    if not source.embedding.is_file() and target.caption_judge.is_file():
        require_same_judge(StoredJudge.load(run), path)
        return
    sha256 = _digest(source)
    if target.caption_judge.is_file() and _saved_digest(target) == sha256:
        return
    embedding, text, shape = _read(source)
    pools = len(shape) == 1
    _require_same_features(source, target, embedding, pools)
    logger.info(f"rerank: copying the joint embedding of {source} into {target}")
    StoredJudge(embedding, Vocabulary.load(source.vocabulary), text, str(path), sha256, pools).save(run)


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


def _saved_digest(target: RunDirectory) -> str | None:
    """Returns the digest in a run's copy; None if it is damaged, and is to be written again."""
    try:
        return StoredJudge.load(target.path).sha256
    except CheckpointError:
        return None


def _not_an_embedding(path: Path) -> CheckpointError:
    return CheckpointError(
        f"{_KEY}: {path} is not the trained run of a joint embedding (it has no embedding.npz): train one, or set "
        "decoding.rerank.embedding_weight=0"
    )


def _read(source: RunDirectory) -> tuple[JointEmbedding, dict[str, Any], list[int]]:
    """Returns the networks of an embedding's run, its settings of text, and the shape of the features that it read."""
    embedding = JointEmbedding.load(source.embedding)
    try:
        values, saved = read_yaml(source.config), read_json(source.captioner, CheckpointError)
        text, shape = values.get("text"), saved.get("feature_shape") if isinstance(saved, dict) else None
        if not isinstance(text, dict) or not isinstance(shape, list) or len(shape) not in (1, 2):
            raise ConfigError("its config or captioner.json is damaged")
        text_from(text)
    except ConfigError as error:
        raise CheckpointError(f"{source} is not the run of a joint embedding: {one_line(error)}") from error
    return embedding, text, shape


def _require_same_features(source: RunDirectory, target: RunDirectory, embedding: JointEmbedding, pools: bool) -> None:
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
    """Returns what determines the features of a run: the fingerprints of its encoders, or that of a pickle."""
    saved = read_json(run.captioner, CheckpointError)
    pickle = saved.get("features") if isinstance(saved, dict) else None
    if isinstance(pickle, dict):
        return [{"pickle": f"sha256:{pickle.get('sha256')}"}]
    values = read_yaml(run.config).get("encoder")
    folders = encoder_folders(run.path, len(values) if isinstance(values, list) else 1)
    contents = [read_json(folder.description, CheckpointError) for folder in folders]
    found = [content.get("fingerprint") if isinstance(content, dict) else None for content in contents]
    if damaged := next((f for f, one in zip(folders, found, strict=True) if not isinstance(one, dict)), None):
        raise CheckpointError(f"{damaged.description} is damaged")
    return [one for one in found if isinstance(one, dict)]
