"""Checks that huggingface_hub finds files in webalign's cache without a request."""

import json
from pathlib import Path

from huggingface_hub import hf_hub_download, scan_cache_dir, snapshot_download, try_to_load_from_cache

from interop import HERE, check, main, node, work

COMMIT = "c0ffee".ljust(40, "0")
FILES = {"config.json": "{}", "sub/model.safetensors": "weights", "README.md": "not fetched"}


@check("huggingface_hub reads a cache that webalign filled")
def _():
    cache, files = work / "hub", work / "files.json"
    files.write_text(json.dumps(FILES))
    node(HERE / "hub.mjs", cache, COMMIT, files)
    here = {"cache_dir": cache, "local_files_only": True}
    snapshot = Path(snapshot_download("org/tiny", **here))
    assert snapshot == Path(snapshot_download("org/tiny", revision=COMMIT, **here))
    for name in ("config.json", "sub/model.safetensors"):
        assert (snapshot / name).read_text() == FILES[name]
        found = try_to_load_from_cache("org/tiny", name, cache_dir=cache)
        assert found == str(snapshot / name) == hf_hub_download("org/tiny", name, **here)
    assert try_to_load_from_cache("org/tiny", "README.md", cache_dir=cache) is None
    report = scan_cache_dir(cache)
    assert not report.warnings, report.warnings
    [repository] = report.repos
    return f"{repository.nb_files} files"


main(__name__)
