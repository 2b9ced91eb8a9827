"""nmt/metrics/calibration.py, with figures that are computed by hand."""

import pytest

from nmt.metrics.calibration import Bin, compute_calibration_error, group_confidences


def test_confidences_are_grouped() -> None:
    groups = group_confidences([0.0, 0.1, 0.5, 0.9, 1.0], [False, True, True, True, False], bins=2)
    assert groups[0] == Bin(low=0.0, high=0.5, count=2, confidence=0.05, accuracy=0.5)
    assert (groups[1].count, groups[1].confidence, groups[1].accuracy) == pytest.approx((3, 0.8, 2 / 3))
    assert compute_calibration_error(groups) == pytest.approx((2 * 0.45 + 3 * (0.8 - 2 / 3)) / 5)


def test_no_confidences() -> None:
    assert group_confidences([], []) == []
    assert compute_calibration_error([]) == 0
