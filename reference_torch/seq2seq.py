"""Many to many: translate a date in any common format to ISO 8601.

An encoder reads the source; its last hidden state is the only input of the decoder from it:

    h_s = GRU(E[x_s], h_{s-1})
    d_t = GRU'(E'[y_{t-1}], d_{t-1})    d_0 = h_n    y_0 = START    logits_t = W d_t + b

In training the decoder reads the true previous symbol (teacher forcing), so the whole target is one
call of `nn.GRU`. In translation it reads its own likeliest symbol, step by step, until every row
has produced END. `symbols == END` compares numbers; the lecture's `top_i is EOS_token` compares a
tensor with an int by identity and is never true, so its decoder runs to the length limit.

`padding_idx` is not used: packing excludes the padding of the source, and the padding of the
targets is not counted.
"""

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from jax_rnn.data.dates import END, START
from reference_torch.teaching.lesson import DataSetLesson, tensors
from reference_torch.teaching.parts import recurrent
from rnn_lecture.recipe import Recipe
from rnn_lecture.sampling import check_sampling
from rnn_lecture.translation import SEQ2SEQ, vocabularies

EXAMPLES = ("3rd of March 2021", "Wednesday, 17 July 1996", "31/12/99")


class Encoder(nn.Module):
    def __init__(self, cell, symbols, embedding_size, hidden_size, num_layers, dropout):
        super().__init__()
        self.embedding = nn.Embedding(symbols, embedding_size)
        self.rnn = recurrent(cell, embedding_size, hidden_size, num_layers, dropout)

    def forward(self, sources, lengths):
        packed = pack_padded_sequence(
            self.embedding(sources), lengths.cpu(), batch_first=True, enforce_sorted=False
        )
        packed, hidden = self.rnn(packed)
        h, _ = pad_packed_sequence(packed, batch_first=True, total_length=sources.shape[1])
        return h, hidden


class Decoder(nn.Module):
    def __init__(self, cell, symbols, embedding_size, hidden_size, num_layers, dropout):
        super().__init__()
        self.embedding = nn.Embedding(symbols, embedding_size)
        self.rnn = recurrent(cell, embedding_size, hidden_size, num_layers, dropout)
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(hidden_size, symbols)

    def forward(self, symbols, hidden, memory):
        d, hidden = self.rnn(self.embedding(symbols), hidden)
        return self.linear(self.dropout(d)), hidden


class Model(nn.Module):
    Decoder = Decoder

    def __init__(self, cell, source_symbols, target_symbols, **sizes):
        super().__init__()
        self.encoder = Encoder(cell, source_symbols, **sizes)
        self.decoder = self.Decoder(cell, target_symbols, **sizes)

    def forward(self, sources, lengths, targets):
        memory, hidden = self.encode(sources, lengths)
        before = F.pad(targets[:, :-1], (1, 0), value=START)
        logits, _ = self.decoder(before, hidden, memory)
        return logits

    def encode(self, sources, lengths):
        """The memory and the initial state of the decoder."""
        h, hidden = self.encoder(sources, lengths)
        inside = torch.arange(sources.shape[1], device=h.device) < lengths.to(h.device)[:, None]
        return (h, inside), hidden


def loss(model, batch):
    logits = model(batch["sources"], batch["lengths"], batch["targets"])
    targets = batch["targets"].flatten()
    return F.cross_entropy(logits.flatten(0, 1), targets, ignore_index=START), {}


@torch.no_grad()
def evaluate(model, data):
    """`loss` uses teacher forcing; the accuracies are those of the greedy translation."""
    batch = tensors(data.held_out, model)
    nats, _ = loss(model, batch)
    sources, lengths, targets = batch["sources"], batch["lengths"], batch["targets"]
    right = translate(model, sources, lengths, targets.shape[1]) == targets
    return {
        "loss": nats.item(),
        "accuracy": right[targets != START].double().mean().item(),
        "exact": right.all(dim=1).double().mean().item(),
    }


def respond(model, vocabulary, prompt, sampling):
    """The greedy translation; no random numbers are used."""
    check_sampling(sampling)
    source, target = vocabularies(vocabulary)
    ids = source.encode(prompt.strip()).tolist()
    if not ids:
        raise ValueError('prompt: expected a date, got none; try "3rd of March 2021"')
    device = next(model.parameters()).device
    sources = torch.tensor([ids], device=device)
    written = translate(model, sources, torch.tensor([len(ids)]), sampling.length)
    return iter([target.decode(written[0].cpu().numpy())])


@torch.no_grad()
def translate(model, sources, lengths, longest):
    """Greedy decoding: symbols (B, longest), in each row END followed by zeros."""
    memory, hidden = model.encode(sources, lengths)
    written = torch.full((len(sources), longest), START, device=sources.device)
    symbols = written.new_full((len(sources),), START)
    ended = torch.zeros_like(symbols, dtype=torch.bool)
    for step in range(longest):
        logits, hidden = model.decoder(symbols[:, None], hidden, memory)
        symbols = logits[:, 0].argmax(dim=-1).masked_fill(ended, START)
        written[:, step] = symbols
        ended |= symbols == END
        if ended.all():
            break
    return written


lesson = DataSetLesson(
    facts=SEQ2SEQ,
    model=Model,
    loss=loss,
    evaluate=evaluate,
    respond=respond,
    examples=EXAMPLES,
    recipe=Recipe(
        cell="gru",
        embedding_size=32,
        hidden_size=128,
        batch_size=64,
        steps=3000,
        learning_rate=3e-3,
        warmup=100,
        schedule="cosine",
        evaluate_every=250,
    ),
)
