"""The lessons in PyTorch: the lecture's numbers, and the statements of each lesson."""

import math
import subprocess
import sys
from dataclasses import replace
from importlib import import_module
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import reference_torch  # noqa: E402
from reference_torch import WORDS, UnknownLessonError, gru_by_hand, load, lstm_by_hand, rnn_by_hand  # noqa: E402
from reference_torch.__main__ import main  # noqa: E402
from reference_torch.long_sentence import read, write  # noqa: E402
from reference_torch.teaching.training import train  # noqa: E402
from reference_torch.teaching.words import successes  # noqa: E402
from rnn_lecture.words import SENTENCE, bounds, one_letter_bounds, window_bounds, windows  # noqa: E402
from tests.kit import cases, refused  # noqa: E402
from tests.project.test_architecture import imports  # noqa: E402

FOLDER = Path(reference_torch.__file__).parent
LESSONS = [load(name) for name in WORDS]
TRAINED = [lesson for lesson in LESSONS if lesson.trained]
MODELS = [
    pytest.param(lesson, build, id=f"{lesson.name}-{variant}")
    for lesson in LESSONS
    for variant, build in {"model": lesson.model, **lesson.variants}.items()
]

LAYER = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
LINEAR = ("linear.weight", "linear.bias")


def under(prefix, names):
    return tuple(f"{prefix}.{name}" for name in names)


LSTM, RNN = under("lstm", LAYER), under("rnn", LAYER)
SECOND = under("lstm", [name.replace("l0", "l1") for name in LAYER])
PARAMETERS = {
    "cell": LSTM,
    "unfold": LSTM,
    "batch": LSTM,
    "ihello": RNN,
    "ihello_stepwise": RNN,
    "softmax": LINEAR,
    "rnn_linear": RNN + LINEAR,
    "embedding": ("embedding.weight", *RNN, *LINEAR),
    "long_sentence": ("embedding.weight", *LSTM, *LINEAR),
    "long_sentence_windows": LSTM + SECOND + LINEAR,
    "rnn_by_hand": under("cell", ("W.weight", "W_hx.weight", "W_S.weight")),
    "gru_by_hand": under("cell", [f"{U}_{gate}.weight" for gate in "zrh" for U in "UW"]) + LINEAR,
    "lstm_by_hand": under("cell", ("weight_ih", "weight_hh", "bias_ih", "bias_hh")) + LINEAR,
}


def seeded(build, seed=0):
    torch.manual_seed(seed)
    return build()


def trained(lesson, seed=0):
    model = seeded(lesson.model, seed)
    return model, list(train(lesson, model))


class TestData:
    @pytest.mark.parametrize("lesson", LESSONS, ids=WORDS)
    def test_parameters_are_named(self, lesson):
        assert sorted(lesson.model().state_dict()) == sorted(PARAMETERS[lesson.name])


class TestLoop:
    @pytest.mark.parametrize(("lesson", "build"), MODELS)
    def test_carrying_the_state_is_the_same_as_one_call(self, lesson, build):
        model = seeded(build)
        inputs, hidden = lesson.arguments(model)
        whole, last = model(inputs, hidden)
        pieces = []
        for x in inputs.split(1, dim=1):
            logits, hidden = model(x, hidden)
            pieces.append(logits)
        assert whole.shape[:2] == lesson.facts.inputs.shape[:2]
        torch.testing.assert_close(torch.cat(pieces, dim=1), whole)
        assert (last is None) == (lesson.name == "softmax")
        if last is not None:
            torch.testing.assert_close(hidden, last)

    @cases("lesson", TRAINED, ids=lambda lesson: lesson.name, short=3)
    def test_an_epoch_reports_what_was_before_its_step(self, lesson):
        one, two = (replace(lesson.recipe, steps=steps) for steps in (1, 2))
        model = seeded(lesson.model).double()
        labels = torch.tensor(lesson.facts.labels).long().flatten()
        scale = 6 if lesson.name == "ihello_stepwise" else 1
        for expected, epoch in enumerate(
            train(lesson, seeded(lesson.model).double(), two), start=1
        ):
            logits, _ = model(lesson.batch(model)["inputs"])
            assert epoch.step == expected
            loss = scale * torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels)
            assert epoch.loss == pytest.approx(loss.item())
            np.testing.assert_array_equal(epoch.metrics["prediction"], logits.argmax(-1))
            list(train(lesson, model, one))

    def test_a_double_model_trains_in_double(self):
        lesson, recipe = load("ihello"), replace(load("ihello").recipe, steps=5)
        double = [epoch.loss for epoch in train(lesson, seeded(lesson.model).double(), recipe)]
        single = [epoch.loss for epoch in train(lesson, seeded(lesson.model), recipe)]
        assert double == pytest.approx(single, abs=1e-5)
        assert any(loss != float(np.float32(loss)) for loss in double)


EPOCHS = (1, 2, 3, 10, 50, 95, 100)


