"""The files of an evaluation: predictions, scores, and the report page."""

import json
from collections.abc import Mapping
from pathlib import Path

from capsmith.config import Config
from capsmith.core.files import write_json, write_text
from capsmith.core.outputs import PREDICTIONS, SCORES
from capsmith.decoding.config import DecodingConfig
from capsmith.evaluation.report import write_report
from capsmith.metrics import Score
from capsmith.metrics.registry import lower_is_better
from capsmith.models.caption import Caption

_RANKING = ("cider", "bleu4", "rouge")  # the examples are ranked by the first of these that was computed


def write_results(
    directory: Path,
    split: str,
    config: Config,
    captions: Mapping[str, Caption],
    scores: Mapping[str, Score],
    control: Mapping[str, Score],
    references: Mapping[str, list[str]],
    paths: Mapping[str, Path],
    model: str = "",
) -> None:
    """Writes predictions, scores and the report page.

    Args:
        directory: The output folder.
        split: Name of the split.
        config: The config of the model.
        captions: The caption of each image.
        scores: The score of each metric.
        control: The same for captions of other images.
        references: The references of each image.
        paths: The file of each image.
        model: The name of a third-party captioner, of which the config describes the data only.
    """
    write_text(directory / PREDICTIONS, predictions_text(captions))
    control_values = {name: score.value for name, score in control.items()}
    write_json(
        directory / SCORES,
        {
            "split": split,
            "images": len(captions),
            "decoding": config.decoding.model_dump(mode="json"),
            "scores": {name: score.as_dict() for name, score in scores.items()},
            "shuffled_images": control_values,
        },
    )
    ranking = next((scores[name] for name in _RANKING if name in scores), None)
    per_image = ranking.per_image if ranking is not None else {}
    write_report(
        directory,
        title=f"{model or config.decoder.type} on {config.data.type}, {split}",
        scores=[
            {
                "name": f"{name} (lower is better)" if lower_is_better(name) else name,
                "value": score.value,
                "interval": score.interval,
                "control": control_values.get(name),
                "signature": score.signature,
            }
            for name, score in scores.items()
        ],
        examples=[
            {
                "image_path": paths[image_id],
                "image_id": image_id,
                "references": references[image_id],
                "prediction": caption.text,
                "score": float(per_image.get(image_id, 0.0)),
            }
            for image_id, caption in captions.items()
        ],
        score_name=ranking.name if ranking is not None else "",
        most=config.evaluation.examples,
        notes=[
            f"Search: {config.decoding.type} {search_settings(config.decoding)}",
            *([] if model else [f"Encoder: {' + '.join(encoder.title for encoder in config.encoders)}"]),
            *([] if model else [f"Seed: {config.seed}"]),
        ],
    )


def predictions_text(captions: Mapping[str, Caption]) -> str:
    """Returns the content of ``predictions.jsonl``: one JSON object per line and image."""
    lines = [
        {"image": image_id, "caption": caption.text, "log_probability": round(caption.log_probability, 4)}
        for image_id, caption in captions.items()
    ]
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def search_settings(decoding: DecodingConfig) -> str:
    """Returns the settings of a search as ``key=value``, without its type."""
    settings = decoding.model_dump(exclude={"type"})
    unset = [name for name in ("prefix", "include", "exclude", "exclude_file", "n") if not settings.get(name)]
    return " ".join(f"{key}={value}" for key, value in settings.items() if key not in unset)
