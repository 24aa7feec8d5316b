"""Conformer: relative positions against a loop over pairs, scores that do not know where a stretch lies, independence."""

from __future__ import annotations

import math

import pytest
import torch

from mien.layers.conformer import Conformer, ConformerBlock, Convolution, RelativeAttention, by_distance


@pytest.fixture
def attention() -> RelativeAttention:
    torch.manual_seed(0)
    return RelativeAttention(16, 2).double()


def test_scores_are_those_of_the_formula(attention):
    x = torch.randn(1, 5, 16, dtype=torch.float64)
    q, k, _ = attention.qkv(x)[0].chunk(3, dim=-1)
    scores = attention.scores(x)[0]
    for i in range(5):
        for j in range(5):
            code = [f((i - j) * 10000 ** (-2 * c / 16)) for c in range(8) for f in (math.sin, math.cos)]
            r = attention.distance.weight @ torch.tensor(code, dtype=torch.float64)
            for h in range(2):
                part = slice(8 * h, 8 * h + 8)
                content = (q[i, part] + attention.content_bias[h, 0]) @ k[j, part]
                where = (q[i, part] + attention.distance_bias[h, 0]) @ r[part]
                # The codes are made in float32.
                torch.testing.assert_close(scores[h, i, j], (content + where) / math.sqrt(8), rtol=1e-5, atol=1e-6)


def test_attention_is_the_softmax_of_the_scores(attention):
    x = torch.randn(2, 7, 16, dtype=torch.float64)
    values = attention.qkv(x)[..., 32:].unflatten(-1, (2, 8)).transpose(1, 2)
    expected = attention.proj((attention.scores(x).softmax(-1) @ values).transpose(1, 2).flatten(2))
    torch.testing.assert_close(attention(x), expected)


def test_a_stretch_is_scored_alike_wherever_it_lies(attention):
    x = torch.randn(1, 20, 16, dtype=torch.float64)
    whole, part = attention.scores(x), attention.scores(x[:, 6:15])
    torch.testing.assert_close(part, whole[..., 6:15, 6:15])
    assert not torch.allclose(part[0, 0, 1, 4], part[0, 0, 4, 1])  # but before and after are told apart


def test_by_distance():
    n = 4
    columns = torch.arange(n - 1, -n, -1).expand(n, -1)
    torch.testing.assert_close(by_distance(columns), torch.arange(n)[:, None] - torch.arange(n)[None])


def test_convolution_is_equivariant_to_shifts_away_from_the_borders():
    torch.manual_seed(0)
    conv = Convolution(8, 7).eval()
    x = torch.randn(1, 40, 8)
    torch.testing.assert_close(conv(x[:, 10:])[:, 3:-3], conv(x)[:, 13:-3], rtol=1e-4, atol=1e-6)


def test_clips_are_independent_at_evaluation_and_dropout_acts_in_training():
    torch.manual_seed(0)
    model = Conformer(16, 2, depth=2, kernel=5, dropout=0.2)
    x = torch.randn(3, 9, 16)
    assert not torch.equal(model(x), model(x))
    model.eval()
    torch.testing.assert_close(model(x)[1:2], model(x[1:2]), rtol=1e-4, atol=1e-5)


def test_every_frame_reaches_every_frame_and_every_weight_learns():
    torch.manual_seed(0)
    model = Conformer(16, 2, depth=1, kernel=3, dropout=0.0).eval()
    x = torch.randn(1, 12, 16, requires_grad=True)
    model(x)[0, 0, 0].backward()
    assert x.grad is not None
    assert (x.grad[0].abs().sum(-1) > 0).all()
    model.train().zero_grad()
    (model(torch.randn(2, 12, 16)) * torch.randn(2, 12, 16)).sum().backward()
    assert [n for n, p in model.named_parameters() if p.grad is None or p.grad.abs().max() < 1e-4] == []


def test_the_size_is_that_of_the_description():
    """256 wide, 4 heads, feed-forward 4 times as wide, kernel 31."""
    d = 256
    norms, feed = 5 * 2 * d, 2 * (d * 4 * d + 4 * d + 4 * d * d + d)
    attention = 3 * (d * d + d) + d * d + (d * d + d) + 2 * d
    convolution = (d * 2 * d + 2 * d) + 31 * d + 2 * d + (d * d + d)
    block = ConformerBlock(d, 4)
    assert sum(p.numel() for p in block.parameters()) == norms + feed + attention + convolution


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="odd"):
        Convolution(8, 4)
    with pytest.raises(ValueError, match="heads"):
        RelativeAttention(10, 4)
