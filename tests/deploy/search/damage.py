"""Ways to damage an index, by accident or by malice."""

import json
import os
import sqlite3
import zlib


def database(*statements):
    """Returns a change of the database by SQL."""

    def change(out):
        connection = sqlite3.connect(out / "images.sqlite")
        for statement in statements:
            connection.execute(statement)
        connection.commit()
        connection.close()

    return change


def edit_json(**values):
    """Returns a change of ``index.json``."""

    def change(out):
        path = out / "index.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    return change


def replace_file(name, content=None, link=None, fifo=False):
    """Returns the replacement of a file by other bytes, by a link, or by a pipe."""

    def change(out):
        path = out / name
        path.unlink(missing_ok=True)
        if content is not None:
            path.write_bytes(content)
        elif fifo:
            os.mkfifo(path)
        else:
            elsewhere = out.parent / "elsewhere"
            elsewhere.write_bytes(b"\0" * 4096)
            path.symlink_to(elsewhere if link is None else link)

    return change


def cut(name, keep):
    """Returns the truncation of a file; a negative number cuts bytes off its end."""

    def change(out):
        with (out / name).open("r+b") as file:
            file.truncate(keep if keep >= 0 else (out / name).stat().st_size + keep)

    return change


def flip(name, place):
    """Returns the change of one byte."""

    def change(out):
        data = bytearray((out / name).read_bytes())
        data[place] ^= 0x55
        (out / name).write_bytes(data)

    return change


def not_a_number(out):
    """Writes a NaN into the vectors, with the right checksum."""
    path = out / "visual-0.f16"
    data = bytearray(path.read_bytes())
    data[:2] = b"\0\x7e"
    path.write_bytes(data)
    database(f"UPDATE blocks SET visual = {zlib.crc32(data)}")(out)


def other_program(out):
    (out / "images.sqlite").unlink()
    database("CREATE TABLE bookmarks (url TEXT)")(out)


HUGE = 5_000_000
DAMAGES = {
    "no index.json": lambda out: (out / "index.json").unlink(),
    "an empty index.json": replace_file("index.json", b""),
    "an index.json that is a list": replace_file("index.json", b"[]"),
    "an index.json of great depth": replace_file("index.json", b"[" * 100_000),
    "an index.json of a newer version": edit_json(index=99),
    "vectors of absurd size": edit_json(size=10**12),
    "vectors of no size": edit_json(visual_size=0),
    "vectors of another size": edit_json(size=5),
    "a size that is text": edit_json(size="4"),
    "a model that is a number": edit_json(runs=[7]),
    "a linked index.json": replace_file("index.json", link="/etc/passwd"),
    "a pipe as index.json": replace_file("index.json", fifo=True),
    "no database": lambda out: (out / "images.sqlite").unlink(),
    "half a database": cut("images.sqlite", 5000),
    "a database of noise": replace_file("images.sqlite", os.urandom(9000)),
    "the database of another program": other_program,
    "a linked database": replace_file("images.sqlite"),
    "a linked log of the database": replace_file("images.sqlite-wal"),
    "a trigger": database("CREATE TRIGGER t AFTER INSERT ON images BEGIN DELETE FROM images; END"),
    "a view": database("DROP TABLE words", "CREATE VIEW words AS SELECT 'red' word, id content, 1 count FROM contents"),
    "a table more": database("CREATE TABLE more (x)"),
    "an index with code": database("CREATE INDEX i ON images (upper(error))"),
    "a huge caption": database(f"UPDATE contents SET caption = hex(zeroblob({HUGE}))"),
    "a huge name": database(f"UPDATE images SET name = zeroblob({HUGE}) WHERE id = 1"),
    "a name with a way out": database(
        "UPDATE images SET name = CAST('../../etc/passwd' AS BLOB)WHERE id > 0 AND id < 2"
    ),
    "an absolute name": database("UPDATE images SET name = CAST('/etc/passwd' AS BLOB) WHERE id = 1"),
    "a root that is a number": database("UPDATE meta SET value = 7 WHERE key = 'root'"),
    "absurdly many rows": database("UPDATE meta SET value = 1 << 39 WHERE key = 'rows'"),
    "more rows than there can be": database("UPDATE meta SET value = 1 << 62 WHERE key = 'rows'"),
    "a negative number of rows": database("UPDATE meta SET value = -1 WHERE key = 'rows'"),
    "a number of rows that is text": database("UPDATE meta SET value = 'many' WHERE key = 'rows'"),
    "fewer rows than there are": database("UPDATE meta SET value = 3 WHERE key = 'rows'"),
    "a row that does not exist": database("UPDATE contents SET row = 1000000 WHERE id = 1"),
    "a block that does not exist": database("INSERT INTO blocks VALUES (8, 5, 0, 0)"),
    "truncated vectors": cut("semantic-0.f16", -3),
    "no vectors": lambda out: (out / "visual-0.f16").unlink(),
    "a changed byte": flip("semantic-0.f16", 9),
    "linked vectors": replace_file("visual-0.f16"),
    "a pipe as vectors": replace_file("semantic-0.f16", fifo=True),
    "vectors that are no numbers": not_a_number,
}
