"""One to many: generate a surname of a given language, letter by letter.

The input of the GRU is the embedding of the last letter plus that of the language. A name starts
and ends with the same symbol, EDGE. Names of a batch are padded to one length; the padding counts
neither in the loss nor in the metrics.
"""

import difflib
import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from reference_torch.data import Data, read_names, shuffled_rows
from reference_torch.drawing import check_sampling, draw, encode
from reference_torch.recipe import Recipe
from reference_torch.task import Task, tensors

LAYERS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
NAMES = 10
"""Number of names drawn for a prompt."""
EDGE = 0


class Model(nn.Module):
    def __init__(
        self, cell, symbols, languages, embedding_size, hidden_size, num_layers=1, dropout=0.0
    ):
        super().__init__()
        self.embedding = nn.Embedding(symbols, embedding_size)
        self.language = nn.Embedding(languages, embedding_size)
        self.rnn = LAYERS[cell](
            embedding_size,
            hidden_size,
            num_layers,
            batch_first=True,
            dropout=dropout if num_layers > 1 else 0.0,
        )
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(hidden_size, symbols)

    def forward(self, inputs, language, hidden=None):
        x = self.embedding(inputs) + self.language(language)[:, None]
        h, hidden = self.rnn(x, hidden)
        return self.linear(self.dropout(h)), hidden


class NamesGenerate(Task):
    name = "names_generate"
    slide = "RNN Applications, one to many"
    teaches = "A name is drawn letter by letter, given its language, until the end symbol."
    recipe = Recipe(
        cell="gru",
        embedding_size=32,
        hidden_size=128,
        batch_size=64,
        steps=2000,
        learning_rate=3e-3,
        schedule="cosine",
        clip=1.0,
        evaluate_every=250,
    )

    def read(self, recipe, text=None):
        names = read_names()
        return Data(spell(names.train), spell(names.held_out), names.vocabulary)

    def build(self, recipe, vocabulary):
        return Model(
            recipe.cell,
            len(vocabulary["symbols"]) + 1,
            len(vocabulary["languages"]),
            recipe.embedding_size,
            recipe.hidden_size,
            recipe.num_layers,
            recipe.dropout,
        )

    def batch(self, recipe, data, step):
        return shuffled_rows(data.train, recipe.batch_size, recipe.seed, step)

    def loss(self, model, batch, hidden=None):
        logits, _ = model(batch["inputs"], batch["language"])
        valid = inside(batch)
        return F.cross_entropy(logits[valid], batch["labels"][valid]), None

    @torch.no_grad()
    def evaluate(self, model, data):
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

    def respond(
        self, model, vocabulary, prompt, *, temperature=1.0, top_k=None, length=500, seed=0
    ):
        """Ten names for "Russian", one per line, or for "Russian:Ro", starting with Ro."""
        check_sampling(temperature, top_k, length)
        language, _, beginning = prompt.partition(":")
        number = language_number(language.strip(), vocabulary["languages"])
        symbols = vocabulary["symbols"]
        ids = [EDGE, *(place + 1 for place in encode(beginning, symbols))]
        names = spelled(model, number, ids, temperature, top_k, length, seed)
        return (
            beginning + "".join(symbols[i - 1] for i in name if i != EDGE) + "\n" for name in names
        )

    def examples(self, vocabulary):
        return ["Russian", "Italian", "Japanese:Ya"]


def spell(names):
    """Inputs, EDGE and the letters, and labels, the letters and EDGE."""
    edge = np.full((len(names["ids"]), 1), EDGE, np.int32)
    return {
        "inputs": np.concatenate([edge, names["ids"]], axis=1),
        "labels": np.concatenate([names["ids"], edge], axis=1),
        "lengths": names["lengths"] + np.int32(1),
        "language": names["language"],
    }


def inside(batch):
    """Mask (B, T) of the steps that are not padding."""
    labels, lengths = batch["labels"], batch["lengths"]
    return torch.arange(labels.shape[1], device=labels.device) < lengths[:, None]


def language_number(language, languages):
    if language not in languages:
        nearest = difflib.get_close_matches(language.capitalize(), languages, n=1, cutoff=0.5)
        hint = f"did you mean {nearest[0]!r}?" if nearest else f"known: {', '.join(languages)}"
        raise ValueError(f"unknown language {language!r}; {hint}")
    return languages.index(language)


@torch.no_grad()
def spelled(model, language, ids, temperature, top_k, length, seed):
    """Ten lists of symbols, each up to EDGE or the maximum length."""
    device = next(model.parameters()).device
    generator = torch.Generator(device).manual_seed(seed)
    languages = torch.full((NAMES,), language, device=device)
    symbols = torch.tensor([ids] * NAMES, device=device)
    hidden, drawn, open_ended = None, [], torch.ones(NAMES, dtype=torch.bool, device=device)
    while len(drawn) < length and open_ended.any():
        logits, hidden = model(symbols, languages, hidden)
        letter = draw(logits[:, -1], temperature, top_k, generator)
        drawn.append(letter.masked_fill(~open_ended, EDGE))
        open_ended &= letter != EDGE
        symbols = letter[:, None]
    return torch.stack(drawn, dim=1).tolist()


lesson = NamesGenerate()
