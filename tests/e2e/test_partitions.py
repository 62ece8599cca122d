"""The function knows the partitions that AWS's own Python library knows."""

import json
import re
from pathlib import Path

import botocore

ARN = Path(__file__).resolve().parents[2] / "src/caller/arn.rs"


def test_partitions_are_botocores():
    """THREAT: every caller of a partition that the function does not know gets 403, or a proof goes to another host.
    PREVENTION: names and DNS suffixes are those that AWS publishes; a new one fails this test."""
    published = json.loads((Path(botocore.__file__).parent / "data/partitions.json").read_text(encoding="utf-8"))
    table = re.search(r"const PARTITIONS: .*?\[(.*?)\];", ARN.read_text(encoding="utf-8"), re.S)[1]
    known = set(re.findall(r'\("([a-z-]+)", "([a-z0-9.-]+)"\)', table))
    assert known == {(partition["id"], partition["outputs"]["dnsSuffix"]) for partition in published["partitions"]}
