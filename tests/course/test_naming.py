from arena_lib.course.content.catalog import load_catalog
from arena_lib.course.naming import identify


def test_every_exercise_with_a_test_is_found_by_the_name_of_its_test():
    catalog = load_catalog()
    for entry in catalog.exercises:
        assert identify(f"{catalog.section_of(entry).slug}/{entry.name}") == entry.id


def test_a_test_that_no_course_has_keeps_its_name():
    for name in ("toy_exercises/half_norm", "transformer_from_scratch/nothing", "causal_mask (a part)"):
        assert identify(name) == name
