"""The kernel in memory that other tests use keeps the contract."""

import pytest

from tests.fake_kernel import FakeKernel
from tests.kernel_contract import KernelContract


class TestFakeKernel(KernelContract):
    @pytest.fixture
    def kernel(self) -> FakeKernel:
        return FakeKernel()
