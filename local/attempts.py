"""The day's attempts, given back: a way out for whoever plays with the demo; no deployment has one.

The page's origin answers `DELETE /panel/attempts`, to its own page alone: every number may then be verified
as often as in the morning, by the functions' own budget and by the platform simulator's count.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from werkzeug import Request, Response
from werkzeug.exceptions import Forbidden, MethodNotAllowed

from local.aws import AwsEndpoint
from local.samples import SAMPLE_ATTEMPT

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

ATTEMPTS_PATH: Final = "/panel/attempts"
_KEPT: Final = frozenset({"id", "expiration"})


def attempts_control(origin: str, *forget: Callable[[], None]) -> "WSGIApplication":
    """Make what answers `ATTEMPTS_PATH`.

    Parameters
    ----------
    origin
        The page's: requests of other pages are refused.
    forget
        Each gives the attempts back that it counts.
    """

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
    """Forget what the table counts of every number, but for the sample that is to be exhausted.

    Outcomes stay known: a token that was used stays used.

    Raises
    ------
    AwsError
        The endpoint is not there, or refuses.
    """
    start: dict[str, Any] = {}
    while True:
        page = endpoint.call(
            "DynamoDB_20120810.Scan",
            TableName=table_name,
            ConsistentRead=True,
            FilterExpression="(attribute_exists(attempts) OR attribute_exists(unjudged)) "
            "AND NOT contains(attempts, :sample)",
            ExpressionAttributeValues={":sample": {"S": SAMPLE_ATTEMPT}},
            **start,
        )
        for item in page["Items"]:
            counted = [name for name in item if name not in _KEPT and not name.startswith("outcome ")]
            names = {f"#counted{index}": name for index, name in enumerate(counted)}
            endpoint.call(
                "DynamoDB_20120810.UpdateItem",
                TableName=table_name,
                Key={"id": item["id"]},
                UpdateExpression=f"REMOVE {', '.join(names)}",
                ExpressionAttributeNames=names,
            )
        if "LastEvaluatedKey" not in page:
            return
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
