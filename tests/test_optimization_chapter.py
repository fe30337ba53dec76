"""What the text of 0.3 says of its first two parts' runs is what they give."""

from tests.chapter_runs import run_solutions


def test_what_the_text_of_0_3_says_of_ways_and_singular_values_is_so():
    _, names = run_solutions("0.3", scale="tiny", part=3)

    def heights(surface, ways):
        return [round(names[surface].fn(*way[-1]).item(), 4) for way in names[ways].values()]

    assert [round(height, 2) for height in heights("ravine", "ravine_ways")] == [0.74, 0.06, 0.03, 2.81]
    assert [round(height, 3) for height in heights("banana", "banana_ways")][:2] == [3.466, 0.011]
    assert heights("banana", "banana_ways")[2] == 0.0003
    assert names["steps_to_leave"] == {"plain": 67, "momentum": 25, "RMSprop": 4, "Adam": 6}
    after = names["after"]["after 5 steps"][names["before"] >= 0.01]
    assert after.min() >= 0.68
    assert after.max() <= 1.21
