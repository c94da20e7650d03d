"""The figure of the two accounts shows what the laws hold of each, and nothing of an account that they do not hold."""

from dataclasses import replace

import pytest
from matplotlib.colors import to_hex
from scalelaws.figures.accounting import reconciled_exponents
from scalelaws.figures.numbers import numbers_of
from scalelaws.figures.style import UNDETERMINED_COLOUR
from scalelaws.laws.accounting import WITH, WITHOUT
from scalelaws.laws.fitted import Recounted

pytestmark = pytest.mark.usefixtures("style")


def with_both_accounts(laws):
    """Laws whose frontiers are flatter by 0.1 with embeddings; that of the parametric law is not determined there."""
    accounts = {}
    for approach, found in laws.allocations.items():
        own = found.exponents["parameters"]
        flatter = replace(own, value=own.value - 0.1, low=own.low - 0.1, high=own.high - 0.1)
        status = {WITHOUT: "determined", WITH: "undetermined" if approach == "parametric" else "determined"}
        accounts[f"{approach}/parameters"] = Recounted(found.title, "parameters", {WITHOUT: own, WITH: flatter}, status)
    return replace(laws, accounts=accounts)


def test_each_approach_has_its_exponent_and_interval_under_each_account(observations, laws):
    both = with_both_accounts(laws)
    sheet = reconciled_exponents(observations, both)
    drawn = numbers_of(sheet)
    assert drawn["series"].nunique() == 2 * len(laws.allocations)
    for found in both.accounts.values():
        for account, estimate in found.estimates.items():
            rows = drawn[drawn["series"] == f"{found.title}, {account.replace('_', ' ')}"].set_index("mark")
            assert rows.loc["points", "x"] == estimate.value
            assert tuple(rows.loc["interval of x", ["low", "high"]]) == (estimate.low, estimate.high)
    grey = [line.get_gid() for line in sheet.axes[0].lines if to_hex(line.get_color()) == UNDETERMINED_COLOUR]
    assert grey == [f"{laws.allocations['parametric'].title}, with embeddings"]


def test_laws_without_accounts_are_drawn_under_their_own(observations, laws):
    drawn = numbers_of(reconciled_exponents(observations, replace(laws, accounts={})))
    points = drawn[drawn["mark"] == "points"]
    assert sorted(points["x"]) == sorted(each.exponents["parameters"].value for each in laws.allocations.values())
    assert points["series"].str.endswith(", without embeddings").all()
