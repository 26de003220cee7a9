from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from dcgan_viz.annotations.class_names import yaml_names
from dcgan_viz.annotations.formats import Picture, Region, read_foreign
from dcgan_viz.errors import UserError

# The same two pictures in every format, 128 pixels wide: a window and a lamp on the first, nothing on the second.
WINDOW, LAMP = Region("window", 16, 8, 80, 40), Region("lamp", 96, 64, 128, 128)

# labelImg 1.8 writes tabs; CVAT writes decimal fractions.
VOC = """<annotation>
	<folder>samples</folder>
	<filename>sample-0000.png</filename>
	<path>/home/me/samples/sample-0000.png</path>
	<source>
		<database>Unknown</database>
	</source>
	<size>
		<width>128</width>
		<height>128</height>
		<depth>3</depth>
	</size>
	<segmented>0</segmented>
	<object>
		<name>window</name>
		<pose>Unspecified</pose>
		<truncated>0</truncated>
		<difficult>0</difficult>
		<bndbox>
			<xmin>16</xmin>
			<ymin>8</ymin>
			<xmax>80</xmax>
			<ymax>40</ymax>
		</bndbox>
	</object>
	<object>
		<name>lamp</name>
		<occluded>0</occluded>
		<bndbox><xmin>96.0</xmin><ymin>64.00</ymin><xmax>128.0</xmax><ymax>128.0</ymax></bndbox>
	</object>
</annotation>
"""
VOC_EMPTY = """<?xml version="1.0" encoding="utf-8"?>
<annotation><filename>sample-0001.png</filename><size><width>128</width><height>128</height><depth>3</depth></size>
<segmented>0</segmented></annotation>"""

YOLO = "1 0.375000 0.187500 0.500000 0.250000\n0 0.875000 0.750000 0.250000 0.500000\n"

LABELME = {
    "version": "5.5.0",
    "flags": {},
    "shapes": [
        {
            "label": "window",
            "points": [[80.0, 40.0], [16.0, 8.0]],
            "group_id": None,
            "description": "",
            "shape_type": "rectangle",
            "flags": {},
            "mask": None,
        },
        {
            "label": "lamp",
            "points": [[112.0, 64.0], [128.0, 128.0], [96.0, 120.0]],
            "group_id": None,
            "shape_type": "polygon",
            "flags": {},
        },
    ],
    "imagePath": "..\\samples\\sample-0000.png",
    "imageData": None,
    "imageHeight": 128,
    "imageWidth": 128,
}

VIA_REGIONS = [
    {
        "shape_attributes": {"name": "rect", "x": 16, "y": 8, "width": 64, "height": 32},
        "region_attributes": {"object": "window"},
    },
    {
        "shape_attributes": {"name": "polygon", "all_points_x": [112, 128, 96], "all_points_y": [64, 128, 120]},
        "region_attributes": {"object": "lamp"},
    },
]
VIA = {
    "sample-0000.png2371": {
        "filename": "sample-0000.png",
        "size": 2371,
        "regions": VIA_REGIONS,
        "file_attributes": {},
    },
    "sample-0001.png2290": {"filename": "sample-0001.png", "size": 2290, "regions": [], "file_attributes": {}},
}
VIA_PROJECT = {
    "_via_settings": {"ui": {}, "core": {"buffer_size": 18}, "project": {"name": "rooms"}},
    "_via_img_metadata": VIA,
    "_via_attributes": {"region": {"object": {"type": "text"}}, "file": {}},
    "_via_data_format_version": "2.0.10",
    "_via_image_id_list": list(VIA),
}
# Version 1 marked the header with a number sign.
VIA_CSV = """filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes
sample-0000.png,2371,"{}",2,0,"{""name"":""rect"",""x"":16,""y"":8,""width"":64,""height"":32}","{""object"":""window""}"
sample-0000.png,2371,"{}",2,1,"{""name"":""polygon"",""all_points_x"":[112,128,96],""all_points_y"":[64,128,120]}","{""object"":""lamp""}"
sample-0001.png,2290,"{}",0,0,"{}","{}"
"""

