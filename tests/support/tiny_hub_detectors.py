"""Detectors of keras-hub with random weights, small enough for tests, saved as keras-hub saves real ones."""

from pathlib import Path
from typing import Any

SIDE = 64
"""Height and width of their input in pixels."""
CLASSES = 80


def tiny_dfine() -> Any:
    """Returns a D-FINE with five queries, whose images are stretched."""
    import keras
    import keras_hub

    keras.utils.set_random_seed(0)
    shape = (SIDE, SIDE, 3)
    image_encoder = keras_hub.models.HGNetV2Backbone(
        stem_channels=[3, 4, 4],
        stackwise_stage_filters=[[4, 4, 8, 1, 1, 3], [8, 4, 8, 1, 1, 3], [8, 4, 8, 1, 1, 5], [8, 4, 8, 1, 1, 5]],
        apply_downsample=[False, True, True, True],
        use_lightweight_conv_block=[False, False, True, True],
        depths=[1, 1, 1, 1],
        hidden_sizes=[8, 8, 8, 8],
        embedding_size=4,
        use_learnable_affine_block=True,
        hidden_act="relu",
        image_shape=shape,
        out_features=["stage3", "stage4"],
    )
    backbone = keras_hub.models.DFineBackbone(
        backbone=image_encoder,
        decoder_in_channels=[8, 8],
        encoder_hidden_dim=8,
        num_denoising=0,
        num_labels=CLASSES,
        hidden_dim=8,
        learn_initial_query=False,
        num_queries=5,
        anchor_image_size=(SIDE, SIDE),
        feat_strides=[16, 32],
        num_feature_levels=2,
        encoder_in_channels=[8, 8],
        encode_proj_layers=[1],
        num_attention_heads=2,
        encoder_ffn_dim=8,
        num_encoder_layers=1,
        hidden_expansion=0.34,
        depth_multiplier=0.5,
        eval_idx=-1,
        num_decoder_layers=1,
        decoder_attention_heads=2,
        decoder_ffn_dim=8,
        decoder_n_points=[2, 2],
        lqe_hidden_dim=8,
        num_lqe_layers=1,
        out_features=["stage3", "stage4"],
        image_shape=shape,
    )
    converter = keras_hub.layers.DFineImageConverter(image_size=(SIDE, SIDE), scale=1 / 255, crop_to_aspect_ratio=False)
    preprocessor = keras_hub.models.DFineObjectDetectorPreprocessor(image_converter=converter)
    return keras_hub.models.DFineObjectDetector(backbone=backbone, num_classes=CLASSES, preprocessor=preprocessor)


def tiny_retinanet(classes: int = 91) -> Any:
    """Returns a RetinaNet of COCO's identifiers, whose images are padded."""
    import keras
    import keras_hub

    keras.utils.set_random_seed(0)
    shape = (SIDE, SIDE, 3)
    image_encoder = keras_hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64, 64, 64, 64],
        stackwise_num_blocks=[1, 1, 1, 1],
        stackwise_num_strides=[1, 2, 2, 2],
        block_type="basic_block",
        image_shape=shape,
    )
    backbone = keras_hub.models.RetinaNetBackbone(
        image_encoder=image_encoder, min_level=3, max_level=5, use_p5=False, image_shape=shape
    )
    converter = keras_hub.layers.RetinaNetImageConverter(
        image_size=(SIDE, SIDE), scale=1 / 255, crop_to_aspect_ratio=False, pad_to_aspect_ratio=True
    )
    task = keras_hub.models.RetinaNetObjectDetector(
        backbone=backbone,
        num_classes=classes,
        bounding_box_format="yxyx",
        preprocessor=keras_hub.models.RetinaNetObjectDetectorPreprocessor(image_converter=converter),
        pre_logits_num_conv_layers=1,
    )
    for weight in task.box_head.weights:
        if weight.name == "bias":  # keras-hub starts them as scores' biases: all boxes would lie outside
            weight.assign(keras.ops.zeros_like(weight))
    return task


def saved_preset(task: Any, folder: Path) -> Path:
    """Saves a detector as a preset and returns its folder."""
    task.save_to_preset(str(folder))
    return folder
