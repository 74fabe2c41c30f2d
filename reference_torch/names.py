"""Many to one: which of 18 languages does a surname come from?

An embedding, a GRU in both directions, a linear layer on the final state of each direction:

    f_t = GRU(E[x_t], f_{t-1})    b_t = GRU'(E[x_t], b_{t+1})    logits = W [f_n; b_1] + c

The names of a batch are padded to one length and then packed, so both directions stop at the ends
of the name. The lecture's program classifies with `hidden[-1]`, which is only b_1, the *backward*
direction of the last layer. The forward direction is `hidden[-2]`.

Rare languages weigh more, and duplicates of a name count once; `rnn_lecture.surnames` explains the
weights and the figures.
"""

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence

from jax_rnn.data.vocabulary import Vocabulary
from reference_torch.teaching.lesson import DataSetLesson, tensors
from reference_torch.teaching.parts import recurrent
from rnn_lecture.recipe import Recipe
from rnn_lecture.surnames import LIKELIEST, NAMES, SMOOTHING


class Model(nn.Module):
    def __init__(
        self, cell, symbols, languages, embedding_size, hidden_size, num_layers=1, dropout=0.0
    ):
        super().__init__()
        self.embedding = nn.Embedding(symbols, embedding_size)
        self.rnn = recurrent(
            cell, embedding_size, hidden_size, num_layers, dropout, bidirectional=True
        )
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(2 * hidden_size, languages)

    def forward(self, inputs, lengths):
        x = self.dropout(self.embedding(inputs))
        packed = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
        _, hidden = self.rnn(packed)
        h = hidden[0] if isinstance(hidden, tuple) else hidden
        forward, backward = h[-2], h[-1]
        return self.linear(self.dropout(torch.cat([forward, backward], dim=-1)))


def loss(model, batch):
    logits = model(batch["inputs"], batch["lengths"])
    entropies = F.cross_entropy(
        logits, batch["labels"], reduction="none", label_smoothing=SMOOTHING
    )
    return (batch["weights"] * entropies).mean(), {}


@torch.no_grad()
def evaluate(model, data):
    batch = tensors(data.held_out, model)
    labels, repeats = batch["labels"], batch["repeats"]
    logits = model(batch["inputs"], batch["lengths"])
    right = (logits.argmax(dim=-1) == labels).double()
    found = [right[labels == language].mean().item() for language in labels.unique()]
    return {
        "loss": F.cross_entropy(logits, labels).item(),
        "accuracy": right.sum().item() / len(batch["inputs"].unique(dim=0)),
        "pair_accuracy": right.mean().item(),
        "macro_recall": sum(found) / len(found),
        "row_accuracy": ((right * repeats).sum() / repeats.sum()).item(),
    }


def respond(model, vocabulary, prompt, sampling):
    """The three likeliest languages of a name, one per line; no random numbers are used."""
    ids = Vocabulary(vocabulary["symbols"], first=1).encode(prompt.strip()).tolist()
    if not ids:
        raise ValueError('prompt: expected a name, got none; try "Satoshi"')
    return (
        f"{vocabulary['languages'][language]:10} {share:6.1%}\n"
        for share, language in likeliest(model, ids)
    )


@torch.no_grad()
def likeliest(model, ids):
    device = next(model.parameters()).device
    logits = model(torch.tensor([ids], device=device), torch.tensor([len(ids)]))
    shares, languages = logits.softmax(dim=-1)[0].topk(LIKELIEST)
    return list(zip(shares.tolist(), languages.tolist(), strict=True))


lesson = DataSetLesson(
    facts=NAMES,
    model=Model,
    loss=loss,
    evaluate=evaluate,
    respond=respond,
    examples=("Satoshi", "Jackson", "Schmidhuber", "Hochreiter"),
    recipe=Recipe(
        cell="gru",
        embedding_size=64,
        hidden_size=256,
        dropout=0.3,
        batch_size=64,
        steps=2500,
        learning_rate=2e-3,
        warmup=100,
        schedule="cosine",
        weight_decay=0.1,
        evaluate_every=250,
    ),
)
