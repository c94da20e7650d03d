"""What the page is given to reckon with is what the library reckons with."""

import base64

import numpy as np
import pytest
from scalelaws.report.calculator import calculator_data


def columns(item, count):
    """A table of (rows, columns): constant columns are numbers, the others base64 of 64-bit floats."""
    decoded = [c if isinstance(c, float) else np.frombuffer(base64.b64decode(c), "<f8") for c in item["columns"]]
    return np.stack([np.broadcast_to(column, count) for column in decoded], axis=1)


@pytest.mark.parametrize("form", ["kaplan", "chinchilla", "droppo"])
def test_every_law_of_size_and_data_is_carried_over_with_all_its_resamples(laws, form):
    law = laws.laws[f"loss_of_parameters_and_data_{form}"]
    item = next(item for item in calculator_data(laws)["laws"] if item["name"] == law.name)
    power, log_e, log_u, p, log_v, q = columns(item, len(law.draws) + 1).T
    size, data = 123_456.0, 7_654_321.0
    terms = np.exp(log_e) + np.exp(log_u - p * np.log(size)) + np.exp(log_v - q * np.log(data))
    loss = terms**power
    assert loss[0] == pytest.approx(float(law.predict(parameters=size, dataset_tokens=data)), rel=1e-10)
    low, high = law.band(parameters=size, dataset_tokens=data)
    assert np.quantile(loss[1:], [0.025, 0.975]) == pytest.approx([float(low), float(high)], rel=1e-10)


def test_every_split_of_compute_is_carried_over_with_all_its_resamples(laws):
    for item, found in zip(calculator_data(laws)["allocations"], laws.allocations.values(), strict=True):
        log_k, a, log_l, c, floor = columns(item, len(found.draws) + 1).T
        expected = found.at(3e13)
        sizes, losses = np.exp(log_k + a * np.log(3e13)), floor + np.exp(log_l + c * np.log(3e13))
        for name, values in (("parameters", sizes), ("tokens", 3e13 / 6 / sizes), ("loss", losses)):
            low, high = np.quantile(values[1:], [0.025, 0.975])
            wanted = expected[name], expected[f"{name}_low"], expected[f"{name}_high"]
            assert (values[0], low, high) == pytest.approx(wanted, rel=1e-9)
