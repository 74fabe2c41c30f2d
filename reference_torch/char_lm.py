"""A character language model: Embedding, GRU, Linear.

The text is split into as many streams as a batch has rows. Every step reads the next window of each
stream, starting from the hidden state after the previous window, so the model can use information
from earlier windows. Gradients stop at the start of a window.

Training uses teacher forcing: the model always reads the true character. The lecture's program fed
it its own prediction, which trains much worse.
"""

import math

import torch
from torch import nn
from torch.nn import functional as F

from jax_rnn.data.vocabulary import Vocabulary
from reference_torch.teaching.drawing import draw
from reference_torch.teaching.lesson import Lesson
from reference_torch.teaching.words import loss_of
from rnn_lecture.char_lm import SLICE, CharLMFacts, side_by_side
from rnn_lecture.sampling import check_sampling

LAYERS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


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


class CharLM(CharLMFacts, Lesson):
    def build(self, recipe, vocabulary):
        return Model(
            recipe.cell,
            len(vocabulary["symbols"]),
            recipe.embedding_size,
            recipe.hidden_size,
            recipe.num_layers,
            recipe.dropout,
        )

    def loss(self, model, batch, hidden=None):
        if hidden is not None:
            hidden = forget(hidden, batch["fresh"])
        logits, hidden = model(batch["inputs"], hidden)
        return loss_of(logits, batch["labels"]), {}, hidden

    @torch.no_grad()
    def evaluate(self, model, data):
        device = next(model.parameters()).device
        inputs, labels = (
            torch.tensor(ids, dtype=torch.long, device=device)
            for ids in side_by_side(data.held_out)
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

    def respond(self, model, vocabulary, prompt, sampling):
        """The continuation of the prompt; an empty prompt is the start of a line."""
        check_sampling(sampling)
        known = Vocabulary(vocabulary["symbols"])
        start = "\n" if "\n" in known.symbols else known.symbols[0]
        return write(model, known.symbols, known.encode(prompt or start).tolist(), sampling)

    def examples(self, vocabulary):
        return [""]


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
        letter = draw(logits[:, -1], sampling, generator)
        yield symbols[letter.item()]
        logits, hidden = model(letter[:, None], hidden)


lesson = CharLM()
