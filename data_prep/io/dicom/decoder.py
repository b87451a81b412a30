"""A decoding plugin for pydicom: compressed frames of DICOM files, decoded by imagecodecs.

It covers JPEG (8 and 12 bits, lossless), JPEG-LS, and JPEG 2000 with HTJ2K; pydicom decodes RLE
itself. docs/decisions/0006-reading-dicom.md says why this library.
"""

import functools

from pydicom import uid
from pydicom.pixels import get_decoder
from pydicom.pixels.decoders.base import DecodeRunner

PLUGIN = "imagecodecs"
JPEG_LS = (uid.JPEGLSLossless, uid.JPEGLSNearLossless)
JPEG_2000 = (
    uid.JPEG2000Lossless, uid.JPEG2000, uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL, uid.HTJ2K,
)  # fmt: skip
JPEG = (uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit, uid.JPEGLossless, uid.JPEGLosslessSV1)
# pydicom's plugin interface requires this name, and `is_available`.
DECODER_DEPENDENCIES = {syntax: ("imagecodecs",) for syntax in (*JPEG, *JPEG_LS, *JPEG_2000)}
# Markers that begin a frame header of JPEG (all but the tables C4, C8, CC) and of JPEG-LS.
FRAME_MARKERS = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}


@functools.cache
def register() -> None:
    """Registers the plugin with pydicom, once per process."""
    for syntax in DECODER_DEPENDENCIES:
        get_decoder(syntax).add_plugin(PLUGIN, (__name__, "decode_frame"))


def is_available(syntax: str) -> bool:
    """Whether the plugin decodes a transfer syntax."""
    return syntax in DECODER_DEPENDENCIES


def decode_frame(compressed: bytes, runner: DecodeRunner) -> bytes:
    """Decodes one frame into the bytes of its pixels; raises ValueError, or what imagecodecs raises."""
    import imagecodecs

    if runner.samples_per_pixel != 1:
        raise ValueError("a colour image")
    syntax = runner.transfer_syntax
    # The size is compared first: for a damaged one the library would allocate all memory.
    size = _size_2000(compressed) if syntax in JPEG_2000 else _size_jpeg(compressed)
    if size != (runner.rows, runner.columns):
        raise ValueError("the size of the compressed image differs from the header's")
    if syntax in JPEG_2000:
        pixels = imagecodecs.jpeg2k_decode(compressed)
    elif syntax in JPEG_LS:
        pixels = imagecodecs.jpegls_decode(compressed)
    else:
        pixels = imagecodecs.jpeg8_decode(compressed)
    if pixels.shape != size:
        raise ValueError("the compressed image is not one grey plane")
    runner.set_option("bits_allocated", 8 * pixels.dtype.itemsize)
    return pixels.tobytes()


def _size_jpeg(data: bytes) -> tuple[int, int] | None:
    """(rows, columns) in the frame header of a JPEG or JPEG-LS stream (ISO 10918-1, 14495-1)."""
    at = 2  # after the start of image
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
        elif marker in FRAME_MARKERS:
            return int.from_bytes(data[at + 5 : at + 7]), int.from_bytes(data[at + 7 : at + 9])
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4])
    return None


def _size_2000(data: bytes) -> tuple[int, int] | None:
    """(rows, columns) in the SIZ segment of a JPEG 2000 codestream (ISO 15444-1 A.5.1)."""
    at = data.find(b"\xff\x4f\xff\x51")  # a JP2 file has boxes before it
    if at < 0 or len(data) < at + 24:
        return None
    width, height, left, top = (
        int.from_bytes(data[at + place : at + place + 4]) for place in (8, 12, 16, 20)
    )
    return height - top, width - left
