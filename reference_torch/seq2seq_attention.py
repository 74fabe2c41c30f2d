"""Many to many with attention: the decoder attends to every symbol of the source.

As in `seq2seq`, with attention between the decoder's GRU and its linear layer (Luong et al., 2015,
the "general" score, without input feeding; the root prevents an early saturation of the softmax):

    a_ts = softmax over s of d_t^T W_a h_s / sqrt(H)    c_t = sum over s of a_ts h_s
    logits_t = W tanh(W_c [c_t; d_t]) + b

The softmax is over the symbols of the source: scores of the padding are minus infinity. The lecture
computes attention in every step of a Python loop; here no step reads the previous context, so the
attention of all steps of all targets is computed at once.
"""

import torch
from torch import nn

from reference_torch import seq2seq
from reference_torch.seq2seq import EXAMPLES, evaluate, loss, respond
from reference_torch.teaching.lesson import DataSetLesson
from reference_torch.teaching.parts import recurrent
from rnn_lecture.recipe import Recipe
from rnn_lecture.translation import SEQ2SEQ_ATTENTION


class Attention(nn.Module):
    def __init__(self, hidden_size):
        super().__init__()
        self.score = nn.Linear(hidden_size, hidden_size, bias=False)
        self.combine = nn.Linear(2 * hidden_size, hidden_size, bias=False)

    def forward(self, d, h, inside):
        scores = d @ self.score(h).transpose(1, 2) / h.shape[-1] ** 0.5
        shares = scores.masked_fill(~inside[:, None], -torch.inf).softmax(dim=-1)
        context = shares @ h
        return torch.tanh(self.combine(torch.cat([context, d], dim=-1))), shares


class AttentionDecoder(nn.Module):
    def __init__(self, cell, symbols, embedding_size, hidden_size, num_layers, dropout):
        super().__init__()
        self.embedding = nn.Embedding(symbols, embedding_size)
        self.rnn = recurrent(cell, embedding_size, hidden_size, num_layers, dropout)
        self.attention = Attention(hidden_size)
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(hidden_size, symbols)

    def forward(self, symbols, hidden, memory):
        d, hidden = self.rnn(self.embedding(symbols), hidden)
        attended, _ = self.attention(d, *memory)
        return self.linear(self.dropout(attended)), hidden


class Model(seq2seq.Model):
    Decoder = AttentionDecoder


lesson = DataSetLesson(
    facts=SEQ2SEQ_ATTENTION,
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
        steps=2000,
        learning_rate=2e-3,
        warmup=100,
        schedule="cosine",
        evaluate_every=250,
    ),
)
