"""What a server does around the network: of a JPEG's bytes it makes pixels, of scores the name of a class."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO

import numpy as np
from PIL import Image, ImageOps

SIDE = 32
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def decode(jpeg: bytes) -> np.ndarray:
    """Pixels from 0 to 1 as the network takes them, shape [3, 32, 32]; a picture of another size is scaled and cut."""
    with Image.open(BytesIO(jpeg)) as picture:
        pixels = picture.convert("RGB")
    if pixels.size != (SIDE, SIDE):
        pixels = ImageOps.fit(pixels, (SIDE, SIDE), Image.Resampling.BILINEAR)
    return np.ascontiguousarray(np.asarray(pixels, np.float32).transpose(2, 0, 1)) / np.float32(255)


def label(outputs: Mapping[str, np.ndarray]) -> str:
    """The class that has the highest score."""
    return CLASSES[int(outputs["output"].argmax())]
