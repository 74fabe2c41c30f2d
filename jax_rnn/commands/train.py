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
    """Train a lesson in JAX and print what the slide prints.

    $ jax-rnn train ihello
    $ jax-rnn train long_sentence --seed 7
    $ jax-rnn train ihello --variant gru --device gpu

    Lessons on real data (names, names_generate, char_lm, seq2seq, seq2seq_attention) train into a
    run folder and have options of their own:

    $ jax-rnn train char_lm --help
    $ jax-rnn train char_lm --out runs/mine --text my_book.txt
    $ jax-rnn train --resume runs/mine

    Args:
        lesson: One of those that `jax-rnn lessons` lists.
        variant: Another model for the same task.
        seed: Of the initial weights.
        init: Initial distribution, that of torch.nn or that of Flax.
        dtype: Of weights and inputs.
        device: Where to run; the best kind of device by default.
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
