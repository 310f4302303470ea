from examples.demo.digits import drawing, images


def test_there_is_an_image_of_every_digit_and_none_is_like_another() -> None:
    found = images()

    assert sorted(found) == list(range(10))
    assert len({tuple(image) for image in found.values()}) == 10


def test_an_image_is_drawn_in_eight_lines_of_sixteen_characters_from_paper_to_ink() -> None:
    lines = drawing([0] * 32 + [16] * 32).plain.split("\n")

    assert lines == [" " * 16] * 4 + ["█" * 16] * 4
