"""The name under which other notebooks call the test of both ways of evaluating a policy."""

import pytest

from arena_lib.errors import CheckFailed
from arena_lib.rl.tabular.planning import policy_eval_exact, policy_eval_numerical
from arena_lib.tests import intro_to_rl as tests


def test_the_shared_name_judges_either_way():
    tests.test_policy_eval(policy_eval_numerical, exact=False)
    tests.test_policy_eval(policy_eval_exact, exact=True)
    with pytest.raises(CheckFailed, match="policy_eval_exact"):
        tests.test_policy_eval(policy_eval_numerical, exact=True)
