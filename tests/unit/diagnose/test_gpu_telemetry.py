"""Counters of GPUs: what only a broken card raises, and what it does not."""

import pytest

from shardwright.diagnose.doctor import examine
from shardwright.diagnose.evidence import Document

SMI = """\
==============NVSMI LOG==============
GPU 00000000:9B:00.0
    ECC Errors
        Volatile
            SRAM Correctable                      : 0
            DRAM Uncorrectable                    : NOW
        Aggregate
            DRAM Uncorrectable                    : EVER
    Remapped Rows
        Correctable Error                         : 0
        Uncorrectable Error                       : 1
        Pending                                   : ROW
"""


def sure(text):
    report = examine([Document(name="metrics.txt", chunks=[text.encode()])])
    return [f.code for f in report.findings if f.confidence >= 0.7]


def smi(now="0", ever="0", row="No"):
    return SMI.replace("NOW", now).replace("EVER", ever).replace("ROW", row)


def test_errors_of_this_drivers_life_count_and_those_long_remapped_do_not():
    assert sure(smi()) == []
    assert sure(smi(ever="4")) == []
    assert sure(smi(now="4")) == ["gpu-fault"]
    assert sure(smi(row="Yes")) == ["gpu-fault"]


@pytest.mark.parametrize(
    ("series", "value", "expected"),
    [
        ("DCGM_FI_DEV_XID_ERRORS", "0", []),
        ("DCGM_FI_DEV_XID_ERRORS", "31", []),
        ("DCGM_FI_DEV_XID_ERRORS", "94", ["gpu-fault"]),
        ("DCGM_FI_DEV_ECC_DBE_VOL_TOTAL", "2", ["gpu-fault"]),
        ("DCGM_FI_DEV_ECC_SBE_VOL_TOTAL", "2", []),
        ("DCGM_FI_DEV_ROW_REMAP_FAILURE", "1", ["gpu-fault"]),
        ("DCGM_FI_DEV_CLOCKS_EVENT_REASONS", "4", []),
        ("DCGM_FI_DEV_CLOCKS_EVENT_REASONS", "72", ["gpu-fault"]),
    ],
)
def test_series_of_dcgm(series, value, expected):
    assert sure(f'# TYPE {series} gauge\n{series}{{gpu="5",UUID="GPU-1"}} {value}\n') == expected
