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
from reference_torch.teaching.drawing import draw
from reference_torch.teaching.lesson import Lesson, tensors
from rnn_lecture.sampling import check_sampling
from rnn_lecture.surnames import DRAWN, EDGE, NamesGenerateFacts, language_number

LAYERS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


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


class NamesGenerate(NamesGenerateFacts, Lesson):
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

    def loss(self, model, batch, hidden=None):
        logits, _ = model(batch["inputs"], batch["language"])
        valid = inside(batch)
        return F.cross_entropy(logits[valid], batch["labels"][valid]), {}, None

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

    def respond(self, model, vocabulary, prompt, sampling):
        """Ten names for "Russian", one per line, or for "Russian:Ro", starting with Ro."""
        check_sampling(sampling)
        language, _, beginning = prompt.partition(":")
        number = language_number(language.strip(), vocabulary["languages"])
        known = Vocabulary(vocabulary["symbols"], first=1)
        ids = [EDGE, *known.encode(beginning).tolist()]
        names = spelled(model, number, ids, sampling)
        return (f"{beginning}{known.decode(name)}\n" for name in names)

    def examples(self, vocabulary):
        return ["Russian", "Italian", "Japanese:Ya"]


def inside(batch):
    """Mask (B, T) of the steps that are not padding."""
    labels, lengths = batch["labels"], batch["lengths"]
    return torch.arange(labels.shape[1], device=labels.device) < lengths[:, None]


@torch.no_grad()
def spelled(model, language, ids, sampling):
    """Ten lists of symbols, each up to EDGE or the maximum length."""
    device = next(model.parameters()).device
    generator = torch.Generator(device).manual_seed(sampling.seed)
    languages = torch.full((DRAWN,), language, device=device)
    symbols = torch.tensor([ids] * DRAWN, device=device)
    hidden, drawn, open_ended = None, [], torch.ones(DRAWN, dtype=torch.bool, device=device)
    while len(drawn) < sampling.length and open_ended.any():
        logits, hidden = model(symbols, languages, hidden)
        letter = draw(logits[:, -1], sampling, generator)
        drawn.append(letter.masked_fill(~open_ended, EDGE))
        open_ended &= letter != EDGE
        symbols = letter[:, None]
    return torch.stack(drawn, dim=1).tolist()


lesson = NamesGenerate()
