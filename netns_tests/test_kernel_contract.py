"""The real kernel keeps the contract of the Kernel port."""

from collections.abc import Iterator

import pytest

from ipvs_lb.lab.network import Network
from ipvs_lb.netlink import NetlinkKernel, open_kernel
from tests.kernel_contract import KernelContract


class TestNetlinkKernel(KernelContract):
    @pytest.fixture
    def kernel(self, network: Network) -> Iterator[NetlinkKernel]:
        with network.host("gateway").call(open_kernel) as kernel:
            yield kernel
