"""The numbers in a preset's ``config.json`` from which its network is built. Nothing of the file is deserialized."""

from abc import abstractmethod
from typing import Annotated, Literal

from pydantic import Field

from capsmith.core.readers.file_schema import FileSchema

Size = Annotated[int, Field(ge=1, le=2**20)]
Layers = Annotated[int, Field(ge=1, le=1000)]
Epsilon = Annotated[float, Field(gt=0, le=1)]
Shape = Annotated[list[Size], Field(min_length=3, max_length=3)]
_MAX_SIDE = 4096
Activation = Literal["quick_gelu", "gelu", "gelu_approximate", "relu", "silu", "swish"]


class Blocks(FileSchema):
    """A transformer.

    Attributes:
        hidden_dim: Channels of a token.
        num_layers: Blocks.
        num_heads: Attention heads of a block.
    """

    hidden_dim: Size
    num_layers: Layers
    num_heads: Size

    @property
    @abstractmethod
    def width(self) -> int:
        """Channels inside a block's feed-forward network."""

    @property
    def least(self) -> int:
        """A number of weights that the network has at least."""
        return self.num_layers * self.hidden_dim * (4 * self.hidden_dim + 2 * self.width)


class Tower(Blocks):
    """An image encoder that divides images into patches.

    Attributes:
        image_shape: Height, width and channels of an image.
        patch_size: Side of a patch in pixels.
    """

    image_shape: Shape
    patch_size: Size | Annotated[list[Size], Field(min_length=2, max_length=2)]

    @property
    def patch(self) -> int:
        """Side of a patch in pixels."""
        return self.patch_size[0] if isinstance(self.patch_size, list) else self.patch_size

    @property
    def leading(self) -> int:
        """Tokens before those of the patches: a class token, and register tokens."""
        return 1

    def problem(self) -> str:
        """Returns what makes the numbers unusable; empty if they are fine."""
        height, width, channels = self.image_shape
        square = not isinstance(self.patch_size, list) or len(set(self.patch_size)) == 1
        if height != width or channels != 3 or not self.patch <= height <= _MAX_SIDE or not square:
            return f"images of shape {height} x {width} x {channels} with patches of {self.patch_size}"
        if self.hidden_dim % self.num_heads:
            return "hidden_dim is no multiple of num_heads"
        return ""


class ClipVision(Tower):
    """The numbers of ``keras_hub.models.CLIPVisionEncoder``."""

    patch_size: Size
    intermediate_dim: Size
    intermediate_activation: Activation = "quick_gelu"

    @property
    def width(self) -> int:
        """Channels inside a block's feed-forward network."""
        return self.intermediate_dim


class ClipText(Blocks):
    """The numbers of ``keras_hub.models.CLIPTextEncoder``."""

    vocabulary_size: Annotated[int, Field(ge=2, le=2**24)]
    embedding_dim: Size
    intermediate_dim: Size
    intermediate_activation: Activation = "quick_gelu"
    max_sequence_length: Annotated[int, Field(ge=3, le=2**16)] = 77

    @property
    def least(self) -> int:
        """A number of weights that the network has at least."""
        return super().least + self.vocabulary_size * self.embedding_dim

    @property
    def width(self) -> int:
        """Channels inside a block's feed-forward network."""
        return self.intermediate_dim


class SiglipVision(ClipVision):
    """The numbers of ``keras_hub.models.SigLIPVisionEncoder``."""

    intermediate_activation: Activation = "gelu_approximate"
    layer_norm_epsilon: Epsilon = 1e-6

    @property
    def leading(self) -> int:
        """None: it has no class token."""
        return 0


class SiglipText(ClipText):
    """The numbers of ``keras_hub.models.SigLIPTextEncoder``."""

    intermediate_activation: Activation = "gelu_approximate"
    layer_norm_epsilon: Epsilon = 1e-6
    max_sequence_length: Annotated[int, Field(ge=1, le=2**16)] = 64
    projection_dim: Size | None = None


class Vit(Tower):
    """The numbers of ``keras_hub.models.ViTBackbone``."""

    mlp_dim: Size
    layer_norm_epsilon: Epsilon = 1e-6
    use_mha_bias: bool = True
    use_mlp_bias: bool = True
    use_class_token: bool = True
    use_patch_bias: bool = True

    @property
    def width(self) -> int:
        """Channels inside a block's feed-forward network."""
        return self.mlp_dim

    @property
    def leading(self) -> int:
        """1 with a class token, otherwise 0."""
        return int(self.use_class_token)


class Dino2(Tower):
    """The numbers of ``keras_hub.models.DINOV2Backbone``."""

    intermediate_dim: Size
    layer_scale_init_value: float = 1.0
    num_register_tokens: Annotated[int, Field(ge=0, le=1000)] = 0
    use_mask_token: bool = True
    use_swiglu_ffn: bool = False
    position_embedding_shape: Annotated[list[Size], Field(min_length=2, max_length=3)] = [518, 518, 3]
    antialias_in_interpolation: bool = False

    @property
    def least(self) -> int:
        """A number of weights that the network has at least."""
        height, width = (side // self.patch for side in self.position_embedding_shape[:2])
        return super().least + height * width * self.hidden_dim

    @property
    def width(self) -> int:
        """Channels inside a block's feed-forward network."""
        return self.intermediate_dim

    @property
    def leading(self) -> int:
        """The class token and the register tokens."""
        return 1 + self.num_register_tokens


class Dino3(Tower):
    """The numbers of ``keras_hub.models.DINOV3Backbone``."""

    intermediate_dim: Size
    layer_scale_init_value: float = 1.0
    num_register_tokens: Annotated[int, Field(ge=0, le=1000)] = 4
    use_mask_token: bool = True
    hidden_activation: Activation = "gelu"
    use_gated_mlp: bool = False
    use_query_bias: bool = True
    use_key_bias: bool = True
    use_value_bias: bool = True
    use_proj_bias: bool = True
    use_mlp_bias: bool = True
    layer_norm_eps: Epsilon = 1e-5
    rope_theta: Annotated[float, Field(gt=0)] = 100.0

    @property
    def width(self) -> int:
        """Channels inside a block's feed-forward network."""
        return self.intermediate_dim

    @property
    def leading(self) -> int:
        """The class token and the register tokens."""
        return 1 + self.num_register_tokens
