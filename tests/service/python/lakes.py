"""Delta tables written by hand, with what the package `deltalake` does not write: deletion vectors and
column mapping. By the text of the Delta protocol, so that no reader's library vouches for itself."""

import json
import struct
import uuid
import zlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

Z85 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
TYPES = {pa.string(): "string", pa.int64(): "long"}


def z85(content):
    text = ""
    for start in range(0, len(content), 4):
        number = int.from_bytes(content[start:start + 4], "big")
        text += "".join(Z85[number // 85 ** place % 85] for place in range(4, -1, -1))
    return text


def bitmap(positions):
    """A 64-bit roaring bitmap of few small numbers: one array container."""
    assert max(positions) < 1 << 16 and len(positions) <= 4096
    container = struct.pack("<IIHHI", 12346, 1, 0, len(positions) - 1, 16)
    container += struct.pack(f"<{len(positions)}H", *sorted(positions))
    return struct.pack("<IQI", 1681511377, 1, 0) + container


def deletion_vector(directory, positions):
    """Writes the file and gives the descriptor that an `add` has."""
    content = bitmap(positions)
    name = uuid.uuid4()
    framed = struct.pack(">I", len(content)) + content + struct.pack(">I", zlib.crc32(content))
    (directory / f"deletion_vector_{name}.bin").write_bytes(b"\x01" + framed)
    return {"storageType": "u", "pathOrInlineDv": z85(name.bytes), "offset": 1,
            "sizeInBytes": len(content), "cardinality": len(positions)}


def write(directory, rows, deleted=(), mapped=False, features=(), parts=1):
    """A table of `rows` in `parts` files; the rows at `deleted` positions of the first file are gone."""
    directory = Path(directory)
    (directory / "_delta_log").mkdir(parents=True)
    table = pa.Table.from_pylist(rows)
    physical = {name: f"col-{uuid.uuid4()}" if mapped else name for name in table.column_names}
    fields = []
    for number, field in enumerate(table.schema, start=1):
        metadata = {"delta.columnMapping.id": number,
                    "delta.columnMapping.physicalName": physical[field.name]} if mapped else {}
        fields.append({"name": field.name, "type": TYPES[field.type], "nullable": True, "metadata": metadata})
    wanted = [*features, *(["deletionVectors"] if deleted else []), *(["columnMapping"] if mapped else [])]
    configuration = {}
    if deleted:
        configuration["delta.enableDeletionVectors"] = "true"
    if mapped:
        configuration |= {"delta.columnMapping.mode": "name", "delta.columnMapping.maxColumnId": str(len(fields))}
    actions = [
        {"protocol": {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": wanted, "writerFeatures": wanted}
         if wanted else {"minReaderVersion": 1, "minWriterVersion": 2}},
        {"metaData": {"id": str(uuid.uuid4()), "format": {"provider": "parquet", "options": {}},
                      "schemaString": json.dumps({"type": "struct", "fields": fields}), "partitionColumns": [],
                      "configuration": configuration, "createdTime": 1_700_000_000_000}}]
    each = -(-len(rows) // parts)
    for number in range(parts):
        part = table.slice(number * each, each).rename_columns([physical[name] for name in table.column_names])
        if mapped:
            named = [field.with_metadata({"PARQUET:field_id": str(place)})
                     for place, field in enumerate(part.schema, start=1)]
            part = part.cast(pa.schema(named))
        file = directory / f"part-{number:05}.parquet"
        pq.write_table(part, file, row_group_size=500)
        add = {"path": file.name, "partitionValues": {}, "size": file.stat().st_size,
               "modificationTime": 1_700_000_000_000, "dataChange": True,
               "stats": json.dumps({"numRecords": part.num_rows})}
        if deleted and number == 0:
            add["deletionVector"] = deletion_vector(directory, deleted)
        actions.append({"add": add})
    log = "".join(json.dumps(action) + "\n" for action in actions)
    (directory / "_delta_log" / f"{0:020}.json").write_text(log)
    return directory
