"""A character language model: Embedding, GRU, Linear.

The text is split into as many streams as a batch has rows. Every step reads the next window of each
stream, starting from the hidden state after the previous window, so the model can use information
from earlier windows. Gradients stop at the start of a window.

Training uses teacher forcing: the model always reads the true character. The lecture's program fed
it its own prediction, which trains much worse.
"""

import math
from dataclasses import replace

import torch
from torch import nn
from torch.nn import functional as F

from jax_rnn.data.vocabulary import Vocabulary
from reference_torch.teaching.lesson import DataSetLesson
from reference_torch.teaching.parts import recurrent, sample
from rnn_lecture.char_lm import CHAR_LM, SLICE, side_by_side
from rnn_lecture.recipe import Recipe
from rnn_lecture.sampling import check_sampling


class Model(nn.Module):
    def __init__(self, cell, symbols, embedding_size, hidden_size, num_layers=1, dropout=0.0):
        super().__init__()
        self.embedding = nn.Embedding(symbols, embedding_size)
        self.rnn = recurrent(cell, embedding_size, hidden_size, num_layers, dropout)
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(hidden_size, symbols)

    def forward(self, inputs, hidden=None):
        h, hidden = self.rnn(self.embedding(inputs), hidden)
        return self.linear(self.dropout(h)), hidden


def loss(model, batch, hidden=None):
    if hidden is not None:
        hidden = forget(hidden, batch["fresh"])
    logits, hidden = model(batch["inputs"], hidden)
    loss = F.cross_entropy(logits.flatten(0, 1), batch["labels"].flatten())
    return loss, {}, hidden


@torch.no_grad()
def evaluate(model, data):
    device = next(model.parameters()).device
    inputs, labels = (
        torch.tensor(ids, dtype=torch.long, device=device) for ids in side_by_side(data.held_out)
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


def respond(model, vocabulary, prompt, sampling):
    """The continuation of the prompt; an empty prompt is the start of a line."""
    check_sampling(sampling)
    known = Vocabulary(vocabulary["symbols"])
    start = "\n" if "\n" in known.symbols else known.symbols[0]
    return write(model, known.symbols, known.encode(prompt or start).tolist(), sampling)


def forget(hidden, fresh):
    """The state (L, B, H), set to zero for each stream that restarts."""
    if isinstance(hidden, tuple):
        return tuple(forget(state, fresh) for state in hidden)
    return hidden.masked_fill(fresh[:, None], 0.0)


@torch.no_grad()
def write(model, symbols, ids, sampling):
    device = next(model.parameters()).device
    generator = torch.Generator(device).manual_seed(sampling.seed)
    logits, hidden = model(torch.tensor([ids], device=device))
    for _ in range(sampling.length):
        letter = sample(logits[:, -1], sampling, generator)
        yield symbols[letter.item()]
        logits, hidden = model(letter[:, None], hidden)


RECIPE = Recipe(
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

lesson = DataSetLesson(
    facts=CHAR_LM,
    model=Model,
    loss=loss,
    evaluate=evaluate,
    respond=respond,
    carries=True,
    examples=("",),
    recipe=RECIPE,
    presets={
        "quick": replace(RECIPE, hidden_size=128, steps=400, evaluate_every=100),
        "long": replace(
            RECIPE,
            embedding_size=128,
            hidden_size=512,
            dropout=0.3,
            steps=6000,
            learning_rate=4e-3,
            warmup=100,
            evaluate_every=500,
        ),
    },
)
