"""One cell reads five letters in one call.

The slide feeds hello as a sequence (1, 5, 4) and gets an output for every letter, (1, 5, 2). The
output of the last step is the final hidden state h.
"""

import torch

from reference_torch.cell import Model
from reference_torch.teaching.words import WordLesson
from rnn_lecture import words
from rnn_lecture.recipe import WordRecipe


@torch.no_grad()
def explain(model):
    inputs, hidden = lesson.arguments(model)
    out, (h, _) = model(inputs, hidden)
    yield f"the last output is the final hidden state: {torch.equal(out[:, -1], h[0])}"


lesson = WordLesson(facts=words.UNFOLD, model=Model, recipe=WordRecipe(), explain=explain)