COCO = {
    "licenses": [{"name": "", "id": 0, "url": ""}],
    "info": {"contributor": "", "date_created": "", "description": "", "url": "", "version": "", "year": ""},
    "categories": [{"id": 1, "name": "window", "supercategory": ""}, {"id": 7, "name": "lamp", "supercategory": ""}],
    "images": [
        {"id": 12, "width": 128, "height": 128, "file_name": "samples/sample-0000.png", "license": 0},
        {"id": 3, "width": 128, "height": 128, "file_name": "samples/sample-0001.png", "license": 0},
    ],
    "annotations": [
        {
            "id": 1,
            "image_id": 12,
            "category_id": 1,
            "segmentation": [],
            "area": 2048.0,
            "bbox": [16.0, 8.0, 64.0, 32.0],
        },
        {"id": 2, "image_id": 12, "category_id": 7, "iscrowd": 0, "bbox": [96, 64, 32, 64]},
    ],
}


def write_voc(folder: Path) -> Path:
    (folder / "sample-0000.xml").write_text(VOC)
    (folder / "sample-0001.xml").write_text(VOC_EMPTY)
    return folder


def write_yolo(folder: Path) -> Path:
    (folder / "classes.txt").write_text("lamp\nwindow\n")
    (folder / "sample-0000.txt").write_text(YOLO)
    (folder / "sample-0001.txt").touch()
    return folder


def write_ultralytics(folder: Path) -> Path:
    (folder / "labels" / "train").mkdir(parents=True)
    (folder / "data.yaml").write_text("path: .\ntrain: images/train\n\nnames:\n  0: lamp\n  1: window\n")
    (folder / "labels" / "train" / "sample-0000.txt").write_text(YOLO)
    (folder / "labels" / "train" / "sample-0001.txt").touch()
    return folder / "labels"


def write_labelme(folder: Path) -> Path:
    (folder / "sample-0000.json").write_text(json.dumps(LABELME))
    (folder / "sample-0001.json").write_text(json.dumps({**LABELME, "shapes": [], "imagePath": "sample-0001.png"}))
    return folder


def write_via(folder: Path) -> Path:
    (folder / "via_export_json.json").write_text(json.dumps(VIA))
    return folder / "via_export_json.json"


def write_via_project(folder: Path) -> Path:
    (folder / "via_project.json").write_text(json.dumps(VIA_PROJECT))
    return folder


def write_via_csv(folder: Path) -> Path:
    (folder / "via_export_csv.csv").write_text(VIA_CSV)
    return folder


def write_old_via_csv(folder: Path) -> Path:
    (folder / "via_region_data.csv").write_text("#" + VIA_CSV)
    return folder / "via_region_data.csv"


def write_coco(folder: Path) -> Path:
    # Windows programs begin a file with a byte order mark.
    (folder / "instances_default.json").write_text(json.dumps(COCO), encoding="utf-8-sig")
    return folder / "instances_default.json"


WRITERS: list[tuple[Callable[[Path], Path], str]] = [
    (write_voc, "Pascal VOC"),
    (write_yolo, "YOLO"),
    (write_ultralytics, "YOLO"),
    (write_labelme, "LabelMe"),
    (write_via, "VIA"),
    (write_via_project, "VIA"),
    (write_via_csv, "VIA"),
    (write_old_via_csv, "VIA"),
    (write_coco, "COCO"),
]


@pytest.mark.parametrize(("write", "name"), WRITERS)
def test_all_formats_say_the_same(write: Callable[[Path], Path], name: str, tmp_path: Path) -> None:
    (tmp_path / "sample-0000.png").write_bytes(b"a picture beside them is no annotation")
    (tmp_path / "samples.json").write_text("{}")
    foreign = read_foreign(write(tmp_path), side=128)
    assert foreign.format == name
    assert foreign.labels == ("lamp", "window")
    first, second = sorted(foreign.pictures, key=lambda picture: picture.name)
    assert (first.name, second.name) == ("sample-0000.png", "sample-0001.png")
    assert sorted(first.regions, key=lambda region: region.label) == [LAMP, WINDOW]
    assert second.regions == ()
    stated = None if name in ("YOLO", "VIA") else (128, 128)
    assert first.size == second.size == stated


def test_one_file_of_a_folder_can_be_given(tmp_path: Path) -> None:
    for file in (write_voc(tmp_path) / "sample-0000.xml", write_yolo(tmp_path) / "sample-0000.txt"):
        assert read_foreign(file, side=128).pictures[0].regions[0] == WINDOW


def test_via_regions_go_by_any_of_their_attributes(tmp_path: Path) -> None:
    shape = VIA_REGIONS[0]["shape_attributes"]
    regions = {
        "0": {"shape_attributes": shape, "region_attributes": {"object": "window", "side": "left"}},
        "1": {"shape_attributes": shape, "region_attributes": {"kind": {"window": True, "door": False}}},
    }
    (tmp_path / "old.json").write_text(json.dumps({"a": {"filename": "a.png", "size": 1, "regions": regions}}))
    foreign = read_foreign(tmp_path / "old.json", side=128)
    assert [region.label for region in foreign.pictures[0].regions] == ["left", "window", "window"]
    assert foreign.labels == ("left", "window")


