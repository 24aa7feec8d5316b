from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import pearsonr
from sklearn.metrics import mean_absolute_error, root_mean_squared_error
from torchmetrics.functional.regression import concordance_corrcoef

from mien.scoring.figures import draw_scatter
from mien.scoring.values import bootstrap_values, concordance
from tests.scoring.crosscheck import check_values


def series(n: int = 300, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    truth = rng.normal(shift, 1, n)
    return truth, 0.5 * truth + rng.normal(0.2, 0.5, n)


@pytest.mark.parametrize("shift", [0.0, 1e4])
def test_against_torchmetrics_scipy_and_scikit_learn(shift: float):
    truth, predicted = series(shift=shift)
    found = concordance(truth, predicted)
    expected = {
        "ccc": float(concordance_corrcoef(torch.from_numpy(predicted), torch.from_numpy(truth))),
        "pcc": float(np.asarray(pearsonr(truth, predicted))[0]),
        "mae": mean_absolute_error(truth, predicted),
        "one_minus_mae": 1 - mean_absolute_error(truth, predicted),
        "rmse": root_mean_squared_error(truth, predicted),
    }
    assert {k: found[k] for k in expected} == pytest.approx(expected, rel=1e-6)
    assert set(check_values(truth, predicted, found)) == set(expected)


def test_a_prediction_that_hardly_moves_and_is_far_off():
    """As of a model after two steps: sums about the truth's mean would cancel in the sixth digit."""
    truth, noise = series()
    predicted = 0.7 + 2e-6 * noise
    assert check_values(truth, predicted, concordance(truth, predicted)).keys() >= {"ccc", "pcc"}


def test_concordance_by_hand():
    """Truth 0, 2 and prediction 1, 2: means 1 and 1.5, unbiased variances 2 and 0.5, covariance 1."""
    found = concordance(np.array([0.0, 2.0]), np.array([1.0, 2.0]))
    assert found["ccc"] == pytest.approx(2 * 1 / (2 + 0.5 + 0.25))
    assert found["ccc_biased"] == pytest.approx(2 * 0.5 / (1 + 0.25 + 0.25))
    assert found["pcc"] == pytest.approx(1)
    assert found["rmse"] == pytest.approx(np.sqrt(0.5))


def test_what_is_not_annotated_does_not_count():
    truth, predicted = series()
    holes = np.where(np.arange(300) % 3 == 0, np.nan, truth)
    assert concordance(holes, predicted) == pytest.approx(
        concordance(truth[np.arange(300) % 3 > 0], predicted[np.arange(300) % 3 > 0])
    )
    assert np.isnan(concordance(np.array([1.0, np.nan]), np.array([1.0, 2.0]))["ccc"])


def test_a_constant_follows_nothing():
    truth, _ = series()
    found = concordance(truth, np.full(300, 0.3))
    assert (found["ccc"], found["pcc"]) == (0, 0)
    assert check_values(truth, np.full(300, 0.3), found) == {}


def test_the_interval_is_that_of_a_plain_bootstrap():
    """The sums give the same numbers as resampling the people's values themselves."""
    rng = np.random.default_rng(4)
    truth = [rng.normal(k / 10, 1, (20, 2)) for k in range(12)]
    predicted = [t + rng.normal(0, 0.8, t.shape) for t in truth]
    people = [f"p{k // 2}" for k in range(12)]
    found = bootstrap_values(truth, predicted, people, seed=0)
    drawn = []
    for _ in range(400):
        pick = [m for g in rng.integers(0, 6, 6) for m in (2 * g, 2 * g + 1)]
        t, p = (np.concatenate([part[m] for m in pick]) for part in (truth, predicted))
        drawn.append(np.mean([concordance(t[:, k], p[:, k])["ccc"] for k in range(2)]))
    low, high = np.percentile(drawn, (2.5, 97.5))
    assert (found["ccc"][-1].low, found["ccc"][-1].high) == pytest.approx((low, high), abs=0.01)
    assert len(found["rmse"]) == 3


def test_shuffled_predictions_agree_with_nothing():
    truth, predicted = series(2000)
    order = np.random.default_rng(5).permutation(2000)
    found = bootstrap_values(
        list(truth[:, None, None]), list(predicted[order][:, None, None]), [str(k) for k in range(2000)], seed=0
    )
    assert found["ccc"][-1].low < 0 < found["ccc"][-1].high
    assert found["pcc"][-1].low < 0 < found["pcc"][-1].high


def test_the_picture_is_written(tmp_path):
    truth, predicted = series()
    draw_scatter(truth[:, None], predicted[:, None], ["arousal"], tmp_path / "s.png", "title")
    assert (tmp_path / "s.png").read_bytes().startswith(b"\x89PNG")
