"""Exports a run: loads it, writes its graphs, verifies them, and puts the complete folder in place."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from capsmith.config import Config
from capsmith.core.errors import CapsmithError, CheckpointError, ConfigError, PluginError
from capsmith.core.files import path_argument
from capsmith.core.log import get_logger
from capsmith.core.temporary import temporary_folder
from capsmith.decoding.config import DECODINGS
from capsmith.decoding.rerank.config import RERANKERS
from capsmith.deploy.export import manifest
from capsmith.deploy.export.card import labels, write_card
from capsmith.deploy.export.formats import (
    Format,
    chosen_quantisation,
    default_output,
    find_format,
    require_quantisation,
)
from capsmith.deploy.export.graphs import MemberGraphs, member_graphs
from capsmith.deploy.export.run_scores import run_scores
from capsmith.deploy.export.sample_images import SampleImages, sample_images
from capsmith.deploy.export.verify import EXACT, QUANTISED, Comparison, compare, load_again, require_same
from capsmith.deploy.export.weight_map import write_weight_map
from capsmith.models import export_folder
from capsmith.models.captioner import Captioner
from capsmith.models.ensemble_run import ModelRuns, RunPaths, find_runs
from capsmith.models.keras_member import KerasMember
from capsmith.models.loading import keras_members
from capsmith.vision.foreign_encoder import ForeignEncoder
from capsmith.vision.framing import ImageSize

logger = get_logger(__name__)


@dataclass(frozen=True)
class Export:
    """A finished export.

    Attributes:
        folder: Its folder.
        bytes: Size of all its files.
        comparison: How it compares with the checkpoint.
    """

    folder: Path
    bytes: int
    comparison: Comparison


def export(
    run: RunPaths,
    out: str | Path | None = None,
    format: str = "onnx",
    quantise: str | None = None,
    images: str | Path | None = None,
    overrides: Sequence[str] = (),
    average: bool = False,
    onnxruntime_web: str | Path | None = None,
) -> Export:
    """Writes a captioner in a format that runs without capsmith's training stack, and verifies it.

    The folder appears when it is complete and gives the captions of the checkpoint, or not at all.

    Args:
        run: A run directory, whose config may name an ``ensemble``; a saved ensemble; or several runs.
        out: The folder to write; by default beside the run, such as ``runs/mine-onnx-int8``.
        format: A key of ``formats.FORMATS``.
        quantise: A key of ``formats.QUANTISATIONS``, or ``"float32"``; by default that of the format.
        images: Folder of images for the comparison; by default those of the run's dataset.
        overrides: Changes to the config, such as ``"decoding.beam_size=3"``: the export's decoding settings.
        average: Average the weights of several runs instead of their probabilities.
        onnxruntime_web: For the format web: the npm package onnxruntime-web, as tarball or folder; by default npm
            fetches it.

    Raises:
        CheckpointError: The run cannot be loaded or written in this format, or the export differs from it.
        ConfigError: An argument is invalid, or the folder holds files that are not an export.
        PluginError: The run's search or reranker comes from a plugin, which an export cannot contain.
        MissingExtraError: A package is not installed.
    """
    spec = find_format(format)
    require_quantisation(spec, quantise)
    runs = find_runs(run, overrides, average)
    configs = runs.configs()
    target = _target(runs, out, run, spec, quantise)
    quantise = chosen_quantisation(spec, quantise)
    folder = None if images is None else path_argument(images, "images")
    require_portable(configs[0])
    spec.require_packages()
    _require_tensorflow()
    package = None if onnxruntime_web is None else path_argument(onnxruntime_web, "onnxruntime_web")
    prepared = spec.load(spec.preparer)(package) if spec.preparer else None
    captioner = Captioner.load_members(runs.runs, configs, average=runs.average)
    for member in keras_members(captioner.members):
        _require_plain_images(member)  # raises as well if it has no encoder
    if configs[0].decoding.requires_caption_index:
        _ = captioner.caption_index
    if configs[0].decoding.requires_embedding:
        _ = captioner.caption_judge(configs[0].decoding.rerank.embedding)  # type: ignore[union-attr]
    sample = sample_images(configs[0], folder)
    with _parents(target), temporary_folder(target) as temporary:
        built = temporary / "export"
        comparison = _build(built, captioner, spec, quantise, sample, runs, prepared)
        size = sum(path.stat().st_size for path in built.rglob("*") if path.is_file())
        _replace(built, target, temporary / "before")
    return Export(target, size, comparison)


def require_portable(config: Config) -> None:
    """Checks that the parts that stay outside the graphs are capsmith's own.

    Raises:
        PluginError: The search or the reranker comes from a plugin.
    """
    search, reranker = config.decoding.type, config.decoding.rerank
    if search not in DECODINGS.names() or DECODINGS.settings.is_external(search):
        raise PluginError(f"decoding '{search}' is a plugin's, and exports contain no code: --set decoding.type=beam")
    if reranker is None:
        return
    if reranker.type not in RERANKERS.names() or RERANKERS.settings.is_external(reranker.type):
        raise PluginError(
            f"reranker '{reranker.type}' is a plugin's, and exports contain no code: --set decoding.rerank=null "
            "exports the search without it"
        )


def _require_plain_images(member: KerasMember) -> None:
    """Raises CheckpointError if images are brought to size or scaled as exports do not: their programs only stretch."""
    if any(isinstance(encoder.image_size, ImageSize) for encoder in member.encoders):
        raise CheckpointError(
            f"{member.run}: its encoder is a preset of keras-hub or cuts its images as CLIP does, and exports cannot: "
            "caption and serve from the run"
        )
    if any(isinstance(encoder, ForeignEncoder) for encoder in member.encoders):
        raise CheckpointError(
            f"{member.run}: its encoder is another program's ONNX file: caption and serve from the run"
        )


def _build(
    folder: Path,
    captioner: Captioner,
    spec: Format,
    quantise: str | None,
    sample: SampleImages,
    runs: ModelRuns,
    prepared: Any,
) -> Comparison:
    """Writes a complete export, verified, into a new folder."""
    folder.mkdir()
    entries = []
    for number, member in enumerate(keras_members(captioner.members), start=1):
        name = "." if len(captioner.members) == 1 else f"member_{number}"
        entries.append(_write_member(folder, name, member, spec, quantise))
    captioner.vocabulary.save(folder / export_folder.VOCABULARY)
    if captioner.domain is not None:
        captioner.domain.save(folder / export_folder.DOMAIN, compact=quantise is not None)
    if captioner.config.decoding.requires_caption_index:
        captioner.caption_index.save(folder)
    if captioner.config.decoding.requires_embedding:
        rerank: Any = captioner.config.decoding.rerank
        judge = captioner.caption_judge(rerank.embedding)
        judge.save(folder, str(rerank.embedding), rerank.requires_caption_vectors)
    if spec.finisher:
        spec.load(spec.finisher)(folder, captioner, entries, prepared)
    more: dict[str, Any] = {"scores": run_scores(runs, captioner.config.decoding), "labels": labels(captioner, sample)}
    manifest.write_manifest(folder, captioner, spec.name, quantise, entries, more)
    logger.info(f"export: captioning {len(sample.images)} {sample.source} with the export and the checkpoint")
    comparison = compare(captioner, load_again(folder, entries, spec, captioner), sample.images, sample.source)
    what = f"the {spec.name} export" + (f" in {quantise}" if quantise else "")
    require_same(comparison, QUANTISED.get(quantise or "", EXACT), what)
    more["verified"] = comparison.as_dict()
    manifest.write_manifest(folder, captioner, spec.name, quantise, entries, more)
    write_card(folder, captioner)
    return comparison


def _write_member(folder: Path, name: str, member: KerasMember, spec: Format, quantise: str | None) -> dict[str, Any]:
    """Writes the files of one model; returns its entry for the manifest."""
    own = folder / name
    own.mkdir(exist_ok=True)
    graphs: MemberGraphs = member_graphs(member)
    write = spec.load(spec.writer)
    for graph in graphs.all:
        logger.info(f"export: writing {(Path(name) / graph.name).as_posix()}{spec.suffix}")
        if graph.content is not None:
            if spec.suffix != ".onnx":
                raise CheckpointError(f"{member.run}: its encoder is an ONNX file: export it as onnx or web")
            (own / f"{graph.name}{spec.suffix}").write_bytes(graph.content)
            continue
        write(graph, own / f"{graph.name}{spec.suffix}", quantise)
    entry = manifest.member_entry(member, graphs, name, spec.suffix)
    if spec.suffix == ".onnx":
        entry["weights"] = write_weight_map(own, member.model.decoder, quantise)
    return entry


def _require_tensorflow() -> None:
    if keras.backend.backend() != "tensorflow":
        raise CapsmithError(f"export converts TensorFlow graphs: unset KERAS_BACKEND={keras.backend.backend()}")


# --- the folder -------------------------------------------------------------------------------------------------------


def _target(runs: ModelRuns, out: str | Path | None, run: RunPaths, spec: Format, quantise: str | None) -> Path:
    """Returns the folder to write, after checking that it may be.

    Raises:
        ConfigError: It holds files that are not an export.
    """
    first = Path(run) if isinstance(run, str | Path) else runs.runs[0]
    target = default_output(first, spec.name, quantise) if out is None else path_argument(out, "OUT")
    if os.path.lexists(target):
        if not target.is_dir() or target.is_symlink():
            raise ConfigError(f"{target} is not a folder: name another path (OUT)")
        if any(target.iterdir()) and not manifest.is_export(target):
            raise ConfigError(f"{target} is not an export that capsmith wrote: move it, or name another path (OUT)")
    return target


@contextlib.contextmanager
def _parents(target: Path) -> Iterator[None]:
    """Creates the folders above a target; removes those that are still empty if the block fails."""
    missing = [folder for folder in target.absolute().parents if not folder.exists()]
    try:
        target.absolute().parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CapsmithError(f"cannot write {target}: {error.strerror or error}") from error
    try:
        yield
    except BaseException:
        for folder in missing:
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise


def _replace(built: Path, target: Path, before: Path) -> None:
    """Puts a complete folder in place; an earlier export is put back if that fails."""
    for path in built.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
    umask = os.umask(0)
    os.umask(umask)
    built.chmod(0o777 & ~umask)
    replaced = os.path.lexists(target)
    try:
        if replaced:
            os.rename(target, before)
        os.rename(built, target)
    except BaseException:
        if replaced and before.exists() and not target.exists():
            os.rename(before, target)
        raise
