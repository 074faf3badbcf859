"""The file formats that a source can name."""

from __future__ import annotations

from qnn_models.data.reading.json_lines import read_json_lines
from qnn_models.data.reading.movielens import read_ml1m_grouplens, read_ml100k_grouplens, read_ml100k_recbole
from qnn_models.data.reading.nycflights import read_nycflights
from qnn_models.data.reading.readers import Reader, read_csv, read_hdf5, read_libfm, read_parquet

READERS: dict[str, Reader] = {
    "csv": read_csv,
    "libfm": read_libfm,
    "jsonl": read_json_lines,
    "parquet": read_parquet,
    "hdf5": read_hdf5,
    "ml-100k-recbole": read_ml100k_recbole,
    "ml-100k-grouplens": read_ml100k_grouplens,
    "ml-1m-grouplens": read_ml1m_grouplens,
    "nycflights": read_nycflights,
}
