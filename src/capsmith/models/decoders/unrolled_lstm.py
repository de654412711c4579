"""An LSTM over a whole sentence whose gradient is written out.

B captions · T words · U units.

Automatic differentiation of an unrolled loop takes the gradient of the recurrent kernel once per word, from products of
B rows each, and adds up T matrices of U × 4U. Here the gates' gradients are kept along the sentence, and the kernel's
gradient is one product over all B · T rows, as cuDNN takes it (Appleyard et al. 2016, sec. 3).
"""

from typing import Any

from keras import ops


def unrolled_lstm(z: Any, h: Any, c: Any, kernel: Any) -> Any:
    """Runs an LSTM along a sentence of known length.

    Args:
        z: The gates' share from the inputs (B, T, 4U): input, forget, candidate and output gate.
        h: The output before the first word (B, U).
        c: The cell state before the first word (B, U).
        kernel: The recurrent kernel (U, 4U), in the precision of ``z``.

    Returns:
        The output after every word (B, T, U).
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
