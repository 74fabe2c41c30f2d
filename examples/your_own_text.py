"""Train on your own text, stop, resume, and generate text.

The argument is the name of a UTF-8 file; the default is this program itself.
"""

import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from jax_rnn.lecture.lessons import load
from jax_rnn.lecture.teaching.training import open_run, train_lesson
from rnn_lecture.sampling import Sampling

text = Path(sys.argv[1] if len(sys.argv) > 1 else __file__)
lesson = load("char_lm")
recipe = replace(
    lesson.recipe,
    hidden_size=64,
    batch_size=8,
    window=16,
    steps=200,
    learning_rate=1e-2,
    schedule="constant",
    evaluate_every=100,
)


def report(record):
    if "held_out_loss" in record:
        step, loss, held_out = (record[name] for name in ("step", "loss", "held_out_loss"))
        print(f"step {step:3}  loss {loss:.3f}  held out {held_out:.3f} nats per character")


with TemporaryDirectory() as folder:
    train_lesson(lesson, recipe, f"{folder}/run", text=text, on_record=report)
    print("stopped; training resumes from the same folder")
    longer = replace(recipe, steps=400)
    train_lesson(lesson, longer, f"{folder}/run", text=text, resume=True, on_record=report)

    run = open_run(f"{folder}/run")
    sampling = Sampling(temperature=0.7, length=200)
    pieces = lesson.respond(run.model("last"), run.vocabulary, text.read_text()[:20], sampling)
    print("sample:", "".join(pieces))
