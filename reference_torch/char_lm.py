"""A character language model: Embedding, GRU, Linear.

The text is split into as many streams as a batch has rows. Every step reads the next window of each
stream, starting from the hidden state after the previous window, so the model can use information
from earlier windows. Gradients stop at the start of a window.

Training uses teacher forcing: the model always reads the true character. The lecture's program fed
it its own prediction, which trains much worse.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from reference_torch.data import fetch, read_text, text_window
from reference_torch.drawing import check_sampling, draw, encode
from reference_torch.recipe import Recipe
from reference_torch.task import Task
from reference_torch.training import loss_of

LAYERS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
HELD_OUT = 250_000
"""Maximum number of characters in an evaluation."""
STREAMS, SLICE = 32, 128
"""Number of streams of the held-out text, and number of steps per call."""


class Model(nn.Module):
    def __init__(self, cell, symbols, embedding_size, hidden_size, num_layers=1, dropout=0.0):
        super().__init__()
        self.embedding = nn.Embedding(symbols, embedding_size)
        self.rnn = LAYERS[cell](
            embedding_size,
            hidden_size,
            num_layers,
            batch_first=True,
            dropout=dropout if num_layers > 1 else 0.0,
        )
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(hidden_size, symbols)

    def forward(self, inputs, hidden=None):
        h, hidden = self.rnn(self.embedding(inputs), hidden)
        return self.linear(self.dropout(h)), hidden


class CharLM(Task):
    name = "char_lm"
    slide = "13_3"
    teaches = "A character language model whose state is carried from window to window."
    takes_text = True
    recipe = Recipe(
        cell="gru",
        embedding_size=64,
        hidden_size=256,
        batch_size=32,
        window=64,
        steps=1500,
        learning_rate=8e-3,
        warmup=50,
        schedule="cosine",
        evaluate_every=250,
    )
    recipes: ClassVar[Mapping[str, Recipe]] = {
        "quick": replace(recipe, hidden_size=128, steps=400, evaluate_every=100),
        "long": replace(
            recipe,
            embedding_size=128,
            hidden_size=512,
            dropout=0.3,
            steps=6000,
            learning_rate=4e-3,
            warmup=100,
            evaluate_every=500,
        ),
    }

    def read(self, recipe, text=None):
        return read_text(fetch("tinyshakespeare.txt") if text is None else text)

    def build(self, recipe, vocabulary):
        return Model(
            recipe.cell,
            len(vocabulary["symbols"]),
            recipe.embedding_size,
            recipe.hidden_size,
            recipe.num_layers,
            recipe.dropout,
        )

    def batch(self, recipe, data, step):
        return text_window(data.train, recipe.batch_size, recipe.window, step)

    def loss(self, model, batch, hidden=None):
        if hidden is not None:
            hidden = forget(hidden, batch["fresh"])
        logits, hidden = model(batch["inputs"], hidden)
        return loss_of(logits, batch["labels"]), hidden

    @torch.no_grad()
    def evaluate(self, model, data):
        device = next(model.parameters()).device
        inputs, labels = (
            torch.tensor(ids, dtype=torch.long, device=device)
            for ids in side_by_side(data.held_out[: HELD_OUT + 1])
        )
        hidden, nats, right = None, 0.0, 0
        for start in range(0, inputs.shape[1], SLICE):
            part = slice(start, start + SLICE)
            logits, hidden = model(inputs[:, part], hidden)
            valid = labels[:, part] >= 0
            wanted = labels[:, part][valid]
            nats += F.cross_entropy(logits[valid], wanted, reduction="sum").item()
            right += (logits[valid].argmax(dim=-1) == wanted).sum().item()
        count = (labels >= 0).sum().item()
        loss = nats / count
        return {
            "loss": loss,
            "perplexity": math.exp(loss),
            "bits_per_character": loss / math.log(2),
            "accuracy": right / count,
        }

    def respond(
        self, model, vocabulary, prompt, *, temperature=1.0, top_k=None, length=500, seed=0
    ):
        """The continuation of the prompt; an empty prompt is the start of a line."""
        check_sampling(temperature, top_k, length)
        symbols = vocabulary["symbols"]
        start = "\n" if "\n" in symbols else symbols[0]
        ids = encode(prompt or start, symbols)
        return write(model, symbols, ids, temperature, top_k, length, seed)

    def examples(self, vocabulary):
        return [""]


def forget(hidden, fresh):
    """The state (L, B, H), set to zero for each stream that restarts."""
    if isinstance(hidden, tuple):
        return tuple(forget(state, fresh) for state in hidden)
    return hidden.masked_fill(fresh[:, None], 0.0)


def side_by_side(ids):
    """The text as B parallel streams: inputs and labels (B, T).

    B is at most 32 and T is a multiple of the slice; labels after the end of a stream are -1.
    Fewer than B characters at the end are left out.
    """
    count = min(max((len(ids) - 1) // SLICE, 1), STREAMS)
    length = (len(ids) - 1) // count
    padded = -(-length // SLICE) * SLICE
    inputs = np.zeros((count, padded), np.int32)
    labels = np.full((count, padded), -1, np.int32)
    inputs[:, :length] = ids[: count * length].reshape(count, length)
    labels[:, :length] = ids[1 : count * length + 1].reshape(count, length)
    return inputs, labels


@torch.no_grad()
def write(model, symbols, ids, temperature, top_k, length, seed):
    device = next(model.parameters()).device
    generator = torch.Generator(device).manual_seed(seed)
    logits, hidden = model(torch.tensor([ids], device=device))
    for _ in range(length):
        letter = draw(logits[:, -1], temperature, top_k, generator)
        yield symbols[letter.item()]
        logits, hidden = model(letter[:, None], hidden)


lesson = CharLM()