def test_a_coco_category_without_boxes_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "coco.json").write_text(json.dumps({**COCO, "annotations": []}))
    foreign = read_foreign(tmp_path, side=128)
    assert foreign.labels == ("lamp", "window")
    assert foreign.pictures[0] == Picture("sample-0000.png", (), (128, 128))


@pytest.mark.parametrize(
    "text",
    [
        "names: [lamp, window]",
        "nc: 2\nnames: ['lamp', \"window\"]  # two\n",
        "names: [\n  lamp,\n  window,\n]\nnc: 2",
        "names:\n- lamp\n- window\nnc: 2",
        "names:\n  - lamp\n\n  - 'window'\n",
        "names:  # of the objects\n  0: lamp\n  1: window # with a frame\n\ntrain: x\n",
        "train: x\r\nnames:\r\n  0: lamp\r\n  1: window\r\n",
        "names: {0: lamp, 1: window}",
    ],
)
def test_names_are_found_as_a_yaml_parser_finds_them(text: str) -> None:
    names = yaml.safe_load(text)["names"]
    expected = names if isinstance(names, dict) else dict(enumerate(names))
    assert yaml_names(text, Path("data.yaml")) == expected == {0: "lamp", 1: "window"}


def test_no_names_are_made_up() -> None:
    assert yaml_names("path: names\nfilenames: [a]\n", Path("data.yaml")) == {}


BOMB = '<!DOCTYPE a [<!ENTITY a "aaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>' + VOC.replace("window", "&b;")
THIEF = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + VOC.replace("window", "&x;")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-7"])
@pytest.mark.parametrize("text", [BOMB, THIEF, BOMB.replace("!DOCTYPE", "!doctype")])
def test_xml_with_entities_is_refused(text: str, encoding: str, tmp_path: Path) -> None:
    (tmp_path / "sample-0000.xml").write_bytes(text.encode(encoding))
    # Behind its declared encoding a document cannot hide: only UTF-8 is read, as UTF-8.
    with pytest.raises(UserError, match=r"document type or entities|not UTF-8|of no known format|damaged XML"):
        read_foreign(tmp_path, side=128)


def test_an_encoding_that_xml_declares_is_not_followed(tmp_path: Path) -> None:
    hidden = '<?xml version="1.0" encoding="utf-7"?>+ADwAIQ-DOCTYPE a+AD4-' + VOC
    (tmp_path / "sample-0000.xml").write_text(hidden)
    with pytest.raises(UserError, match="damaged XML"):
        read_foreign(tmp_path, side=128)


def test_files_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sample-0000.xml").write_text(VOC + "\n" * 2**20)
    with pytest.raises(UserError, match="larger than 1 MiB"):
        read_foreign(tmp_path, side=128)
    monkeypatch.setattr("dcgan_viz.untrusted.MAXIMUM_FILE", 2**20)
    with pytest.raises(UserError, match="larger than 1 MiB"):
        read_foreign(tmp_path, side=128)
    monkeypatch.setattr("dcgan_viz.annotations.formats.MAXIMUM_FILES", 1)
    with pytest.raises(UserError, match="2 annotation files, more than 1"):
        read_foreign(write_voc(tmp_path), side=128)


def changed(data: dict[str, object], **values: object) -> str:
    return json.dumps({**data, **values})


SHAPE = LABELME["shapes"][0]

