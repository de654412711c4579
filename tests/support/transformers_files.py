"""ONNX files of transformers' detectors, a few layers with random weights, exported as optimum does; needs torch."""

import warnings
from pathlib import Path
from typing import Any

import torch

SIDE = 64
CLASSES = 80


def tiny_rtdetr() -> Any:
    """Returns an RT-DETR."""
    from transformers import RTDetrConfig, RTDetrForObjectDetection, RTDetrResNetConfig

    backbone = RTDetrResNetConfig(
        embedding_size=8,
        hidden_sizes=[8, 8, 16, 16],
        depths=[1, 1, 1, 1],
        hidden_act="relu",
        out_features=["stage2", "stage3", "stage4"],
        out_indices=[2, 3, 4],
    )
    config = RTDetrConfig(
        backbone_config=backbone,
        use_timm_backbone=False,
        use_pretrained_backbone=False,
        encoder_hidden_dim=16,
        encoder_in_channels=[8, 16, 16],
        encoder_layers=1,
        encoder_ffn_dim=16,
        encoder_attention_heads=2,
        d_model=16,
        num_queries=30,
        decoder_in_channels=[16, 16, 16],
        decoder_ffn_dim=16,
        decoder_layers=2,
        decoder_attention_heads=2,
        num_denoising=0,
        num_labels=CLASSES,
        anchor_image_size=None,
    )
    return RTDetrForObjectDetection(config).eval()


def tiny_yolos() -> Any:
    """Returns a YOLOS, which ends in a softmax as DETR does."""
    from transformers import YolosConfig, YolosForObjectDetection

    config = YolosConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        image_size=[SIDE, SIDE],
        patch_size=8,
        num_detection_tokens=20,
        use_mid_position_embeddings=False,
        num_labels=91,
    )
    return YolosForObjectDetection(config).eval()


class _Outputs(torch.nn.Module):
    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixel_values: Any) -> Any:
        outputs = self.model(pixel_values=pixel_values)
        return outputs.logits, outputs.pred_boxes


def export(model: Any, path: Path) -> Path:
    """Exports a detector with the names that optimum gives."""
    for weight in model.parameters():  # random weights of a fresh model would score all queries alike
        torch.nn.init.normal_(weight, std=0.3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            _Outputs(model),
            (torch.zeros(1, 3, SIDE, SIDE),),
            str(path),
            input_names=["pixel_values"],
            output_names=["logits", "pred_boxes"],
            opset_version=17,
            dynamo=False,
        )
    return path
