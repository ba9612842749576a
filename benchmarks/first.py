"""Runs one handler on one event in a process of its own and writes the answer: `first.py MODULE EVENT`."""

import importlib
import json
import os
import sys
import time
from pathlib import Path

handler = importlib.import_module(sys.argv[1]).handler
event = json.loads(Path(sys.argv[2]).read_bytes())
os.write(2, b"imported\n")
began = time.perf_counter()
answer = json.dumps(handler(event, None))
os.write(1, answer.encode())
os.write(2, f"answered after {(time.perf_counter() - began) * 1000:.3f} ms\n".encode())
