"""What is read of COCO JSON, whoever wrote it; what else there is in a file is left alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from dcgan_viz.errors import UserError
from dcgan_viz.untrusted import LENIENT, shown

Id = int | str
"""As tools number images and categories."""

MAXIMUM_PIXELS = 2**26
"""Of one annotated picture: its mask is laid out at that size. Cameras have up to 60 million."""


FARTHEST = 10**6
"""How far from its picture's corner an object may lie, in pixels: no number may overflow."""


@dataclass(frozen=True)
class Category:
    """A kind of object."""

    __pydantic_config__: ClassVar = LENIENT

    id: Id
    name: str


@dataclass(frozen=True)
class Picture:
    """A picture; tools that know its size state it."""

    __pydantic_config__: ClassVar = LENIENT

    id: Id
    file_name: str | None = None
    width: float | None = None
    height: float | None = None

    def __post_init__(self) -> None:
        if (self.width is None) != (self.height is None):
            raise UserError("width and height belong together")
        width, height = (1 if side is None else side for side in (self.width, self.height))
        if not (width >= 1 and height >= 1 and width * height <= MAXIMUM_PIXELS):
            raise UserError(f"{width:g}x{height:g} is not a size of a picture of up to {MAXIMUM_PIXELS:,} pixels")


@dataclass(frozen=True)
class Annotation:
    """One object on one picture."""

    __pydantic_config__: ClassVar = LENIENT

    image_id: Id
    category_id: Id
    id: Id | None = None
    bbox: tuple[float, float, float, float] | None = None

    @property
    def name(self) -> str:
        """What an error calls it."""
        return f"annotation {shown(self.id)}"


@dataclass(frozen=True)
class Coco:
    """Annotations of pictures."""

    __pydantic_config__: ClassVar = LENIENT

    images: tuple[Picture, ...]
    categories: tuple[Category, ...]
    annotations: tuple[Annotation, ...]

    def __post_init__(self) -> None:
        categories, images = {c.id for c in self.categories}, {i.id for i in self.images}
        for name, listed, ids in (("categories", self.categories, categories), ("images", self.images, images)):
            if len(ids) < len(listed):
                raise UserError(f"two {name} have the same id")
        for index, annotation in enumerate(self.annotations):
            if annotation.category_id not in categories:
                raise UserError(f"annotations[{index}]: there is no category {shown(annotation.category_id)}")
            if annotation.image_id not in images:
                raise UserError(f"annotations[{index}]: there is no image {shown(annotation.image_id)}")
