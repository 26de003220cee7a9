from __future__ import annotations

from dataclasses import dataclass

from dcgan_viz.report.estimates import estimates_of
from dcgan_viz.results import Result
from dcgan_viz.statistics import Estimate

HALF = Estimate(0.5, 0.4, 0.6, 9, "95 %")


@dataclass(frozen=True)
class Rate:
    condition: str
    share: Estimate


@dataclass(frozen=True)
class Measurement:
    expected: str
    rates: tuple[Rate, ...]


@dataclass(frozen=True, kw_only=True)
class Measured(Result):
    measurements: tuple[Measurement, ...]


def test_a_number_is_named_by_the_class_that_it_is_of_and_not_counted() -> None:
    of = [Measurement(name, (Rate("on pixels", HALF), Rate("on z", HALF))) for name in ("man", "smiling")]
    names = [row.name for row in estimates_of(Measured(settings={}, measurements=tuple(of)))]
    assert names == [
        *("man, on pixels: share", "man, on z: share"),
        *("smiling, on pixels: share", "smiling, on z: share"),
    ]


@dataclass(frozen=True)
class Quality:
    frechet: Estimate
    coverage: Coverage


@dataclass(frozen=True)
class Coverage:
    coverage: Estimate


@dataclass(frozen=True, kw_only=True)
class Evaluated(Result):
    quality: Quality
    floor: Quality


def test_numbers_have_the_names_that_people_give_them() -> None:
    both = Quality(HALF, Coverage(HALF))
    names = [row.name for row in estimates_of(Evaluated(settings={}, quality=both, floor=both))]
    assert names[:2] == ["Fréchet distance", "coverage"]
    assert names[2:] == ["other real images: Fréchet distance", "other real images: coverage"]
