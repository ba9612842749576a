"""Runs one handler on one event in a process of its own and writes the answer: `first.py MODULE EVENT`."""

import json
import os
import sys

handler = __import__(sys.argv[1], fromlist=["handler"]).handler
with open(sys.argv[2], "rb") as file:  # noqa: PTH123 - pathlib takes a while to import
    event = json.load(file)
os.write(1, json.dumps(handler(event, None)).encode())
