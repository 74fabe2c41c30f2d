"""An RNN followed by a linear layer.

    h_t = tanh(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh)        logits_t = W h_t + b

The slide asks why it trains faster and more stably. The reason is that the logits are no longer
limited to [-1, 1], where the loss cannot fall below log(1 + 4 e^-2) = 0.43265 and the hidden state
is both memory and prediction. The control experiment omits the linear layer and only scales the
output, logits = k h: of 200 seeds 144 end at ihello with k = 1, 195 with k = 3, 198 with k = 5, and
199 with the linear layer. The range of the logits explains nearly all of the difference.
"""

from collections.abc import Callable
from functools import partial

from torch import nn
from torch.nn import functional as F

from reference_torch.ihello import SEEDS
from reference_torch.teaching.words import WordLesson, successes
from rnn_lecture import words
from rnn_lecture.recipe import WordRecipe


class Model(nn.Module):
    def __init__(self, layer: Callable[..., nn.Module] = nn.RNN):
        super().__init__()
        self.rnn = layer(input_size=5, hidden_size=5, batch_first=True)
        self.linear = nn.Linear(5, 5)

    def forward(self, inputs, hidden=None):
        h, hidden = self.rnn(inputs, hidden)
        return self.linear(h), hidden


class Scaled(nn.Module):
    """The control: no linear layer, logits = k h."""

    def __init__(self, k: float):
        super().__init__()
        self.rnn = nn.RNN(input_size=5, hidden_size=5, batch_first=True)
        self.k = k

    def forward(self, inputs, hidden=None):
        h, hidden = self.rnn(inputs, hidden)
        return self.k * h, hidden


def loss(model, batch):
    logits, _ = model(batch["inputs"])
    return F.cross_entropy(logits.mT, batch["labels"]), {"prediction": logits.argmax(-1)}


def explain(model):
    found = lesson.evaluate(model)["loss"]
    yield f"Logits in [-1, 1] keep the loss above log(1 + 4 e^-2) = {words.TANH_BOUND:.5f}."
    yield f"With the linear layer the logits are unbounded, and the loss is {found:.5f}."
    yield f"Is it the layer or the range? Seeds, of {len(SEEDS)}, that predict ihello at the end:"
    for name in ("scale1", "scale3", "scale5"):
        count = successes(lesson, lesson.variants[name], SEEDS)
        yield f"  no linear layer, logits = {name[-1]} h: {count}"
    yield f"  linear layer:                  {successes(lesson, Model, SEEDS)}"


lesson = WordLesson(
    facts=words.RNN_LINEAR,
    model=Model,
    loss=loss,
    recipe=WordRecipe(learning_rate=0.1, steps=100),
    variants={
        "lstm": partial(Model, nn.LSTM),
        "gru": partial(Model, nn.GRU),
        "scale1": partial(Scaled, 1.0),
        "scale3": partial(Scaled, 3.0),
        "scale5": partial(Scaled, 5.0),
    },
    explain=explain,
)
