"""Entrants that train in plain PyTorch: the merge model, and soft attention as in tutorials.

B captions · T words · L regions · U units · E word channels · V vocabulary · D feature channels.
"""

import os
from typing import Any

import torch
from torch import nn

from benchmarks.speed.contest import Round
from benchmarks.speed.corpus import VOCABULARY, features
from benchmarks.speed.ways import BATCH, CHANNELS, UNITS, D, padded

GRID = (64, D)


class Merge(nn.Module):
    """``nn.LSTM`` over complete sentences padded to one length; its output is combined with the image."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, CHANNELS, padding_idx=0)
        self.lstm = nn.LSTM(CHANNELS, UNITS, batch_first=True)
        self.image, self.mix = nn.Linear(D, UNITS), nn.Linear(UNITS, UNITS)
        self.out, self.dropout = nn.Linear(UNITS, VOCABULARY), nn.Dropout(0.4)

    def forward(self, seen: Any, read: Any) -> Any:
        """Returns logits (B, T, V)."""
        h, _ = self.lstm(self.dropout(self.embedding(read)))
        v = torch.relu(self.image(self.dropout(seen)))
        return self.out(self.dropout(torch.relu(self.mix(self.dropout(h) + v[:, None]))))


class SoftAttention(nn.Module):
    """``nn.LSTMCell`` in a loop over the words: Show, Attend and Tell, regions projected once per caption."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, CHANNELS, padding_idx=0)
        self.regions, self.key = nn.Linear(D, UNITS), nn.Linear(UNITS, UNITS, bias=False)
        self.question, self.score = nn.Linear(UNITS, UNITS), nn.Linear(UNITS, 1)
        self.cell = nn.LSTMCell(CHANNELS + UNITS, UNITS)
        self.first, self.gate = nn.Linear(UNITS, 2 * UNITS), nn.Linear(UNITS, 1)
        self.mix, self.out = nn.Linear(2 * UNITS, UNITS), nn.Linear(UNITS, VOCABULARY)
        self.dropout = nn.Dropout(0.5)

    def forward(self, seen: Any, read: Any) -> Any:
        """Returns logits (B, T, V)."""
        regions = torch.relu(self.regions(self.dropout(seen)))
        keys, words = self.key(regions), self.dropout(self.embedding(read))
        h, c = torch.tanh(self.first(regions.mean(1))).chunk(2, -1)
        read_out = []
        for word in words.unbind(1):
            scores = self.score(torch.tanh(keys + self.question(h)[:, None]))[..., 0]
            context = (torch.softmax(scores, -1)[:, None] @ regions)[:, 0] * torch.sigmoid(self.gate(h))
            h, c = self.cell(torch.cat([word, context], -1), (h, c))
            read_out.append(torch.tanh(self.mix(torch.cat([h, context], -1))))
        return self.out(self.dropout(torch.stack(read_out, 1)))


def merge(batches: int, precision: str) -> Round:
    """Trains the merge model."""
    return _training(Merge(), (D,), batches, precision)


def attention(batches: int, precision: str) -> Round:
    """Trains soft attention over 64 regions."""
    return _training(SoftAttention(), GRID, batches, precision)


def _training(model: nn.Module, shape: tuple[int, ...], batches: int, precision: str) -> Round:
    torch.set_num_threads(os.cpu_count() or 1)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda":
        torch.set_float32_matmul_precision("high")  # as JAX multiplies on an accelerator
    model = model.to(device)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    loss = nn.CrossEntropyLoss(ignore_index=0)
    rows, *sentences = padded(BATCH * batches)
    read, said = (torch.from_numpy(array).to(device) for array in sentences)
    source = features(shape)

    def work() -> float:
        for first in range(0, len(rows), BATCH):
            some = slice(first, first + BATCH)
            seen = torch.from_numpy(source.gather(rows[some])).to(device).float()
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast(device, torch.bfloat16, enabled=precision == "bfloat16"):
                logits = model(seen, read[some].int())
                value = loss(logits.flatten(0, 1).float(), said[some].long().flatten())
            value.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimizer.step()
        value.item()  # waits for it
        return len(rows)

    work()
    return work