BROKEN = [
    # Found by content, and named.
    ("a.json", "[1, 2]", r"found: JSON that is a list.*Pascal VOC.*YOLO.*LabelMe.*VIA.*COCO"),
    ("a.json", '{"boxes": [], "model": 1}', r"found: JSON with 'boxes', 'model' in it"),
    ("a.json", "{}", "found: JSON with nothing in it"),
    ("a.json", '{"a": {"filename": "b"}}', "found: JSON with 'a' in it"),
    ("a.xml", "<annotations><image/></annotations>", "found: XML of <annotations>"),
    ("a.xml", "a note", "found: text that begins with 'a note'"),
    ("a.csv", "image,x,y\n1,2,3\n", "found: text that begins with 'image,x,y'"),
    ("a.json", "", "found: nothing in it"),
    ("a.xml", b"\xff\xfe<\x00", "not UTF-8"),
    # Damaged.
    ("a.xml", VOC[:200], "damaged XML"),
    ("a.xml", VOC.replace("xmin", "left"), r"damaged Pascal VOC \(object 1 has no 'bndbox/xmin'\)"),
    ("a.xml", VOC.replace(">16<", ">sixteen<"), "damaged Pascal VOC.*sixteen"),
    ("a.xml", VOC.replace("<filename>sample-0000.png</filename>", "<filename/>"), "it has no 'filename'"),
    ("a.json", "{" + '"a":{' * 100_000, "damaged JSON"),
    ("a.json", changed(LABELME)[:100], "damaged JSON"),
    ("a.json", changed(LABELME, shapes=[{**SHAPE, "shape_type": "circle"}]), "a circle around 'window'"),
    ("a.json", changed(LABELME, shapes=[{**SHAPE, "points": []}]), "damaged LabelMe"),
    ("a.json", changed(LABELME, shapes=[{**SHAPE, "points": [[1, 2, 3]]}]), "damaged LabelMe"),
    ("a.json", changed(LABELME, imageWidth=None), "damaged LabelMe"),
    ("a.json", changed(COCO, images=[]), r"damaged COCO \(annotations\[0\]: there is no image 12\)"),
    ("a.json", changed(COCO, categories=[]), "there is no category 1"),
    ("a.json", changed(COCO, annotations={"a": 1}), "damaged COCO"),
    ("a.json", changed(COCO, annotations=[{**COCO["annotations"][0], "bbox": [1, 2]}]), "damaged COCO"),
    ("a.json", changed(COCO, info={"dcgan_viz": {}}), "needs no import"),
    ("a.json", changed(VIA_PROJECT, _via_img_metadata=[]), "damaged|no known format"),
    ("a.json", json.dumps(VIA).replace('"rect"', '"ellipse"'), "shape 'ellipse'; rect and polygon"),
    ("a.json", json.dumps(VIA).replace('"object": "window"', ""), "without an attribute that names its object"),
    ("a.csv", VIA_CSV.replace('"{""name""', '"{name""'), "damaged VIA"),
    ("a.csv", VIA_CSV.replace("[112,128,96]", f"[{'1,' * 100_000}1]"), "damaged VIA"),
]


@pytest.mark.parametrize(("name", "content", "message"), BROKEN)
def test_what_cannot_be_read_is_named(name: str, content: str | bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError, match=message):
        read_foreign(tmp_path, side=128)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("2 0.5 0.5 0.1 0.1", r"line 2 is of class 2, and the classes are \[0, 1\]"),
        ("0 0.5 0.5 0.1 0.1 0.97", "line 2 has 6 words, not a class and 4 numbers"),
        ("window 0.5 0.5 0.1 0.1", "damaged YOLO.*window"),
        ("0 0.5 0.5 0.1 wide", "damaged YOLO.*wide"),
    ],
)
def test_lines_of_yolo_that_are_wrong(line: str, message: str, tmp_path: Path) -> None:
    (write_yolo(tmp_path) / "sample-0001.txt").write_text(f"1 0.5 0.5 0.1 0.1\n{line}\n")
    with pytest.raises(UserError, match=message):
        read_foreign(tmp_path, side=128)


def test_yolo_needs_the_names_of_its_classes(tmp_path: Path) -> None:
    folder = tmp_path / "set" / "labels"
    folder.mkdir(parents=True)
    (write_yolo(folder) / "classes.txt").rename(tmp_path / "classes.txt")
    with pytest.raises(UserError, match=r"no classes.txt or data.yaml beside it"):
        read_foreign(folder, side=128)
    (tmp_path / "set" / "data.yaml").write_text("nc: 2\n")
    with pytest.raises(UserError, match="names no classes"):
        read_foreign(folder, side=128)


def test_folders_without_annotations_or_with_several_formats_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no"):
        read_foreign(tmp_path / "nowhere", side=128)
    with pytest.raises(UserError, match=r"found: nothing"):
        read_foreign(tmp_path, side=128)
    for name in ("sample-0000.png", "sample-0001.png", "notes.md"):
        (tmp_path / name).touch()
    with pytest.raises(UserError, match=r"found: 2 \.png, 1 \.md.*known formats are Pascal VOC"):
        read_foreign(tmp_path, side=128)
    write_voc(tmp_path)
    write_coco(tmp_path)
    with pytest.raises(UserError, match=r"several formats \(Pascal VOC: 2, COCO: 1\)"):
        read_foreign(tmp_path, side=128)
