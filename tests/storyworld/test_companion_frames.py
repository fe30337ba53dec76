from arena_lib.storyworld import companion_frames


def test_companions_together_give_as_one_alone_does() -> None:
    assert "{S} and {T} spoke to {R} ." in companion_frames.JOINT_TRANSFERS[0]
    assert [len(part) for part in companion_frames.JOINT_TRANSFERS] == [
        len(part) for part in companion_frames.TRANSFERS
    ]


def test_a_question_ends_in_its_answer() -> None:
    for train, held_out in companion_frames.QUESTIONS:
        for frame in (*train, *held_out):
            assert frame.endswith("? {H} .")
