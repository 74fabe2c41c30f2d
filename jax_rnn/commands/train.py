"""``jax-rnn train`` for a lesson on a word or a sentence."""

from typing import Literal

from jax_rnn.commands.common import Dtype, Kind, LessonName, Variant, check_seed, console
from jax_rnn.console import say

__all__ = ["train"]


def train(
    lesson: LessonName,
    *,
    variant: Variant = None,
    seed: int = 2,
    init: Literal["torch", "flax"] = "torch",
    dtype: Dtype = "float32",
    device: Kind = None,
) -> None:
    """Train a lesson in JAX and print the output of its slide.

    $ jax-rnn train ihello
    $ jax-rnn train long_sentence --seed 7
    $ jax-rnn train ihello --variant gru --device gpu

    Lessons on real data (names, names_generate, char_lm, seq2seq, seq2seq_attention) are trained in
    a run folder and have other options:

    $ jax-rnn train char_lm --help
    $ jax-rnn train char_lm --out runs/mine --text my_book.txt
    $ jax-rnn train --resume runs/mine

    Args:
        lesson: Name of a lesson, see `jax-rnn lessons`.
        variant: Another model for the same lesson.
        seed: Seed of the initial weights.
        init: Distribution of the initial weights, that of torch.nn or that of Flax.
        dtype: Data type of weights and inputs.
        device: Device to run on; default: the best device found.
    """
    check_seed(seed)
    import jax

    from jax_rnn.devices import choose
    from jax_rnn.lessons import load
    from jax_rnn.lessons.transcript import transcript

    chosen = load(lesson)
    with jax.enable_x64(dtype == "float64"), jax.default_device(choose(device)):
        model = chosen.draw(seed, variant, init=init)
        for line in transcript(chosen, model, explain=variant is None):
            say(console, line)