LOSSES = {
    0: (1.780, 1.493, 1.334, 0.840, 0.553, 0.533, 0.532),
    2: (1.662, 1.483, 1.348, 0.874, 0.483, 0.459, 0.458),
    4: (1.808, 1.603, 1.431, 0.825, 0.468, 0.458, 0.457),
}


class TestNumbers:
    @pytest.mark.parametrize("seed", LOSSES)
    def test_ihello(self, seed):
        _, epochs = trained(load("ihello"), seed)
        assert [epochs[epoch - 1].loss for epoch in EPOCHS] == pytest.approx(LOSSES[seed], abs=1e-3)
        texts = [load("ihello").facts.text(epoch.metrics["prediction"]) for epoch in epochs]
        assert texts[-1] == ("ilello" if seed == 0 else "ihello")
        assert seed != 0 or texts[8] == "ihello", "it was there, and was lost"

    def test_softmax_stays_above_its_bound_and_never_says_ihello(self):
        """Other seeds are those of JAX, in tests/compare."""
        lesson = load("softmax")
        _, epochs = trained(lesson)
        assert one_letter_bounds().loss < min(epoch.loss for epoch in epochs) < 0.475
        predictions = [epoch.metrics["prediction"] for epoch in epochs]
        assert all((ids == lesson.facts.labels).mean() <= 4 / 6 for ids in predictions)

    def test_bounds(self):
        assert one_letter_bounds() == pytest.approx((4 * math.log(2) / 6, 4 / 6), abs=1e-12)
        assert window_bounds() == pytest.approx((0.22849, 0.8965), abs=5e-5)

    @pytest.mark.parametrize(("length", "certain"), [(7, False), (8, True)])
    def test_a_context_of_eight_letters_is_certain(self, length, certain):
        pairs = [
            (x[:t], y[t - 1])
            for x, y in zip(windows(0), windows(1), strict=True)
            for t in range(length, 11)
        ]
        assert (bounds(pairs).loss == 0) == certain

    @pytest.mark.long
    def test_room_for_the_logits_is_what_the_linear_layer_gives(self):
        lesson, ihello, seeds = load("rnn_linear"), load("ihello"), range(20)
        frail = successes(ihello, ihello.model, seeds)
        assert successes(lesson, lesson.variants["scale1"], seeds) == frail <= 17
        assert successes(lesson, lesson.variants["scale5"], seeds) >= 19
        assert successes(lesson, lesson.model, seeds) >= 19

    def test_the_sentence_is_exact_read_and_written_after_training_alone(self):
        lesson = load("long_sentence")
        model, epochs = trained(lesson)
        assert lesson.facts.text(epochs[-1].metrics["prediction"]) == SENTENCE[1:]
        assert (read(model), write(model, "i", 179)) == (SENTENCE[1:], SENTENCE)
        untrained = seeded(lesson.model)
        assert read(untrained) != SENTENCE[1:] and write(untrained, "i", 179) != SENTENCE


