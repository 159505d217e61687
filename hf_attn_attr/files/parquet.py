"""Parquet files that would take far more memory than their size lets expect."""

from pyarrow.parquet import FileMetaData

# Runs of equal values shrink to nearly nothing, so some tables are far smaller as files.
_RATIO, _SMALL = 200, 64_000_000
_WIDTHS = {"BOOLEAN": 1, "INT32": 4, "FLOAT": 4, "INT96": 12, "INT64": 8, "DOUBLE": 8}


def require_proportion(metadata: FileMetaData, size: int) -> None:
    """Refuse a file of `size` bytes that asks for memory out of proportion.

    Raises:
        ValueError: If it does.
    """
    wanted = 0
    for group in range(metadata.num_row_groups):
        rows = metadata.row_group(group)
        for column in range(rows.num_columns):
            chunk = rows.column(column)
            # Equal values are counted by their number: their bytes are those of one.
            width = _WIDTHS.get(chunk.physical_type, 4)
            wanted += max(chunk.num_values * width, chunk.total_uncompressed_size)
    if wanted > _RATIO * size + _SMALL:
        raise ValueError(f"its {size:,} bytes would take {wanted:,} in memory")
