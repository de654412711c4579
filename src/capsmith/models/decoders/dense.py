"""Products with a bias that learns in bfloat16 as well as in float32.

TensorFlow sums a bias's gradient over all rows of a batch in the precision of the rows. In bfloat16 the sum of two
thousand words is a tenth off or stands still, since what is added soon is smaller than its last digit, and Keras makes
that operation (``BiasAdd``) of every sum that looks like one with a bias. A product with a row of ones is summed in
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
    """Keras's layer, with such a bias."""

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Returns (…, units) for (…, channels)."""
        return self.activation(product(inputs, self.kernel, self.bias if self.use_bias else None))


def product(x: Any, kernel: Any, bias: Any = None) -> Any:
    """Returns x (…, C) times kernel (C, U) plus bias (U,): (…, U).

    The rows are one axis meanwhile: TensorFlow then adds the bias within the product.
    """
    if len(x.shape) > 2:
        rows = product(ops.reshape(x, (-1, x.shape[-1])), kernel, bias)
        return ops.reshape(rows, (*ops.shape(x)[:-1], kernel.shape[-1]))
    result = ops.matmul(x, kernel)
    return result if bias is None else biased(result, bias)
