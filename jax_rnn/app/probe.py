"""``jax-rnn probe``: train cells on small tasks, and compare them."""

from pathlib import Path
from typing import Annotated, Any

from jax_rnn.app.common import Kind, check_output_folder, console, say_written
from jax_rnn.app.failures import UsageError
from jax_rnn.base.console import say
from jax_rnn.base.errors import ArgumentError

__all__ = ["probe"]


def probe(
    *,
    cells: Annotated[str, "NAME,..."] = "rnn,lstm,gru,min_gru",
    tasks: Annotated[str, "NAME,..."] = "parity,adding",
    seeds: int = 5,
    steps: int = 800,
    hidden_size: int = 32,
    layers: int = 1,
    batch: int = 32,
    learning_rate: float = 3e-3,
    length: int | None = None,
    device: Kind = None,
    out: Path = Path("probes"),
) -> None:
    """Train every cell on every task under the same budget, and compare the scores.

    A model is an embedding, the recurrent layers and a linear output, trained by Adam with
    gradients clipped to a norm of 1. All seeds are trained at once. The result of each cell on each
    task is written to the folder of --out as soon as it is known; after an interruption, the same
    command continues there. README.md in the folder has the table of scores, and curves.png the
    curves of the losses (if matplotlib is installed).

    $ jax-rnn probe --cells lstm,gru,min_gru --tasks parity,s3
    $ jax-rnn probe --cells gru,mine.py:MyCell --tasks copying,adding --seeds 5 --out mine
    $ jax-rnn probe --cells gru --tasks task.py:MyTask --steps 200

    Args:
        cells: Names of cells, or FILE.py:NAME, a class or function that is called with the
            input size, the hidden size and rngs. `help(jax_rnn.cells.CATALOGUE)` lists the names.
        tasks: Names of tasks: parity, s3, copying, adding, selective_copying, recall, dyck, anbn,
            digits, char_lm, or FILE.py:NAME, a subclass of jax_rnn.probes.Task.
        seeds: Number of runs of each cell on each task, with seeds from 0.
        steps: Number of optimizer steps.
        hidden_size: Number of features of the embedding and of the state.
        layers: Number of recurrent layers.
        batch: Number of sequences per step.
        learning_rate: Learning rate of Adam.
        length: Length of all sequences; by default those of the task.
        device: Device of JAX; by default the best one that JAX finds.
        out: Folder of the results, which is created if needed.
    """
    check_output_folder("out", out)
    if seeds < 1:
        raise ArgumentError("seeds", f"expected at least 1, got {seeds}")
    import jax

    from jax_rnn.base.devices import choose
    from jax_rnn.probes.found import find_cell, find_task
    from jax_rnn.probes.run import Budget

    budget = Budget(hidden_size, layers, batch, steps, learning_rate, length=length)
    chosen = [find_cell(word) for word in _words("cells", cells)]
    asked = [find_task(word) for word in _words("tasks", tasks)]
    pairs = [(cell, task) for task in asked for cell in chosen]
    with jax.default_device(choose(device)):
        out.mkdir(parents=True, exist_ok=True)
        results = _results(pairs, tuple(range(seeds)), budget, out)
    _summarize(results, {task.name: task.value for task in asked}, out)


def _words(argument: str, text: str) -> list[str]:
    words = [word.strip() for word in text.split(",")]
    if not all(words) or len(set(words)) < len(words):
        raise ArgumentError(
            argument, f"expected different names, separated by commas, got {text!r}"
        )
    return words


def _results(pairs: list[Any], seeds: tuple[int, ...], budget: Any, out: Path) -> list[Any]:
    """The results of all pairs, those that are already there read from their files."""
    from dataclasses import replace

    from jax_rnn.base.environment import environment
    from jax_rnn.probes.results import path_of, read, write
    from jax_rnn.probes.run import run_probe

    found = [read(path_of(out, cell.name, task.name)) for cell, task in pairs]
    for (cell, task), old in zip(pairs, found, strict=True):
        wanted = seeds, budget, {"cell": cell.source, "task": task.source}
        if old is not None and (old.seeds, old.budget, old.sources) != wanted:
            raise UsageError(
                f"{path_of(out, cell.name, task.name)}: expected a result of these options and "
                "these files of cells and tasks, got one of others; choose another --out, or "
                "remove the file"
            )
    results = []
    for k, ((cell, task), result) in enumerate(zip(pairs, found, strict=True)):
        kept = result is not None
        if result is None:
            result = run_probe(
                cell.name, cell.value, task.name, task.value, seeds=seeds, budget=budget
            )
            sources = {"cell": cell.source, "task": task.source}
            result = replace(result, sources=sources, environment=environment())
            write(path_of(out, cell.name, task.name), result)
        last = max(result.scores)
        score = sum(result.scores[last]) / len(seeds)
        note = "from an earlier run" if kept else f"{result.seconds:.0f} s"
        say(
            console,
            f"{k + 1}/{len(pairs)}  {cell.name}, {task.name}: score {score:.3f} at length {last} "
            f"({note})",
        )
        results.append(result)
    return results


def _summarize(results: list[Any], tasks: dict[str, Any], out: Path) -> None:
    """Print the table, and write it and the curves."""
    from jax_rnn.base.environment import installed
    from jax_rnn.base.storage import write_text
    from jax_rnn.probes.page import page
    from jax_rnn.probes.results import curves

    text = page(results, tasks)
    print()
    print(text.split("\n\n", 1)[1].strip())
    write_text(out / "README.md", text)
    written = [out / "README.md"]
    if installed("matplotlib"):
        from jax_rnn.base.figures import save_figure

        baselines = {name: getattr(task, "baseline_loss", None) for name, task in tasks.items()}
        save_figure(curves(results, baselines), out / "curves.png")
        written.append(out / "curves.png")
    say_written(*written)