@pytest.fixture
def x():
    return torch.randn(2, 6, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def state(*, seed):
    return torch.randn(2, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def by_hand(kind, **options):
    return seeded(lambda: kind(input_size=3, hidden_size=4, **options)).double()


class TestByHand:
    def test_rnn_by_hand_is_torch_seen_before_the_tanh(self, x):
        cell, h = by_hand(rnn_by_hand.RNNByHand, output_size=7), state(seed=2)
        s, _ = rnn_by_hand.as_torch(cell)(x, torch.tanh(h)[None])
        for t in range(6):
            y, h = cell(x[:, t], h)
            torch.testing.assert_close(torch.tanh(h), s[:, t])
            torch.testing.assert_close(y, s[:, t] @ cell.W_S.weight.T)

    def test_lstm_by_hand_is_torch_and_starts_within_its_bounds(self, x):
        cell, h, c = by_hand(lstm_by_hand.LSTMByHand), state(seed=2), state(seed=3)
        outputs, (_, c_n) = lstm_by_hand.as_torch(cell)(x, (h[None], c[None]))
        for t in range(6):
            h, c = cell(x[:, t], (h, c))
            torch.testing.assert_close(h, outputs[:, t])
        torch.testing.assert_close(c, c_n[0])
        wide = seeded(lambda: lstm_by_hand.LSTMByHand(30, 25))
        values = torch.cat([p.flatten() for p in wide.parameters()])
        assert 0.19 < values.abs().max() <= 0.2 and abs(values.mean()) < 0.01

    def test_gru_by_hand_is_the_slides_equations(self, x):
        cell = by_hand(gru_by_hand.GRUByHand)
        U_z, W_z, U_r, W_r, U_h, W_h = (p.detach().numpy().T for p in cell.parameters())
        x_t, s = x[:, 0].numpy(), state(seed=2).numpy()
        z = 1 / (1 + np.exp(-(x_t @ U_z + s @ W_z)))
        r = 1 / (1 + np.exp(-(x_t @ U_r + s @ W_r)))
        h = np.tanh(x_t @ U_h + (s * r) @ W_h)
        ours = cell(x[:, 0], state(seed=2)).detach().numpy()
        np.testing.assert_allclose(ours, (1 - z) * h + z * s, rtol=1e-12)

    def test_gru_by_hand_differs_from_torch_by_its_reset_only(self):
        cell = by_hand(gru_by_hand.GRUByHand)
        one_letter = torch.eye(3, dtype=torch.float64)[None, [0, 2, 1, 1]].expand(2, -1, -1)

        def apart():
            s = state(seed=2)
            theirs, _ = gru_by_hand.as_torch(cell)(one_letter, s[None])
            ours = []
            for x_t in one_letter.unbind(dim=1):
                s = cell(x_t, s)
                ours.append(s)
            return (torch.stack(ours, dim=1) - theirs).abs().max().item()

        assert apart() > 1e-3
        torch.nn.init.constant_(cell.U_r.weight, 40)
        torch.nn.init.zeros_(cell.W_r.weight)
        assert apart() < 1e-12

    def test_gru_lesson_states_its_difference(self):
        model, _ = trained(load("gru_by_hand"))
        assert gru_by_hand.difference(model) > 0.01
        assert gru_by_hand.difference(gru_by_hand.with_open_reset(model)) < 1e-5


WRONG = [
    ("ihelo", "unknown lesson 'ihelo'; did you mean 'ihello'?"),
    ("lstm_hand", "did you mean 'lstm_by_hand'?"),
    ("qqq", "The lessons are cell, unfold"),
    ("ihello --preset lstn", "preset: expected one of default, lstm, gru, got 'lstn'"),
    ("cell --preset gru", "expected one of default, got 'gru'"),
    ("ihello --text book.txt", "text: expected none"),
    ("ihello --steps 0", "steps: expected at least 1, got 0"),
]


class TestCommands:
    @pytest.mark.parametrize("name", WORDS)
    def test_every_lesson_runs(self, name, run, monkeypatch):
        monkeypatch.setattr(
            import_module(f"reference_torch.{name}"), "SEEDS", range(2), raising=False
        )
        result, lesson = run(name, "--steps", "2", "--seed", "2", main=main), load(name)
        assert result.code == 0
        lines = result.out.splitlines()
        if not lesson.trained:
            assert lines[0] == f"input size torch.Size({list(lesson.facts.inputs.shape)})"
            assert any(line.startswith("out size torch.Size(") for line in lines)
            return
        first, *_ = train(lesson, seeded(lesson.model, 2))
        assert lines[0] == f"epoch: 1, loss: {first.loss:1.3f}"
        assert lines[1] == f"Predicted string: {lesson.facts.text(first.metrics['prediction'])}"
        assert lines[2].startswith("epoch: 2, loss: ") and lines[4] == "Learning finished!"
        assert (len(lines) > 5) == (name != "ihello_stepwise")  # it is explained

    def test_a_variant_runs(self, run):
        result = run("rnn_linear", "--preset", "gru", "--steps", "1", main=main)
        assert result.code == 0 and result.out.splitlines()[-1] == "Learning finished!"

    @pytest.mark.parametrize("words", [[], ["--help"]])
    def test_help_lists_every_lesson(self, words, run):
        result = run(*words, main=main)
        assert result.code == 0
        places = [result.out.index(f"\n  {lesson.name} ") for lesson in LESSONS]
        assert all(a < b for a, b in pairwise(places))
        assert all(lesson.teaches in result.out for lesson in LESSONS)
        assert "python -m reference_torch ihello" in result.out

    @pytest.mark.parametrize(("words", "said"), WRONG)
    def test_a_wrong_name_is_reported_with_a_suggestion(self, words, said, run):
        result = run(*words.split(), main=main)
        assert result.code == 2 and said in result.err

    @pytest.mark.long
    def test_module_is_a_program(self):
        command = [sys.executable, "-m", "reference_torch", "unfold"]
        result = subprocess.run(
            command, cwd=FOLDER.parent, capture_output=True, text=True, check=True
        )
        assert result.stdout.startswith("input size torch.Size([1, 5, 4])\n")

    @pytest.mark.parametrize("name", ["training", "teaching", "__main__", "as_on_slide.caption"])
    def test_load_refuses_other_names(self, name):
        refused(UnknownLessonError, f"unknown lesson '{name}'", lambda: load(name))

    def test_imports_only_torch_numpy_the_facts_and_the_standard_library(self):
        allowed = {"torch", "numpy", "reference_torch", "rnn_lecture", *sys.stdlib_module_names}
        for file in sorted(FOLDER.rglob("*.py")):
            for module, _ in imports(file):
                data = module.startswith("jax_rnn.data.")
                assert data or module.split(".")[0] in allowed, f"{file}: {module}"
