"""Where faces are in a picture: OpenCV's cascades (Viola & Jones 2001) or, where its weights are given, YuNet."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dcgan_viz.errors import UserError

MOST_ROLL = 30.0
"""Degrees by which a head is turned upright; eyes that are said to stand steeper are none."""
NEIGHBOURS = 5
"""Detections of the cascade that must agree."""
YUNET_SCORE = 0.8
EYE_SHARE = 0.15
"""Least side of an eye, in sides of its face."""


@dataclass(frozen=True)
class Detection:
    """A face in a picture.

    Parameters
    ----------
    left, top, width, height : float
        In pixels.
    score : float
        The detector's own, of no common scale: the higher the surer.
    roll : float
        Degrees by which the right eye of the picture is lower than the left one; 0 where the eyes were not found.
    eyes : bool
        Whether both were found.
    """

    left: float
    top: float
    width: float
    height: float
    score: float
    roll: float = 0.0
    eyes: bool = False

    @property
    def side(self) -> float:
        """The longer side."""
        return max(self.width, self.height)

    @property
    def centre(self) -> tuple[float, float]:
        """Across and down."""
        return self.left + self.width / 2, self.top + self.height / 2


Detector = Callable[[NDArray[np.uint8], float], list[Detection]]
"""Finds faces of at least so many pixels a side in an RGB picture (H, W, 3)."""


def cascade_detector() -> Detector:
    """OpenCV's cascade of frontal faces, and that of eyes within them.

    Raises
    ------
    UserError
        If OpenCV is not installed, or has no cascades any more, as from version 5 on.
    """
    cv2 = _opencv()
    face, eye = (_cascade(cv2, f"haarcascade_{name}.xml") for name in ("frontalface_alt2", "eye"))

    def detect(picture: NDArray[np.uint8], least: float) -> list[Detection]:
        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        side = math.ceil(least)
        boxes, _, scores = face.detectMultiScale3(grey, 1.1, NEIGHBOURS, minSize=(side, side), outputRejectLevels=True)
        found = []
        for (left, top, width, height), score in zip(boxes, scores, strict=True):
            roll = _roll(eye, grey[top : top + height * 3 // 5, left : left + width])
            found.append(
                Detection(
                    float(left), float(top), float(width), float(height), float(score), roll or 0.0, roll is not None
                )
            )
        return _in_order(found)

    return detect


def yunet_detector(weights: Path) -> Detector:
    """YuNet (Wu et al. 2023), of OpenCV's collection of models.

    Parameters
    ----------
    weights : Path
        The ONNX file, such as ``face_detection_yunet_2023mar.onnx``.

    Raises
    ------
    UserError
        If OpenCV is not installed, or the file is none of its.
    """
    cv2 = _opencv()
    wrong = (
        f"{weights} is not YuNet's ONNX file: give face_detection_yunet_2023mar.onnx of OpenCV's collection of models"
    )
    if not weights.is_file():
        raise UserError(
            f"{weights} does not exist: give YuNet's ONNX file, or leave out `yunet` to use OpenCV's cascades"
        )
    try:
        network = cv2.FaceDetectorYN.create(str(weights), "", (320, 320), YUNET_SCORE)
    except cv2.error as error:
        raise UserError(wrong) from error

    def detect(picture: NDArray[np.uint8], least: float) -> list[Detection]:
        network.setInputSize((picture.shape[1], picture.shape[0]))
        try:
            _, rows = network.detect(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        except cv2.error as error:
            # Another network loads, and fails here.
            raise UserError(wrong) from error
        found = []
        for left, top, width, height, right_x, right_y, left_x, left_y, *rest in () if rows is None else rows.tolist():
            # The person's right eye is on the left of the picture.
            roll = _bounded(math.degrees(math.atan2(left_y - right_y, left_x - right_x)))
            found.append(Detection(left, top, width, height, rest[-1], roll or 0.0, roll is not None))
        return _in_order([face for face in found if face.side >= least])

    return detect


def _in_order(found: list[Detection]) -> list[Detection]:
    return sorted(found, key=lambda face: (face.top, face.left))


def _bounded(roll: float) -> float | None:
    return roll if abs(roll) <= MOST_ROLL else None


def _roll(eye: Any, upper: NDArray[np.uint8]) -> float | None:
    """The roll of a face by the eyes in its upper part; None unless there is one in each half."""
    width = upper.shape[1]
    least = max(1, round(EYE_SHARE * width))
    boxes = eye.detectMultiScale(upper, 1.1, 3, minSize=(least, least))
    centres = [(left + w / 2, top + h / 2, w) for left, top, w, h in boxes]
    halves = [[c for c in centres if (c[0] < width / 2) == first] for first in (True, False)]
    if not all(halves):
        return None
    (x1, y1, _), (x2, y2, _) = (max(half, key=lambda c: c[2]) for half in halves)
    return _bounded(math.degrees(math.atan2(y2 - y1, x2 - x1))) if x2 - x1 > width / 5 else None


def _opencv() -> Any:
    try:
        import cv2
    except ImportError as error:
        raise UserError("faces are found by OpenCV, which is not installed: pip install 'dcgan-viz[faces]'") from error
    return cv2


def _cascade(cv2: Any, name: str) -> Any:
    path = Path(cv2.__file__).parent / "data" / name
    if not hasattr(cv2, "CascadeClassifier") or not path.is_file():
        raise UserError(
            f"OpenCV {cv2.__version__} has no cascades any more: pip install 'opencv-python-headless<5', or give YuNet's "
            "weights as `yunet`"
        )
    return cv2.CascadeClassifier(str(path))
