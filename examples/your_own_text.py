"""Learn a text of one's own, stop, go on, and let the model write.

Run it with the name of any UTF-8 file; without one it learns this program.
"""

import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from jax_rnn.lessons import load_task
from jax_rnn.lessons.task import Sampling
from jax_rnn.lessons.training import open_run, train_task

text = Path(sys.argv[1] if len(sys.argv) > 1 else __file__)
task = load_task("char_lm")
recipe = replace(
    task.recipe,
    hidden_size=64,
    batch_size=8,
    window=16,
    steps=200,
    learning_rate=1e-2,
    schedule="constant",
    evaluate_every=100,
)


def tell(record):
    if "held_out_loss" in record:
        step, loss, held_out = (record[name] for name in ("step", "loss", "held_out_loss"))
        print(f"step {step:3}  loss {loss:.3f}  held out {held_out:.3f} nats per character")


with TemporaryDirectory() as folder:
    train_task(task, recipe, f"{folder}/run", text=text, on_record=tell)
    print("stopped; the same folder goes on where it was")
    longer = replace(recipe, steps=400)
    train_task(task, longer, f"{folder}/run", text=text, resume=True, on_record=tell)

    run = open_run(f"{folder}/run")
    sampling = Sampling(temperature=0.7, length=200)
    pieces = task.respond(run.model("last"), run.vocabulary, text.read_text()[:20], sampling)
    print("it writes:", "".join(pieces))
