"""The data folder: what is said when it cannot be used."""

from pathlib import Path

import pytest

from localcloud.servicebus.store import FILE_NAME, Store, StoreError


def test_a_folder_is_made_with_those_above_it(tmp_path: Path) -> None:
    Store.open(tmp_path / "a" / "b").close()
    assert (tmp_path / "a" / "b" / FILE_NAME).is_file()


def test_a_second_broker_on_the_same_data_is_refused(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    with pytest.raises(StoreError, match="is another broker running on this data"):
        Store.open(tmp_path)
    store.close()


def test_a_file_in_place_of_the_folder_is_said_in_words(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    with pytest.raises(StoreError, match="data cannot be used as a data folder: File exists"):
        Store.open(tmp_path / "data")


def test_a_folder_in_place_of_the_file_is_said_in_words(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).mkdir()
    with pytest.raises(StoreError, match=f"{FILE_NAME}: unable to open database file"):
        Store.open(tmp_path)


def test_a_file_that_is_no_database_is_said_in_words_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"someone's notes" * 100)
    with pytest.raises(StoreError, match="file is not a database; choose another folder, or remove the file"):
        Store.open(tmp_path)
    assert (tmp_path / FILE_NAME).read_bytes() == b"someone's notes" * 100
