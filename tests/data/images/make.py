#!/usr/bin/env python3
"""Makes the images of this folder and what PIL makes of them (Pillow 13.0.0): NAME.ppm is NAME opened and converted to RGB,
resized.N.WxH.ppm is photo.png resized by filter N. Run it in a virtual environment with pillow and numpy."""
import pathlib

import numpy
from PIL import Image

here = pathlib.Path(__file__).parent
random = numpy.random.default_rng(21)
height, width = 21, 29
y, x = numpy.mgrid[0:height, 0:width]
smooth = numpy.stack([128 + 100 * numpy.sin(x / 4 + y / 7), 128 + 90 * numpy.cos(y / 3), x * 255 / width], -1)
pixels = numpy.clip(smooth + random.normal(0, 20, smooth.shape), 0, 255).astype(numpy.uint8)
photo = Image.fromarray(pixels)
alpha = Image.fromarray(random.integers(0, 256, (height, width), dtype=numpy.uint8))
with_alpha = photo.copy()
with_alpha.putalpha(alpha)
files = {
    "photo.png": (photo, {}),
    "alpha.png": (with_alpha, {}),
    "grey.png": (photo.convert("L"), {}),
    "bits.png": (photo.convert("1"), {}),
    "palette.png": (photo.convert("P", palette=Image.Palette.ADAPTIVE, colors=11), {"transparency": 3}),
    "photo.jpg": (photo, {"quality": 80}),
    "progressive.jpg": (photo, {"quality": 90, "progressive": True, "subsampling": 0}),
    "grey.jpg": (photo.convert("L"), {"quality": 70}),
    "inks.jpg": (photo.convert("CMYK"), {"quality": 50}),
}
for name, (image, options) in files.items():
    image.save(here / name, **options)
    if name != "inks.jpg":
        Image.open(here / name).convert("RGB").save(here / f"{name}.ppm")
for number, size in [(1, (12, 9)), (2, (12, 9)), (2, (32, 32)), (2, (29, 7)), (3, (12, 9)), (3, (40, 33)), (4, (12, 9)), (5, (12, 9))]:
    photo.resize(size, resample=Image.Resampling(number)).save(here / f"resized.{number}.{size[0]}x{size[1]}.ppm")
