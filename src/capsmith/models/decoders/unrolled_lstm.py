"""An LSTM over a complete sentence with an explicit gradient.

B captions · T words · U units.

Automatic differentiation of an unrolled loop computes the gradient of the recurrent kernel for each word, from products
of B rows, and adds T matrices of U × 4U. Here the gradients of the gates are stored for all words, and the gradient of
the kernel is one product over all B · T rows, as in cuDNN (Appleyard et al. 2016, sec. 3).
"""

from typing import Any

from keras import ops


def unrolled_lstm(z: Any, h: Any, c: Any, kernel: Any) -> Any:
    """Runs an LSTM along a sentence of known length.

    Args:
        z: Input part of the gates (B, T, 4U): input, forget, candidate and output gate.
        h: Output before the first word (B, U).
        c: Cell state before the first word (B, U).
        kernel: Recurrent kernel (U, 4U), in the precision of ``z``.

    Returns:
        All outputs (B, T, U).
    """
    outputs: Any = _with_gradient(z, h, c, kernel)
    return outputs


@ops.custom_gradient
def _with_gradient(z: Any, h: Any, c: Any, kernel: Any) -> Any:
    outputs, cells, gates = [h], [c], []
    for inputs in ops.unstack(z, z.shape[1], axis=1):
        i, f, candidate, o = ops.split(inputs + ops.matmul(outputs[-1], kernel), 4, axis=-1)
        i, f, candidate, o = ops.sigmoid(i), ops.sigmoid(f), ops.tanh(candidate), ops.sigmoid(o)
        cells.append(f * cells[-1] + i * candidate)
        squashed = ops.tanh(cells[-1])
        outputs.append(o * squashed)
        gates.append((i, f, candidate, o, squashed))

    def gradient(*arguments: Any, upstream: Any = None) -> Any:
        above = ops.unstack(arguments[-1] if upstream is None else upstream, len(gates), axis=1)
        transposed = ops.einsum("ug->gu", kernel)  # once; TensorFlow would fold ops.transpose into every product
        d_h, d_c, d_z = ops.zeros_like(h), ops.zeros_like(c), []
        for step in reversed(range(len(gates))):
            i, f, candidate, o, squashed = gates[step]
            d_h = d_h + above[step]
            d_c = d_c + d_h * o * (1.0 - squashed * squashed)
            d_gates = (
                d_c * candidate * i * (1.0 - i),
                d_c * cells[step] * f * (1.0 - f),
                d_c * i * (1.0 - candidate * candidate),
                d_h * squashed * o * (1.0 - o),
            )
            d_z.append(ops.concatenate(d_gates, axis=-1))
            d_h, d_c = ops.matmul(d_z[-1], transposed), d_c * f
        d_z = ops.stack(d_z[::-1], axis=1)
        before = ops.reshape(ops.stack(outputs[:-1], axis=1), (-1, h.shape[-1]))
        d_kernel = ops.matmul(ops.transpose(before), ops.reshape(d_z, (-1, 4 * h.shape[-1])))
        return d_z, d_h, d_c, d_kernel

    return ops.stack(outputs[1:], axis=1), gradient
