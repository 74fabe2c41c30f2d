"""One cell reads a batch of three words.

The slide stacks hello, eolll and lleel to (3, 5, 4) and gets (3, 5, 2). The words do not affect
each other: each output equals that of the single word, up to rounding.
"""

import torch

from reference_torch.cell import Model
from reference_torch.teaching.words import WordLesson
from rnn_lecture import words
from rnn_lecture.recipe import WordRecipe


@torch.no_grad()
def explain(model):
    inputs, hidden = lesson.arguments(model)
    together, _ = model(inputs, hidden)
    words = zip(inputs.split(1), *(state.split(1, dim=1) for state in hidden), strict=True)
    alone = torch.cat([model(x, (h, c))[0] for x, h, c in words])
    difference = (together - alone).abs().max().item()
    yield f"three words in a batch or one by one: largest output difference {difference:.1e}"


lesson = WordLesson(facts=words.BATCH, model=Model, recipe=WordRecipe(), explain=explain)
