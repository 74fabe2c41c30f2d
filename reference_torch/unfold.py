"""One cell reads five letters in one call.

The slide feeds hello as a sequence (1, 5, 4) and gets an output for every letter, (1, 5, 2). The
output of the last step is the final hidden state h.
"""

import torch

from reference_torch.cell import SYMBOLS, Model, given_state
from reference_torch.lesson import Lesson, encode, one_hot
from reference_torch.training import tensors


@torch.no_grad()
def explain(model):
    inputs, _, hidden = tensors(lesson, model)
    out, (h, _) = model(inputs, hidden)
    yield f"the last output is the final hidden state: {torch.equal(out[:, -1], h[0])}"


lesson = Lesson(
    name="unfold",
    slide="Unfolding to n sequences",
    teaches="One call reads a sequence: hello (1, 5, 4) gives an output per letter, (1, 5, 2).",
    symbols=SYMBOLS,
    inputs=one_hot(encode(["hello"], SYMBOLS), len(SYMBOLS)),
    labels=None,
    model=Model,
    hidden=given_state(batch=1),
    epochs=0,
    explain=explain,
)
