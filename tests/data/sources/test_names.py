from __future__ import annotations

import hashlib
import pickle
import random

import pytest

from dcgan_viz.data.sources.names import BLOCK, Names


def drawn(count: int) -> list[str]:
    """As LSUN's, with some that are empty or no text."""
    odd = ["", "ä/\ud83d\ude00.png", "a\0b", "\udcff.jpg"]
    return [
        odd[k % 97] if k % 97 < len(odd) else f"{hashlib.sha1(str(k).encode()).hexdigest()}.jpg" for k in range(count)
    ]


@pytest.mark.parametrize("count", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 5])
def test_they_are_what_a_list_holds(count: int) -> None:
    expected = drawn(count)
    names = pickle.loads(pickle.dumps(Names(expected)))
    assert list(names) == expected
    assert len(names) == count
    assert names == expected
    numbers = list(range(count))
    random.Random(0).shuffle(numbers)
    assert [names[k] for k in numbers] == [expected[k] for k in numbers]
    assert [names[k - count] for k in numbers] == [expected[k] for k in numbers]
    assert names[1:-1:7] == tuple(expected[1:-1:7])
    with pytest.raises(IndexError):
        names[count]


def test_one_can_be_taken_while_others_are_read() -> None:
    names, expected = Names(), drawn(2 * BLOCK + 3)
    for k, name in enumerate(expected):
        names.append(name)
        assert names[k] == name
        assert names[k // 2] == expected[k // 2]


def test_a_name_of_lsun_takes_a_quarter_of_what_a_list_takes() -> None:
    names = Names(hashlib.sha1(str(k).encode()).hexdigest() + ".jpg" for k in range(20_000))
    # A string of 44 letters takes 93 bytes, and 8 in its list.
    assert len(pickle.dumps(names)) < 20_000 * 101 / 4 + 5000
