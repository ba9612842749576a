"""A function for tests of what runs functions: it shows where it is, or fails as it is told."""

from typing import Final

HANDLERS: Final = """
import os, sys, threading

counted = 0

def handler(event, context):
    global counted
    counted += 1
    match event["do"]:
        case "look":
            print("on stdout")
            print("on stderr", file=sys.stderr)
            return {
                "pid": os.getpid(), "counted": counted, "version": sys.version_info[:2],
                "environ": dict(os.environ), "path": sys.path, "cwd": os.getcwd(),
                "context": [context.function_name, context.invoked_function_arn, context.aws_request_id],
                "left": context.get_remaining_time_in_millis(),
            }
        case "import":
            module = __import__(event["name"])
            return [module.__file__, module.LAYER]
        case "write":
            try:
                open(event["path"], "w").close()
            except OSError as error:
                return error.errno
        case "raise":
            raise ValueError("a wrong value")
        case "exit":
            os._exit(3)
        case "hang":
            threading.Event().wait()
"""
VARIABLES: Final = {
    "OWN": "value",
    "AWS_LAMBDA_FUNCTION_NAME": "demo-Echo",
    "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
}
