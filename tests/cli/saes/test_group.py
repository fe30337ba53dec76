"""The commands of `arena saes`."""

from arena_lib.cli.saes.group import VERBS


def test_every_command_is_there_and_says_what_it_does(arena):
    assert VERBS
    for verb in VERBS:
        done = arena("saes", verb, "--help")
        assert done.code == 0
        assert verb in done.out
