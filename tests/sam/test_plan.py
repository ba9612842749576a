"""`python -m tools plan`: the dry run without an account."""

from typing import Final

import pytest

from tools.__main__ import main

SECRET: Final = "arn:aws-cn:secretsmanager:cn-north-1:123456789012:secret:receipts-a1B2c3"


def planned(capsys: pytest.CaptureFixture[str], *parameters: str) -> dict[str, str]:
    """Run the command; give types by logical id."""
    assert main(["plan", *parameters]) == 0
    lines = [line.split("  ", 1) for line in capsys.readouterr().out.splitlines() if "  AWS::" in line]
    return {logical_id: kind.strip() for logical_id, kind in lines}


def test_the_plan_lists_what_the_parameters_switch_on(capsys: pytest.CaptureFixture[str]) -> None:
    plain = planned(capsys)
    more = planned(capsys, "StaticEgress=one-address", "Receipts=on", f"ReceiptSecretArn={SECRET}")

    assert plain["AttemptsTable"] == "AWS::DynamoDB::Table"
    assert plain["VerifyFunction"] == "AWS::Lambda::Function"
    assert plain.items() <= more.items()
    added = more.keys() - plain.keys()
    assert {"NatGatewayA", "ReceiptKeysFunction"} <= added
    assert not {name for name in added if name.endswith("B") and more[name] == "AWS::EC2::NatGateway"}


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        (["SnapStart=on"], "SnapStart=on needs a Release"),
        (["Receipts=on"], "Receipts=on needs ReceiptSecretArn"),
        (["Receipts=maybe"], "Receipts is off or on."),
        (["NoSuch=on"], "the template has no parameter NoSuch."),
        (["Receipts"], "Receipts is no parameter with its value."),
    ],
)
def test_what_cloudformation_would_refuse_is_refused(
    parameters: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", *parameters]) == 2

    assert said in " ".join(capsys.readouterr().err.split())
