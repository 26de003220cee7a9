"""What was judged in a blind trial: boxes or words, as JSON that is written after every picture."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

from dcgan_viz.blind.trials import Sheet
from dcgan_viz.errors import UserError
from dcgan_viz.files import atomic_file, json_holds, refuse_existing
from dcgan_viz.locking import one_at_a_time
from dcgan_viz.untrusted import EXACT, MAXIMUM_FILE, read_json, shown

MAXIMUM_BOXES = 200

Rectangle = tuple[float, float, float, float]
"""Left, top, width, height, in pixels."""

Answer = tuple[Rectangle, ...] | str
"""Boxes around what was asked for, none where there is nothing; or "yes", "no"; or, for both kinds, "unclear"."""


@dataclass(frozen=True)
class _AnswersFile:
    __pydantic_config__: ClassVar = EXACT

    trial: str
    contributor: str
    answers: dict[str, Any]

    def __post_init__(self) -> None:
        wrong = next((key for key in self.answers if not re.fullmatch("-?(0|[1-9][0-9]{0,8})", key)), None)
        if wrong is not None:
            raise UserError(f"answers are by the numbers of pictures, not {shown(wrong)}")


@dataclass(frozen=True)
class Answers:
    """What one judge has answered so far.

    Parameters
    ----------
    trial : str
        `Sheet.digest` of what was judged.
    contributor : str
        Who judged.
    given : mapping of int to Answer
        By picture.
    """

    trial: str
    contributor: str = "not stated"
    given: Mapping[int, Answer] = field(default_factory=dict)

    def but(self, index: int, answer: Answer | None) -> Answers:
        """The same but for one picture; None takes its answer back."""
        others = {i: a for i, a in self.given.items() if i != index}
        given = others if answer is None else {**others, index: answer}
        return replace(self, given=dict(sorted(given.items())))


def is_present(answer: Answer) -> bool | None:
    """Whether an answer says that what was asked for is there; None if it was unclear.

    Examples
    --------
    >>> is_present(((1.0, 2.0, 3.0, 4.0),)), is_present(()), is_present("no"), is_present("unclear")
    (True, False, False, None)
    """
    if answer == "unclear":
        return None
    return answer == "yes" if isinstance(answer, str) else len(answer) > 0


def read_answer(data: Any, sheet: Sheet) -> Answer:
    """An answer from JSON, checked.

    Parameters
    ----------
    data : object
        A list of ``[left, top, width, height]`` or "unclear"; for the kind "yes-no" one of "yes", "no", "unclear".
    sheet : Sheet

    Raises
    ------
    UserError
        If it does not fit the question, or a box does not lie in the picture.
    """
    if sheet.answer_kind == "yes-no":
        if data not in ("yes", "no", "unclear"):
            raise UserError(f"the answer must be yes, no or unclear, not {shown(data)}")
        return str(data)
    return "unclear" if data == "unclear" else read_rectangles(data, sheet.width, sheet.height)


def read_rectangles(data: Any, width: int, height: int) -> tuple[Rectangle, ...]:
    """Boxes from JSON, checked.

    Parameters
    ----------
    data : object
        A list of ``[left, top, width, height]``.
    width, height : int
        Of the sample that they lie in.

    Raises
    ------
    UserError
        If that is no such list, is longer than 200, or a box is empty or does not lie in the sample.

    Examples
    --------
    >>> read_rectangles([[1, 2, 3, 4]], 8, 8)
    ((1.0, 2.0, 3.0, 4.0),)
    """
    if not isinstance(data, list) or len(data) > MAXIMUM_BOXES:
        raise UserError(f"at most {MAXIMUM_BOXES} boxes a sample, as a list of [left, top, width, height]")
    rectangles = []
    for entry in data:
        if not isinstance(entry, list | tuple) or len(entry) != 4 or any(type(v) not in (int, float) for v in entry):
            raise UserError(f"a box is [left, top, width, height], not {shown(entry)}")
        # Far outside first: the sum of a fraction and a whole number of 400 digits overflows.
        left, top, across, down = entry if all(abs(v) <= width + height for v in entry) else (0, 0, 0, 0)
        inside = left >= 0 and top >= 0 and left + across <= width and top + down <= height
        if not (inside and across > 0 and down > 0):
            raise UserError(f"the box {entry!r:.80} does not lie in the {width}x{height} sample")
        rectangles.append((float(left), float(top), float(across), float(down)))
    return tuple(rectangles)


def load_answers(path: str | Path, sheet: Sheet) -> Answers:
    """Read answers that `save_answers` or another program wrote.

    Parameters
    ----------
    path : path
        JSON: ``{"trial": digest, "contributor": name, "answers": {"0": answer, …}}`` with answers as in `read_answer`.
    sheet : Sheet
        What was judged.

    Raises
    ------
    UserError
        If the file is missing, damaged or incomplete, belongs to another trial, or an answer does not fit.
    """
    first = "yes" if sheet.answer_kind == "yes-no" else [[1, 2, 3, 4]]
    form = {"trial": sheet.digest, "contributor": "who judged", "answers": {"0": first, "1": "unclear"}}
    remedy = f"it must be JSON such as {json.dumps(form)}"
    data = read_json(Path(path), _AnswersFile, "does not hold the answers to a blind trial", remedy, MAXIMUM_FILE)
    if data.trial != sheet.digest:
        raise UserError(
            f"{path} answers another trial ({shown(data.trial[:12])}, this one is {sheet.digest[:12]}): choose its own"
        )
    given: dict[int, Answer] = {}
    for index, value in sorted((int(key), value) for key, value in data.answers.items()):
        if not 0 <= index < len(sheet.pictures):
            raise UserError(f"{path} answers picture {index}, and there are {len(sheet.pictures)} from 0: correct it")
        try:
            given[index] = read_answer(value, sheet)
        except UserError as error:
            raise UserError(f"{path}, picture {index}: {error}") from error
    return Answers(data.trial, data.contributor, given)


def save_answers(answers: Answers, path: str | Path) -> Path:
    """Write answers, whole or not at all; such a file is replaced.

    Raises
    ------
    UserError
        If another file is there, the folder cannot be written, or the disk is full.
    """
    target = Path(path)
    refuse_existing(target, is_ours=lambda file: json_holds(file, "trial"))
    data = {"trial": answers.trial, "contributor": answers.contributor, "answers": answers.given}
    with atomic_file(target) as temporary:
        temporary.write_text(json.dumps(data, indent=1) + "\n")
    return target


def open_answers(path: str | Path, sheet: Sheet, contributor: str | None = None) -> Answers:
    """Answers to go on with: those in a file, or none yet where there is no file.

    Parameters
    ----------
    path : path
    sheet : Sheet
        What is judged.
    contributor : str, optional
        Who judges; answers of another are refused, since one trial is judged by one person.

    Raises
    ------
    UserError
        If the file is not readable as answers to this trial, or is by somebody else.
    """
    if not Path(path).exists():
        return Answers(sheet.digest, contributor or "not stated")
    answers = load_answers(path, sheet)
    if contributor not in (None, answers.contributor):
        raise UserError(
            f"{path} holds the answers of {answers.contributor}, and {contributor} would mix in others: judge a copy of "
            "the trial without that file"
        )
    return answers


def add_answers(file: str | Path, path: str | Path, sheet: Sheet) -> Answers:
    """Add the answers in a file to those of a trial; where both answer a picture, those of the file hold.

    Parameters
    ----------
    file : path
        As in `load_answers`.
    path : path
        The trial's own answers, made if there are none.
    sheet : Sheet

    Returns
    -------
    Answers
        All of them, as they are now at `path`.

    Raises
    ------
    UserError
        If a file is not readable as answers to this trial, or the two are by different judges.
    """
    added = load_answers(file, sheet)
    # A page of the same trial may be open.
    with one_at_a_time(Path(path)):
        given = {**open_answers(path, sheet, added.contributor).given, **added.given}
        answers = replace(added, given=dict(sorted(given.items())))
        save_answers(answers, path)
    return answers
