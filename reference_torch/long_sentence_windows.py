"""The long sentence split into 170 windows of 10 letters, each starting one letter later.

Every window starts from a zero state, so the model knows only the letters of the window so far.
After a single t, for example, the next letter is not determined, which gives these bounds:

    loss >= 0.22849        accuracy <= 0.8965

After 8 letters or more the next one is determined, so the string that is read from the last letter
of each window can be correct except for its first few letters.

Training stops at 70 epochs, near the bound. After that, Adam's steps at this learning rate are
chaotic: two runs that differ by one rounding error diverge.
"""

from torch import nn
from torch.nn import functional as F

from reference_torch.teaching.words import WordLesson
from rnn_lecture import words
from rnn_lecture.recipe import WordRecipe


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(input_size=25, hidden_size=25, num_layers=2, batch_first=True)
        self.linear = nn.Linear(25, 25)

    def forward(self, inputs, hidden=None):
        h, hidden = self.lstm(inputs, hidden)
        return self.linear(h), hidden


def loss(model, batch):
    logits, _ = model(batch["inputs"])
    return F.cross_entropy(logits.mT, batch["labels"]), {"prediction": logits.argmax(-1)}


def explain(model):
    figures = lesson.evaluate(model)
    bound = words.window_bounds()
    yield "Bounds for any model that reads only the letters of the window so far:"
    yield f"  loss at least {bound.loss:.5f}, accuracy at most {bound.accuracy:.4f};"
    yield f"  this model: loss {figures['loss']:.5f}, accuracy {figures['accuracy']:.4f}."


lesson = WordLesson(
    facts=words.LONG_SENTENCE_WINDOWS,
    model=Model,
    loss=loss,
    recipe=WordRecipe(learning_rate=0.1, steps=70),
    explain=explain,
)
