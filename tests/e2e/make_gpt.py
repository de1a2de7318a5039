#!/usr/bin/env python3
"""make_gpt.py IMAGE BLOCK_BYTES [--entries N] FIRST:LAST[:NAME]... - writes a GUID partition table on IMAGE, both
copies, with the given partitions of the type that weftd shows."""
import argparse
import struct
import uuid
import zlib

TYPE = uuid.UUID("6527994e-2c5a-4eec-9613-8f5944074e8b")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("image")
    parser.add_argument("block_bytes", type=int)
    parser.add_argument("partitions", nargs="+")
    parser.add_argument("--entries", type=int, default=128)
    options = parser.parse_args()
    size = options.block_bytes
    entries = b""
    for number, text in enumerate(options.partitions, 1):
        first, last, name = (text.split(":") + [""])[:3]
        unique = uuid.UUID(int=0xaaaaaaaa000040008000000000000000 + number)
        entries += TYPE.bytes_le + unique.bytes_le + struct.pack("<QQQ", int(first), int(last), 0)
        entries += name.encode("utf-16-le").ljust(72, b"\0")
    entries = entries.ljust(128 * options.entries, b"\0")
    list_blocks = -(-len(entries) // size)
    with open(options.image, "r+b") as image:
        blocks = image.seek(0, 2) // size

        def put(lba, data):
            image.seek(lba * size)
            image.write(data.ljust(-(-len(data) // size) * size, b"\0"))

        def header(own, other, entries_lba):
            def of(checksum):
                return (b"EFI PART" + struct.pack("<IIIIQQQQ", 0x10000, 92, checksum, 0, own, other, 2 + list_blocks,
                                                  blocks - 2 - list_blocks)
                        + uuid.UUID("11111111-2222-3333-4444-555555555555").bytes_le
                        + struct.pack("<QIII", entries_lba, options.entries, 128, zlib.crc32(entries)))
            return of(zlib.crc32(of(0)))

        record = struct.pack("<B3sB3sII", 0, b"\0\2\0", 0xEE, b"\xff\xff\xff", 1, min(blocks - 1, 0xFFFFFFFF))
        put(0, b"\0" * 446 + record.ljust(64, b"\0") + b"\x55\xaa")
        put(1, header(1, blocks - 1, 2))
        put(2, entries)
        put(blocks - 1 - list_blocks, entries)
        put(blocks - 1, header(blocks - 1, 1, blocks - 1 - list_blocks))


main()
