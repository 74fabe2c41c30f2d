"""A training loop without `zero_grad`.

The slide has this line; here is what happens without it. `backward` adds to the existing gradients,
so every step uses the sum over all epochs so far. Of 200 seeds 9 end at ihello, against 144 with
`zero_grad`.

Correct: `optimizer.zero_grad()` once per epoch, between a step and the next `backward`.
"""

import torch

from reference_torch.ihello import Model, lesson, loss


def final_text(seed: int) -> str:
    """ihello trained from this seed without `zero_grad`: the string at the last epoch."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Model()
    batch, metrics = lesson.batch(model), {}
    optimizer = torch.optim.Adam(model.parameters(), lr=lesson.recipe.learning_rate)
    for _ in range(lesson.recipe.steps):
        found, metrics = loss(model, batch)
        found.backward()
        optimizer.step()
    return lesson.facts.text(metrics["prediction"].numpy())
