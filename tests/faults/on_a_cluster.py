"""Extract and fold a corpus on a cluster within this process, for tests that kill it.

python on_a_cluster.py CORPUS MODEL FOLDER
"""

import sys
from pathlib import Path

from distributed import LocalCluster

from hf_attn_attr.encoding import CHUNK
from hf_attn_attr.engines.dask import extract_and_fold


def main() -> None:
    """The results and the matrix go to FOLDER."""
    corpus, model, folder = sys.argv[1:]
    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None
    ) as cluster:
        found = extract_and_fold(
            corpus,
            model,
            client=cluster.scheduler_address,
            results=Path(folder) / "results",
            shard_texts=CHUNK,
        )
    found.matrix.save_pretrained(folder)


if __name__ == "__main__":
    main()
