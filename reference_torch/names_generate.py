"""One to many: generate a surname of a given language, letter by letter.

The input of the GRU is the embedding of the last letter plus that of the language. A name starts
and ends with the same symbol, EDGE. Names of a batch are padded to one length; the padding counts
neither in the loss nor in the metrics.
"""

import math

import torch
from torch import nn
from torch.nn import functional as F

from jax_rnn.data.vocabulary import Vocabulary
from reference_torch.teaching.lesson import DataSetLesson, tensors
from reference_torch.teaching.parts import recurrent, sample
from rnn_lecture.recipe import Recipe
from rnn_lecture.sampling import check_sampling
from rnn_lecture.surnames import EDGE, GENERATED, NAMES_GENERATE, language_number


class Model(nn.Module):
    def __init__(
        self, cell, symbols, languages, embedding_size, hidden_size, num_layers=1, dropout=0.0
    ):
        super().__init__()
        self.embedding = nn.Embedding(symbols, embedding_size)
        self.language = nn.Embedding(languages, embedding_size)
        self.rnn = recurrent(cell, embedding_size, hidden_size, num_layers, dropout)
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(hidden_size, symbols)

    def forward(self, inputs, language, hidden=None):
        x = self.embedding(inputs) + self.language(language)[:, None]
        h, hidden = self.rnn(x, hidden)
        return self.linear(self.dropout(h)), hidden


def loss(model, batch):
    logits, _ = model(batch["inputs"], batch["language"])
    valid = inside(batch)
    return F.cross_entropy(logits[valid], batch["labels"][valid]), {}


@torch.no_grad()
def evaluate(model, data):
    batch = tensors(data.held_out, model)
    logits, _ = model(batch["inputs"], batch["language"])
    valid = inside(batch)
    logits, labels = logits[valid], batch["labels"][valid]
    loss = F.cross_entropy(logits, labels).item()
    return {
        "loss": loss,
        "perplexity": math.exp(loss),
        "accuracy": (logits.argmax(dim=-1) == labels).double().mean().item(),
    }


def respond(model, vocabulary, prompt, sampling):
    """Ten names for "Russian", one per line, or for "Russian:Ro", starting with Ro."""
    check_sampling(sampling)
    language, _, beginning = prompt.partition(":")
    number = language_number(language.strip(), vocabulary["languages"])
    known = Vocabulary(vocabulary["symbols"], first=1)
    ids = [EDGE, *known.encode(beginning).tolist()]
    names = generate(model, number, ids, sampling)
    return (f"{beginning}{known.decode(name)}\n" for name in names)


def inside(batch):
    """Mask (B, T) of the steps that are not padding."""
    labels, lengths = batch["labels"], batch["lengths"]
    return torch.arange(labels.shape[1], device=labels.device) < lengths[:, None]


@torch.no_grad()
def generate(model, language, ids, sampling):
    """Ten lists of symbols, each up to EDGE or the maximum length."""
    device = next(model.parameters()).device
    generator = torch.Generator(device).manual_seed(sampling.seed)
    languages = torch.full((GENERATED,), language, device=device)
    symbols = torch.tensor([ids] * GENERATED, device=device)
    hidden, drawn, open_ended = None, [], torch.ones(GENERATED, dtype=torch.bool, device=device)
    while len(drawn) < sampling.length and open_ended.any():
        logits, hidden = model(symbols, languages, hidden)
        letter = sample(logits[:, -1], sampling, generator)
        drawn.append(letter.masked_fill(~open_ended, EDGE))
        open_ended &= letter != EDGE
        symbols = letter[:, None]
    return torch.stack(drawn, dim=1).tolist()


lesson = DataSetLesson(
    facts=NAMES_GENERATE,
    model=Model,
    loss=loss,
    evaluate=evaluate,
    respond=respond,
    examples=("Russian", "Italian", "Japanese:Ya"),
    recipe=Recipe(
        cell="gru",
        embedding_size=32,
        hidden_size=128,
        batch_size=64,
        steps=2000,
        learning_rate=3e-3,
        schedule="cosine",
        evaluate_every=250,
    ),
)
