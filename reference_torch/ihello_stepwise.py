"""ihello one letter at a time: the caller carries the hidden state from step to step.

The loss is summed over the six steps, not averaged, so it is six times the loss of ihello, and so
are its gradients. Adam divides by their size, so both programs take the same steps, except for the
epsilon in its denominator: the losses differ by 1e-7 for most seeds and by up to 1e-4 for a few.
"""

import torch
from torch import nn
from torch.nn import functional as F

from reference_torch.teaching.words import WordLesson
from rnn_lecture import words
from rnn_lecture.recipe import WordRecipe


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.RNN(input_size=5, hidden_size=5, batch_first=True)

    def forward(self, inputs, hidden=None):
        outputs = []
        for x in inputs.split(1, dim=1):
            output, hidden = self.rnn(x, hidden)
            outputs.append(output)
        return torch.cat(outputs, dim=1), hidden


def loss(model, batch):
    logits, _ = model(batch["inputs"])
    loss = F.cross_entropy(logits.mT, batch["labels"], reduction="sum")
    return loss, {"prediction": logits.argmax(-1)}


lesson = WordLesson(
    facts=words.IHELLO_STEPWISE,
    model=Model,
    loss=loss,
    recipe=WordRecipe(learning_rate=0.1, steps=100),
)
