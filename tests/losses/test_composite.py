"""Each term against NumPy, and SS-VAERR's misprints against what they must be."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax

from mien.errors import UserError
from mien.losses.composite import CompositeLoss, Discrete, composite_loss, concordance_loss
from mien.losses.ordinal import bin_centres, cost_sensitive, nearest_centroid, uniform_bins

B, T, K, L = 3, 40, 2, 20
CENTROIDS = tuple(tuple(sorted(np.random.default_rng(k).uniform(-0.9, 0.9, L).tolist())) for k in range(K))
DISCRETE = Discrete((-1.0, 1.0), L, CENTROIDS)


@pytest.fixture
def data() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    target = rng.uniform(-1, 1, (B, T, K))
    target[0, :7, 0] = target[2, :, 1] = np.nan  # some frames, and one whole segment of one target
    made = {"values": rng.normal(0, 0.5, (B, T, K)), "target": target}
    return made | {name: rng.normal(size=(B, T, K, L)) for name in ("ce", "ncce")}


def numpy_ccc(p: np.ndarray, t: np.ndarray) -> float:
    return 2 * np.cov(p, t, bias=True)[0, 1] / (p.var() + t.var() + (p.mean() - t.mean()) ** 2)


def numpy_terms(data: dict[str, np.ndarray], k: int) -> dict[str, float]:
    """Frame by frame, as the equations are written."""
    target, known = data["target"][..., k], np.isfinite(data["target"][..., k])
    p, t = data["values"][..., k][known], target[known]
    entropies, costs = [], []
    edges = np.linspace(-1, 1, L + 1)
    for b, f in product(range(B), range(T)):
        if known[b, f]:
            one_hot = np.histogram([target[b, f]], edges)[0]
            entropies.append(-(one_hot * log_softmax(data["ce"][b, f, k])).sum())
            cluster = int(np.abs(np.array(CENTROIDS[k]) - target[b, f]).argmin())
            truth, guess = np.eye(L)[cluster], softmax(data["ncce"][b, f, k])
            norm = np.linalg.norm([(np.array(CENTROIDS[k]) * (truth - guess)).sum()])
            costs.append((1 + norm) * -(truth * log_softmax(data["ncce"][b, f, k])).sum())
    return {"ccc": 1 - numpy_ccc(p, t), "mse": float(np.mean((p - t) ** 2)), "ce": float(np.mean(entropies)),
            "ncce": float(np.mean(costs))}  # fmt: skip


def run(loss: CompositeLoss, data: dict[str, np.ndarray]) -> dict[str, float]:
    tensors = {name: torch.tensor(v) for name, v in data.items()}
    logits = {name: tensors[name] for name in ("ce", "ncce")}
    found = composite_loss(loss, DISCRETE, tensors["values"], logits, tensors["target"])
    return {name: value.item() for name, value in found.items()}


def test_every_term_and_the_weighted_sum_per_target(data):
    loss = CompositeLoss(ccc=(1.0, 0.66), mse=(0.0, 0.17), ce=(0.0, 0.17), ncce=(0.5,))
    found, expected = run(loss, data), [numpy_terms(data, k) for k in range(K)]
    for term in ("ccc", "mse", "ce", "ncce"):
        counted = expected[1:] if term in ("mse", "ce") else expected  # the first target does not use these
        assert found[term] == pytest.approx(np.mean([e[term] for e in counted]), rel=1e-5)
    first = expected[0]["ccc"] + 0.5 * expected[0]["ncce"]
    e = expected[1]
    second = 0.66 * e["ccc"] + 0.17 * e["mse"] + 0.17 * e["ce"] + 0.5 * e["ncce"]
    assert found["loss"] == pytest.approx((first + second) / 2, rel=1e-5)


def test_terms_without_weight_are_not_computed(data):
    assert set(run(CompositeLoss(), data)) == {"loss", "ccc"}
    assert set(run(CompositeLoss(ccc=(0.0,), mse=(1.0,)), data)) == {"loss", "mse"}


def test_the_concordance_over_segments_is_the_mean_of_those_with_two_frames(data):
    target = data["target"][..., 1].copy()
    target[0, 1:] = np.nan  # one annotated frame has no concordance
    found = concordance_loss(torch.tensor(data["values"][..., 1]), torch.tensor(target), "segment").item()
    assert found == pytest.approx(1 - numpy_ccc(data["values"][1, :, 1], target[1]), rel=1e-5)
    whole = concordance_loss(torch.tensor(data["values"][..., 0]), torch.tensor(data["target"][..., 0]), "segment")
    each = []
    for b in range(B):
        known = np.isfinite(data["target"][b, :, 0])
        each.append(1 - numpy_ccc(data["values"][b, known, 0], data["target"][b, known, 0]))
    assert whole.item() == pytest.approx(np.mean(each), rel=1e-5)


def test_the_difference_of_the_means_counts_not_their_sum():
    """With the sum, as printed, a perfect prediction of a rating that is not centred would not be perfect."""
    target = torch.linspace(0.5, 0.9, 30).reshape(1, 30)
    assert concordance_loss(target.clone(), target, "batch").item() == pytest.approx(0, abs=1e-5)


def test_a_cost_grows_with_the_distance_of_the_guess():
    centroids, known = torch.linspace(-0.9, 0.9, 4), torch.tensor([True])
    losses = []
    for guess in (1, 3):  # next to the truth, and far from it; the entropy is the same
        logits = torch.zeros(1, 4)
        logits[0, guess] = 4
        losses.append(cost_sensitive(logits, torch.tensor([0]), centroids, known).item())
    assert losses[1] > 1.5 * losses[0] > 0


def test_bins_and_their_centres():
    values = torch.tensor([-3.0, -1.0, -0.9001, -0.8999, 0.0, 0.9999, 1.0, 5.0])
    assert uniform_bins(values, (-1, 1), 20).tolist() == [0, 0, 0, 1, 10, 19, 19, 19]
    centres = bin_centres((-1, 1), 20)
    assert centres[0] == pytest.approx(-0.95)
    assert uniform_bins(torch.tensor(centres), (-1, 1), 20).tolist() == list(range(20))
    assert nearest_centroid(torch.tensor([-9.0, 0.24, 0.26, 9.0]), torch.tensor([0.0, 0.5, 1.0])).tolist() == [
        0,
        0,
        1,
        2,
    ]


def test_nothing_annotated_costs_nothing():
    values, logits = torch.randn(2, 5, K, requires_grad=True), torch.randn(2, 5, K, L, requires_grad=True)
    loss = CompositeLoss(ccc=(1.0,), mse=(1.0,), ce=(1.0,), ncce=(1.0,))
    for over in ("batch", "segment"):
        both = {"ce": logits, "ncce": logits}
        weights = CompositeLoss(loss.ccc, loss.mse, loss.ce, loss.ncce, over)
        found = composite_loss(weights, DISCRETE, values, both, torch.full((2, 5, K), torch.nan))["loss"]
        assert found.item() == 0
        found.backward()
    for x in (values, logits):
        assert x.grad is not None
        assert x.grad.isfinite().all()


def test_weights_that_do_not_fit():
    CompositeLoss(ccc=(1.0, 0.66), ce=(0.0, 0.34)).check(2)
    for loss in (
        CompositeLoss(ccc=(1.0, 1.0, 1.0)),
        CompositeLoss(ccc=(1.0, 0.0)),
        CompositeLoss(ccc=(-1.0,), mse=(2.0,)),
    ):
        with pytest.raises(UserError, match="give one"):
            loss.check(2)
