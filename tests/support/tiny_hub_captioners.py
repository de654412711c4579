"""Image-to-text models of keras-hub with random weights, small enough for tests, saved as keras-hub saves real ones."""

from io import BytesIO
from pathlib import Path
from typing import Any

from tests.support.tiny_clip import vocabulary_of

WORDS = ("a", "photo", "of", "the", "dog", "cat", "man", "red", "ball", "runs", "on", "grass", "caption", "en")
SIDE = 28
"""Height and width of their images, in pixels."""


def save_paligemma(folder: Path, seed: int = 0) -> Path:
    """Saves a PaliGemma of two layers with a SentencePiece model over ``WORDS``."""
    import keras
    import keras_hub.models as models
    from keras_hub.layers import PaliGemmaImageConverter

    keras.utils.set_random_seed(seed)
    tokenizer = models.PaliGemmaTokenizer(proto=_pieces())
    backbone = models.PaliGemmaBackbone(
        vocabulary_size=tokenizer.vocabulary_size(),
        image_size=SIDE,
        num_layers=2,
        num_query_heads=2,
        num_key_value_heads=1,
        hidden_dim=16,
        intermediate_dim=32,
        head_dim=8,
        vit_patch_size=14,
        vit_num_heads=2,
        vit_hidden_dim=8,
        vit_num_layers=1,
        vit_intermediate_dim=16,
    )
    _scatter(backbone)
    converter = PaliGemmaImageConverter(
        image_size=(SIDE, SIDE), scale=1 / 127.5, offset=-1.0, interpolation="bicubic", crop_to_aspect_ratio=False
    )
    preprocessor = models.PaliGemmaCausalLMPreprocessor(tokenizer, converter, sequence_length=32)
    models.PaliGemmaCausalLM(preprocessor=preprocessor, backbone=backbone).save_to_preset(str(folder))
    return folder


def save_blip2_opt(folder: Path, seed: int = 0) -> Path:
    """Saves a BLIP-2 with an OPT of one layer and a byte-pair tokenizer."""
    import keras
    import keras_hub.models as models
    import numpy as np
    from keras_hub.layers import BLIP2ImageConverter

    keras.utils.set_random_seed(seed)
    vocabulary, merges = vocabulary_of(())
    tokens = [token for token in vocabulary if not token.endswith("</w>")][:256]
    made, rules = _merged(tokens, WORDS)
    ids = {token: i for i, token in enumerate(["<s>", "<pad>", "</s>", "<unk>", "<image>", *made])}
    tokenizer = models.BLIP2OPTTokenizer(vocabulary=ids, merges=rules)
    backbone = models.BLIP2Backbone(
        vision_encoder=_vision(models),
        qformer=_qformer(models),
        language_model=models.BLIP2CustomOPT(
            vocabulary_size=len(ids),
            num_layers=1,
            num_heads=2,
            hidden_dim=16,
            intermediate_dim=24,
            num_query_tokens=3,
            dropout=0.0,
            max_sequence_length=64,
            qformer_hidden_dim=12,
            language_projection=keras.layers.Dense(16, name="language_projection"),
        ),
    )
    _scatter(backbone)
    table = backbone.token_embedding.embeddings
    table.assign(np.where(np.arange(len(ids))[:, None] < 261, 0.01 * table.numpy(), table.numpy()))  # words, not bytes
    preprocessor = models.BLIP2CausalLMPreprocessor(
        tokenizer, BLIP2ImageConverter(image_size=(SIDE, SIDE)), sequence_length=32
    )
    models.BLIP2CausalLM(preprocessor=preprocessor, backbone=backbone).save_to_preset(str(folder))
    return folder


def save_blip2_t5(folder: Path, seed: int = 0) -> Path:
    """Saves a BLIP-2 with a Flan-T5 of one layer."""
    import keras
    import keras_hub.models as models
    from keras_hub.layers import BLIP2ImageConverter

    keras.utils.set_random_seed(seed)
    tokenizer = models.BLIP2FlanT5Tokenizer(proto=_pieces("</s>"))
    backbone = models.BLIP2Backbone(
        vision_encoder=_vision(models),
        qformer=_qformer(models),
        language_model=models.BLIP2FlanT5(
            vocabulary_size=tokenizer.vocabulary_size(),
            num_layers=1,
            num_heads=2,
            hidden_dim=16,
            intermediate_dim=24,
            num_query_tokens=3,
            qformer_hidden_dim=12,
            dropout=0.0,
            language_projection=keras.layers.Dense(16, name="language_projection"),
        ),
    )
    _scatter(backbone)
    preprocessor = models.BLIP2Seq2SeqLMPreprocessor(tokenizer, BLIP2ImageConverter(image_size=(SIDE, SIDE)))
    models.BLIP2Seq2SeqLM(preprocessor=preprocessor, backbone=backbone).save_to_preset(str(folder))
    return folder


def _vision(models: Any) -> Any:
    return models.BLIP2VisionEncoder(
        image_size=SIDE,
        patch_size=14,
        num_layers=1,
        num_heads=2,
        hidden_dim=8,
        intermediate_dim=16,
        use_patch_bias=True,
        use_class_token=True,
        use_mha_bias=True,
        use_mlp_bias=True,
        dropout_rate=0.0,
        layer_norm_epsilon=1e-6,
        initializer_range=0.02,
    )


def _qformer(models: Any) -> Any:
    return models.BLIP2QFormer(
        num_query_tokens=3,
        num_layers=2,
        num_heads=2,
        hidden_dim=12,
        intermediate_dim=16,
        vision_dim=8,
        cross_attention_frequency=2,
        dropout=0.0,
        layer_norm_epsilon=1e-12,
    )


def _scatter(backbone: Any) -> None:
    """Makes the weights so large that captions depend on the image."""
    import numpy as np

    rng = np.random.default_rng(1)
    for weight in backbone.weights:
        if "norm" not in weight.path:
            weight.assign(rng.normal(0, 0.6, weight.shape))


def _merged(tokens: list[str], words: tuple[str, ...]) -> tuple[list[str], list[str]]:
    made, rules = list(tokens), []
    for word in (w for each in words for w in (each, "\u0120" + each)):
        parts = list(word)
        while len(parts) > 1:
            rule, joined = f"{parts[0]} {parts[1]}", parts[0] + parts[1]
            if joined not in made:
                made.append(joined)
                rules.append(rule)
            parts[:2] = [joined]
    return made, rules


def _pieces(end: str = "<eos>") -> bytes:
    """Returns a SentencePiece model whose vocabulary is about ``WORDS`` and their letters."""
    import sentencepiece

    model = BytesIO()
    sentences = [" ".join(WORDS), *(f"{a} {b}" for a in WORDS for b in WORDS)]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences),
        model_writer=model,
        vocab_size=50,
        model_type="bpe",
        pad_id=0,
        eos_id=1,
        bos_id=2,
        unk_id=3,
        pad_piece="<pad>",
        eos_piece=end,
        bos_piece="<bos>",
        unk_piece="<unk>",
        minloglevel=2,
    )
    return model.getvalue()


SAVERS = {"paligemma": save_paligemma, "blip2_opt": save_blip2_opt, "blip2_t5": save_blip2_t5}
"""Saves a model of each kind into a folder, and returns the folder."""
