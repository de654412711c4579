"""Images given to ``capsmith caption`` and to extraction."""

import io
import struct
import zlib
from pathlib import Path

from PIL import Image

from tests.mistakes import Workshop, mistake
from tests.support import toy


def jpeg(side: int = 200) -> bytes:
    """Returns a JPEG with enough content to be truncated."""
    file = io.BytesIO()
    Image.effect_noise((side, side), 80).convert("RGB").save(file, "JPEG")
    return file.getvalue()


def bomb(side: int = 20_000) -> bytes:
    """Returns a complete, valid PNG of side × side pixels in some fifty kilobytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packer = zlib.compressobj(9)
    row = b"\0" + bytes(side // 8)
    packed = b"".join(packer.compress(row * 100) for _ in range(side // 100)) + packer.flush()
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def _caption(shop: Workshop, name: str, content: bytes | None) -> list[str]:
    path = shop / name if content is None else shop.write(name, content)
    return ["caption", str(shop.toy.run), str(path)]


@mistake("missing image", "gone.jpg", "No such file")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "gone.jpg", None)


@mistake("image below a file", "file/red.jpg", "Not a directory")
def _(shop: Workshop) -> list[str]:
    shop.write("file", "x")
    return _caption(shop, "file/red.jpg", None)


@mistake("empty image", "empty.jpg")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "empty.jpg", b"")


@mistake("a device", "/dev/zero")
def _(shop: Workshop) -> list[str]:
    return ["caption", str(shop.toy.run), "/dev/zero"]


@mistake("text renamed .jpg", "notes.jpg")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "notes.jpg", b"buy milk, and a camera\n" * 40)


@mistake("truncated JPEG", "half.jpg", "damaged")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "half.jpg", jpeg()[: len(jpeg()) // 2])


@mistake("JPEG of a header alone", "header.jpg")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "header.jpg", b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00")


@mistake("PNG with a flipped byte", "flipped.png", "damaged")
def _(shop: Workshop) -> list[str]:
    file = io.BytesIO()
    Image.effect_noise((64, 64), 90).save(file, "PNG")
    content = bytearray(file.getvalue())
    content[len(content) // 2] ^= 0xFF
    return _caption(shop, "flipped.png", bytes(content))


@mistake("a bomb of 20,000 × 20,000 pixels", "bomb.png", "20000")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "bomb.png", bomb())


@mistake("a BMP whose header alone is a bomb", "bomb.bmp", "99999", "limit")
def _(shop: Workshop) -> list[str]:
    header = struct.pack("<IiiHHIIiiII", 40, 99_999, 99_999, 1, 24, 0, 0, 0, 0, 0, 0)
    return _caption(shop, "bomb.bmp", b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + header)


@mistake("a TIFF with a hostile directory", "bad.tif", "bad.tif")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "bad.tif", b"II*\0\x08\0\0\0\xff\xff" + b"\xff" * 600)


@mistake("PostScript renamed .jpg, which Pillow would give to Ghostscript", "drawing.jpg", "PostScript")
def _(shop: Workshop) -> list[str]:
    program = f"({shop.sentinel}) (w) file closefile showpage\n"
    return _caption(
        shop, "drawing.jpg", f"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n{program}".encode()
    )


@mistake("an SVG", "drawing.svg")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "drawing.svg", b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>')


@mistake("a name with a line break and an escape", "\\n", "\\x1b", "No such file")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "a\n\x1b[31mb.jpg", None)


@mistake("a name that is not UTF-8", "caf\\udce9.jpg", "No such file")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "caf\udce9.jpg", None)


@mistake("a name with NUL", "a\\x00b.jpg")
def _(shop: Workshop) -> list[str]:
    return ["caption", str(shop.toy.run), "a\0b.jpg"]


@mistake("a folder without images", "folder")
def _(shop: Workshop) -> list[str]:
    shop.write("folder/notes.txt", "x")
    return ["caption", str(shop.toy.run), str(shop / "folder")]


@mistake("a broken image among good ones", "half.jpg", "truncated", works=("red_ball.png\t", "blue_box.png\t"))
def _(shop: Workshop) -> list[str]:
    images = shop.toy.data / "images"
    half = shop.write("half.jpg", jpeg()[:3000])
    return ["caption", str(shop.toy.run), str(images / "red_ball.png"), str(half), str(images / "blue_box.png")]


@mistake("a sheet in an unknown format", "sheet.xyz")
def _(shop: Workshop) -> list[str]:
    return _show(shop, "sheet.xyz")


@mistake("a sheet below a file", "file/sheet.png", works=("red_ball.png\t",))
def _(shop: Workshop) -> list[str]:
    shop.write("file", "x")
    return _show(shop, "file/sheet.png")


def _show(shop: Workshop, name: str) -> list[str]:
    image = shop.toy.data / "images" / "red_ball.png"
    return ["caption", str(shop.toy.run), str(image), "--show", str(shop / name)]


@mistake("too many unreadable images to extract", "9 of 12", "features.max_bad_fraction", "empty")
def _(shop: Workshop) -> list[str]:
    for path in _most(shop.data()):
        path.write_bytes(b"")
    return ["extract", "--config", shop.config()]


@mistake("too many unreadable images to train an encoder on", "features.max_bad_fraction")
def _(shop: Workshop) -> list[str]:
    for path in _most(shop.data()):
        path.write_bytes(b"text " * 99)
    config = shop.config(encoder={"trainable": True}, evaluation={"after_training": None})
    return ["train", "--config", config, "--set", "data.split_column=null", "--run", str(shop / "new")]


def _most(data: Path) -> list[Path]:
    return sorted((data / "images").iterdir())[: -len(toy.SHAPES)]
