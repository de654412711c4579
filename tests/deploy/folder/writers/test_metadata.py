import json
import os
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree

import pytest
from PIL import Image

from capsmith.core.errors import MissingExtraError
from tests.support.fake_captioner import FakeCaptioner, caption_into, make_images

libxmp = pytest.importorskip("libxmp")
try:
    libxmp.XMPMeta()
except libxmp.ExempiLoadError:
    pytest.skip("needs the library Exempi: apt install libexempi8", allow_module_level=True)

RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
DESCRIPTION = "{http://purl.org/dc/elements/1.1/}description"
ALT = "{http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/}AltTextAccessibility"
ORIENTATION, MAKE, IMAGE_DESCRIPTION = 0x0112, 0x010F, 0x010E
FOREIGN = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:crs="http://ns.adobe.com/camera-raw-settings/1.0/" crs:Exposure2012="+0.35"/>'
    "</rdf:RDF></x:xmpmeta>"
)


@pytest.fixture
def photos(tmp_path):
    return tmp_path / "photos"


def texts(packet, tag):
    """Reads the texts of a property, by language, with a plain XML parser."""
    root = ElementTree.fromstring(packet)
    items = [item for found in root.iter(tag) for item in found.iter(f"{RDF}li")]
    return {item.get("{http://www.w3.org/XML/1998/namespace}lang"): item.text for item in items}


def photo(path, **more):
    """Saves a JPEG with EXIF and a colour profile."""
    from PIL import ImageCms

    exif = Image.Exif()
    exif[MAKE], exif[ORIENTATION] = "Camera", 6
    for tag, value in more.items():
        exif[int(tag[1:])] = value
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    path.parent.mkdir(exist_ok=True)
    with Image.effect_noise((64, 48), 80) as noise:
        noise.convert("RGB").save(path, quality=90, exif=exif.tobytes(), icc_profile=profile)


def pixels(path):
    with Image.open(path) as image:
        return image.size, image.mode, image.tobytes()


def xmp_of(path):
    with Image.open(path) as image:
        return image.info["xmp"]


def test_a_sidecar_holds_description_and_alternative_text(photos):
    captions = make_images(photos, 3)
    before = {path: path.read_bytes() for path in photos.iterdir()}
    caption_into([photos], "xmp")
    assert {path: path.read_bytes() for path in before} == before
    for name, caption in captions.items():
        packet = (photos / name).with_suffix(".xmp").read_bytes()
        assert texts(packet, DESCRIPTION) == texts(packet, ALT) == {"x-default": caption}


def test_a_second_command_changes_no_sidecar(photos):
    make_images(photos, 2)
    caption_into([photos], "xmp")
    before = {path: path.stat().st_mtime_ns for path in photos.glob("*.xmp")}
    assert caption_into([photos], "xmp").kept == []
    assert {path: path.stat().st_mtime_ns for path in photos.glob("*.xmp")} == before


@pytest.mark.parametrize("content", [FOREIGN, "no xml", FOREIGN.replace("/>", ">", 1)], ids=["valid", "text", "broken"])
def test_a_sidecar_of_another_program_is_kept_or_completed(photos, content):
    captions = make_images(photos, 1)
    sidecar = photos / "0000.xmp"
    sidecar.write_text(content)
    assert caption_into([photos], "xmp").kept == [str(sidecar)]
    assert sidecar.read_text() == content
    assert caption_into([photos], "xmp", overwrite=True).kept == []
    assert texts(sidecar.read_bytes(), DESCRIPTION) == {"x-default": captions["0000.png"]}
    assert (b"Exposure2012" in sidecar.read_bytes()) == (content == FOREIGN)
    assert caption_into([photos], "xmp").kept == []


def test_entities_of_a_sidecar_are_not_read(photos, tmp_path):
    make_images(photos, 1)
    (tmp_path / "secret").write_text("top secret")
    entity = f'<!DOCTYPE x [<!ENTITY e SYSTEM "file://{tmp_path}/secret">]>'
    (photos / "0000.xmp").write_text(
        entity + FOREIGN.replace("+0.35", "&amp;").replace("/></rdf:RDF", ">&e;</rdf:Description></rdf:RDF", 1)
    )
    caption_into([photos], "xmp", overwrite=True)
    assert "top secret" not in (photos / "0000.xmp").read_text()


