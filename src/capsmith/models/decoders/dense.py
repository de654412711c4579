"""Dense layers whose bias trains equally well in bfloat16 and float32.

TensorFlow sums the gradient of a bias over all rows of a batch in their precision. In bfloat16 the sum over two
thousand words is 10 % off or stagnates, because the addends become smaller than its last digit; and Keras uses this
operation (``BiasAdd``) for every addition that resembles that of a bias. A product with a row of ones is summed in
float32, and takes a tenth of the time.
"""

from typing import Any

import keras
from keras import ops


def biased(x: Any, bias: Any) -> Any:
    """Returns x (…, C) + bias (C,)."""
    return _with_gradient(x, ops.cast(bias, x.dtype))


@ops.custom_gradient
def _with_gradient(x: Any, bias: Any) -> Any:
    def gradient(*arguments: Any, upstream: Any = None) -> Any:
        above = arguments[-1] if upstream is None else upstream
        rows = ops.reshape(above, (-1, above.shape[-1]))
        return above, ops.matmul(ops.ones((1, ops.shape(rows)[0]), rows.dtype), rows)[0]

    return x + bias, gradient


class Dense(keras.layers.Dense):
    """Keras's dense layer with the bias gradient of this module."""

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Returns (…, units) for (…, channels)."""
        return self.activation(product(inputs, self.kernel, self.bias if self.use_bias else None))


def product(x: Any, kernel: Any, bias: Any = None) -> Any:
    """Returns x (…, C) times kernel (C, U) plus bias (U,): (…, U).

    The leading axes are flattened for the product: TensorFlow can then fuse the addition of the bias.
    """
    if len(x.shape) > 2:
        rows = product(ops.reshape(x, (-1, x.shape[-1])), kernel, bias)
        return ops.reshape(rows, (*ops.shape(x)[:-1], kernel.shape[-1]))
    result = ops.matmul(x, kernel)
    return result if bias is None else biased(result, bias)
