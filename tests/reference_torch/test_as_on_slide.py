"""Every fault of the slides fails as its docstring says, and the corrected code does not."""

import pytest

torch = pytest.importorskip("torch")

from reference_torch import load  # noqa: E402
from reference_torch.as_on_slide import (  # noqa: E402
    caption,
    end_of_sequence,
    hidden_order,
    historic,
    last_hidden,
    loss_data,
    missing_zero_grad,
    single_layer_dropout,
    unassigned_view,
)
from reference_torch.teaching.words import successes  # noqa: E402
from tests.kit import refusals  # noqa: E402

test_a_fault_of_the_slides_is_an_error = refusals(
    [
        (
            lambda: hidden_order.outputs(batch=3),
            RuntimeError,
            "Expected hidden size (1, 3, 5), got [3, 1, 5]",
        ),
        (loss_data.epoch_line, IndexError, "0-dim tensor"),
        (caption.stacked, ValueError, "words: expected the same length, got lengths [5, 6]"),
    ]
)


@pytest.mark.parametrize("size", [1, 2])
def test_hidden_order_passes_where_batch_equals_layers(size):
    assert hidden_order.outputs(batch=size, layers=size).shape == (size, 6, 5)


@pytest.mark.long
def test_without_zero_grad_few_seeds_reach_ihello():
    without = sum(missing_zero_grad.final_text(seed) == "ihello" for seed in range(40))
    assert without <= 6
    assert successes(load("ihello"), load("ihello").model, range(40)) >= 20


def test_last_hidden_is_the_backward_direction_only():
    torch.manual_seed(0)
    gru = torch.nn.GRU(input_size=3, hidden_size=4, batch_first=True, bidirectional=True)
    inputs = torch.randn(2, 6, 3)
    outputs, hidden = gru(inputs)
    summary = last_hidden.last_hidden(gru, inputs)
    torch.testing.assert_close(summary, outputs[:, 0, 4:])

    summary.sum().backward()
    for name, parameter in gru.named_parameters():
        trained = parameter.grad is not None and bool(parameter.grad.any())
        assert trained == name.endswith("_reverse"), name

    right = torch.cat([hidden[-2], hidden[-1]], dim=-1)
    torch.testing.assert_close(right, torch.cat([outputs[:, -1, :4], outputs[:, 0, 4:]], dim=-1))


def test_unassigned_view_leaves_the_shape():
    x = torch.zeros(12, 5)
    assert unassigned_view.reshaped(x).shape == (12, 5)
    assert x.view(-1, 6, 5).shape == (2, 6, 5)


def test_end_of_sequence_is_never_seen():
    scores = torch.nn.functional.one_hot(torch.tensor([2, 0, end_of_sequence.EOS_token, 2])).float()
    right = [top.item() == end_of_sequence.EOS_token for top in scores.argmax(dim=-1)].index(True)
    assert right == 2
    assert end_of_sequence.stops_at(scores) == len(scores)


def test_dropout_of_one_layer_warns_and_does_nothing():
    with pytest.warns(UserWarning, match="dropout option adds dropout after all but last"):
        gru = single_layer_dropout.decoder(dropout=0.9)
    inputs = torch.randn(5, 2, 4)
    outputs = single_layer_dropout.training_outputs(gru, inputs)
    torch.testing.assert_close(outputs, gru.eval()(inputs)[0], rtol=0, atol=0)
    assert (outputs != 0).all()


def test_historic_words_still_mean_plain_tensors():
    torch.manual_seed(0)
    h, c = historic.hidden()
    assert type(h) is type(c) is torch.Tensor
    torch.manual_seed(0)
    assert torch.equal(h, torch.randn(1, 1, 2))
    assert torch.equal(c, torch.randn(1, 1, 2))
