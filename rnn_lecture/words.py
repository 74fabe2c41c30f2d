"""The lessons on a word or a sentence, and bounds on what a model can learn of them."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from rnn_lecture.facts import Words, encode, one_hot


class Bounds(NamedTuple):
    loss: float
    accuracy: float


def bounds(pairs: Iterable[tuple[str, str]]) -> Bounds:
    """The lowest mean cross entropy and the highest accuracy over (context, next letter) pairs.

    n(c, y) is the number of times that y follows context c, and N is the number of pairs:

        loss     >= -1/N sum_{c, y} n(c, y) log(n(c, y) / n(c))
        accuracy <=  1/N sum_c max_y n(c, y)
    """
    followers: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for context, follower in pairs:
        followers[context][follower] += 1
    N = sum(n.total() for n in followers.values())
    loss = -sum(n[y] * math.log(n[y] / n.total()) for n in followers.values() for y in n) / N
    return Bounds(loss, sum(max(n.values()) for n in followers.values()) / N)


def _shapes(name: str, slide: str, teaches: str, words: Sequence[str]) -> Words:
    """One cell on these words, with a random initial state; the lesson does not train."""
    symbols = "helo"
    h, c = np.random.default_rng(11).standard_normal((2, 1, len(words), 2)).astype(np.float32)
    inputs = one_hot(encode(words, symbols), len(symbols))
    return Words(name, slide, teaches, symbols, inputs, hidden=(h, c))


CELL = _shapes(
    "cell",
    "One node: 4 (input_dim) in 2 (hidden_size)",
    "A cell maps an input and a state to an output and the next state.",
    ["h"],
)
UNFOLD = _shapes(
    "unfold",
    "Unfolding to n sequences",
    "A layer runs its cell over a sequence in one call.",
    ["hello"],
)
BATCH = _shapes(
    "batch",
    "Batching input",
    "Sequences of one length form a batch; the state has one row per sequence.",
    ["hello", "eolll", "lleel"],
)

HIHELL, IHELLO_WORD, LETTERS = "hihell", "ihello", "hielo"
TANH_BOUND = math.log(1 + 4 * math.exp(-2))
"""Lower bound of the loss of ihello for logits in [-1, 1]: 0.43265."""


def _ihello(name: str, slide: str, teaches: str, *, ids: bool = False) -> Words:
    inputs, labels = encode([HIHELL], LETTERS), encode([IHELLO_WORD], LETTERS)
    inputs = inputs if ids else one_hot(inputs, len(LETTERS))
    return Words(name, slide, teaches, LETTERS, inputs, labels)


def one_letter_bounds() -> Bounds:
    """Bounds of a predictor of ihello that sees one letter: 4 ln 2 / 6 = 0.46210, and 4/6."""
    return bounds(zip(HIHELL, IHELLO_WORD, strict=True))


IHELLO = _ihello(
    "ihello",
    "Teach RNN 'hihell' to 'ihello'",
    "A recurrent network predicts the next letter from the letters before.",
)
IHELLO_STEPWISE = _ihello(
    "ihello_stepwise",
    "Unfolding one to n sequences",
    "Calling the network once per letter and passing the state is the same as one call.",
)
SOFTMAX = _ihello(
    "softmax",
    "Exercise 11-1",
    "Without memory, the prediction after a letter is always the same.",
)
RNN_LINEAR = _ihello(
    "rnn_linear",
    "Exercise 11-2",
    "With a linear layer the logits are unbounded, and nearly every run succeeds.",
)
EMBEDDING = _ihello(
    "embedding",
    "Exercise 11-3",
    "A default embedding saturates tanh; scaled to the norm of one-hot it does not.",
    ids=True,
)
RNN_BY_HAND = _ihello(
    "rnn_by_hand",
    "Exercise 11-5",
    "The slide's RNN carries h before tanh and equals the library's RNN without biases.",
)
GRU_BY_HAND = _ihello(
    "gru_by_hand",
    "Exercise 11-6",
    "The slide's GRU resets before the product, torch.nn's after it: two different cells.",
)
LSTM_BY_HAND = _ihello(
    "lstm_by_hand",
    "Under the hood: LSTM",
    "The equations with four gates and two states equal the library's LSTM.",
)

SENTENCE = (
    "if you want to build a ship, don't drum up people together to "
    "collect wood and don't assign them tasks and work, but rather "
    "teach them to long for the endless immensity of the sea."
)
SENTENCE_SYMBOLS = "".join(sorted(set(SENTENCE)))

LONG_SENTENCE = Words(
    "long_sentence",
    "Exercise 11-4",
    "An LSTM memorizes 180 characters and generates them from the first letter.",
    SENTENCE_SYMBOLS,
    encode([SENTENCE[:-1]], SENTENCE_SYMBOLS),
    encode([SENTENCE[1:]], SENTENCE_SYMBOLS),
)

WINDOW = 10


def windows_joined(ids: np.ndarray) -> np.ndarray:
    """The whole first window, then the last letter of every other window."""
    return np.concatenate([ids[0], ids[1:, -1]])


def windows(start: int) -> list[str]:
    """Windows of ten letters, from letter ``start`` on, each starting one letter later."""
    return [SENTENCE[i + start : i + start + WINDOW] for i in range(len(SENTENCE) - WINDOW)]


def window_bounds() -> Bounds:
    """Bounds of a predictor that reads the letters of the window so far: 0.22849 and 0.8965."""
    return bounds(
        (x[: t + 1], y[t])
        for x, y in zip(windows(0), windows(1), strict=True)
        for t in range(WINDOW)
    )


LONG_SENTENCE_WINDOWS = Words(
    "long_sentence_windows",
    "Exercise 11-4",
    "Windows do not determine their position, which bounds the loss from below.",
    SENTENCE_SYMBOLS,
    one_hot(encode(windows(0), SENTENCE_SYMBOLS), len(SENTENCE_SYMBOLS)),
    encode(windows(1), SENTENCE_SYMBOLS),
    reading=windows_joined,
)
