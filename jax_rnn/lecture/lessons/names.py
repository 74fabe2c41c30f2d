r"""Many to one: which of 18 languages does a surname come from?

.. math::
    f_t = \mathrm{GRU}(E[x_t], f_{t-1}) \qquad
    b_t = \mathrm{GRU}'(E[x_t], b_{t+1}) \qquad
    logits = W [f_n; b_1] + c

n is the length of the name. Names of a batch are padded to one length; with ``lengths=`` both
directions stop at the ends of the name, so padding has no effect. The lecture classifies by
``hidden[-1]``, which is only b_1, the *backward* direction. Here both final states are used.

Rare languages weigh more, duplicates of a name count once, and a share ``SMOOTHING`` of each label
is distributed over all languages; ``rnn_lecture.surnames`` explains the weights and the figures.
"""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jax_rnn.base.extras import optional
from jax_rnn.base.storage import replacing, write_text
from jax_rnn.base.typing import accumulator
from jax_rnn.data.vocabulary import Vocabulary
from jax_rnn.layers.feedforward import Embedding, Linear
from jax_rnn.lecture.teaching.lesson import DataSetLesson, cross_entropy
from jax_rnn.lecture.teaching.parts import equal_batches, recurrent
from rnn_lecture.recipe import Recipe
from rnn_lecture.surnames import LIKELIEST, NAMES, SMOOTHING

AT_ONCE = 1024
"""Number of names per call in an evaluation."""


class Model(nnx.Module):
    """Embedding, bidirectional recurrent layers, Linear on the final states of both directions.

    Call: ``logits = model(inputs, lengths, *, rngs=None)`` with inputs (B, T) symbols, lengths
        (B,), logits (B, languages).

    ``options`` are ``init``, ``dtype`` and ``rngs`` of all parts.
    """

    def __init__(
        self,
        cell,
        symbols,
        languages,
        embedding_size,
        hidden_size,
        num_layers=1,
        dropout=0.0,
        **options,
    ):
        self.embedding = Embedding(symbols, embedding_size, **options)
        self.rnn = recurrent(
            cell, embedding_size, hidden_size, num_layers, dropout, bidirectional=True, **options
        )
        self.dropout = nnx.Dropout(dropout)
        self.linear = Linear(2 * hidden_size, languages, **options)

    def __call__(self, inputs, lengths, *, rngs=None):
        x = self.dropout(self.embedding(inputs), rngs=rngs)
        _, hidden = self.rnn(x, lengths=lengths, rngs=rngs)
        h = hidden[0] if isinstance(hidden, tuple) else hidden
        forward, backward = h[-2], h[-1]
        final = jnp.concatenate([forward, backward], axis=-1)
        return self.linear(self.dropout(final, rngs=rngs))


def loss(model, batch, *, rngs=None):
    """Mean over the batch of weight times cross entropy with smoothed labels."""
    logits = model(batch["inputs"], batch["lengths"], rngs=rngs)
    of_label = cross_entropy(logits, batch["labels"])
    of_all = -log_probabilities(logits).mean(-1)
    nats = (1 - SMOOTHING) * of_label + SMOOTHING * of_all
    accuracy = (logits.argmax(-1) == batch["labels"]).mean()
    return (batch["weights"].astype(nats.dtype) * nats).mean(), {"accuracy": accuracy}


def evaluate(model, data):
    """Unweighted cross entropy of the names, and the shares classified correctly."""
    nats, confusion, of_rows = score(model, data)
    right, names = np.trace(confusion), len(np.unique(data.held_out["inputs"], axis=0))
    return {
        "loss": nats / int(confusion.sum()),
        "accuracy": float(right / names),
        "pair_accuracy": float(right / confusion.sum()),
        "macro_recall": float(np.nanmean(recalls(confusion))),
        "row_accuracy": float(np.trace(of_rows) / of_rows.sum()),
    }


def respond(model, vocabulary, prompt, sampling):
    """The three likeliest languages of a name, one per line; no random numbers are used.

    The model is trained with weights, so the probabilities of rare languages are too high.
    """
    known = Vocabulary(vocabulary["symbols"], first=1)
    ids = known.encode(prompt.strip())
    if not len(ids):
        raise ValueError('prompt: expected a name, got none; try "Satoshi"')
    inputs = np.zeros((1, max(vocabulary["longest"], len(ids))), np.int32)
    inputs[0, : len(ids)] = ids
    shares = np.asarray(probabilities(model, inputs, np.array([len(ids)])))[0]
    likeliest = np.argsort(-shares, kind="stable")[:LIKELIEST]
    return (f"{vocabulary['languages'][k]:10} {shares[k]:6.1%}\n" for k in likeliest)


