"""Which way up a picture is, from metadata that may be damaged.

Pillow reads every tag to find one, and raises or warns without a name where another of them is damaged; here only the
orientation is looked at.
"""

from __future__ import annotations

import re
import struct

from PIL import Image, TiffImagePlugin

from dcgan_viz.words import counted

TAG = 0x0112
SHORT, LONG = 3, 4
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def exif_orientation(exif: bytes) -> int | None:
    """The orientation, 1 to 8, in a block of EXIF; None where it has none.

    Raises
    ------
    ValueError
        If the block is damaged before the orientation, or the orientation itself is.

    Examples
    --------
    >>> exif_orientation(b"MM\\0*\\0\\0\\0\\x08\\0\\x01\\x01\\x12\\0\\x03\\0\\0\\0\\x01\\0\\x06\\0\\0")
    6
    """
    while exif.startswith(b"Exif\0\0"):
        exif = exif[6:]
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    try:
        if order is None or struct.unpack_from(f"{order}H", exif, 2) != (42,):
            raise ValueError("it does not begin as EXIF does")
        (directory,) = struct.unpack_from(f"{order}I", exif, 4)
        (count,) = struct.unpack_from(f"{order}H", exif, directory)
        for place in range(directory + 2, directory + 2 + 12 * count, 12):
            tag, kind, values = struct.unpack_from(f"{order}HHI", exif, place)
            if tag != TAG:
                continue
            if kind not in (SHORT, LONG) or not 1 <= values <= 2:
                raise ValueError(f"its orientation is {counted(values, 'value')} of type {kind}")
            return _checked(*struct.unpack_from(f"{order}{'H' if kind == SHORT else 'I'}", exif, place + 8))
    except struct.error as error:
        raise ValueError("it is cut off") from error
    return None


def _checked(value: object) -> int:
    # 0 is what cameras without a sensor for it write.
    if value == 0:
        return 1
    if not isinstance(value, int) or not 1 <= value <= 8:
        raise ValueError(f"its orientation is {str(value)[:40]}")
    return value


def orientation(picture: Image.Image) -> int:
    """The orientation of an opened picture, from its EXIF, else from its XMP; 1 where neither has one.

    Raises
    ------
    ValueError
        If the metadata are damaged.
    """
    found = None
    if isinstance(picture, TiffImagePlugin.TiffImageFile):
        try:
            found = picture.tag_v2.get(TAG)
        except Exception as error:  # Pillow converts the tag only now, and raises whatever it likes.
            raise ValueError(f"its orientation cannot be read ({type(error).__name__})") from error
        found = None if found is None else _checked(found)
    elif exif := picture.info.get("exif"):
        found = exif_orientation(exif)
    elif profile := picture.info.get("Raw profile type exif"):
        # As ImageMagick writes it into PNGs: a name, a length, and the bytes in hexadecimal.
        found = exif_orientation(bytes.fromhex("".join(profile.split("\n")[3:])))
    if found is None:
        xmp = picture.info.get("xmp") or picture.info.get("XML:com.adobe.xmp") or b""
        match = re.search(rb'tiff:Orientation(?:="|>)([1-8])', xmp if isinstance(xmp, bytes) else xmp.encode())
        found = int(match[1]) if match else 1
    return found
