"""Runs one handler on one event in a process of its own and writes the answer: `first.py MODULE EVENT`."""

import importlib
import json
import os
import sys
from pathlib import Path

handler = importlib.import_module(sys.argv[1]).handler
answer = json.dumps(handler(json.loads(Path(sys.argv[2]).read_bytes()), None))
os.write(1, answer.encode())
