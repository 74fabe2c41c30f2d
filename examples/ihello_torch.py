"""An RNN reads hihell and predicts ihello, in PyTorch. ihello.py is the same in JAX."""

import torch
from torch import nn
from torch.nn import functional as F

letters = "hielo"
hihell, ihello = (torch.tensor([[letters.index(c) for c in w]]) for w in ("hihell", "ihello"))
batch = {"inputs": torch.eye(5)[hihell], "labels": ihello}  # (B, T, I) and (B, T)


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.RNN(5, 5, batch_first=True)

    def forward(self, inputs):
        logits, _ = self.rnn(inputs)  # (B, T, H), the outputs of tanh
        return logits


def loss(model, batch):
    logits = model(batch["inputs"])
    entropy = F.cross_entropy(logits.flatten(0, 1), batch["labels"].flatten())
    return entropy, logits.argmax(-1)


def train(model):
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    for _ in range(100):
        optimizer.zero_grad()
        value, prediction = loss(model, batch)
        value.backward()
        optimizer.step()
        yield value.item(), prediction


if __name__ == "__main__":
    torch.manual_seed(2)
    model = Model()
    for epoch, (value, prediction) in enumerate(train(model), start=1):
        text = "".join(letters[k] for k in prediction[0])
        print(f"epoch: {epoch}, loss: {value:.3f}, predicted string: {text}")
