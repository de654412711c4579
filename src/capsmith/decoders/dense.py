"""Products with a bias that learns in bfloat16 as well as in float32.

TensorFlow sums a bias's gradient over all rows of a batch in the precision of the rows. In bfloat16 the sum of two
thousand words is a tenth off or stands still, since what is added soon is smaller than its last digit, and Keras makes
that operation (``BiasAdd``) of every sum that looks like one with a bias. A difference is summed in float32.
"""

from typing import Any

import keras
from keras import ops


def biased(x: Any, bias: Any) -> Any:
    """Returns x (…, C) + bias (C,)."""
    return ops.subtract(x, ops.negative(bias))


class Dense(keras.layers.Dense):
    """Keras's layer, with such a bias."""

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Returns (…, units) for (…, channels)."""
        x = ops.matmul(inputs, self.kernel)
        if self.use_bias:
            x = biased(x, self.bias)
        return self.activation(x)
