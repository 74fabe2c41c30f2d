"""One cell reads a batch of three words.

The slide stacks hello, eolll and lleel to (3, 5, 4) and gets (3, 5, 2). The words do not affect
each other: each output equals that of the single word, up to rounding.
"""

import torch

from reference_torch.cell import SYMBOLS, Model, given_state
from reference_torch.lesson import Lesson, encode, one_hot
from reference_torch.training import tensors

WORDS = ("hello", "eolll", "lleel")


@torch.no_grad()
def explain(model):
    inputs, _, hidden = tensors(lesson, model)
    assert hidden is not None
    together, _ = model(inputs, hidden)
    words = zip(inputs.split(1), *(state.split(1, dim=1) for state in hidden), strict=True)
    alone = torch.cat([model(x, (h, c))[0] for x, h, c in words])
    difference = (together - alone).abs().max().item()
    yield f"three words together or one by one: largest difference {difference:.1e}"


lesson = Lesson(
    name="batch",
    slide="Batching input",
    teaches="A batch of three words, (3, 5, 4) to (3, 5, 2); the words do not affect each other.",
    symbols=SYMBOLS,
    inputs=one_hot(encode(WORDS, SYMBOLS), len(SYMBOLS)),
    labels=None,
    model=Model,
    hidden=given_state(batch=3),
    epochs=0,
    explain=explain,
)
