"""A record that somebody changed by hand is named, not stumbled over."""

import base64
import gzip

import pytest

from shardwright.deploy.inventory import Inventory, from_object, to_object
from shardwright.model.errors import ShardwrightError

RECORD = to_object(Inventory(name="llama", namespace="ml", revision=3))


@pytest.mark.parametrize(
    "data",
    [
        {"revision": "three"},
        {"owned": "[{}]"},
        {"owned": "[{"},
        {"good.json.gz": "AAAA"},
        {"good.json.gz": RECORD["data"]["good.json.gz"][:16]},
        {"good.json.gz": base64.b64encode(gzip.compress(b"[]")[:10] + b"\xff" * 12).decode()},
        {"ranks": "[[1]]"},
        {"slot": "blue"},
        {"nextSlot": "blue"},
        {"verified": '{"checks": '},
        {"links": '{"fabric": null, "colour": "red"}'},
    ],
)
def test_a_changed_record_is_named_with_the_way_out(data):
    with pytest.raises(ShardwrightError) as caught:
        from_object({**RECORD, "data": {**RECORD["data"], **data}})
    assert caught.value.code == "record-not-readable"
    assert "kubectl -n ml delete configmap llama-inventory" in caught.value.remedy


def test_a_configmap_that_only_has_the_labels_is_no_record():
    with pytest.raises(ShardwrightError):
        from_object({key: value for key, value in RECORD.items() if key != "data"})