def test_in_place_keeps_pixels_and_other_metadata(photos):
    photo(photos / "a.jpg")
    exif = Image.Exif()
    exif[ORIENTATION] = 8
    Image.new("RGBA", (9, 5), (1, 2, 3, 100)).save(photos / "b.png", exif=exif.tobytes())
    before = {name: pixels(photos / name) for name in ("a.jpg", "b.png")}
    profile = Image.open(photos / "a.jpg").info["icc_profile"]
    (photos / "a.jpg").chmod(0o640)
    caption_into([photos], "xmp,jsonl", in_place=True)
    records = {row["image"]: row for row in map(json.loads, (photos / "captions.jsonl").read_text().splitlines())}
    for name, content in before.items():
        assert pixels(photos / name) == content
        assert texts(xmp_of(photos / name), ALT) == {"x-default": records[name]["caption"]}
    with Image.open(photos / "a.jpg") as image:
        found = image.getexif()
        assert image.info["icc_profile"] == profile
        assert (found[MAKE], found[ORIENTATION], found[IMAGE_DESCRIPTION]) == ("Camera", 6, records["a.jpg"]["caption"])
    assert Image.open(photos / "b.png").getexif()[ORIENTATION] == 8
    assert (photos / "a.jpg").stat().st_mode & 0o777 == 0o640
    assert not list(photos.glob("*.xmp"))


def test_images_changed_in_place_are_not_captioned_again(photos):
    make_images(photos, 5)
    caption_into([photos], "xmp", in_place=True)
    before = {path: path.read_bytes() for path in photos.glob("*.png")}
    report = caption_into([photos], "xmp", in_place=True, captioner=FakeCaptioner())
    assert (report.captioned, report.done_before) == (0, 5)
    assert {path: path.read_bytes() for path in before} == before


def test_a_description_in_the_image_is_kept(photos):
    photo(photos / "a.jpg", **{f"t{IMAGE_DESCRIPTION}": "Grandma in Rome"})
    before = (photos / "a.jpg").read_bytes()
    assert caption_into([photos], "xmp", in_place=True).kept == [str(photos / "a.jpg")]
    assert (photos / "a.jpg").read_bytes() == before
    assert caption_into([photos], "xmp", in_place=True, overwrite=True).kept == []
    assert b"Grandma" not in xmp_of(photos / "a.jpg")


@pytest.mark.parametrize("name", ["a.webp", "a.gif", "a.tiff", "a.bmp"])
def test_other_formats_get_a_sidecar(photos, name):
    photos.mkdir()
    Image.new("RGB", (8, 8), "red").save(photos / name)
    before = (photos / name).read_bytes()
    caption_into([photos], "xmp", in_place=True)
    assert (photos / name).read_bytes() == before
    assert texts((photos / "a.xmp").read_bytes(), ALT)["x-default"].startswith("colour 25")


def test_a_truncated_image_is_not_touched(photos, monkeypatch):
    """The captioner may read it, the check of the pixels may not."""
    photo(photos / "a.jpg")
    (photos / "a.jpg").write_bytes((photos / "a.jpg").read_bytes()[:-800])
    from capsmith.deploy.folder.writers import metadata

    with pytest.raises(metadata._NotHeld):
        metadata.embedded((photos / "a.jpg").read_bytes(), "JPEG", "a dog", None)


def test_a_link_stays_a_link_and_odd_names_work(photos, tmp_path):
    make_images(tmp_path / "elsewhere", 1)
    photos.mkdir()
    (photos / "link.png").symlink_to(tmp_path / "elsewhere" / "0000.png")
    shutil.copy(tmp_path / "elsewhere" / "0000.png", photos / os.fsdecode(b"caf\xe9 -x.png"))
    caption_into([photos], "xmp", in_place=True)
    assert (photos / "link.png").is_symlink() and xmp_of(photos / "link.png")
    assert texts(xmp_of(photos / os.fsdecode(b"caf\xe9 -x.png")), ALT) == {"x-default": "colour 0 0 0"}


def test_exiftool_reads_it(photos):
    if shutil.which("exiftool") is None:
        pytest.skip("exiftool is not installed")
    photo(photos / "a.jpg")
    make_images(photos, 1)
    caption_into([photos], "xmp", in_place=True)
    command = ["exiftool", "-j", "-G1", "-XMP-dc:Description", "-XMP-iptcCore:AltTextAccessibility", "-IPTC:all"]
    read = json.loads(subprocess.run([*command, str(photos)], capture_output=True, check=True).stdout)
    for image in read:
        assert image["XMP-dc:Description"] == image["XMP-iptcCore:AltTextAccessibility"] != ""
    jpeg = next(image for image in read if image["SourceFile"].endswith(".jpg"))
    assert jpeg["IPTC:Caption-Abstract"] == jpeg["XMP-dc:Description"]


def test_the_toolkit_is_an_extra(photos, monkeypatch):
    make_images(photos, 1)
    monkeypatch.setitem(__import__("sys").modules, "libxmp", None)
    with pytest.raises(MissingExtraError, match=r"capsmith\[metadata\]"):
        caption_into([photos], "xmp")
    assert sorted(os.listdir(photos)) == ["0000.png"]
