"""Fits that are kept beside the features: a classification that was killed goes on after the last method that it had done."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dcgan_viz.analysis.features.svm import LinearSVM
from dcgan_viz.analysis.features.trials import Trials
from dcgan_viz.data.arrays import read_arrays
from dcgan_viz.errors import UserError
from dcgan_viz.files import atomic_file


def kept_trials(folder: Path, method: str, identity: Mapping[str, Any], run: Callable[[], Trials]) -> Trials:
    """What `run` gives, or gave an earlier call with the same identity and folder.

    Parameters
    ----------
    folder : Path
    method : str
        For the name of the file.
    identity : mapping
        All that the trials depend on, as plain data.
    run : callable

    Raises
    ------
    UserError
        If the file that was kept is damaged.
    """
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
    path = folder / f"{method}-{digest[:16]}.fits.npz"
    if path.exists():
        return _read(path)
    trials = run()
    with atomic_file(path) as temporary:
        np.savez(
            temporary,
            predictions=trials.predictions,
            path=np.array(trials.path),
            coef=trials.svm.coef_,
            intercept=trials.svm.intercept_,
            classes=trials.svm.classes_,
            chosen=np.array([trials.C, trials.labels]),
        )
    return trials


def _read(path: Path) -> Trials:
    arrays = read_arrays(path)
    try:
        c, labels = arrays["chosen"].tolist()
        svm = LinearSVM(c)
        svm.coef_, svm.intercept_, svm.classes_ = arrays["coef"], arrays["intercept"], arrays["classes"]
        svm.n_features_in_ = svm.coef_.shape[1]
        steps = tuple((float(value), float(accuracy)) for value, accuracy in arrays["path"].tolist())
        return Trials(arrays["predictions"], c, steps, int(labels), svm)
    except (KeyError, ValueError, TypeError, IndexError) as error:
        raise UserError(
            f"{path} does not hold the fits that its name says: remove it, and they are made anew"
        ) from error
