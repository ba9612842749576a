"""The day's attempts, given back: a way out for whoever plays with the demo; no deployment has one.

The page's origin answers `DELETE /panel/attempts`, to its own page alone: every number may then be verified
as often as in the morning, by the functions' own budget and by the platform simulator's count. Which tokens
were used, the platform knows.
"""

from collections.abc import Callable
from typing import Final
from wsgiref.types import WSGIApplication

from werkzeug import Request, Response
from werkzeug.exceptions import Forbidden, MethodNotAllowed

from local.aws import AwsEndpoint

ATTEMPTS_PATH: Final = "/panel/attempts"


def attempts_control(origin: str, *forget: Callable[[], None]) -> WSGIApplication:
    """Make what answers `ATTEMPTS_PATH` to pages of one origin; each `forget` gives back what it counts."""

    @Request.application
    def answer(request: Request) -> Response:
        if request.method != "DELETE":
            raise MethodNotAllowed(["DELETE"])
        if request.headers.get("origin") != origin:
            raise Forbidden(f"only the page at {origin} may do that")
        for each in forget:
            each()
        return Response(status=204)

    return answer


def forget_attempts(endpoint: AwsEndpoint, table_name: str) -> None:
    """Empty the table; AwsError where the endpoint is not there, or refuses."""
    for item in endpoint.call("DynamoDB_20120810.Scan", TableName=table_name)["Items"]:
        endpoint.call("DynamoDB_20120810.DeleteItem", TableName=table_name, Key={"id": item["id"]})