def report(model, data, folder):
    """Recall of every language, the baselines, and the confusion matrix."""
    _, confusion, of_rows = score(model, data)
    languages = data.vocabulary["languages"]
    names = len(np.unique(data.held_out["inputs"], axis=0))
    found = np.trace(confusion) / names
    yield f"Held-out names classified as one of their languages: {found:.1%} of {names}."
    pairs = "names, counted once per language"
    for counted, what in ((confusion, pairs), (of_rows, "rows of the files")):
        total, largest = counted.sum(), int(counted.sum(1).argmax())
        share = counted[largest].sum() / total
        yield f"Correct: {np.trace(counted) / total:.1%} of {total} {what};"
        yield f"  {share:.1%} if the answer were always {languages[largest]}."
    yield "language      names recall  most frequent error"
    for k, recall in enumerate(recalls(confusion)):
        count = confusion[k].sum()
        wrong = confusion[k] * (np.arange(len(languages)) != k)
        taken = f"{languages[wrong.argmax()]} ({wrong.max()})" if wrong.any() else ""
        found = f"{recall:6.1%}" if count else "     -"
        yield f"{languages[k]:12}  {count:5} {found}  {taken}".rstrip()
    yield write_confusion(confusion, languages, folder / "confusion.csv")
    yield plot_confusion(confusion, languages, folder / "confusion.png")


def log_probabilities(logits):
    """Log-probabilities, in at least float32."""
    return jax.nn.log_softmax(logits.astype(accumulator(logits.dtype)), axis=-1)


@jax.jit
def judge(model, batch):
    """Cross entropy and likeliest language of every name."""
    logits = model(batch["inputs"], batch["lengths"])
    return cross_entropy(logits, batch["labels"]), logits.argmax(-1)


def score(model, data):
    """Summed cross entropy of the held-out names, and two confusion matrices.

    Rows are true languages, columns predictions. The first matrix counts each name once, the second
    as often as it occurs in the file.
    """
    languages = len(data.vocabulary["languages"])
    nats, confusion = 0.0, np.zeros((2, languages, languages), np.int64)
    for batch, counts in equal_batches(data.held_out, AT_ONCE):
        of_batch, likeliest = judge(model, batch)
        nats += float(np.asarray(of_batch, np.float64) @ counts)
        places = batch["labels"], np.asarray(likeliest)
        counted = counts.astype(np.int64)
        np.add.at(confusion[0], places, counted)
        np.add.at(confusion[1], places, counted * batch["repeats"])
    return nats, confusion[0], confusion[1]


def recalls(confusion):
    """Recall of each language; NaN for a language without names."""
    counts = confusion.sum(1)
    return np.where(counts, np.diag(confusion) / np.maximum(counts, 1), np.nan)


@jax.jit
def probabilities(model, inputs, lengths):
    return jax.nn.softmax(model(inputs, lengths), axis=-1)


def write_confusion(confusion, languages, path):
    rows = [("true language \\ predicted", *languages)]
    rows += [(name, *row) for name, row in zip(languages, confusion, strict=True)]
    write_text(path, "".join(",".join(map(str, row)) + "\n" for row in rows))
    return f"confusion matrix: {path}"


def plot_confusion(confusion, languages, path):
    """Plot the confusion matrix as shares of its rows."""
    try:
        figure = optional("matplotlib.figure").Figure(figsize=(8, 7), layout="constrained")
    except ModuleNotFoundError as error:
        return f"{path.name} is not written: {error}"
    shares = confusion / np.maximum(confusion.sum(1, keepdims=True), 1)
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(languages)), languages, rotation=90)
    axes.set_yticks(range(len(languages)), languages)
    axes.set(xlabel="predicted language", ylabel="true language")
    for (row, column), share in np.ndenumerate(shares):
        if share >= 0.01:
            colour = "white" if share > 0.5 else "black"
            place = {"ha": "center", "va": "center", "fontsize": 7, "color": colour}
            axes.text(column, row, f"{100 * share:.0f}", **place)
    figure.colorbar(image, label="share of the language's names", shrink=0.8)
    with replacing(path) as file:
        figure.savefig(file, format="png", dpi=150, bbox_inches="tight", pad_inches=0.1)
    return f"confusion matrix as a plot: {path}"


lesson = DataSetLesson(
    facts=NAMES,
    model=Model,
    loss=loss,
    evaluate=evaluate,
    respond=respond,
    report=report,
    recipe=Recipe(
        cell="gru",
        embedding_size=64,
        hidden_size=256,
        dropout=0.3,
        batch_size=64,
        steps=2500,
        learning_rate=2e-3,
        warmup=100,
        schedule="cosine",
        weight_decay=0.1,
        evaluate_every=250,
    ),
)
